//! What the catalogs and counters say of the relations that are looked after.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, qualified, required};
use groundskeeper_core::plan::Plan;
use groundskeeper_core::statistics::{Seen, Source, Table, Window, of_the_plan, window};
use pgrx::pg_sys::Oid;
use std::collections::HashMap;

/// A relation that is looked after.
pub struct Relation {
    /// `schema.name`, quoted.
    pub name: String,
    /// What is there by that name.
    pub found: Option<Facts>,
}

/// A relation that is there.
pub struct Facts {
    /// Its OID.
    pub oid: Oid,
    /// `pg_class.relkind`.
    pub kind: char,
    /// Whether a materialized view was ever filled.
    pub populated: bool,
    /// Whether the caller may refresh it: the owner, and since 17 whoever has MAINTAIN.
    pub may_maintain: bool,
    /// Whether the caller may analyze it.
    pub may_analyze: bool,
    /// Its owner's name.
    pub owner: String,
    /// What its statistics are judged by.
    pub table: Table,
    /// How often it was refreshed from here.
    pub refreshes: i64,
    /// What it was made from then.
    pub before: Option<Seen>,
    /// Whether a materialized view can be refreshed concurrently.
    pub has_key: bool,
}

/// What stands below a partitioned table or a materialized view.
#[derive(Default)]
pub struct Below {
    /// Everything with rows.
    pub sources: Vec<(Oid, Source)>,
    /// Rows in all of it.
    pub rows: f64,
    /// What the clock has to do with it.
    pub window: Option<Window>,
    /// Something of which no change can be seen.
    pub opaque: Option<String>,
}

/// All that is looked after, the plan's first.
pub fn relations(plan: &Plan, caller: &str) -> Result<Vec<Relation>> {
    let of_the_plan: Vec<String> =
        of_the_plan(plan).iter().map(|name| qualified(&name.schema, &name.name)).collect();
    as_owner(|| sql::rows(include_str!("relations.sql"), &[of_the_plan.into(), caller.into()], relation))
}

fn relation(row: &crate::sql::Tuple) -> Result<Relation> {
    let name = required(row, 1)?;
    let Some(oid) = row.get::<Oid>(2)? else { return Ok(Relation { name, found: None }) };
    let seen = row.get::<String>(14)?;
    let before = seen.map(|s| serde_json::from_str(&s)).transpose();
    let found = Facts {
        oid,
        kind: required::<String>(row, 3)?.chars().next().unwrap_or(' '),
        populated: required(row, 4)?,
        may_maintain: required(row, 5)?,
        may_analyze: required(row, 6)?,
        owner: row.get::<String>(7)?.unwrap_or_default(),
        table: Table {
            analyzed: required(row, 8)?,
            changes: required(row, 9)?,
            rows: required(row, 10)?,
            base: required(row, 11)?,
            scale: required(row, 12)?,
        },
        refreshes: row.get::<i64>(13)?.unwrap_or(0),
        before: before.map_err(|e| Failure::internal(e.to_string()))?,
        has_key: required(row, 15)?,
    };
    Ok(Relation { name, found: Some(found) })
}

/// What stands below each of these partitioned tables and materialized views.
pub fn below(roots: Vec<Oid>) -> Result<HashMap<Oid, Below>> {
    let mut all: HashMap<Oid, Below> = HashMap::new();
    as_owner(|| {
        sql::rows(include_str!("sources.sql"), &[roots.into()], |row| {
            let (root, oid) = (required::<Oid>(row, 1)?, required::<Oid>(row, 2)?);
            let below = all.entry(root).or_default();
            if let Some(functions) = row.get::<String>(8)? {
                below.window = below.window.max(Some(window(&functions)));
                let function = row.get::<String>(9)?;
                below.opaque = below.opaque.take().or(function);
                return Ok(());
            }
            let name: String = required(row, 3)?;
            if required::<String>(row, 4)? == "f" {
                below.opaque = Some(format!("foreign table {name}"));
            }
            let rows = required::<f64>(row, 7)?.max(0.0);
            below.rows += rows;
            let file = u32::from(required::<Oid>(row, 5)?);
            below.sources.push((oid, Source { name, file, changes: required(row, 6)?, rows: rows as i64 }));
            Ok(())
        })
    })?;
    Ok(all)
}

/// When the counters were last reset, and the day and the hour in the session's time zone.
pub fn now() -> Result<(Option<String>, String, String)> {
    let query = "SELECT pg_catalog.pg_stat_get_db_stat_reset_time(d.oid)::text,
                        pg_catalog.to_char(pg_catalog.now(), 'YYYY-MM-DD'), pg_catalog.to_char(pg_catalog.now(), 'YYYY-MM-DD HH24:00')
                   FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
    sql::first(query, &[], |row| Ok((row.get(1)?, required(row, 2)?, required(row, 3)?)))?
        .ok_or_else(|| Failure::internal("the current database is not in pg_database"))
}
