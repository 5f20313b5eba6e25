//! What stands in the way of a conversion, and what changes with it.

use super::keys::FUNCTIONS;
use super::record::{CAPTURE, Conversion, FORMER, KEYS, LOG, SHADOW};
use super::{Asked, Keys, Request, afterwards, invalid, kept_keys, key_type, rehearsal, rows, shadow};
use crate::catalog::{self, Login, Relation};
use crate::error::{Failure, Result};
use crate::jobs;
use crate::owner;
use crate::sql::{self, quote_identifier, quote_literal, required};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::preflight::{CHECKS, Finding, Severity, check_named, unanswered};
use groundskeeper_core::partition::{NaiveDate, default_name, partition_name};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;

/// Looks at everything.
pub fn preflight(relation: Oid, key: &str, asked: &Asked) -> Result<Vec<Finding>> {
    let table = catalog::relation_by_oid(relation)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
    })?;
    let keys = kept_keys(table.oid, key)?.unwrap_or_default();
    let conversion = imagined(&table, key, asked, &keys);
    let usable = table.kind == 'r' && key_type(&conversion).is_ok();
    let starts = if usable {
        let key_type = key_type(&conversion)?;
        owner::reading(relation, || shadow::starts(&conversion, key_type))?
    } else {
        Vec::new()
    };
    let mut findings = in_catalogs(relation, &conversion, &names(&conversion, &starts))?;
    findings.extend(owner_at_work(&table)?);
    if usable {
        findings.extend(owner::reading(relation, || rows::findings(&conversion, &starts))?);
        findings.push(space(relation)?);
        let beside = conversion.beside_quoted(KEYS);
        let loses_primary = keys.is_primary && conversion.loses_identity();
        let lost = loses_primary.then_some((keys.identity.as_slice(), beside.as_str()));
        findings.extend(afterwards::findings(&table, key, lost, conversion.has_key_table)?);
        let is_free = !findings.iter().any(|f| f.severity == Severity::Blocker);
        findings.push(match starts.last().filter(|_| is_free) {
            Some(last) => rehearsal::finding(relation, &conversion, *last)?,
            None => Finding::ok("rehearsal", "not tried: something else is in the way"),
        });
    }
    for check in CHECKS {
        if !findings.iter().any(|f| f.check == check) {
            findings.push(Finding::ok(check, "nothing in the way"));
        }
    }
    let place = |check: &str| CHECKS.iter().position(|c| *c == check).unwrap_or(CHECKS.len());
    findings.sort_by_key(|f| (place(f.check), std::cmp::Reverse(f.severity as u8)));
    Ok(findings)
}

/// The conversion as it would be.
fn imagined(table: &Relation, key: &str, asked: &Asked, keys: &Keys) -> Conversion {
    Conversion {
        table: table.name.clone(),
        item: None,
        key: key.to_owned(),
        interval: asked.interval,
        timezone: asked.timezone.clone(),
        premake: asked.premake,
        format: asked.format,
        has_default: asked.has_default,
        stage: Stage::Begun,
        key_columns: keys.identity.clone(),
        has_key_table: !keys.kept.is_empty(),
        kept: keys.kept.clone(),
        copied_to: None,
        rows_expected: 0,
    }
}

/// Refuses what preflight found in the way, or warned of without being answered.
pub fn refuse(quoted: &str, request: &Request, findings: &[Finding]) -> Result<()> {
    if let Some(unknown) = request.accept.iter().find(|name| check_named(name).is_none()) {
        return Err(invalid(format!("\"{unknown}\" is no check of groundskeeper.partition_preflight()"))
            .hint(format!("The checks are {}.", CHECKS.join(", "))));
    }
    let refused = |message: String, of: &[&Finding]| {
        let listed: Vec<String> = of.iter().map(|f| format!("{}: {}", f.check, f.detail)).collect();
        Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .detail(listed.join("\n"))
    };
    let in_the_way: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Blocker).collect();
    if !in_the_way.is_empty() {
        return Err(refused(format!("{quoted} cannot be partitioned as it is"), &in_the_way).hint(format!(
            "SELECT * FROM groundskeeper.partition_preflight({}, {}, {}) names the remedies.",
            quote_literal(quoted),
            quote_literal(&request.key),
            request.asked.arguments()
        )));
    }
    let (open, names) = unanswered(findings, &request.accept);
    if !open.is_empty() {
        let names: Vec<String> = names.iter().map(quote_literal).collect();
        return Err(refused(format!("partitioning {quoted} changes what applications may do"), &open)
            .hint(format!("If they do not, or no longer, pass accept => ARRAY[{}].", names.join(", "))));
    }
    Ok(())
}

/// Why an exchange failed, where what came to the table since the preflight is the reason.
pub fn explained(conversion: &Conversion, failure: Failure) -> Result<Failure> {
    if failure.is_lock_not_available() {
        return Ok(failure);
    }
    let quoted = conversion.quoted();
    let relation =
        sql::first("SELECT pg_catalog.to_regclass($1)::oid", &[quoted.into()], |row| row.get::<Oid>(1))?;
    let Some(relation) = relation.flatten() else { return Ok(failure) };
    let findings = in_catalogs(relation, conversion, &[])?;
    let in_the_way = findings.iter().filter(|f| f.severity == Severity::Blocker);
    let listed: Vec<String> = in_the_way.map(|f| format!("{}: {}", f.check, f.detail)).collect();
    if listed.is_empty() {
        return Ok(failure);
    }
    let hint = "groundskeeper.partition_preflight() names the remedies; then let the job run again.";
    Ok(failure.detail(listed.join("\n")).hint(hint))
}

/// Whether the job could connect. Who may not have one is told so when it is queued.
fn owner_at_work(table: &Relation) -> Result<Option<Finding>> {
    let (role, may) = jobs::runs_as(Some(table.owner.clone()))?;
    Ok(match catalog::login(&role)? {
        Some(Login::Refused { why, remedy }) if may => {
            let detail = format!("the job would connect as {}, who {why}", quote_identifier(&role));
            Some(Finding::blocker("owner", detail, remedy))
        }
        _ => None,
    })
}

/// The names that will be taken beside the table.
fn names(conversion: &Conversion, starts: &[NaiveDate]) -> Vec<String> {
    let table = &conversion.table.name;
    let partitions: Vec<String> = starts
        .iter()
        .map(|start| partition_name(table, conversion.interval, *start))
        .chain(conversion.has_default.then(|| default_name(table)))
        .collect();
    let beside = [SHADOW, FORMER, KEYS, LOG, CAPTURE].into_iter().chain(FUNCTIONS);
    let own_keys: Vec<String> = partitions.iter().map(|partition| suffixed(partition, "pkey")).collect();
    partitions.into_iter().chain(own_keys).chain(beside.map(|suffix| suffixed(table, suffix))).collect()
}

fn in_catalogs(relation: Oid, conversion: &Conversion, names: &[String]) -> Result<Vec<Finding>> {
    let key = conversion.key.as_str();
    let told_apart = kept_keys(relation, key)?.is_some();
    let wanted = conversion.format.map(|format| format.type_name().to_owned());
    let args = [relation.into(), key.into(), names.to_vec().into(), told_apart.into(), wanted.into()];
    sql::rows(include_str!("preflight.sql"), &args, |row| {
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
        let remedy = "See that there is room for a second copy with its indexes.";
        return Ok(Finding::warning("free_space", "free space is not known", remedy));
    };
    let free = disk.blocks_available() as i128 * disk.fragment_size() as i128;
    let mib = |bytes: i128| bytes / 1024 / 1024;
    let detail = format!("the table takes {} MiB, {} MiB are free", mib(bytes.into()), mib(free));
    Ok(if free < i128::from(bytes) {
        Finding::blocker("free_space", detail, "Make room for a second copy with its indexes.")
    } else {
        Finding::ok("free_space", detail)
    })
}
