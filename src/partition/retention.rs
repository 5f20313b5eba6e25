//! `set_retention` and `apply_retention`: partitions whose time is over leave their table.

use super::adopt::owned;
use super::before;
use super::bounds::{Parent, Partition};
use super::managed::{self, Managed};
use super::premake::look_up;
use super::retire::{self, Due, Retired};
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::settings;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use groundskeeper_core::partition::{Action, Edge, NaiveDate, from_epoch_days};
use pgrx::PgSqlErrorCode;
use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;

/// Says how long partitions of a table are kept after their end, and what becomes of them then.
pub fn set(relation: Oid, keep: Option<Interval>, action: Action, before: Option<Oid>) -> Result<()> {
    let (table, _) = owned(relation)?;
    let before = before.map(|function| before::named(relation, function)).transpose()?;
    if let Some(keep) = keep
        && sql::first("SELECT $1 > interval '0'", &[keep.into()], |row| required::<bool>(row, 1))?
            != Some(true)
    {
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "keep must be positive")
            .hint("NULL keeps partitions for ever."));
    }
    if let Some(keep) = keep {
        let reaches = "SELECT (pg_catalog.now() - $1)::date - date '1970-01-01'";
        isolated(|| sql::first(reaches, &[keep.into()], |row| required::<i32>(row, 1))).map_err(|_| {
            Failure::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "keep reaches back beyond the calendar",
            )
            .hint("NULL keeps partitions for ever.")
        })?;
    }
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.managed_tables SET retention = $2, retention_action = $3, retention_before = $4
              WHERE parent = $1",
            &[table.parent.as_str().into(), keep.into(), action.as_str().into(), before.into()],
        )
    })
}

/// Retires what is due, each partition on its own; a dry run does the same and takes it back.
pub fn apply(dry_run: bool) -> Result<Vec<Retired>> {
    let tables: Vec<Managed> = managed::all()?.into_iter().filter(|table| table.has_retention).collect();
    let (mut outcomes, mut due) = (Vec::new(), Vec::new());
    for (table, found) in tables.iter().zip(look_up(&tables)?) {
        match found.and_then(|parent| isolated(|| due_partitions(table, &parent))) {
            Ok(found) => due.extend(Some(found).filter(|due| !due.partitions.is_empty())),
            Err(failure) => outcomes.push(Retired::kept(&table.parent, None, failure.one_line())),
        }
    }
    outcomes.extend(if dry_run { retire::look(&due) } else { retire::all(due)? });
    Ok(outcomes)
}

/// The partitions that ended long enough ago.
fn due_partitions(table: &Managed, parent: &Parent) -> Result<Due> {
    let limit = limit(table)?;
    let over = |partition: &&Partition| {
        limit.is_some_and(|limit| ended(partition.to).is_some_and(|end| end <= limit))
    };
    let partitions = parent.partitions.iter().filter(over);
    Ok(Due {
        parent: table.parent.clone(),
        archive_schema: settings::archive_schema(),
        may_alter: parent.may_alter,
        action: Action::parse(&table.retention_action).ok_or_else(|| {
            Failure::internal(format!("{} has the unknown action {}", table.parent, table.retention_action))
        })?,
        partitions: partitions.map(|one| (u32::from(one.oid), one.quoted.clone())).collect(),
    })
}

/// The first day that is kept, by the clock of the table's zone: what ended before it is retired.
pub fn limit(table: &Managed) -> Result<Option<NaiveDate>> {
    if !table.has_retention {
        return Ok(None);
    }
    let oldest_kept = sql::first(
        "SELECT (pg_catalog.now() AT TIME ZONE timezone - retention)::date - date '1970-01-01'
           FROM groundskeeper.managed_tables WHERE parent = $1 AND retention IS NOT NULL",
        &[table.parent.as_str().into()],
        |row| required::<i32>(row, 1),
    )?;
    Ok(oldest_kept.and_then(from_epoch_days))
}

/// The first day of which a partition has nothing.
fn ended(to: Edge) -> Option<NaiveDate> {
    match to {
        Edge::Unbounded => None,
        Edge::Day(day) => Some(day),
        Edge::Within(day) => day.succ_opt(),
    }
}
