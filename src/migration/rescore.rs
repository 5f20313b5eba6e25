//! Scoring staged rows anew, as a job.

use super::lock::Lock;
use super::{facts, games, prepare_transaction};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::jobs;
use crate::sql::{self, required};
use crate::worker::transaction;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::migration::{Market, Scope};
use groundskeeper_core::plan::Qualified;
use pgrx::prelude::*;

/// Rows per transaction.
const BATCH: i64 = 10_000;

/// What can be scored anew.
enum Target {
    Records(Market),
    Games,
}

/// Queues the rescoring of a staging table.
pub fn enqueue(relation: pg_sys::Oid) -> Result<i64> {
    let found = catalog::relation_by_oid(relation)?.map(|found| found.name);
    let table = found.filter(|name| target(name).is_some()).ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, "the relation holds nothing that is scored")
            .hint("Name staging.moneylines, staging.spreads, staging.totals or staging.games.")
    })?;
    for market in Market::ALL {
        if target(&table).is_some_and(|t| matches!(t, Target::Records(m) if m == market)) {
            facts::shape(market)?;
        }
    }
    jobs::enqueue(&JobRequest { item: None, relation: table.clone(), task: Task::Rescore { table } })
}

fn target(name: &Qualified) -> Option<Target> {
    if name.schema != "staging" {
        return None;
    }
    let market = Market::ALL.into_iter().find(|market| market.staging_table() == name.name);
    market.map(Target::Records).or_else(|| (name.name == "games").then_some(Target::Games))
}

/// Scores all of its rows, a batch at a time. After a crash it begins anew, and finds most rows right.
pub fn rescore(table: &Qualified) -> Result<()> {
    match target(table) {
        Some(Target::Records(market)) => {
            let mut after = i64::MIN;
            while let Some(last) = transaction(|| records(market, after))? {
                after = last;
            }
        }
        Some(Target::Games) => {
            let mut after = String::new();
            while let Some(last) = transaction(|| all_games(&after))? {
                after = last;
            }
        }
        None => return Err(Failure::internal(format!("{table} is not scored"))),
    }
    Ok(())
}

/// Scores the rows staged from the next raw rows; the last of these.
fn records(market: Market, after: i64) -> Result<Option<i64>> {
    prepare_transaction()?;
    Lock::Market(market).take();
    let shape = facts::shape(market)?;
    let next = format!(
        "SELECT pg_catalog.max(n.id)::pg_catalog.int8
           FROM (SELECT s.{raw_id} AS id FROM {staging} s WHERE s.{raw_id} > $1 ORDER BY s.{raw_id} LIMIT $2) n",
        raw_id = shape.raw_id,
        staging = market.staging()
    );
    let last = sql::first(&next, &[after.into(), BATCH.into()], |row| Ok(row.get::<i64>(1)?))?.flatten();
    if let Some(last) = last {
        let rules = facts::rules()?;
        let args = [rules.as_str().into(), after.into(), last.into()];
        sql::run(&shape.rescore(Scope::Range), &args)?;
    }
    Ok(last)
}

/// Counts and scores the next games; the external id of the last.
fn all_games(after: &str) -> Result<Option<String>> {
    prepare_transaction()?;
    let ids = sql::rows(
        "SELECT DISTINCT g.external_id::pg_catalog.text COLLATE \"C\" FROM staging.games g
          WHERE g.external_id::pg_catalog.text COLLATE \"C\" > $1 ORDER BY 1 LIMIT $2",
        &[after.into(), (BATCH / 10).into()],
        |row| required::<String>(row, 1),
    )?;
    let last = ids.last().cloned();
    if last.is_some() {
        let words = facts::game_words()?;
        let (_, failed) = games::make_these(&ids, words, &facts::rules()?)?;
        if let Some((id, why)) = failed.into_iter().next() {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
                format!("game {id} cannot be scored: {why}"),
            ));
        }
    }
    Ok(last)
}
