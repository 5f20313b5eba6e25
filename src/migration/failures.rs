//! The rows that could not be staged, for all to see and to be tried again.

use super::batch::Rows;
use crate::error::Result;
use crate::extension::as_owner;
use crate::sql::{self, required};
use std::collections::HashMap;

/// Writes down what of the rows failed, and clears what does not any more or is gone. How many have failed before.
pub fn settle(raw_table: &str, rows: &Rows, failed: &HashMap<i64, (String, String)>) -> Result<i64> {
    let ids: Vec<i64> = failed.keys().copied().collect();
    let reasons: Vec<String> = failed.values().map(|(reason, _)| reason.clone()).collect();
    let details: Vec<String> = failed.values().map(|(_, detail)| detail.clone()).collect();
    as_owner(|| {
        match rows {
            Rows::Range(after, upto, _) => sql::run(
                "DELETE FROM groundskeeper.migration_failures
                  WHERE raw_table = $1 AND raw_id > $2 AND raw_id <= $3 AND raw_id <> ALL ($4)",
                &[raw_table.into(), (*after).into(), (*upto).into(), ids.clone().into()],
            )?,
            Rows::Ids(all) => sql::run(
                "DELETE FROM groundskeeper.migration_failures
                  WHERE raw_table = $1 AND raw_id = ANY ($2) AND raw_id <> ALL ($3)",
                &[raw_table.into(), all.clone().into(), ids.clone().into()],
            )?,
        }
        if ids.is_empty() {
            return Ok(0);
        }
        let again = sql::first(
            "SELECT pg_catalog.count(*) FROM groundskeeper.migration_failures
              WHERE raw_table = $1 AND raw_id = ANY ($2)",
            &[raw_table.into(), ids.clone().into()],
            |row| required::<i64>(row, 1),
        )?;
        sql::run(
            "INSERT INTO groundskeeper.migration_failures (raw_table, raw_id, reason, detail, failed_at)
             SELECT $1, f.id, f.reason, f.detail, pg_catalog.clock_timestamp()
               FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) f (id, reason, detail)
             ON CONFLICT (raw_table, raw_id) DO UPDATE
                SET reason = excluded.reason, detail = excluded.detail, failed_at = excluded.failed_at",
            &[raw_table.into(), ids.clone().into(), reasons.into(), details.into()],
        )?;
        Ok(again.unwrap_or(0))
    })
}

/// The next rows above an id that failed before the run began.
pub fn next(run: i64, above: i64, count: i64) -> Result<Vec<i64>> {
    as_owner(|| {
        sql::rows(
            "SELECT f.raw_id FROM groundskeeper.migration_failures f
               JOIN groundskeeper.migration_runs r ON r.raw_table = f.raw_table AND f.failed_at < r.started_at
              WHERE r.run_id = $1 AND f.raw_id > $2 ORDER BY f.raw_id LIMIT $3",
            &[run.into(), above.into(), count.into()],
            |row| required(row, 1),
        )
    })
}
