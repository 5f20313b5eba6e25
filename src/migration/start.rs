//! How a call begins: what fits, who else is at it, and what there is to do.

use super::facts::{self, Deployment, captured};
use super::lock::Lock;
use super::log::{self, Entry};
use super::run::{self, Phase};
use super::{FAILED, finish, look, notes, prepare_transaction, rights};
use crate::cluster;
use crate::error::{Failure, Result};
use crate::sql::{self, required};
use groundskeeper_core::migration::{GAMES, Market, Misfit, Shape};
use pgrx::PgLogLevel;
use pgrx::prelude::*;
use std::ops::RangeInclusive;

/// The sizes of a batch that make sense.
const BATCH_SIZES: RangeInclusive<i32> = 1..=1_000_000;

/// Begins a run for each market asked for that no other session is migrating, and ends those that have nothing to do.
/// The numbers of the others.
pub fn start(bet_type: Option<&str>, batch_size: i32, sweep: bool) -> Result<Vec<i64>> {
    let markets = markets(bet_type)?;
    if !BATCH_SIZES.contains(&batch_size) {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("batch_size is out of range: {batch_size}"),
        )
        .detail("It takes a number from 1 to 1000000."));
    }
    cluster::not_on_worker("migrate")?;
    FAILED.take();
    prepare_transaction()?;
    let deployment = Deployment::load()?;
    let fits: Vec<_> = markets.into_iter().map(|market| (market, deployment.fit(market))).collect();
    refuse_or_keep(&fits)?;
    let shapes: Vec<&Shape> = fits.iter().filter_map(|(_, fit)| fit.as_ref().ok()).collect();
    rights::check(&shapes)?;
    let captured = captured_markets(&deployment, &shapes)?;
    warn_of_missing_indexes(&shapes)?;
    let overflowed = notes::overflowed()?;
    let execution = sql::texts("SELECT pg_catalog.gen_random_uuid()::pg_catalog.text", &[])?;
    let execution = execution.first().ok_or_else(|| Failure::internal("no execution id"))?;
    let mut runs = Vec::new();
    for (market, fit) in &fits {
        if !is_free(*market)? {
            notice!("skipping {}s: another session is migrating them", market.bet_type());
            continue;
        }
        let begin = |phase| run::begin(execution, *market, batch_size.into(), phase);
        match fit {
            Err(misfits) => finish(
                begin(Phase::Retry)?,
                Some(facts::unfit(misfits).reason().as_str().into()),
                Entry::New,
            )?,
            Ok(shape) => {
                rights::on(*market, || refuse_lowest_id(shape))?;
                let captured = captured.contains(market) && !overflowed;
                rights::on(*market, || look::look(shape, &deployment.mapping, captured, sweep))?;
                let first = if runs.is_empty() { Phase::Games } else { Phase::Rows };
                let run = begin(first)?;
                if notes::pending(*market)? {
                    log::write(run, Entry::New)?;
                    runs.push(run);
                } else {
                    finish(run, None, Entry::New)?;
                }
            }
        }
    }
    Ok(runs)
}

fn notice(message: String, hint: &str) {
    Failure::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message).hint(hint).say(PgLogLevel::NOTICE);
}

/// What does not fit, as one error: at once where none of the markets fits, else kept until the others have run.
fn refuse_or_keep(fits: &[(Market, std::result::Result<Shape, Vec<Misfit>>)]) -> Result<()> {
    let misfits: Vec<Misfit> =
        fits.iter().filter_map(|(_, fit)| fit.as_ref().err()).flatten().cloned().collect();
    if misfits.is_empty() {
        return Ok(());
    }
    let unfit = facts::unfit(&misfits);
    if fits.iter().all(|(_, fit)| fit.is_err()) {
        return Err(unfit);
    }
    FAILED.set(Some(unfit));
    Ok(())
}

/// Whether no other session is migrating a market; what a dead one left open is written down as failed.
fn is_free(market: Market) -> Result<bool> {
    let (live, dead) =
        if Lock::Market(market).try_take() { run::interrupted(market)? } else { (true, Vec::new()) };
    if !live {
        dead.into_iter().try_for_each(|run| finish(run, Some("interrupted".into()), Entry::Known))?;
    }
    Ok(!live)
}

/// The markets whose changes are noted; the others are said, as each run looks at all of their rows.
fn captured_markets(deployment: &Deployment, shapes: &[&Shape]) -> Result<Vec<Market>> {
    let relations: Vec<String> =
        shapes.iter().map(|shape| shape.market.raw()).chain([GAMES.to_owned()]).collect();
    let captured = captured(deployment, &relations)?;
    let missing: Vec<String> = relations.into_iter().filter(|name| !captured.contains(name)).collect();
    if !missing.is_empty() {
        notice(
            format!("changes of {} are not noted: each run looks at all rows", missing.join(", ")),
            "SELECT * FROM groundskeeper.apply_plan() makes the triggers that note them.",
        );
    }
    let games = captured.iter().any(|name| name == GAMES);
    let noted = |market: &Market| games && captured.contains(&market.raw());
    Ok(shapes.iter().map(|shape| shape.market).filter(noted).collect())
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

/// Ids above the lowest one are staged; a row that has the lowest itself would silently be left out.
fn refuse_lowest_id(shape: &Shape) -> Result<()> {
    let raw = shape.market.raw();
    let there = format!("SELECT EXISTS (SELECT 1 FROM {raw} r WHERE r.{} = $1)", shape.raw.id.quoted);
    if sql::first(&there, &[i64::MIN.into()], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        format!("{raw} has a row with the lowest id that there is: {}", i64::MIN),
    )
    .hint("Give that row another id."))
}

fn warn_of_missing_indexes(shapes: &[&Shape]) -> Result<()> {
    let columns: Vec<(String, String)> = shapes
        .iter()
        .flat_map(|shape| {
            let market = shape.market;
            [
                (market.staging(), shape.staging.raw_id.name.clone()),
                (market.raw(), shape.raw.tells.game.name.clone()),
                (GAMES.to_owned(), shape.games.external_id.name.clone()),
            ]
        })
        .collect();
    let mut missing = facts::unindexed(&columns)?;
    missing.dedup();
    for (table, column) in missing {
        notice(
            format!("no index on {table} begins with {column}: each batch may read the whole table"),
            "SELECT * FROM groundskeeper.apply_plan() builds the plan's.",
        );
    }
    Ok(())
}
