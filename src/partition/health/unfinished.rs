//! Conversions that nobody works on any more, and what they have left on a table: a trigger and a log that grows with every
//! write. Of those that are written down, and of those that were when the extension was dropped.

use super::Health;
use crate::error::Result;
use crate::extension::as_owner;
use crate::partition::convert::record::{self, Conversion, LOG};
use crate::sql::{self, quote_literal, required};
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use std::collections::HashSet;

/// What is wrong, and what helps.
pub struct Unfinished {
    /// In words.
    pub problem: String,
    /// The calls.
    pub remedy: String,
}

/// Whether a conversion stands still half-way, without an open job.
pub fn look(conversion: &Conversion) -> Result<Option<Unfinished>> {
    if matches!(conversion.stage, Stage::Converted | Stage::Finalized) {
        return Ok(None);
    }
    let jobs = as_owner(|| {
        sql::first(
            "SELECT pg_catalog.max(job_id) FILTER (WHERE state IN ('queued', 'running')),
                    pg_catalog.max(job_id) FILTER (WHERE state IN ('failed', 'cancelled'))
               FROM groundskeeper.job WHERE target = $1 AND kind = ANY ('{partition_table,undo_partitioning,finalize_partitioning,catch_up}')",
            &[conversion.quoted().into()],
            |row| Ok((row.get::<i64>(1)?, row.get::<i64>(2)?)),
        )
    })?;
    let (open, last) = jobs.unwrap_or_default();
    if open.is_some() {
        return Ok(None);
    }
    let back =
        format!("groundskeeper.undo_partitioning({}) takes it back", quote_literal(conversion.quoted()));
    let remedy =
        last.map_or_else(|| back.clone(), |job| format!("groundskeeper.retry_job({job}) goes on, {back}"));
    Ok(Some(Unfinished { problem: words(conversion)?, remedy }))
}

fn words(conversion: &Conversion) -> Result<String> {
    let log = conversion.beside_quoted(LOG);
    let logs = match log_size(conversion)? {
        Some((entries, size)) => format!("; every write goes to {log}, which has {entries} entries ({size})"),
        None => String::new(),
    };
    Ok(format!("nobody works on the conversion, which is {}{logs}", conversion.stage.as_str()))
}

/// Entries and size of the log, where there is one and nobody has to be waited for.
pub fn log_size(conversion: &Conversion) -> Result<Option<(i64, String)>> {
    let log = conversion.beside_quoted(LOG);
    let query = "SELECT pg_catalog.pg_stat_get_live_tuples(c.oid), pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(c.oid))
                   FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";
    let size = || sql::first(query, &[log.into()], |row| Ok((required(row, 1)?, required(row, 2)?)));
    Ok(isolated(|| with_lock_timeout(10, size)).unwrap_or(None))
}

/// A row for each that no row of a managed table tells of.
pub fn others(managed: &HashSet<String>) -> Result<Vec<Health>> {
    let written = as_owner(|| {
        sql::rows(
            "SELECT relation, schema_name, table_name FROM groundskeeper.conversion WHERE stage <> 'finalized' ORDER BY 1",
            &[],
            |row| {
                let table = Qualified { schema: required(row, 2)?, name: required(row, 3)? };
                Ok((required::<String>(row, 1)?, table))
            },
        )
    })?;
    let mut out = Vec::new();
    for (relation, table) in &written {
        if managed.contains(relation) {
            continue;
        }
        out.extend(isolated(|| of_table(relation, table)).unwrap_or_else(|failure| {
            Some(Health {
                parent: relation.clone(),
                status: "unknown".to_owned(),
                detail: Some(failure.one_line()),
                ..Health::default()
            })
        }));
    }
    let known: HashSet<&String> =
        managed.iter().chain(written.iter().map(|(relation, _)| relation)).collect();
    out.extend(forgotten(&known)?);
    Ok(out)
}

fn of_table(relation: &str, table: &Qualified) -> Result<Option<Health>> {
    let Some(conversion) = record::find(table)? else { return Ok(None) };
    let Some(unfinished) = look(&conversion)? else { return Ok(None) };
    let backlog = log_size(&conversion)?.map(|(entries, _)| entries);
    Ok(Some(row(relation, &conversion.key, backlog, unfinished)))
}

/// Tables with triggers of conversions that nothing is written down of, and partitions whose changes are logged for a job that
/// is over.
fn forgotten(known: &HashSet<&String>) -> Result<Vec<Health>> {
    let found = sql::rows(include_str!("forgotten.sql"), &[], |row| {
        Ok((
            required::<String>(row, 1)?,
            required::<bool>(row, 2)?,
            required::<bool>(row, 3)?,
            row.get::<i64>(4)?,
            row.get::<String>(5)?,
        ))
    })?;
    let mut out = Vec::new();
    for (relation, is_watch, is_partitioned, entries, parent) in found {
        if !is_watch && known.contains(&relation) {
            continue;
        }
        let logs = entries.map_or_else(String::new, |entries| format!(", whose log has {entries} entries"));
        let quoted = quote_literal(&relation);
        let (problem, remedy) = if is_watch {
            let parent = quote_literal(parent.unwrap_or_default());
            (
                format!("a job that has ended left a trigger that logs every write{logs}"),
                format!(
                    "the next groundskeeper.drain_default({parent}) or retirement of the partition clears it away; so does DROP TRIGGER groundskeeper_watch, groundskeeper_watch_truncate"
                ),
            )
        } else if is_partitioned {
            (
                format!("it was converted, and nothing is written down of that{logs}"),
                format!(
                    "groundskeeper.adopt_partitioned_table({quoted}) or groundskeeper.undo_partitioning({quoted})"
                ),
            )
        } else {
            (
                format!(
                    "the extension was dropped in the middle of its conversion: a trigger still logs every write{logs}"
                ),
                format!("groundskeeper.undo_partitioning({quoted}) clears it away"),
            )
        };
        out.push(row(&relation, "", entries, Unfinished { problem, remedy }));
    }
    Ok(out)
}

fn row(relation: &str, key: &str, backlog: Option<i64>, unfinished: Unfinished) -> Health {
    let Unfinished { problem, remedy } = unfinished;
    Health {
        parent: relation.to_owned(),
        partition_key: key.to_owned(),
        capture_backlog: backlog,
        status: "conversion".to_owned(),
        detail: Some(format!("{problem}: {remedy}")),
        conversion: Some(problem.clone()),
        problem: Some(problem),
        remedy: Some(remedy),
        ..Health::default()
    }
}
