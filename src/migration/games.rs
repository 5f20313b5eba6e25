//! Games: one row per external id, made from what all raw tables tell.

use super::lock::Lock;
use super::{bisect, facts};
use crate::error::Result;
use crate::sql::{self, required};
use groundskeeper_core::migration::{self, Market, Words};
use pgrx::datum::DatumWithOid;
use serde::Serialize;
use std::collections::HashMap;

/// What became of games, for the log.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    seen: i64,
    inserted: i64,
    updated: i64,
    date_conflicts: i64,
    /// External ids that had several rows before; none of them is deleted, the first one is kept up.
    repeated: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<serde_json::Value>,
    failed: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<String>,
}

/// How many examples the log has room for.
const EXAMPLES: usize = 20;

impl Tally {
    /// One sentence on the dates, if there is anything to say.
    pub fn notice(&self) -> Option<String> {
        (self.date_conflicts > 0).then(|| {
            format!(
                "{} games were given more than one date; the one collected last counts",
                self.date_conflicts
            )
        })
    }

    fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.date_conflicts += other.date_conflicts;
        self.repeated += other.repeated;
        self.conflicts.extend(other.conflicts);
        self.conflicts.truncate(EXAMPLES);
    }
}

/// Makes and mends the games that a query touches, or all: at once, or one by one where some cannot be written. Those
/// come back with the reason.
pub fn make(touched: Option<&str>, words: Words, rules: &str) -> Result<(Tally, HashMap<String, String>)> {
    Lock::Games.take();
    match crate::subtransaction::isolated(|| write(touched, words, rules, None)) {
        Ok(tally) => Ok((tally, HashMap::new())),
        Err(failure) if bisect::is_of_a_record(&failure) => {
            let every = |market: Market| format!("SELECT game_external_id FROM {}", market.raw());
            let touched = match touched {
                Some(touched) => touched.to_owned(),
                None => {
                    facts::tables_with_games()?.into_iter().map(every).collect::<Vec<_>>().join(" UNION ALL ")
                }
            };
            let blanks = migration::BLANKS;
            let ids = format!(
                "SELECT DISTINCT t.id::pg_catalog.text FROM ({touched}) t (id) WHERE t.id ~ {blanks} ORDER BY 1"
            );
            let ids = sql::texts(&ids, &[])?;
            make_these(&ids, words, rules)
        }
        Err(failure) => Err(failure),
    }
}

/// The same for external ids.
pub fn make_these(ids: &[String], words: Words, rules: &str) -> Result<(Tally, HashMap<String, String>)> {
    Lock::Games.take();
    let mut tally = Tally::default();
    let (these, failed) = ("SELECT pg_catalog.unnest($2)", &mut HashMap::new());
    bisect::each(
        ids,
        &mut |part| {
            tally.add(write(Some(these), words, rules, Some(part))?);
            Ok(())
        },
        &mut |id, failure| {
            failed.insert(id.clone(), failure.message);
        },
    )?;
    tally.failed = failed.len();
    tally.failures = failed.iter().take(EXAMPLES).map(|(id, why)| format!("{id}: {why}")).collect();
    Ok((tally, std::mem::take(failed)))
}

fn write(touched: Option<&str>, words: Words, rules: &str, ids: Option<&[String]>) -> Result<Tally> {
    // Sorting all records by each part of them takes several times as long as hashing them.
    sql::run(
        "SELECT pg_catalog.set_config('work_mem',
                    GREATEST(pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')), 134217728) / 1024 || 'kB', true)",
        &[],
    )?;
    let statement = migration::games(&facts::tables_with_games()?, touched, words);
    let mut args: Vec<DatumWithOid> = vec![rules.into()];
    args.extend(ids.map(|ids| DatumWithOid::from(ids.to_vec())));
    let tally = sql::returned(&statement, &args, |row| {
        let conflicts = row.get::<String>(6)?.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Tally {
            seen: required(row, 1)?,
            inserted: required(row, 2)?,
            updated: required(row, 3)?,
            date_conflicts: required(row, 4)?,
            repeated: required(row, 5)?,
            conflicts: conflicts.unwrap_or_default(),
            ..Tally::default()
        })
    })?;
    Ok(tally.unwrap_or_default())
}
