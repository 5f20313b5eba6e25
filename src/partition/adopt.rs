//! Tables partitioned by hand are taken over as they are.

use super::bounds::{self, Parent};
use super::convert;
use super::managed::{self, Managed};
use super::premake;
use crate::catalog;
use crate::error::{Failure, Result};
use crate::owner;
use crate::settings;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::{Interval, judge};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// Puts a table under management. Nothing of it is changed: `create_monthly_partitions()` makes what it lacks.
pub fn adopt(relation: Oid, interval: Interval, timezone: Option<String>, premake: u32) -> Result<()> {
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
        key_table: before.as_ref().and_then(|table| table.key_table.clone()).or(key_table),
        former: before.and_then(|table| table.former).or(former),
    })
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
            .detail("Its key must be one column of type date, timestamp or timestamptz.")
    })?;
    if !parent.may_alter {
        return Err(Failure::not_owner(&parent.quoted));
    }
    Ok(parent)
}

/// The managed table of that OID with its row, if it is the current role's.
pub fn owned(relation: Oid) -> Result<(Managed, Parent)> {
    let quoted = catalog::relation_by_oid(relation)?.map(|found| found.quoted).unwrap_or_default();
    let table = managed::find(&quoted)?.ok_or_else(|| not_managed(&quoted))?;
    let parent = partitioned(relation, &table.timezone)?;
    Ok((table, parent))
}

fn not_managed(quoted: &str) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{quoted} is not managed"))
        .hint("groundskeeper.adopt_partitioned_table() takes over a table that is partitioned.")
}
