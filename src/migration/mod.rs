//! The migration from RAW to STAGING, a transaction at a time: `start`, then `step` until there is no more.

mod batch;
mod bisect;
mod facts;
mod failures;
mod games;
mod lock;
mod log;
mod rescore;
mod run;

pub use rescore::{enqueue as enqueue_rescore, rescore};

use crate::error::{Failure, Result};
use crate::guc;
use crate::sql::{self, required};
use batch::{Rows, Tally};
use groundskeeper_core::migration::{Market, Shape};
use lock::Lock;
use pgrx::prelude::*;
use run::{Phase, Run};
use std::ops::RangeInclusive;

/// The sizes of a batch that make sense.
const BATCH_SIZES: RangeInclusive<i32> = 1..=1_000_000;

/// Begins a run for each market asked for that no other session is migrating. Their numbers.
pub fn start(bet_type: Option<&str>, batch_size: i32) -> Result<Vec<i64>> {
    let markets = markets(bet_type)?;
    if !BATCH_SIZES.contains(&batch_size) {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("batch_size is out of range: {batch_size}"),
        )
        .detail("It takes a number from 1 to 1000000."));
    }
    prepare_transaction()?;
    let shapes = markets.into_iter().map(facts::shape).collect::<Result<Vec<_>>>()?;
    for shape in &shapes {
        warn_of_missing_indexes(shape)?;
        refuse_lowest_id(shape.market)?;
    }
    let execution = sql::texts("SELECT pg_catalog.gen_random_uuid()::pg_catalog.text", &[])?;
    let execution = execution.first().ok_or_else(|| Failure::internal("no execution id"))?;
    let mut runs = Vec::new();
    for shape in shapes {
        let market = shape.market;
        let (live, dead) =
            if Lock::Market(market).try_take() { run::interrupted(market)? } else { (true, Vec::new()) };
        if live {
            notice!("skipping {}s: another session is migrating them", market.bet_type());
            continue;
        }
        for run in dead {
            run::end(run, Some("interrupted"))?;
            log::write(run)?;
        }
        let run = run::begin(execution, market, batch_size.into(), &run::horizon(&shape)?)?;
        log::write(run)?;
        runs.push(run);
    }
    Ok(runs)
}

fn markets(bet_type: Option<&str>) -> Result<Vec<Market>> {
    let Some(bet_type) = bet_type else { return Ok(Market::ALL.to_vec()) };
    Market::of_bet_type(bet_type).map(|market| vec![market]).ok_or_else(|| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("unknown bet_type \"{bet_type}\""),
        )
        .hint("It is moneyline, spread or total; NULL means all of them.")
    })
}

/// Looks at committed rows only, at all of them or at none, and meets each row's error with that row.
fn prepare_transaction() -> Result<()> {
    if crate::backend::has_one_snapshot() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the migration needs the isolation level READ COMMITTED",
        )
        .hint("CALL groundskeeper.migrate_to_staging() sees to it."));
    }
    guc::set_for_transaction(&[
        // A policy that hid staged rows would have them staged twice.
        (c"row_security", c"off"),
        // Moments go through text.
        (c"datestyle", c"ISO, YMD"),
        // A batch is over before its plan would have been compiled.
        (c"jit", c"off"),
    ]);
    sql::run("SET CONSTRAINTS ALL IMMEDIATE", &[])
}

/// Ids above the lowest one are staged; a row that has the lowest itself would silently be left out.
fn refuse_lowest_id(market: Market) -> Result<()> {
    let raw = market.raw();
    let there = format!("SELECT EXISTS (SELECT FROM {raw} r WHERE r.id = $1)");
    if sql::first(&there, &[i64::MIN.into()], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        format!("{raw} has a row with the lowest id that there is: {}", i64::MIN),
    )
    .hint("Give that row another id."))
}

fn warn_of_missing_indexes(shape: &Shape) -> Result<()> {
    let market = shape.market;
    for (table, column) in [
        (market.staging(), shape.raw_id),
        (market.raw(), "updated_at"),
        (market.raw(), "game_external_id"),
        ("staging.games".to_owned(), "external_id"),
    ] {
        if !facts::is_indexed(&table, column)? {
            ereport!(
                NOTICE,
                PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
                format!("no index on {table} begins with {column}: each batch may read the whole table"),
                "SELECT * FROM groundskeeper.apply_plan() builds the plan's."
            );
        }
    }
    Ok(())
}

/// Does the next piece of a run's work in this transaction; false when nothing is left.
pub fn step(run: i64) -> Result<bool> {
    prepare_transaction()?;
    let Some(mut run) = run::load(run)? else {
        notice!("migration run {run} does not go on in this session");
        return Ok(false);
    };
    Lock::Market(run.market).take();
    let shape = facts::shape(run.market)?;
    let rules = facts::rules()?;
    let durable = guc::synchronous_commit();
    // What a crash takes back, the next run stages again; the last transaction of a run is synchronous.
    guc::commit_asynchronously();
    let more = match run.phase {
        Phase::Games => make_games(&mut run, &shape, &rules)?,
        Phase::Moved => restage_moved(&mut run, &shape, &rules)?,
        Phase::New => stage_new(&mut run, &shape, &rules)?,
        Phase::Retry => retry(&mut run, &shape, &rules)?,
    };
    run.save()?;
    if run.phase == Phase::New {
        run.confirm()?;
    }
    if !more {
        guc::set_for_transaction(&[(c"synchronous_commit", &durable)]);
        run.complete(shape.raw_id)?;
        log::write(run.id)?;
    }
    Ok(more)
}

/// Games come first, from the union of the raw tables: the first run of an execution makes those of all rows that
/// the execution will look at.
fn make_games(run: &mut Run, shape: &Shape, rules: &str) -> Result<bool> {
    if run::is_first(run.id)? {
        let mut runs = Vec::new();
        for id in run::of_execution(&run.execution)? {
            runs.extend(run::load(id)?);
        }
        let touched: Vec<String> = runs.iter().flat_map(touched_by).collect();
        let all = runs.iter().any(|run| run.after == i64::MIN);
        let touched = if all { None } else { Some(touched.join(" UNION ALL ")) };
        let (tally, _) = games::make(touched.as_deref(), shape.game_words, rules)?;
        if let Some(notice) = tally.notice() {
            notice!("{notice}");
        }
        run.annotate_games(&tally)?;
    }
    let by_moment = run.after > i64::MIN && run.moved_since.is_some();
    run.phase = if by_moment { Phase::Moved } else { Phase::New };
    run.cursor = if by_moment { i64::MIN } else { run.after };
    run.cursor_at.clone_from(&run.moved_since);
    Ok(true)
}

/// The external ids in a run's rows.
fn touched_by(run: &Run) -> Vec<String> {
    let (raw, after, upto) = (run.market.raw(), run.after, run.upto.unwrap_or(run.after));
    let new = format!("SELECT r.game_external_id FROM {raw} r WHERE r.id > {after} AND r.id <= {upto}");
    let moved = run.moved_since.as_ref().map(|since| {
        let since = sql::quote_literal(since);
        format!(
            "SELECT r.game_external_id FROM {raw} r
              WHERE r.updated_at >= {since}::pg_catalog.timestamptz AND r.id <= {after}"
        )
    });
    [new].into_iter().chain(moved).collect()
}

/// What was staged before and has moved, or came late, is found by the moment of its update.
fn restage_moved(run: &mut Run, shape: &Shape, rules: &str) -> Result<bool> {
    let moved = sql::rows(
        &shape.moved(),
        &[run.cursor_at.clone().into(), run.cursor.into(), run.batch_size.into(), run.after.into()],
        |row| Ok((required::<i64>(row, 1)?, required::<String>(row, 2)?, required::<bool>(row, 3)?)),
    )?;
    let Some((last, at, _)) = moved.last().cloned() else {
        run.phase = Phase::New;
        (run.cursor, run.cursor_at) = (run.after, None);
        return Ok(true);
    };
    let ids: Vec<i64> = moved.iter().filter(|(.., stale)| *stale).map(|(id, ..)| *id).collect();
    if !ids.is_empty() {
        let tally = batch::migrate(shape, rules, &Rows::Ids(ids))?;
        add(run, &tally);
    }
    (run.cursor, run.cursor_at) = (last, Some(at));
    Ok(true)
}

/// Rows collected since the last run, by ranges of ids.
fn stage_new(run: &mut Run, shape: &Shape, rules: &str) -> Result<bool> {
    let Some(upto) = run.upto.filter(|upto| *upto > run.cursor) else {
        (run.phase, run.cursor) = (Phase::Retry, i64::MIN);
        return Ok(true);
    };
    let bounds = format!(
        "SELECT pg_catalog.max(n.id)::pg_catalog.int8, pg_catalog.count(*)
           FROM (SELECT r.id FROM {} r WHERE r.id > $1 AND r.id <= $2 ORDER BY r.id LIMIT $3) n",
        run.market.raw()
    );
    let args = [run.cursor.into(), upto.into(), run.batch_size.into()];
    let next = sql::first(&bounds, &args, |row| Ok((row.get::<i64>(1)?, required::<i64>(row, 2)?)))?;
    let Some((Some(last), count)) = next else {
        run.cursor = upto;
        return Ok(true);
    };
    let tally = batch::migrate(shape, rules, &Rows::Range(run.cursor, last, count))?;
    add(run, &tally);
    run.cursor = last;
    Ok(true)
}

/// What failed in earlier runs, and was not tried in this one yet, is tried again.
fn retry(run: &mut Run, shape: &Shape, rules: &str) -> Result<bool> {
    let ids = failures::next(run.id, run.cursor, run.batch_size)?;
    let Some(last) = ids.last().copied() else { return Ok(false) };
    let tally = batch::migrate(shape, rules, &Rows::Ids(ids))?;
    add(run, &tally);
    run.cursor = last;
    Ok(true)
}

fn add(run: &mut Run, tally: &Tally) {
    run.successful += tally.successful;
    run.failed += tally.failed;
    run.failed_again += tally.again;
}

/// Ends the runs of an execution whose step raised an error.
pub fn fail(runs: &[i64], error: &str) -> Result<()> {
    for id in runs {
        if let Some(run) = run::load(*id)? {
            run::end(run.id, Some(error))?;
            log::write(run.id)?;
        }
    }
    Ok(())
}
