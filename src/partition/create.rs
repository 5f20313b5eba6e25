//! A partition comes to be: made apart, where nobody waits for it, then attached in a moment.

use super::bounds::{KeyType, Parent, literals};
use crate::error::{Failure, Result};
use crate::owner;
use crate::sql::{self, qualified, quote_identifier, quote_literal, required};
use groundskeeper_core::partition::{Edge, Interval, NaiveDate, partition_name, stem};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{InvalidOid, Oid};

/// The CHECK that tells PostgreSQL that no row needs to be looked at when a partition is attached.
const WITHIN_BOUNDS: &str = "groundskeeper_within_bounds";

/// What a new partition of a table takes over: from its newest partition, or from the table while there is none.
/// Indexes and constraints that partitions have and the table lacks are so carried on.
#[derive(Debug, Clone)]
pub struct Template {
    /// What the new table is like, quoted.
    source: String,
    /// Whether that is the partitioned table itself.
    of_parent: bool,
    /// CHECK constraints, as clauses.
    checks: Vec<String>,
    /// Access method, options and tablespace.
    storage: String,
    /// Statements in two halves, between which the new table's name belongs.
    statements: Vec<(String, String)>,
}

/// The templates of several tables, in one query.
pub fn templates(parents: &[&Parent]) -> Result<Vec<Template>> {
    let oids: Vec<Oid> = parents.iter().map(|parent| parent.oid).collect();
    let siblings = ordinary_siblings(parents)?;
    let mut of_parent = siblings.iter().map(|sibling| *sibling == InvalidOid);
    sql::rows(include_str!("template.sql"), &[oids.into(), siblings.clone().into()], |row| {
        let heads: Vec<String> = required(row, 5)?;
        let tails: Vec<String> = required(row, 6)?;
        Ok(Template {
            source: required(row, 2)?,
            of_parent: of_parent.next().unwrap_or(true),
            checks: required(row, 3)?,
            storage: required(row, 4)?,
            statements: heads.into_iter().zip(tails).collect(),
        })
    })
}

/// The template of one table.
pub fn template(parent: &Parent) -> Result<Template> {
    templates(&[parent])?.pop().ok_or_else(|| Failure::internal(format!("{} is gone", parent.quoted)))
}

/// The newest partition of each that is an ordinary table, the default one if there is no other.
fn ordinary_siblings(parents: &[&Parent]) -> Result<Vec<Oid>> {
    let candidates: Vec<Oid> = parents
        .iter()
        .flat_map(|parent| parent.partitions.iter().chain(&parent.default).map(|partition| partition.oid))
        .collect();
    let ordinary = sql::rows(
        "SELECT oid FROM pg_catalog.pg_class WHERE oid = ANY ($1) AND relkind = 'r'",
        &[candidates.into()],
        |row| required::<Oid>(row, 1),
    )?;
    let ordinary: std::collections::HashSet<Oid> = ordinary.into_iter().collect();
    let newest = |parent: &&Parent| {
        let newest_first = parent.partitions.iter().rev().chain(&parent.default);
        newest_first.map(|p| p.oid).find(|oid| ordinary.contains(oid)).unwrap_or(InvalidOid)
    };
    Ok(parents.iter().map(newest).collect())
}

/// A partition to be.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name.
    pub name: Qualified,
    /// `schema.name`, quoted.
    pub quoted: String,
    /// Its first bound, as a literal's text.
    pub from: String,
    /// Its last bound, excluded.
    pub to: String,
}

impl Planned {
    /// What holds for every row of it, and for no other.
    pub fn condition(&self, key: &str, key_type: KeyType) -> String {
        let (key, cast) = (quote_identifier(key), key_type.as_str());
        let (from, to) = (quote_literal(&self.from), quote_literal(&self.to));
        format!("{key} IS NOT NULL AND {key} >= {from}::{cast} AND {key} < {to}::{cast}")
    }
}

/// The partitions that begin with those days, named as their siblings are.
pub fn plan(parent: &Parent, interval: Interval, starts: &[NaiveDate]) -> Result<Vec<Planned>> {
    let named = parent.partitions.iter().rev().find_map(|partition| match partition.from {
        Edge::Day(start) => Some((partition.name.name.as_str(), start)),
        _ => None,
    });
    let stem = stem(&parent.name.name, interval, named);
    let beyond =
        || Failure::new(PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW, "a partition beyond the calendar");
    let ends = starts.iter().map(|start| interval.next(*start).ok_or_else(beyond));
    let ends = ends.collect::<Result<Vec<NaiveDate>>>()?;
    let from = literals(parent.key_type, &parent.zone, starts)?;
    let to = literals(parent.key_type, &parent.zone, &ends)?;
    let planned = starts.iter().zip(from.into_iter().zip(to)).map(|(start, (from, to))| {
        let schema = parent.name.schema.clone();
        let name = Qualified { schema, name: partition_name(stem, interval, *start) };
        Planned { quoted: qualified(&name.schema, &name.name), name, from, to }
    });
    Ok(planned.collect())
}

/// The statements that make a partition apart: nobody but its makers sees it.
pub fn apart(parent: &Parent, template: &Template, planned: &Planned) -> Vec<String> {
    let like = if template.of_parent {
        "INCLUDING ALL EXCLUDING IDENTITY"
    } else {
        "INCLUDING ALL EXCLUDING IDENTITY EXCLUDING CONSTRAINTS"
    };
    let within =
        format!("CONSTRAINT {WITHIN_BOUNDS} CHECK ({})", planned.condition(&parent.key, parent.key_type));
    let clauses: Vec<&str> =
        template.checks.iter().map(String::as_str).chain(std::iter::once(within.as_str())).collect();
    let storage = if template.of_parent { "" } else { template.storage.as_str() };
    let create = format!(
        "CREATE TABLE {} (LIKE {} {like}, {}){storage}",
        planned.quoted,
        template.source,
        clauses.join(", ")
    );
    let then = template.statements.iter().map(|(head, tail)| format!("{head}{}{tail}", planned.quoted));
    std::iter::once(create).chain(then).collect()
}

/// Whether a table of that name is one of ours that was never attached. It has no rows: nobody knows it but its makers.
pub fn is_apart(planned: &Planned) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint con
                                  JOIN pg_catalog.pg_class c ON c.oid = con.conrelid AND NOT c.relispartition
                                 WHERE con.conrelid = pg_catalog.to_regclass($1) AND con.contype = 'c' AND con.conname = $2)";
    let args = [planned.quoted.as_str().into(), WITHIN_BOUNDS.into()];
    let is_empty = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", planned.quoted);
    Ok(sql::first(query, &args, |row| required::<bool>(row, 1))? == Some(true)
        && sql::first(&is_empty, &[], |row| required::<bool>(row, 1))? == Some(true))
}

/// The statements that attach it: no row is read but those of a default partition.
pub fn attach(parent: &Parent, planned: &Planned) -> Vec<String> {
    let (from, to) = (quote_literal(&planned.from), quote_literal(&planned.to));
    vec![
        format!(
            "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({from}) TO ({to})",
            parent.quoted, planned.quoted
        ),
        format!("ALTER TABLE {} DROP CONSTRAINT {WITHIN_BOUNDS}", planned.quoted),
    ]
}

/// Refuses a table whose owner may not make tables beside it: partitions are made by the owner, as whoever makes a table
/// runs what is written into the one that it is like.
pub fn owner_may(parent: &Parent) -> Result<()> {
    let refused = sql::first(
        "SELECT pg_catalog.format('GRANT CREATE ON SCHEMA %I TO %s', n.nspname, o.role), o.role
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          CROSS JOIN LATERAL (SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner))) o (role)
          WHERE c.oid = $1 AND NOT pg_catalog.has_schema_privilege(c.relowner, n.oid, 'CREATE')",
        &[parent.oid.into()],
        |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)),
    )?;
    let Some((grant, owner)) = refused else { return Ok(()) };
    let message = format!("{owner}, who owns {}, may not create tables in its schema", parent.quoted);
    Err(Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message)
        .detail(format!("Partitions are made as the owner of their table; {grant} lets it."))
        .hint(format!("{grant};")))
}

/// Refuses a partition whose rows the default one has: they must be drained first. Attaching reads the default
/// partition under a lock that excludes everybody; this reads it before, so that the lock is not taken in vain,
/// and with the pages in memory not for long.
pub fn rows_in_default(parent: &Parent, planned: &Planned) -> Result<()> {
    let Some(default) = &parent.default else { return Ok(()) };
    let query = format!(
        "SELECT EXISTS (SELECT 1 FROM {} WHERE {})",
        default.quoted,
        planned.condition(&parent.key, parent.key_type)
    );
    let looked = || sql::first(&query, &[], |row| required::<bool>(row, 1));
    if owner::reading(default.oid, looked)? != Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        format!("rows of {} are in the default partition {}", planned.quoted, default.quoted),
    )
    .detail(format!(
        "SELECT groundskeeper.drain_default({}) moves them and makes the partition.",
        quote_literal(&parent.quoted)
    )))
}
