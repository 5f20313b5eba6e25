//! What stands in the way of a conversion, and what changes with it.

use super::keys::FUNCTIONS;
use super::record::{CAPTURE, FORMER, KEYS, LOG, SHADOW};
use super::{key_type, shadow};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::owner;
use crate::settings;
use crate::sql::{self, quote_identifier, quote_literal, required};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::preflight::{CHECKS, Severity, check_named};
use groundskeeper_core::partition::{Interval, NaiveDate, default_name, partition_name};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;

/// One finding.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub detail: String,
    /// What helps.
    pub remedy: Option<String>,
    /// Whether a warning must be acknowledged.
    pub needs_answer: bool,
}

/// Looks at everything; the interval, zone and number of partitions to keep ready are needed for the rows.
pub fn preflight(relation: Oid, key: &str, asked: Option<(Interval, &str, i32)>) -> Result<Vec<Finding>> {
    let table = catalog::relation_by_oid(relation)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
    })?;
    let zone = settings::timezone();
    let (interval, zone, premake) = asked.unwrap_or((Interval::Month, &zone, 3));
    let conversion = super::record::Conversion {
        table: table.name.clone(),
        item: None,
        key: key.to_owned(),
        interval,
        timezone: zone.to_owned(),
        premake: u32::try_from(premake).unwrap_or(1),
        stage: Stage::Begun,
        key_columns: Vec::new(),
        has_key_table: false,
        copied_to: None,
        rows_expected: 0,
    };
    let usable = table.kind == 'r' && key_type(&table.quoted, key).is_ok();
    let starts = if usable {
        let key_type = key_type(&table.quoted, key)?;
        owner::reading(relation, || shadow::starts(&conversion, key_type, settings::max_partitions()))?
    } else {
        Vec::new()
    };
    let mut findings = in_catalogs(relation, key, &names(&conversion, &starts))?;
    if usable {
        findings.extend(owner::reading(relation, || rows(&conversion, &starts))?);
        findings.push(space(relation)?);
    }
    for check in CHECKS {
        if !findings.iter().any(|f| f.check == check) {
            let detail = "nothing in the way".to_owned();
            findings.push(Finding {
                check,
                severity: Severity::Ok,
                detail,
                remedy: None,
                needs_answer: false,
            });
        }
    }
    let place = |check: &str| CHECKS.iter().position(|c| *c == check).unwrap_or(CHECKS.len());
    findings.sort_by_key(|f| (place(f.check), std::cmp::Reverse(f.severity as u8)));
    Ok(findings)
}

/// The names that will be taken beside the table.
fn names(conversion: &super::record::Conversion, starts: &[NaiveDate]) -> Vec<String> {
    let table = &conversion.table.name;
    let partitions: Vec<String> = starts
        .iter()
        .map(|start| partition_name(table, conversion.interval, *start))
        .chain([default_name(table)])
        .collect();
    let beside = [SHADOW, FORMER, KEYS, LOG, CAPTURE].into_iter().chain(FUNCTIONS);
    let own_keys: Vec<String> = partitions.iter().map(|partition| suffixed(partition, "pkey")).collect();
    partitions.into_iter().chain(own_keys).chain(beside.map(|suffix| suffixed(table, suffix))).collect()
}

fn in_catalogs(relation: Oid, key: &str, names: &[String]) -> Result<Vec<Finding>> {
    sql::rows(include_str!("preflight.sql"), &[relation.into(), key.into(), names.to_vec().into()], |row| {
        let name: String = required(row, 1)?;
        let severity: String = required(row, 2)?;
        Ok(Finding {
            check: check_named(&name)
                .ok_or_else(|| Failure::internal(format!("the preflight knows no check {name}")))?,
            severity: Severity::parse(&severity)
                .ok_or_else(|| Failure::internal(format!("{name} has the unknown severity {severity}")))?,
            detail: required(row, 3)?,
            remedy: row.get(4)?,
            needs_answer: required(row, 5)?,
        })
    })
}

/// How many partitions there will be, and which rows will be in the default one.
fn rows(conversion: &super::record::Conversion, starts: &[NaiveDate]) -> Result<Vec<Finding>> {
    let key = quote_identifier(&conversion.key);
    let key_type = key_type(&conversion.quoted(), &conversion.key)?;
    let end = starts.last().and_then(|last| conversion.interval.next(*last));
    let edges: Vec<NaiveDate> = starts.first().copied().into_iter().chain(end).collect();
    let literals = crate::partition::bounds::literals(key_type, &conversion.timezone, &edges)?;
    let [from, to] = literals.as_slice() else { return Ok(Vec::new()) };
    let query = format!(
        "SELECT pg_catalog.count(*) FILTER (WHERE {key} IS NULL),
                pg_catalog.count(*) FILTER (WHERE {key} < {1}::{0} OR {key} >= {2}::{0})
           FROM {3}",
        key_type.as_str(),
        quote_literal(from),
        quote_literal(to),
        conversion.quoted()
    );
    let counts = sql::first(&query, &[], |row| Ok((required::<i64>(row, 1)?, required::<i64>(row, 2)?)))?;
    let (null, outside) = counts.unwrap_or((0, 0));
    let mut detail = format!("{} partitions, from {} on, and a default one", starts.len(), starts[0]);
    if null + outside == 0 {
        return Ok(vec![finding("rows", Severity::Ok, detail, None)]);
    }
    detail.push_str(&format!(
        "; in the default partition {null} rows without {key} and {outside} outside of the others"
    ));
    let remedy = "They stay there. groundskeeper.drain_default() moves those that get a month later.";
    Ok(vec![finding("rows", Severity::Warning, detail, Some(remedy.to_owned()))])
}

fn finding(check: &'static str, severity: Severity, detail: String, remedy: Option<String>) -> Finding {
    Finding { check, severity, detail, remedy, needs_answer: false }
}

/// Whether a second copy of the table fits on its file system.
fn space(relation: Oid) -> Result<Finding> {
    let query = "SELECT pg_catalog.pg_total_relation_size($1),
                        pg_catalog.pg_tablespace_location(COALESCE(NULLIF(c.reltablespace, 0), d.dattablespace))
                   FROM pg_catalog.pg_class c, pg_catalog.pg_database d
                  WHERE c.oid = $1 AND d.datname = pg_catalog.current_database()";
    let found = sql::first(query, &[relation.into()], |row| {
        Ok((required::<i64>(row, 1)?, required::<String>(row, 2)?))
    })?;
    let (bytes, place) = found.unwrap_or_default();
    // SAFETY: the server's own NUL-terminated global, fixed since it started.
    let data = unsafe { CStr::from_ptr(pg_sys::DataDir) }.to_string_lossy().into_owned();
    let place = if place.is_empty() { data } else { place };
    let Ok(disk) = nix::sys::statvfs::statvfs(place.as_str()) else {
        return Ok(finding("free_space", Severity::Warning, "free space is not known".to_owned(), None));
    };
    let free = disk.blocks_available() as i128 * disk.fragment_size() as i128;
    let mib = |bytes: i128| bytes / 1024 / 1024;
    let detail = format!("the table takes {} MiB, {} MiB are free", mib(bytes.into()), mib(free));
    let severity = if free < i128::from(bytes) { Severity::Blocker } else { Severity::Ok };
    let remedy =
        (severity == Severity::Blocker).then(|| "Make room for a second copy with its indexes.".to_owned());
    Ok(finding("free_space", severity, detail, remedy))
}
