//! The history of metrics: one sample at a time, in partitions that are made and dropped on the way.

use crate::backend;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, qualified, quote_literal, required};
use crate::subtransaction::isolated;
use crate::worker::locks;
use crate::{latency, settings};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// Takes one sample and returns its time, or nothing where another session is at it.
pub fn record() -> Result<Option<TimestampWithTimeZone>> {
    if backend::is_in_recovery() {
        let code = PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION;
        return Err(Failure::new(code, "cannot record metrics during recovery")
            .detail("A standby keeps no history of its own.")
            .hint("Call record_metrics() on the primary; query_latency() answers here, too."));
    }
    if !locks::take_for_transaction(locks::METRICS) {
        notice!("metrics are being recorded by another session");
        return Ok(None);
    }
    as_owner(|| {
        let began = sql::first("SELECT pg_catalog.clock_timestamp()", &[], |row| {
            required::<TimestampWithTimeZone>(row, 1)
        })?;
        keep_partitions()?;
        sql::run(include_str!("metrics/indexes.sql"), &[])?;
        let sample = latency::sample()?;
        let (since, scopes, statements) = match sample {
            Some(sample) => (Some(sample.began), Some(sample.scopes), Some(sample.statements)),
            None => (None, None, None),
        };
        keep_sizes()?;
        latency::waits::write_down(settings::metrics_retention_minutes())?;
        // a cluster that is not whole keeps nobody from taking this sample
        let _ = isolated(cluster::record_on_workers);
        sql::returned(
            include_str!("metrics/sample.sql"),
            &[since.into(), scopes.into(), statements.into(), began.into()],
            |row| required(row, 1),
        )
    })
}

/// Makes the partitions of today and tomorrow, and drops those that are past their time. What cannot have its lock
/// now is done with another sample: a partition is made a day before it is needed.
fn keep_partitions() -> Result<()> {
    let wait = format!("{}ms", settings::lock_timeout_ms());
    let set = "SELECT pg_catalog.set_config('lock_timeout', $1, true)";
    sql::returned(set, &[wait.as_str().into()], |_| Ok(()))?;
    let days = sql::rows(include_str!("metrics/days.sql"), &[], |row| {
        Ok(Day { name: required(row, 1)?, first: required(row, 2)?, end: required(row, 3)? })
    })?;
    for day in days {
        put_off(isolated(|| day.make()))?;
    }
    let keep = settings::metrics_retention_minutes();
    for name in sql::texts(include_str!("metrics/expired.sql"), &[keep.into()])? {
        put_off(isolated(|| drop_partition(&name)))?;
    }
    Ok(())
}

/// Samples the sizes of tables where it is time, and forgets old ones.
fn keep_sizes() -> Result<()> {
    if sql::affected(include_str!("metrics/sizes.sql"), &[])? > 0 {
        sql::run(include_str!("metrics/old_sizes.sql"), &[settings::metrics_retention_minutes().into()])?;
    }
    Ok(())
}

fn put_off(outcome: Result<()>) -> Result<()> {
    outcome.or_else(|failure| if failure.is_lock_not_available() { Ok(()) } else { Err(failure) })
}

/// A day without a partition.
struct Day {
    name: String,
    first: String,
    end: String,
}

impl Day {
    /// Made apart and attached, which no reader has to wait for. As a member of the extension it is not dumped.
    fn make(&self) -> Result<()> {
        let table = qualified("groundskeeper", &self.name);
        let (first, end) = (quote_literal(&self.first), quote_literal(&self.end));
        let comment = quote_literal(format!("Samples of {} (UTC)", &self.first));
        for statement in [
            format!("CREATE TABLE {table} (LIKE groundskeeper.metrics INCLUDING DEFAULTS)"),
            format!("COMMENT ON TABLE {table} IS {comment}"),
            format!(
                "ALTER TABLE groundskeeper.metrics ATTACH PARTITION {table} FOR VALUES FROM ({first}) TO ({end})"
            ),
            format!("ALTER EXTENSION pg_groundskeeper ADD TABLE {table}"),
        ] {
            sql::run(&statement, &[])?;
        }
        Ok(())
    }
}

fn drop_partition(name: &str) -> Result<()> {
    let table = qualified("groundskeeper", name);
    sql::run(&format!("ALTER EXTENSION pg_groundskeeper DROP TABLE {table}"), &[])?;
    sql::run(&format!("DROP TABLE {table}"), &[])
}
