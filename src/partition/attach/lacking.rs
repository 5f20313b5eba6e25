//! The indexes and foreign keys that a table lacks as a partition: PostgreSQL would make them under the lock.

use super::Round;
use super::exchange::repeatedly;
use crate::catalog;
use crate::error::Result;
use crate::index::build::{again, away};
use crate::owner;
use crate::partition::bounds::Parent;
use crate::settings;
use crate::sql::{self, quote_identifier, required};
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::names::suffixed;
use groundskeeper_core::plan::Qualified;
use pgrx::pg_sys::{InvalidOid, Oid};

/// An index that the table is to have.
struct Lacking {
    /// The one that it is like.
    like: String,
    /// What follows `USING` in its definition.
    tail: String,
    unique: bool,
    /// The constraint that it is to carry.
    constraint: Option<String>,
    /// Whether that is checked later.
    deferrable: String,
}

/// Builds them one by one, while writers go on.
pub fn build(between: &mut Between, round: &Round) -> Result<()> {
    for index in between.transaction(|| lacking(&round.parent, round.table))? {
        let table = &round.planned.name;
        let name = match index.constraint.as_deref() {
            Some("PRIMARY KEY") => suffixed(&table.name, "pkey"),
            _ => suffixed(&table.name, &index.like),
        };
        let (quoted, own) = (&round.planned.quoted, quote_identifier(&name));
        let unique = if index.unique { "UNIQUE " } else { "" };
        let statement = format!("CREATE {unique}INDEX CONCURRENTLY {own} ON {quoted} USING {}", index.tail);
        let index_name = Qualified { schema: table.schema.clone(), name };
        if let Err(failure) = again(between, &index_name, table, &statement) {
            // what was not built to its end is of no use, and costs writers
            let _ = away_if_invalid(between, &index_name);
            return Err(failure);
        }
        if let Some(constraint) = &index.constraint {
            let carry = format!(
                "ALTER TABLE {quoted} ADD CONSTRAINT {own} {constraint} USING INDEX {own}{}",
                index.deferrable
            );
            repeatedly(between, || {
                run_before_deadline(settings::lock_timeout_ms(), std::slice::from_ref(&carry))
            })?;
        }
    }
    foreign_keys(between, round)
}

fn away_if_invalid(between: &mut Between, index: &Qualified) -> Result<()> {
    match between.transaction(|| catalog::index_named(&index.schema, &index.name))? {
        Some((_, false)) => away(between, index),
        _ => Ok(()),
    }
}

fn lacking(parent: &Parent, table: Oid) -> Result<Vec<Lacking>> {
    let siblings: Vec<Oid> =
        parent.partitions.iter().rev().chain(&parent.default).map(|partition| partition.oid).collect();
    let ordinary = "SELECT c.oid FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY w (oid, place)
                      JOIN pg_catalog.pg_class c ON c.oid = w.oid AND c.relkind = 'r' ORDER BY w.place LIMIT 1";
    let sibling =
        sql::first(ordinary, &[siblings.into()], |row| required::<Oid>(row, 1))?.unwrap_or(InvalidOid);
    sql::rows(include_str!("lacking.sql"), &[parent.oid.into(), table.into(), sibling.into()], |row| {
        Ok(Lacking {
            like: required(row, 1)?,
            tail: required(row, 2)?,
            unique: required(row, 3)?,
            constraint: row.get(4)?,
            deferrable: required(row, 5)?,
        })
    })
}

/// Those that the table lacks are added first, and validated in a transaction of their own.
fn foreign_keys(between: &mut Between, round: &Round) -> Result<()> {
    let statements = |validated: bool| -> Result<Vec<String>> {
        sql::texts(
            "SELECT CASE WHEN o.oid IS NULL THEN pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', $3, k.conname, w.definition)
                         ELSE pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', $3, o.conname) END
               FROM pg_catalog.pg_constraint k
              CROSS JOIN LATERAL (SELECT pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '')) w (definition)
               LEFT JOIN LATERAL (SELECT o.oid, o.conname, o.convalidated FROM pg_catalog.pg_constraint o
                                   WHERE o.conrelid = $2 AND o.contype = 'f'
                                     AND pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(o.oid), ' NOT VALID$', '') = w.definition
                                   ORDER BY o.convalidated DESC LIMIT 1) o ON true
              WHERE k.conrelid = $1 AND k.contype = 'f' AND k.convalidated AND (o.oid IS NULL) <> $4
                AND o.convalidated IS NOT TRUE
              ORDER BY k.conname",
            &[
                round.parent.oid.into(),
                round.table.into(),
                round.planned.quoted.as_str().into(),
                validated.into(),
            ],
        )
    };
    for statement in between.transaction(|| statements(false))? {
        repeatedly(between, || {
            run_before_deadline(settings::lock_timeout_ms(), std::slice::from_ref(&statement))
        })?;
    }
    for statement in between.transaction(|| statements(true))? {
        between.transaction(|| owner::run(&statement))?;
    }
    Ok(())
}
