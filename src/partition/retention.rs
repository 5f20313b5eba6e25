//! `set_retention` and `apply_retention`: partitions whose time is over leave their table.

use super::adopt::owned;
use super::bounds::{Parent, Partition};
use super::managed::{self, Managed};
use super::premake::{Patience, look_up};
use super::release::released;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::guc::pinned;
use crate::owner;
use crate::settings;
use crate::sql::{self, qualified, quote_identifier, quote_literal, required};
use crate::subtransaction::{isolated, looked_at};
use groundskeeper_core::partition::{Edge, NaiveDate, from_epoch_days};
use pgrx::PgSqlErrorCode;
use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;

/// What becomes of a partition whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It becomes a table of its own.
    Detach,
    /// It is dropped with its rows.
    Drop,
    /// It becomes a table of its own in another schema.
    Archive,
}

impl Action {
    /// The action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "detach" => Some(Self::Detach),
            "drop" => Some(Self::Drop),
            "archive" => Some(Self::Archive),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detach => "detach",
            Self::Drop => "drop",
            Self::Archive => "archive",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Detach => "detached",
            Self::Drop => "dropped",
            Self::Archive => "archived",
        }
    }
}

/// Says how long partitions of a table are kept after their end, and what becomes of them then.
pub fn set(relation: Oid, keep: Option<Interval>, action: Action) -> Result<()> {
    let (table, _) = owned(relation)?;
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
            "UPDATE groundskeeper.managed_tables SET retention = $2, retention_action = $3 WHERE parent = $1",
            &[table.parent.as_str().into(), keep.into(), action.as_str().into()],
        )
    })
}

/// What became of a partition whose time is over, or of a table that could not be looked at.
pub struct Retired {
    /// The managed table.
    pub parent: String,
    /// The partition.
    pub partition: Option<String>,
    /// `detached`, `dropped`, `archived` or `kept`; `would ...` in a dry run.
    pub action: String,
    /// Why it was kept, or where it is now.
    pub detail: Option<String>,
}

/// Retires what is due, each partition on its own; a dry run does the same and takes it back.
pub fn apply(dry_run: bool) -> Result<Vec<Retired>> {
    let tables: Vec<Managed> = managed::all()?.into_iter().filter(|table| table.has_retention).collect();
    let mut outcomes = Vec::new();
    let mut due = Vec::new();
    for (table, found) in tables.iter().zip(look_up(&tables)?) {
        let list = |parent: Parent| isolated(|| Ok((due_partitions(table, &parent)?, parent)));
        let listed = found.and_then(list);
        match listed {
            Ok((partitions, parent)) => {
                due.extend(partitions.into_iter().map(|p| (table, parent.clone(), p)))
            }
            Err(failure) => outcomes.push(kept(table, None, &failure)),
        }
    }
    // Rows are looked at before a lock is taken that others would wait for.
    let checked: Vec<_> = due
        .into_iter()
        .map(|(table, parent, partition)| {
            let checked = isolated(|| only_rows_within(&parent, &partition));
            (table, parent, partition, checked)
        })
        .collect();
    let mut patience = Patience::new();
    for (table, parent, partition, checked) in checked {
        let retired = checked.and_then(|()| {
            let work = || owner::of(parent.oid, || retire(table, &parent, &partition, &mut patience));
            if dry_run { looked_at(work) } else { isolated(work) }
        });
        outcomes.push(match retired {
            Err(failure) => kept(table, Some(&partition), &failure),
            Ok((action, detail)) => Retired {
                parent: table.parent.clone(),
                partition: Some(partition.quoted),
                action: if dry_run { format!("would {}", action.as_str()) } else { action.done().to_owned() },
                detail,
            },
        });
    }
    Ok(outcomes)
}

fn kept(table: &Managed, partition: Option<&Partition>, why: &Failure) -> Retired {
    Retired {
        parent: table.parent.clone(),
        partition: partition.map(|p| p.quoted.clone()),
        action: "kept".to_owned(),
        detail: Some(why.one_line()),
    }
}

/// The partitions that ended long enough ago.
fn due_partitions(table: &Managed, parent: &Parent) -> Result<Vec<Partition>> {
    let Some(limit) = limit(table)? else { return Ok(Vec::new()) };
    let over = |partition: &&Partition| ended(partition.to).is_some_and(|end| end <= limit);
    Ok(parent.partitions.iter().filter(over).cloned().collect())
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

/// Refuses a partition with rows that its bounds exclude: attached by a promise that was not kept, it may hold
/// what is not old at all.
fn only_rows_within(parent: &Parent, partition: &Partition) -> Result<()> {
    if !parent.may_alter {
        return Err(Failure::not_owner(&parent.quoted));
    }
    let (key, cast) = (quote_identifier(&parent.key), parent.key_type.as_str());
    let mut outside = vec![format!("{key} IS NULL")];
    let literal = |text: &String| format!("{}::{cast}", quote_literal(text));
    outside.extend(partition.from_text.iter().map(|from| format!("{key} < {}", literal(from))));
    outside.extend(partition.to_text.iter().map(|to| format!("{key} >= {}", literal(to))));
    let query = format!("SELECT EXISTS (SELECT FROM {} WHERE {})", partition.quoted, outside.join(" OR "));
    // or the planner would take the bounds' word for it
    let plain = [(c"constraint_exclusion", c"off"), (c"row_security", c"off")];
    let look = || pinned(&plain, || sql::first(&query, &[], |row| required::<bool>(row, 1)));
    let found = owner::reading(partition.oid, look)?;
    if found != Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        format!("{} has rows outside of its bounds", partition.quoted),
    ))
}

/// Takes a partition out of its table and does with it what the policy says; says where it is then.
fn retire(
    table: &Managed,
    parent: &Parent,
    partition: &Partition,
    patience: &mut Patience,
) -> Result<(Action, Option<String>)> {
    let action = Action::parse(&table.retention_action).unwrap_or(Action::Detach);
    let name = &partition.quoted;
    let mut statements = vec![format!("ALTER TABLE {} DETACH PARTITION {name}", parent.quoted)];
    let mut detail = None;
    match action {
        Action::Detach => {}
        Action::Drop => statements.push(format!("DROP TABLE {name}")),
        Action::Archive => {
            let schema = settings::archive_schema().ok_or_else(|| {
                Failure::new(
                    PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "groundskeeper.archive_schema is not set",
                )
            })?;
            statements.push(format!("ALTER TABLE {name} SET SCHEMA {}", quote_identifier(&schema)));
            detail = Some(qualified(&schema, &partition.name.name));
        }
    }
    released(table, &partition.name)?;
    patience.run(&statements)?;
    Ok((action, detail))
}
