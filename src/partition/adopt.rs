//! Tables partitioned by hand are taken over as they are, and let go of.

use super::bounds::{self, Parent, Partition};
use super::convert;
use super::managed::{self, Managed};
use super::premake;
use crate::backend;
use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::owner;
use crate::settings;
use crate::sql::quote_literal;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::{Edge, Interval, KeyFormat, judge};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// Puts a table under management. Nothing of it is changed: `create_monthly_partitions()` makes what it lacks.
pub fn adopt(relation: Oid, interval: Interval, timezone: Option<String>, premake: u32) -> Result<()> {
    cluster::not_on_worker("look after partitions")?;
    let zone = catalog::time_zone(&timezone.unwrap_or_else(settings::timezone))?;
    let parent = partitioned(relation, &zone)?;
    let wanted = premake::wanted(interval, parent.today, 1, premake);
    let report = judge(interval, &parent.existing(), &wanted);
    if let Some(failure) = premake::misaligned(&parent, interval, &report.in_the_way) {
        return Err(failure.hint("Name the interval and the time zone that its bounds were computed for."));
    }
    let before = managed::find(&parent.quoted)?;
    let converted = convert::recognized(&parent, interval, premake)?;
    let kept =
        |there: bool, suffix| converted.as_ref().filter(|_| there).map(|known| known.beside_quoted(suffix));
    let has_keys = converted.as_ref().is_some_and(|known| known.has_key_table);
    let has_former = converted.as_ref().is_some_and(|known| known.stage == Stage::Converted);
    let (key_table, former) =
        (kept(has_keys, convert::record::KEYS), kept(has_former, convert::record::FORMER));
    if let Some(converted) = &converted {
        owner::of(parent.oid, || convert::bind::bind(converted))?;
    }
    managed::register(&Managed {
        parent: parent.quoted,
        partition_key: parent.key,
        interval,
        timezone: zone,
        premake,
        has_retention: false,
        retention_action: "detach".to_owned(),
        before: None,
        key_table: before.as_ref().and_then(|table| table.key_table.clone()).or(key_table),
        former: before.and_then(|table| table.former).or(former),
    })
}

/// Takes a table off management, as it is, one that is gone too. One that was converted stays so: what keeps its keys is
/// on the table, and what has to be done with its partitions is known by the conversion.
pub fn stop(named: &str) -> Result<()> {
    let parent = listed(named)?;
    let there = catalog::relation_named(&parent)?;
    match &there {
        Some(found) => catalog::must_own(found.oid, &found.quoted)?,
        None if backend::is_superuser() => {}
        None => {
            let message = format!("must be superuser to strike off {parent}, which is no longer there");
            return Err(Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message));
        }
    }
    if let Some(known) = convert::of_parent(&parent)?.filter(|known| known.stage != Stage::Finalized) {
        let beside = [convert::record::FORMER, convert::record::SHADOW].map(|s| known.beside_quoted(s));
        for kept in beside {
            if catalog::relation_named(&kept)?.is_some() {
                return Err(is_kept(&parent, &kept, there.is_some()));
            }
        }
        if there.is_none() {
            convert::record::forget(&known)?;
        }
    }
    managed::forget(&parent)
}

fn is_kept(parent: &str, kept: &str, is_there: bool) -> Failure {
    let message = format!("{kept} is kept for {parent}");
    let hint = if is_there {
        let parent = quote_literal(parent);
        format!(
            "SELECT groundskeeper.finalize_partitioning({parent}) drops it after a last proof, \
             groundskeeper.undo_partitioning({parent}) has it take the name again."
        )
    } else {
        format!(
            "SELECT groundskeeper.undo_partitioning({}) clears it away, unless it has rows.",
            quote_literal(kept)
        )
    };
    Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message).hint(hint)
}

/// The managed table that is meant, by its name with or without its schema.
fn listed(named: &str) -> Result<String> {
    let mut found = managed::named(named)?;
    match found.len() {
        0 => Err(not_managed(named).hint("SELECT parent FROM groundskeeper.managed_tables lists what is.")),
        1 => Ok(found.remove(0)),
        _ => Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("\"{named}\" is the name of several managed tables"),
        )
        .detail(format!("They are {}.", found.join(", ")))
        .hint("Name it with its schema.")),
    }
}

/// The relation as a table that can be managed by its owner, or why not.
pub fn partitioned(relation: Oid, zone: &str) -> Result<Parent> {
    let wrong = |message: String| Failure::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, message);
    let found =
        catalog::relation_by_oid(relation)?.ok_or_else(|| wrong("the relation is gone".to_owned()))?;
    if found.kind != 'p' {
        return Err(wrong(format!("{} is not partitioned", found.quoted)));
    }
    let parent = bounds::parent_named(&found.quoted, zone)?.ok_or_else(|| {
        wrong(format!("{} is not partitioned by range of one date or time", found.quoted))
            .detail("Its key must be one column of type date, timestamp or timestamptz, or a uuid or bigint with a moment in it.")
    })?;
    if !parent.may_alter {
        return Err(Failure::not_owner(&parent.quoted));
    }
    must_be_periods(&parent)?;
    Ok(parent)
}

/// Numbers and UUIDs need have no moment in them: only where the bounds of all partitions are beginnings of days do
/// they have.
fn must_be_periods(parent: &Parent) -> Result<()> {
    if parent.key_type.format().is_none() {
        return Ok(());
    }
    let is_day = |edge: &Edge| matches!(edge, Edge::Day(day) if *day > KeyFormat::first_day());
    let are_days =
        |one: &Partition| [one.from, one.to].iter().all(|edge| is_day(edge) || *edge == Edge::Unbounded);
    if !parent.partitions.is_empty() && parent.partitions.iter().all(are_days) {
        return Ok(());
    }
    let message = format!("{} is not partitioned by range of one date or time", parent.quoted);
    Err(Failure::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, message).detail(format!(
        "Not all bounds of its partitions are moments at which a day begins in {}.",
        parent.zone
    )))
}

/// The managed table of that OID with its row, if it is the current role's.
pub fn owned(relation: Oid) -> Result<(Managed, Parent)> {
    let quoted = catalog::relation_by_oid(relation)?.map(|found| found.quoted).unwrap_or_default();
    let table = managed::find(&quoted)?.ok_or_else(|| not_managed(&quoted))?;
    let parent = partitioned(relation, &table.timezone)?;
    Ok((table, parent))
}

/// What to say of a table that is none of ours.
pub fn not_managed(quoted: &str) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{quoted} is not managed"))
        .hint("groundskeeper.adopt_partitioned_table() takes over a table that is partitioned.")
}
