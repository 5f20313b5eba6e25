//! One's own tables and views among those that are looked after.

use crate::catalog::{self, Relation};
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, required};
use groundskeeper_core::plan::Plan;
use groundskeeper_core::statistics::of_the_plan;
use pgrx::prelude::*;

/// Registers a relation; `false` if it was registered before.
pub fn add(oid: pg_sys::Oid) -> Result<bool> {
    let relation = own(oid)?;
    if let Some(what) = not_maintainable(&relation)? {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{} cannot be looked after", relation.quoted),
        )
        .detail(format!("It is {what}."))
        .hint("Register an ordinary or partitioned table, or a materialized view, of your own."));
    }
    changed(
        "INSERT INTO groundskeeper.maintained_relations (relation) VALUES ($1) ON CONFLICT DO NOTHING RETURNING true",
        &relation.quoted,
    )
}

/// Takes a relation off the register; an error if it is not on it.
pub fn remove(plan: &Plan, oid: pg_sys::Oid) -> Result<()> {
    let relation = own(oid)?;
    if changed(
        "DELETE FROM groundskeeper.maintained_relations WHERE relation = $1 RETURNING true",
        &relation.quoted,
    )? {
        return Ok(());
    }
    let failure = Failure::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("{} is not registered", relation.quoted),
    );
    Err(if of_the_plan(plan).contains(&&relation.name) {
        failure.detail("It is looked after as part of the plan.")
    } else {
        failure.hint("SELECT relation FROM groundskeeper.maintained_relations lists what is.")
    })
}

/// Takes a quoted name off the register, if it is on it. Whether the caller may is asked before.
pub fn take_off(quoted: &str) -> Result<()> {
    let statement = "DELETE FROM groundskeeper.maintained_relations WHERE relation = $1 RETURNING true";
    changed(statement, quoted).map(drop)
}

/// Whether a relation of that quoted name is on the register.
pub fn has(quoted: &str) -> Result<bool> {
    let there = "SELECT EXISTS (SELECT FROM groundskeeper.maintained_relations WHERE relation = $1)";
    Ok(as_owner(|| sql::kept_first(there, &[quoted.into()], |row| required::<bool>(row, 1)))? == Some(true))
}

fn changed(statement: &str, name: &str) -> Result<bool> {
    Ok(as_owner(|| sql::returned(statement, &[name.into()], |row| required(row, 1)))? == Some(true))
}

/// The relation, which must be the caller's to maintain.
fn own(oid: pg_sys::Oid) -> Result<Relation> {
    let relation = catalog::relation_by_oid(oid)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist any more")
    })?;
    catalog::must_maintain(relation.oid, &relation.quoted)?;
    Ok(relation)
}

/// What a relation is that has no statistics or contents to be kept fresh.
fn not_maintainable(relation: &Relation) -> Result<Option<&'static str>> {
    let facts = "SELECT relpersistence = 't', oid < 16384 FROM pg_catalog.pg_class WHERE oid = $1";
    let facts = sql::first(facts, &[relation.oid.into()], |row| {
        Ok((required::<bool>(row, 1)?, required::<bool>(row, 2)?))
    })?;
    let (temporary, system) = facts.unwrap_or_default();
    Ok(match relation.kind {
        _ if temporary => Some("temporary"),
        _ if system => Some("a system catalog"),
        'r' | 'p' | 'm' => None,
        'v' => Some("a view, which holds no rows"),
        'f' => Some("a foreign table, whose changes are not counted here"),
        'i' | 'I' => Some("an index"),
        'S' => Some("a sequence"),
        _ => Some("neither a table nor a materialized view"),
    })
}
