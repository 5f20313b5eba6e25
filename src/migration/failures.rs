//! The rows that could not be staged, for all to see and to be tried again.

use super::batch::Rows;
use crate::error::Result;
use crate::extension::as_owner;
use crate::sql::{self, required};
use std::collections::HashMap;

/// Writes down what of the rows failed, and clears what does not any more or is gone. How many have failed before.
/// What fails again waits longer for its next try: minutes at first, a day at most.
pub fn settle(raw_table: &str, rows: &Rows, failed: &HashMap<i64, (String, String)>) -> Result<i64> {
    let ids: Vec<i64> = failed.keys().copied().collect();
    let reasons: Vec<String> = failed.values().map(|(reason, _)| reason.clone()).collect();
    let details: Vec<String> = failed.values().map(|(_, detail)| detail.clone()).collect();
    as_owner(|| {
        match rows {
            Rows::Range { after, upto, left_out, .. } => sql::run(
                "DELETE FROM groundskeeper.migration_failures
                  WHERE raw_table = $1 AND raw_id > $2 AND raw_id <= $3 AND raw_id <> ALL ($4) AND raw_id <> ALL ($5)",
                &[
                    raw_table.into(),
                    (*after).into(),
                    (*upto).into(),
                    ids.clone().into(),
                    left_out.clone().into(),
                ],
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
            "INSERT INTO groundskeeper.migration_failures AS o (raw_table, raw_id, reason, detail, failed_at, attempts, retry_at)
             SELECT $1, f.id, f.reason, f.detail, pg_catalog.clock_timestamp(), 1, pg_catalog.now() + '1 minute'::pg_catalog.interval
               FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) f (id, reason, detail)
             ON CONFLICT (raw_table, raw_id) DO UPDATE
                SET reason = excluded.reason, detail = excluded.detail, failed_at = excluded.failed_at,
                    attempts = o.attempts + 1,
                    retry_at = pg_catalog.now() + LEAST('1 minute'::pg_catalog.interval * 4 ^ LEAST(o.attempts, 10),
                                                        '1 day'::pg_catalog.interval)",
            &[raw_table.into(), ids.clone().into(), reasons.into(), details.into()],
        )?;
        Ok(again.unwrap_or(0))
    })
}

/// The next rows above an id that failed before the run began, and are due.
pub fn next(run: i64, above: i64, count: i64) -> Result<Vec<i64>> {
    as_owner(|| {
        sql::rows(
            "SELECT f.raw_id FROM groundskeeper.migration_failures f
               JOIN groundskeeper.migration_runs r ON r.raw_table = f.raw_table AND f.failed_at < r.started_at
              WHERE r.run_id = $1 AND f.raw_id > $2 AND f.retry_at <= pg_catalog.now() ORDER BY f.raw_id LIMIT $3",
            &[run.into(), above.into(), count.into()],
            |row| required(row, 1),
        )
    })
}

/// Of the rows above an id up to another, those that failed and are not due: nothing says that they fare better now.
pub fn not_due(raw_table: &str, after: i64, upto: i64) -> Result<Vec<i64>> {
    as_owner(|| {
        sql::rows(
            "SELECT f.raw_id FROM groundskeeper.migration_failures f
              WHERE f.raw_table = $1 AND f.raw_id > $2 AND f.raw_id <= $3 AND f.retry_at > pg_catalog.now()",
            &[raw_table.into(), after.into(), upto.into()],
            |row| required(row, 1),
        )
    })
}

/// Rows that have changed are due at once.
pub fn try_again(raw_table: &str, ranges: &str) -> Result<()> {
    sql::run(
        "UPDATE groundskeeper.migration_failures f SET retry_at = pg_catalog.now()
           FROM pg_catalog.unnest($2::pg_catalog.text::pg_catalog.int8multirange) n (ids)
          WHERE f.raw_table = $1 AND f.raw_id >= pg_catalog.lower(n.ids) AND f.raw_id < pg_catalog.upper(n.ids)
            AND f.retry_at > pg_catalog.now()
            AND EXISTS (SELECT FROM groundskeeper.migration_failures WHERE raw_table = $1)",
        &[raw_table.into(), ranges.into()],
    )
}

/// All rows of a table are due: it is not what they failed on.
pub fn try_all_again(raw_table: &str) -> Result<()> {
    sql::run(
        "UPDATE groundskeeper.migration_failures SET retry_at = pg_catalog.now()
          WHERE raw_table = $1 AND retry_at > pg_catalog.now()",
        &[raw_table.into()],
    )
}
