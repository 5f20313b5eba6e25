//! Scoring staged rows anew, as a job.

use super::batch::Rows;
use super::facts::Deployment;
use super::lock::Lock;
use super::{games, prepare_transaction, rights};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::jobs::{self, pace};
use crate::sql::{self, Text, required};
use crate::worker::Between;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::migration::{GAMES, Market, Scope};
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
            Deployment::load()?.shape(market)?;
        }
    }
    jobs::enqueue(&JobRequest::plain(table.clone(), Task::Rescore { table }))
}

fn target(name: &Qualified) -> Option<Target> {
    if name.schema != "staging" {
        return None;
    }
    let market = Market::ALL.into_iter().find(|market| market.staging_table() == name.name);
    market.map(Target::Records).or_else(|| (name.name == "games").then_some(Target::Games))
}

/// Scores all of its rows, a batch at a time. After a crash it begins anew, and finds most rows right.
pub fn rescore(between: &mut Between, table: &Qualified) -> Result<()> {
    let mut pace = pace::begin();
    match target(table) {
        Some(Target::Records(market)) => {
            let mut after = i64::MIN;
            while let Some(last) = between.transaction(|| rights::on(market, || records(market, after)))? {
                after = last;
                pace.rest(between)?;
            }
        }
        Some(Target::Games) => {
            let mut after = Text::default();
            while let Some(last) = between.transaction(|| rights::on_games(|| all_games(&after)))? {
                after = last;
                pace.rest(between)?;
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
    let deployment = Deployment::load()?;
    let shape = deployment.shape(market)?;
    let next = format!(
        "SELECT pg_catalog.max(n.id)::pg_catalog.int8
           FROM (SELECT s.{raw_id} AS id FROM {staging} s WHERE s.{raw_id} > $1 ORDER BY s.{raw_id} LIMIT $2) n",
        raw_id = shape.staging.raw_id.quoted,
        staging = market.staging()
    );
    let last = sql::first(&next, &[after.into(), BATCH.into()], |row| row.get::<i64>(1))?.flatten();
    if let Some(last) = last {
        let rows = Rows::Range { after, upto: last, count: 0, left_out: Vec::new() };
        sql::run(&shape.rescore(Scope::Range), &rows.args(&deployment))?;
    }
    Ok(last)
}

/// Counts and scores the next games; the external id of the last.
fn all_games(after: &Text) -> Result<Option<Text>> {
    prepare_transaction()?;
    let deployment = Deployment::load()?;
    let external_id = deployment.games()?.external_id.quoted;
    let next = format!(
        "SELECT DISTINCT g.{external_id}::pg_catalog.text COLLATE \"C\" FROM {GAMES} g
          WHERE g.{external_id}::pg_catalog.text COLLATE \"C\" > $1 ORDER BY 1 LIMIT $2"
    );
    let ids = sql::rows(&next, &[after.clone().into(), (BATCH / 10).into()], |row| required::<Text>(row, 1))?;
    let last = ids.last().cloned();
    if last.is_some() {
        let made = games::make_these(&deployment, ids)?;
        let mut made = made.ok_or_else(|| locked("another session is making games"))?;
        let outcome = made.outcome();
        if let Some((id, why)) = outcome.refused.into_iter().next() {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
                format!("game {} cannot be scored: {why}", id.shown()),
            ));
        }
        if !outcome.left.is_empty() {
            return Err(locked("games are locked by another session"));
        }
    }
    Ok(last)
}

fn locked(message: &str) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, message)
}
