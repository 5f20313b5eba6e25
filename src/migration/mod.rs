//! The migration from RAW to STAGING, a transaction at a time: `start`, then `step` until there is no more.

mod batch;
mod bisect;
mod facts;
mod failures;
mod games;
mod lock;
mod log;
mod look;
mod notes;
mod rescore;
mod rights;
mod run;
mod start;

pub use facts::{Deployment, captured, strange};
pub use rescore::{enqueue as enqueue_rescore, rescore};
pub use start::start;

use crate::backend;
use crate::error::{Failure, Result, sqlstate};
use crate::guc;
use crate::sql::{self, Text, required};
use crate::subtransaction::caught;
use batch::{Rows, Tally};
use groundskeeper_core::migration::{self, Shape};
use lock::Lock;
use log::Entry;
use pgrx::prelude::*;
use run::{Phase, Run};
use std::cell::RefCell;

/// How often locked games are tried again before they are left to the next run.
const TRIES_FOR_GAMES: i64 = 40;

fn finish(run: i64, error: Option<Text>, known: Entry) -> Result<()> {
    run::end(run, error)?;
    log::write(run, known)
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
        // Moments without a zone are UTC's, whoever calls, and go through text.
        (c"timezone", c"UTC"),
        (c"datestyle", c"ISO, YMD"),
        // A batch is over before its plan would have been compiled.
        (c"jit", c"off"),
        // Whoever waits for us is not kept waiting: the batch gives way, and is tried again.
        (c"lock_timeout", c"100ms"),
        // What we write to the games is no news.
        (c"groundskeeper.migrating", c"on"),
    ]);
    sql::run("SET CONSTRAINTS ALL IMMEDIATE", &[])
}

/// A batch looks its rows up in the staging table, whatever the planner knows of a table that fills just now: where it
/// joins by hashing, each batch reads all of the table.
fn look_up_by_index(shape: &Shape) -> Result<()> {
    let column = (shape.market.staging(), shape.staging.raw_id.name.clone());
    if facts::unindexed(&[column])?.is_empty() {
        guc::set_for_transaction(&[(c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")]);
    }
    Ok(())
}

/// Sorting all records by each part of them takes several times as long as hashing them.
fn prepared_memory() -> Result<()> {
    sql::run(
        "SELECT pg_catalog.set_config('work_mem',
                    GREATEST(pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')), 134217728) / 1024 || 'kB', true)",
        &[],
    )
}

/// Waits before a batch that has given way to somebody else is tried again.
fn wait(tries: i32) -> Result<()> {
    let chance = sql::first("SELECT pg_catalog.random()", &[], |row| required::<f64>(row, 1))?.unwrap_or(0.5);
    let pause = migration::pause(tries.unsigned_abs(), chance).unwrap_or_default();
    sleep(pause.as_secs_f64())
}

/// Sleeps so that a request to stop is heard.
fn sleep(seconds: f64) -> Result<()> {
    sql::run("SELECT pg_catalog.pg_sleep($1)", &[seconds.into()])
}

thread_local! {
    /// What a step has failed with, until the procedure has committed and raises it.
    static FAILED: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// What a step of this session has failed with, once.
pub fn failed() -> Option<Failure> {
    FAILED.take()
}

/// After so many tries rows that others have locked are left to the next run.
const PATIENCE_WITH_ROWS: i32 = 3;

/// Does the next piece of a run's work in this transaction: `more`, `again` where it gave way to somebody else, `done`,
/// `put_off` where it has given way for too long, or `failed`; both are written down. An error, be it a request to
/// stop, is kept for [`failed`]. In a procedure requests to stop wait then until its next call.
pub fn step(run: i64, tries: i32, in_procedure: bool) -> Result<&'static str> {
    let outcome = caught(|| {
        backend::heed_requests_to_stop(true);
        if tries > 0 {
            wait(tries)?;
        }
        work(run, tries >= PATIENCE_WITH_ROWS)
    });
    if in_procedure {
        backend::hold_requests_to_stop();
    }
    let failure = match outcome {
        Ok(true) => return Ok("more"),
        Ok(false) => return Ok("done"),
        Err(failure) => failure,
    };
    let gave_way = migration::is_worth_another_try(&sqlstate(failure.code));
    if gave_way && migration::pause(tries.unsigned_abs() + 1, 0.0).is_some() {
        return Ok("again");
    }
    // Another market may have no such trouble.
    let runs = if gave_way { vec![run] } else { run::with_execution_of(run)? };
    fail(&runs, &failure.message.as_str().into())?;
    FAILED.set(Some(failure));
    Ok(if gave_way { "put_off" } else { "failed" })
}

/// One step; false when nothing is left. Rows that others have locked are put off, if need be.
fn work(run: i64, put_off: bool) -> Result<bool> {
    prepare_transaction()?;
    let Some(mut run) = run::load(run)? else {
        notice!("migration run {run} does not go on in this session");
        return Ok(false);
    };
    Lock::Market(run.market).take();
    let deployment = Deployment::load()?;
    let shape = deployment.shape(run.market)?;
    if run.phase != Phase::Games {
        look_up_by_index(&shape)?;
    }
    let durable = guc::synchronous_commit();
    // What a crash takes back, the next run stages again; the last transaction of a run is synchronous.
    guc::commit_asynchronously();
    let more = match run.phase {
        Phase::Games => rights::on_games(|| make_games(&mut run, &deployment))?,
        Phase::Rows => rights::on(run.market, || stage(&mut run, &deployment, &shape, put_off))?,
        Phase::Retry => rights::on(run.market, || retry(&mut run, &deployment, &shape, put_off))?,
    };
    run.save()?;
    if !more {
        guc::set_for_transaction(&[(c"synchronous_commit", &durable)]);
        rights::on(run.market, || look::completed(&shape))?;
        finish(run.id, None, Entry::Known)?;
    }
    Ok(more)
}

/// Games come first, from the union of the raw tables: the first run of an execution makes those of all rows that
/// the execution will look at.
fn make_games(run: &mut Run, deployment: &Deployment) -> Result<bool> {
    if run.cursor > 0 {
        // Games that an application holds are soon free.
        sleep(0.05)?;
    }
    let about = notes::about_games(&run::markets_of_execution(&run.execution)?)?;
    if about.is_empty() {
        (run.phase, run.cursor) = (Phase::Rows, 0);
        return Ok(true);
    }
    let mut tally = games::make(deployment, &about)?;
    let outcome = tally.outcome();
    let sources = games::sources(deployment);
    notes::fan_out(&sources, &outcome.renamed, about.emptied)?;
    notes::fan_out(&sources, &about.moved, about.emptied)?;
    about.made()?;
    let waits = !outcome.left.is_empty();
    notes::leave_games(run.market, outcome.left)?;
    tally.notices().iter().for_each(|text| notice!("{text}"));
    run.annotate_games(&tally)?;
    if !waits && !about.more || run.cursor >= TRIES_FOR_GAMES {
        (run.phase, run.cursor) = (Phase::Rows, 0);
    } else if !tally.is_full() && !about.more {
        run.cursor += 1;
    }
    Ok(true)
}

/// The games of the raw rows in the numbers `$1`, as a query. Range by range, whatever the planner thinks of them.
fn games_of(shape: &Shape) -> String {
    let (id, game) = (&shape.raw.id.quoted, &shape.raw.tells.game.quoted);
    format!(
        "SELECT DISTINCT r.game::pg_catalog.text
           FROM pg_catalog.unnest($1::pg_catalog.text::pg_catalog.int8multirange) n (ids)
          CROSS JOIN LATERAL (
               SELECT r.{game} AS game FROM {raw} r
                WHERE r.{id} >= COALESCE(pg_catalog.lower(n.ids), -9223372036854775808)
                  AND r.{id} <= COALESCE(pg_catalog.upper(n.ids) - 1, 9223372036854775807)
               OFFSET 0) r
          WHERE r.game IS NOT NULL",
        raw = shape.market.raw()
    )
}

/// The rows that notes tell of, a batch at a time, by number.
fn stage(run: &mut Run, deployment: &Deployment, shape: &Shape, put_off: bool) -> Result<bool> {
    let Some(next) = notes::next(run.market)? else {
        (run.phase, run.cursor) = (Phase::Retry, i64::MIN);
        return Ok(true);
    };
    let (rows, last) = batch_of(run, shape, &next)?;
    if let Some(rows) = rows {
        let tally = batch::migrate(deployment, shape, &rows, put_off)?;
        add(run, &tally);
    }
    next.done(last)?;
    Ok(true)
}

/// The rows of the next batch, and the last of them unless that is all. What failed and is not due is left out where
/// nobody has noted the row itself.
fn batch_of(run: &Run, shape: &Shape, next: &notes::Next) -> Result<(Option<Rows>, Option<i64>)> {
    if let Some((first, last)) = stretch(run, shape, next)? {
        return Ok((Some(range(shape, first, last, run.batch_size)?), Some(last)));
    }
    let id = &shape.raw.id.quoted;
    let rows = format!(
        "(SELECT r.{id} AS id, n.place
            FROM pg_catalog.unnest($1::pg_catalog.text::pg_catalog.int8multirange) WITH ORDINALITY n (ids, place)
           CROSS JOIN LATERAL (
                {rows} LIMIT $2) r
           LIMIT $2) c",
        rows = rows_of_range(shape)
    );
    let args = [next.ranges.as_str().into(), run.batch_size.into()];
    let extent = format!(
        "SELECT pg_catalog.count(*), pg_catalog.min(c.id)::pg_catalog.int8, pg_catalog.max(c.id)::pg_catalog.int8,
                pg_catalog.min(c.place) < pg_catalog.max(c.place) FROM {rows}"
    );
    let extent = sql::first(&extent, &args, |row| {
        let scattered = row.get::<bool>(4)? == Some(true);
        Ok((required::<i64>(row, 1)?, row.get::<i64>(2)?, row.get::<i64>(3)?, scattered))
    })?;
    let Some((count, Some(first), Some(last), scattered)) = extent else { return Ok((None, None)) };
    let upto = (count >= run.batch_size).then_some(last);
    if !scattered {
        return Ok((Some(range(shape, first, last, count)?), upto));
    }
    let ids = format!("SELECT c.id::pg_catalog.int8 FROM {rows}");
    let ids: Vec<i64> = sql::rows(&ids, &args, |row| required(row, 1))?;
    let left_out = failures::not_due(&shape.market.raw(), first.saturating_sub(1), last)?;
    Ok((Some(Rows::Ids(ids.into_iter().filter(|id| !left_out.contains(id)).collect())), upto))
}

/// The raw rows in a range `n.ids`, by number.
fn rows_of_range(shape: &Shape) -> String {
    format!(
        "SELECT r.{id} FROM {raw} r
          WHERE r.{id} >= COALESCE(pg_catalog.lower(n.ids), -9223372036854775808)
            AND r.{id} <= COALESCE(pg_catalog.upper(n.ids) - 1, 9223372036854775807)
          ORDER BY r.{id}",
        id = shape.raw.id.quoted,
        raw = shape.market.raw()
    )
}

/// The first and the last row of a whole batch that lies in the first range, as nearly all do where there is much:
/// found by their places in the index, where the other way counts and compares all of them.
fn stretch(run: &Run, shape: &Shape, next: &notes::Next) -> Result<Option<(i64, i64)>> {
    let query = format!(
        "SELECT f.id::pg_catalog.int8, l.id::pg_catalog.int8
           FROM (SELECT ids FROM pg_catalog.unnest($1::pg_catalog.text::pg_catalog.int8multirange) n (ids) LIMIT 1) n
          CROSS JOIN LATERAL ({rows} OFFSET $2 - 1 LIMIT 1) l (id)
          CROSS JOIN LATERAL ({rows} LIMIT 1) f (id)",
        rows = rows_of_range(shape)
    );
    let args = [next.ranges.as_str().into(), run.batch_size.into()];
    sql::first(&query, &args, |row| Ok((required(row, 1)?, required(row, 2)?)))
}

fn range(shape: &Shape, first: i64, last: i64, count: i64) -> Result<Rows> {
    let after = first.saturating_sub(1);
    let left_out = failures::not_due(&shape.market.raw(), after, last)?;
    Ok(Rows::Range { after, upto: last, count, left_out })
}

/// What failed in earlier runs, and is due again, is tried again.
fn retry(run: &mut Run, deployment: &Deployment, shape: &Shape, put_off: bool) -> Result<bool> {
    let ids = failures::next(run.id, run.cursor, run.batch_size)?;
    let Some(last) = ids.last().copied() else { return Ok(false) };
    let tally = batch::migrate(deployment, shape, &Rows::Ids(ids), put_off)?;
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
fn fail(runs: &[i64], error: &Text) -> Result<()> {
    for id in runs {
        if let Some(run) = run::load(*id)? {
            finish(run.id, Some(error.clone()), Entry::Known)?;
        }
    }
    Ok(())
}
