//! Which periods' rows a default partition has, and what is in the way of moving them.

use super::Round;
use crate::error::{Failure, Result};
use crate::partition::bounds::{self, Parent, Partition};
use crate::partition::convert::{self, record::Conversion};
use crate::partition::managed::{self, Managed};
use crate::partition::premake::{self, wanted};
use crate::partition::{adopt, create, retention};
use crate::settings;
use crate::sql::{self, quote_identifier, required};
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::{Interval, NaiveDate, from_epoch_days, judge};
use pgrx::PgSqlErrorCode;
use std::collections::BTreeSet;

/// How far ahead a row may be dated and get a partition; a later one stays, and is reported.
const MONTHS: u32 = 24;

/// How many partitions are attached under one lock, which takes some milliseconds for each.
const TOGETHER: usize = 6;

/// The first periods with rows in the default partition and no partition of their own.
pub fn next(quoted: &str, done: &BTreeSet<NaiveDate>) -> Result<Option<Round>> {
    let table = managed::find(quoted)?.ok_or_else(|| adopt::not_managed(quoted))?;
    let Some(parent) = bounds::parent_named(quoted, &table.timezone)? else { return Ok(None) };
    let Some(default) = parent.default.clone() else { return Ok(None) };
    refuse_partitioned(&default)?;
    let mut starts = starts_with_rows(&table, &parent, &default)?;
    starts.retain(|start| !done.contains(start));
    if starts.is_empty() {
        return Ok(None);
    }
    let free = settings::max_partitions().saturating_sub(parent.partitions.len());
    starts.truncate(TOGETHER.min(free));
    if starts.is_empty() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("{quoted} has {} partitions", parent.partitions.len()),
        )
        .detail(format!("groundskeeper.max_partitions allows {}.", settings::max_partitions())));
    }
    let report = judge(table.interval, &parent.existing(), &starts);
    if let Some(failure) = premake::misaligned(&parent, table.interval, &report.in_the_way) {
        return Err(failure);
    }
    check_obstacles(&parent, &default)?;
    let planned = create::plan(&parent, table.interval, &starts)?;
    let copied = Conversion {
        table: default.name.clone(),
        item: None,
        key: parent.key.clone(),
        interval: table.interval,
        timezone: table.timezone,
        premake: table.premake,
        format: parent.key_type.format(),
        has_default: true,
        stage: Stage::Captured,
        key_columns: identity(&parent, &default)?,
        has_key_table: false,
        kept: Vec::new(),
        copied_to: None,
        rows_expected: 0,
    };
    Ok(Some(Round { parent, default, starts, planned, copied }))
}

/// The first day of the last period that rows get a partition for.
pub fn horizon(interval: Interval, today: NaiveDate) -> Option<NaiveDate> {
    wanted(interval, today, MONTHS, 1).last().copied()
}

/// A default partition that is partitioned itself has its rows elsewhere: looked at alone it would seem to be empty.
fn refuse_partitioned(default: &Partition) -> Result<()> {
    let kind = "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = $1";
    if sql::first(kind, &[default.oid.into()], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("{} is a default partition with partitions of its own", default.quoted),
    )
    .detail("Put its rows that have a date aside, delete them, and insert them again once their months are there."))
}

/// The periods that rows of the default partition are in, and that have no partition, up to the horizon. What
/// retention would retire at once is not made again: those rows stay, and `monitoring.partition_health` names them.
fn starts_with_rows(table: &Managed, parent: &Parent, default: &Partition) -> Result<Vec<NaiveDate>> {
    let (interval, key) = (table.interval, quote_identifier(&parent.key));
    let query = format!(
        "SELECT DISTINCT {} - pg_catalog.date '1970-01-01' FROM ONLY {} WHERE {}",
        parent.key_type.day(&key, &parent.zone),
        default.quoted,
        parent.key_type.is_dated(&key)
    );
    let days = sql::rows(&query, &[], |row| required::<i32>(row, 1))?;
    let horizon = horizon(interval, parent.today);
    let limit = retention::limit(table)?;
    let mut starts = BTreeSet::new();
    for day in days.into_iter().filter_map(from_epoch_days) {
        // Where clocks go back at midnight, a day's first hour comes before the bound: it is the period's before.
        let candidates = [interval.floor(day), day.pred_opt().and_then(|before| interval.floor(before))];
        starts.extend(candidates.into_iter().flatten().find(|start| is_free(parent, interval, *start)));
    }
    let movable = |start: &NaiveDate| {
        horizon.is_some_and(|horizon| *start <= horizon) && !interval.is_over(*start, limit)
    };
    Ok(starts.into_iter().filter(movable).collect())
}

fn is_free(parent: &Parent, interval: Interval, start: NaiveDate) -> bool {
    judge(interval, &parent.existing(), &[start]).wanted.iter().all(|(_, partition)| partition.is_none())
}

/// What would be wrong with rows that leave the default partition, and be in another table without a word of it.
pub fn check_obstacles(parent: &Parent, default: &Partition) -> Result<()> {
    let obstacles = sql::texts(
        "SELECT pg_catalog.format('foreign key %I of %s refers to the default partition itself', c.conname, c.conrelid::pg_catalog.regclass)
           FROM pg_catalog.pg_constraint c WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0
         UNION ALL
         -- whose rows would be missing where the owner has tampered with the copies, and no key of his would notice
         SELECT pg_catalog.format('foreign key %I of %s is another role''s', c.conname, c.conrelid::pg_catalog.regclass)
           FROM pg_catalog.pg_constraint c
           JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
           JOIN pg_catalog.pg_class p ON p.oid = c.confrelid AND p.relowner <> r.relowner
          WHERE c.confrelid = $2 AND c.contype = 'f' AND c.conparentid = 0
         UNION ALL
         SELECT 'it is no ordinary table' FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relkind <> 'r'
         UNION ALL
         SELECT pg_catalog.format('index %s is not valid: REINDEX or drop it', x.indexrelid::pg_catalog.regclass)
           FROM pg_catalog.pg_index x WHERE x.indrelid = $1 AND NOT (x.indisvalid AND x.indisready AND x.indislive)
         UNION ALL
         SELECT 'publication ' || pg_catalog.quote_ident(p.pubname) || ' would pass the copies on'
           FROM pg_catalog.pg_publication p
          WHERE pg_catalog.current_setting('wal_level') = 'logical'
            AND (p.puballtables
              OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid IN ($1, $2))
              OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n
                           JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
                          WHERE n.pnpubid = p.oid AND c.oid IN ($1, $2)))",
        &[default.oid.into(), parent.oid.into()],
    )?;
    if obstacles.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("default partition {} cannot be drained", default.quoted),
    )
    .detail(obstacles.join("; ")))
}

/// The columns that tell its rows apart, by an index of its own or by what its table keeps unique.
fn identity(parent: &Parent, default: &Partition) -> Result<Vec<String>> {
    if let Some(own) = convert::identity(default.oid)? {
        return Ok(own);
    }
    Ok(convert::of_parent(&parent.quoted)?.map_or_else(Vec::new, |known| known.key_columns))
}
