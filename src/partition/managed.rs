//! Which tables are managed: the rows of `groundskeeper.managed_tables`.

use super::convert;
use super::convert::record::{Conversion, FORMER, KEYS};
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::Tuple;
use crate::sql::{self, required};
use groundskeeper_core::partition::Interval;
use groundskeeper_core::partition::convert::Stage;

/// A managed table, as it is written down.
#[derive(Debug, Clone)]
pub struct Managed {
    /// `schema.name`, quoted.
    pub parent: String,
    /// The column that it is partitioned by.
    pub partition_key: String,
    /// What one partition covers.
    pub interval: Interval,
    /// The zone of its days.
    pub timezone: String,
    /// How many partitions are kept ready, the current one included.
    pub premake: u32,
    /// Whether partitions are retired.
    pub has_retention: bool,
    /// What becomes of a retired partition: `detach`, `drop` or `archive`.
    pub retention_action: String,
    /// The function that is called with a partition before it retires.
    pub before: Option<String>,
    /// The table that holds its keys.
    pub key_table: Option<String>,
    /// The unpartitioned table that it was.
    pub former: Option<String>,
}

impl Managed {
    /// A table that was converted, as it is looked after from then on.
    pub fn of(conversion: &Conversion) -> Self {
        let is_kept = conversion.stage != Stage::Finalized;
        Self {
            parent: conversion.quoted(),
            partition_key: conversion.key.clone(),
            interval: conversion.interval,
            timezone: conversion.timezone.clone(),
            premake: conversion.premake,
            has_retention: false,
            retention_action: "detach".to_owned(),
            before: None,
            key_table: conversion.has_key_table.then(|| conversion.beside_quoted(KEYS)),
            former: is_kept.then(|| conversion.beside_quoted(FORMER)),
        }
    }
}

const MANAGED: &str = r#"
    SELECT parent, partition_key, "interval", timezone, premake, retention IS NOT NULL, retention_action, key_table, former,
           retention_before
      FROM groundskeeper.managed_tables"#;

fn read(row: &Tuple) -> Result<Managed> {
    let interval: String = required(row, 3)?;
    Ok(Managed {
        parent: required(row, 1)?,
        partition_key: required(row, 2)?,
        interval: Interval::parse(&interval)
            .ok_or_else(|| Failure::internal(format!("\"{interval}\" is no interval")))?,
        timezone: required(row, 4)?,
        premake: u32::try_from(required::<i32>(row, 5)?).unwrap_or(1),
        has_retention: required(row, 6)?,
        retention_action: required(row, 7)?,
        key_table: row.get(8)?,
        former: row.get(9)?,
        before: row.get(10)?,
    })
}

/// All managed tables, by name.
pub fn all() -> Result<Vec<Managed>> {
    sql::rows(&format!("{MANAGED} ORDER BY parent"), &[], read)
}

/// The managed table of that quoted name.
pub fn find(parent: &str) -> Result<Option<Managed>> {
    sql::first(&format!("{MANAGED} WHERE parent = $1"), &[parent.into()], read)
}

/// The managed table of that quoted name, or one that was converted: what is kept for its partitions is there whether they
/// are looked after or not.
pub fn or_converted(parent: &str) -> Result<Option<Managed>> {
    match find(parent)? {
        None => Ok(convert::of_parent(parent)?.map(|conversion| Managed::of(&conversion))),
        found => Ok(found),
    }
}

/// The managed tables that a name could mean: it is quoted where it must be, and may lack its schema.
pub fn named(name: &str) -> Result<Vec<String>> {
    sql::texts(
        "SELECT m.parent
           FROM groundskeeper.managed_tables m, pg_catalog.parse_ident($1) w (names), pg_catalog.parse_ident(m.parent) p (names)
          WHERE w.names = p.names OR w.names = p.names[2:2] ORDER BY 1",
        &[name.into()],
    )
}

/// Writes a table down, or what has changed of it; how long its partitions are kept stays as it is. The caller has
/// made sure that the table is the current role's.
pub fn register(table: &Managed) -> Result<()> {
    as_owner(|| {
        sql::run(
            r#"INSERT INTO groundskeeper.managed_tables AS m
                   (parent, partition_key, "interval", timezone, premake, key_table, former)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (parent) DO UPDATE
                  SET partition_key = EXCLUDED.partition_key, "interval" = EXCLUDED."interval",
                      timezone = EXCLUDED.timezone, premake = EXCLUDED.premake,
                      key_table = EXCLUDED.key_table, former = EXCLUDED.former"#,
            &[
                table.parent.as_str().into(),
                table.partition_key.as_str().into(),
                table.interval.as_str().into(),
                table.timezone.as_str().into(),
                i32::try_from(table.premake).unwrap_or(i32::MAX).into(),
                table.key_table.clone().into(),
                table.former.clone().into(),
            ],
        )
    })
}

/// Strikes a table off.
pub fn forget(parent: &str) -> Result<()> {
    as_owner(|| sql::run("DELETE FROM groundskeeper.managed_tables WHERE parent = $1", &[parent.into()]))
}
