//! The steps of a conversion, as a job runs them: each a transaction or several, each safe to run again.

use super::exchange::{self, Way};
use super::plan_item;
use super::record::{self, Conversion, FORMER, LOG, SHADOW};
use super::sync::{self, Pair};
use super::{bind, builds, columns, former, heal, key_type, lost, preflight, shadow, triggers, unfinished};
use crate::error::{Failure, Result};
use crate::guc;
use crate::jobs::{self, pace, report};
use crate::partition::managed;
use crate::settings;
use crate::sql::{self};
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::{Between, write_at_once};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::convert::{Goal, Stage, Step, next};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// The tables that a conversion makes.
const MADE: [&str; 3] = [SHADOW, record::KEYS, LOG];

/// How many entries of the log one transaction applies.
pub const BATCH: usize = 2_000;
/// The log is short enough to lock the table.
const SHORT: usize = 200;

/// Brings a table to the goal, from wherever it is.
pub fn run(between: &mut Between, table: &Qualified, goal: Goal) -> Result<()> {
    write_at_once(between);
    let name = |suffix| Qualified { schema: table.schema.clone(), name: suffixed(&table.name, suffix) };
    target::beside([SHADOW, FORMER, record::KEYS, LOG].map(name));
    let result = steps(between, table, goal);
    // What a step then stumbles over says nothing to anybody.
    target::unchecked(|| match (&result, between.transaction(|| record::find(table))) {
        (Err(failure), Ok(Some(conversion))) if failure.code != PgSqlErrorCode::ERRCODE_QUERY_CANCELED => {
            lost::end_if_lost(between, &conversion, goal).unwrap_or(result)
        }
        _ => result,
    })
}

fn steps(between: &mut Between, table: &Qualified, goal: Goal) -> Result<()> {
    loop {
        let conversion = match between.transaction(|| record::find(table))? {
            Some(conversion) => conversion,
            // It was done, and killed before that was written down.
            None if goal == Goal::Undo => return Ok(()),
            None => return Err(record::missing(table)),
        };
        if let Some(end) = lost::end_if_lost(between, &conversion, goal) {
            return end;
        }
        let step = next(goal, conversion.stage);
        between.transaction(|| report(conversion.stage.as_str(), progress(&conversion)))?;
        match take(between, &conversion, step, goal) {
            Ok(true) => return Ok(()),
            // It is taken again, from where it is.
            Err(failure) if !columns::carried_over_after(between, &conversion, &failure) => {
                return Err(failure);
            }
            Ok(false) | Err(_) => {}
        }
    }
}

/// Takes a step; whether it was the last one.
fn take(between: &mut Between, conversion: &Conversion, step: Step, goal: Goal) -> Result<bool> {
    match step {
        Step::MakeShadow => make_shadow(between, conversion)?,
        Step::Capture => begin_capture(between, conversion)?,
        Step::Copy => copy(between, conversion)?,
        Step::Index => index(between, conversion)?,
        Step::Prove => prove(between, conversion, goal)?,
        Step::Swap => swap(between, conversion, goal)?,
        Step::Settle => {
            settle(between, conversion)?;
            between.transaction(|| record::reach(conversion, Stage::Converted))?;
        }
        Step::DropFormer => former::drop(between, conversion)?,
        Step::CatchUp => catch_up(between, conversion)?,
        Step::CleanUp => clean_up(between, conversion)?,
        Step::Done => {}
        Step::TooLate => {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{} has come too far: it is {}", conversion.table, conversion.stage.as_str()),
            ));
        }
    }
    Ok(matches!(step, Step::CatchUp | Step::CleanUp | Step::Done))
}

/// How much of the whole is done; copying is most of it.
fn progress(conversion: &Conversion) -> f64 {
    match conversion.stage {
        Stage::Begun => 0.0,
        Stage::Shadowed | Stage::Captured => 0.01,
        Stage::Copied => 0.6,
        Stage::Indexed => 0.8,
        Stage::Proven | Stage::Converted => 0.9,
        Stage::Swapped | Stage::Equal | Stage::Restored | Stage::Finalized => 0.95,
    }
}

/// The statements, waiting for locks no longer than the setting says in all.
fn briefly(statements: &[String]) -> Result<()> {
    run_before_deadline(settings::lock_timeout_ms(), statements)
}

fn make_shadow(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| {
        let key_type = key_type(conversion)?;
        let starts = shadow::starts(conversion, key_type)?;
        briefly(&shadow::make(conversion, key_type, &starts)?)?;
        briefly(&shadow::replica_identity(conversion)?)?;
        give_to_owner(conversion, &MADE)?;
        shadow::expect_rows(conversion)?;
        record::reach(conversion, Stage::Shadowed)
    })
}

fn begin_capture(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| {
        briefly(&shadow::capture(conversion))?;
        give_to_owner(conversion, &MADE)?;
        record::reach(conversion, Stage::Captured)
    })
}

/// What a member of the owning role makes is the owner's, as the table is, and nobody else's: default privileges are for
/// tables that somebody is meant to read.
pub fn give_to_owner(conversion: &Conversion, made: &[&str]) -> Result<()> {
    let statements = sql::texts(
        "WITH owner AS (
             SELECT o.rolname, c.relowner, c.relnamespace
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
              WHERE c.oid = pg_catalog.to_regclass($1))
         SELECT pg_catalog.format('ALTER TABLE %s OWNER TO %I', c.oid::pg_catalog.regclass, owner.rolname)
           FROM owner, pg_catalog.pg_class c
          WHERE c.relowner <> owner.relowner
            AND (c.relnamespace = owner.relnamespace AND c.relname = ANY ($2) OR c.oid IN (
                    SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($3))))
         UNION ALL
         SELECT pg_catalog.format('ALTER FUNCTION %s OWNER TO %I', p.oid::pg_catalog.regprocedure, owner.rolname)
           FROM owner, pg_catalog.pg_proc p
          WHERE p.proowner <> owner.relowner AND p.pronamespace = owner.relnamespace AND p.proname = ANY ($4)",
        &[
            conversion.quoted().into(),
            MADE.map(|s| suffixed(&conversion.table.name, s)).to_vec().into(),
            conversion.beside_quoted(SHADOW).into(),
            std::iter::once(record::CAPTURE)
                .chain(super::keys::FUNCTIONS)
                .map(|s| suffixed(&conversion.table.name, s))
                .collect::<Vec<_>>()
                .into(),
        ],
    )?;
    statements.iter().try_for_each(|statement| sql::run(statement, &[]))?;
    let ours = made.iter().map(|s| conversion.beside_quoted(s)).collect::<Vec<_>>();
    let functions = std::iter::once(record::CAPTURE).chain(super::keys::FUNCTIONS);
    let functions: Vec<String> = functions.map(|s| format!("{}()", conversion.beside_quoted(s))).collect();
    let statements = shadow::to_owner_only(&ours, &functions)?;
    statements.iter().try_for_each(|statement| sql::run(statement, &[]))
}

fn copy(between: &mut Between, conversion: &Conversion) -> Result<()> {
    columns::carry_over(between, conversion)?;
    let mut now = conversion.clone();
    let mut copied = 0;
    let mut pace = pace::begin();
    loop {
        let last = between.transaction(|| {
            let (rows, last) = shadow::copy(&now)?;
            record::copied(&now, last.clone(), rows)?;
            match &last {
                // Who is considerate waits for the disk as everybody does, and longer where it is slow.
                Some(_) if pace::is_considerate() => {}
                Some(_) => guc::commit_asynchronously(),
                None => record::reach(&now, Stage::Copied)?,
            }
            copied += rows;
            let part = if now.rows_expected > 0 { copied as f64 / now.rows_expected as f64 } else { 0.0 };
            report("copying rows", 0.01 + 0.59 * part.min(1.0))?;
            Ok(last)
        })?;
        if last.is_none() {
            return Ok(());
        }
        now.copied_to = last;
        pace.rest(between)?;
    }
}

fn index(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| super::must_keep_all(conversion))?;
    let (wanted, partitions) = between.transaction(|| {
        let partitions = shadow::partitions(&conversion.beside_quoted(SHADOW))?;
        Ok((builds::wanted(conversion)?, partitions))
    })?;
    between.transaction(|| record::carry(conversion, &builds::carried(&wanted)))?;
    for build in builds::builds(conversion, &wanted, &partitions) {
        pace::wait(between)?;
        let make = || {
            // What has its name and is another table's is no index of ours: PostgreSQL then says so.
            if builds::is_of(&build.table, &build.name)? {
                return Ok(());
            }
            guc::commit_asynchronously();
            build.statements.iter().try_for_each(|statement| sql::run(statement, &[]))
        };
        match between.transaction(make) {
            // The rows were copied at several moments: what is unique at each of them need not be so together.
            Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => between
                .transaction_of_one_snapshot(|| {
                    let pair = Pair::of(conversion);
                    sync::set_aside(conversion, &pair)?;
                    while sync::apply(conversion, &pair, BATCH)?.len() > 0 {}
                    make()
                })?,
            other => other?,
        }
    }
    between.transaction(|| record::reach(conversion, Stage::Indexed))
}

/// Applies the log until it is short, once it is sure to name every change.
pub fn catch_up(between: &mut Between, conversion: &Conversion) -> Result<()> {
    if conversion.stage.is_partitioned() {
        former::grant(between, conversion)?;
    }
    columns::carry_over(between, conversion)?;
    heal::heal(between, conversion)?;
    apply(between, conversion)?;
    columns::tighten(between, conversion)
}

/// The same for what is copied apart, and watched in its own way.
pub fn apply(between: &mut Between, conversion: &Conversion) -> Result<()> {
    if conversion.stage.is_partitioned() {
        former::loosen(between, conversion)?;
    }
    let pair = Pair::of(conversion);
    let batch = || {
        let applied = sync::apply(conversion, &pair, BATCH)?.len();
        Ok((applied, sync::backlog(conversion, SHORT + 1)?))
    };
    loop {
        let (applied, left) = match between.transaction(batch) {
            // A value that must be unique has passed from row to row.
            Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => {
                let again = between.transaction_of_one_snapshot(|| {
                    sync::set_aside(conversion, &pair)?;
                    batch()
                });
                if again.is_err() && conversion.stage.is_partitioned() {
                    between.transaction(|| heal::refuse_duplicates(conversion, &pair))?;
                }
                again?
            }
            other => other?,
        };
        if left <= SHORT || applied == 0 {
            return Ok(());
        }
    }
}

fn prove(between: &mut Between, conversion: &Conversion, goal: Goal) -> Result<()> {
    if goal == Goal::Partition {
        // What is applied and compared from here on is planned by them.
        between.transaction(|| sql::run(&format!("ANALYZE {}", conversion.beside_quoted(SHADOW)), &[]))?;
    }
    catch_up(between, conversion)?;
    if goal == Goal::Undo {
        former::complete(between, conversion)?;
    }
    between.transaction(|| report("comparing rows", progress(conversion)))?;
    let proof = || {
        let key_type = key_type(conversion)?;
        sync::prove(conversion, &Pair::of(conversion), key_type)?;
        let stage = if goal == Goal::Partition { Stage::Proven } else { Stage::Equal };
        record::reach(conversion, stage)
    };
    match between.transaction(proof) {
        Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_DATA_CORRUPTED => {
            heal::bring_over(between, conversion)?;
            catch_up(between, conversion)?;
            between.transaction(proof)
        }
        proven => proven,
    }
}

fn swap(between: &mut Between, conversion: &Conversion, goal: Goal) -> Result<()> {
    // indexes that were created since the others were built
    if goal == Goal::Partition && !between.transaction(|| builds::missing_indexes(conversion))?.is_empty() {
        return index(between, conversion);
    }
    catch_up(between, conversion)?;
    if between.transaction(|| record::get(&conversion.table))?.stage != conversion.stage {
        // It was not watched for a while, and is proven again.
        return Ok(());
    }
    if goal == Goal::Undo {
        former::complete(between, conversion)?;
    }
    let way = if goal == Goal::Undo { Way::Back } else { Way::There };
    let exchange = || {
        let (later, now) = exchange::run(conversion, way)?;
        jobs::works_on(now)?;
        give_to_owner(conversion, &MADE)?;
        record::follow(conversion, &later)?;
        if way == Way::There {
            bind::bind(conversion)?;
            managed::register(&managed::Managed::of(conversion))?;
            plan_item::record(conversion)?;
            record::reach(conversion, Stage::Swapped)?;
        } else {
            managed::forget(&conversion.quoted())?;
            plan_item::record_undone(conversion)?;
            record::reach(conversion, Stage::Restored)?;
        }
        Ok(now)
    };
    match target::unheld(|| between.transaction(exchange)) {
        Ok(now) => target::is_now(now),
        Err(failure) if way == Way::There && !failure.is_stop_request() => {
            return Err(between.transaction(|| preflight::explained(conversion, failure.clone()))?);
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// What follows an exchange and needs no strong lock for long, one transaction after the other.
fn settle(between: &mut Between, conversion: &Conversion) -> Result<()> {
    while let Some((first, rest)) = between.transaction(|| {
        let later = record::later(conversion)?;
        Ok(later.split_first().map(|(first, rest)| (first.clone(), rest.to_vec())))
    })? {
        between.transaction(|| {
            briefly(&first)?;
            record::follow(conversion, &rest)
        })?;
    }
    Ok(())
}

/// The statements that drop all triggers of ours, when the conversion is taken back.
fn own_triggers(conversion: &Conversion) -> Result<Vec<String>> {
    let keys = (conversion.stage == Stage::Restored).then_some(super::keys::FUNCTIONS);
    let functions = std::iter::once(record::CAPTURE).chain(keys.into_iter().flatten());
    triggers::of_functions(&functions.map(|function| conversion.beside_quoted(function)).collect::<Vec<_>>())
}

/// Leaves nothing behind of what the conversion made. Before the exchange the shadow is a copy; after the way back it
/// was proven equal, and nobody has written it since.
fn clean_up(between: &mut Between, conversion: &Conversion) -> Result<()> {
    if conversion.stage == Stage::Restored {
        settle(between, conversion)?;
    }
    between.transaction(|| report("clearing up", 0.95))?;
    between.transaction(|| {
        let mut statements = own_triggers(conversion)?;
        statements.extend(match record::is_recognized(conversion)? {
            true => unfinished::clearing(conversion)?,
            false => exchange::leftovers(conversion),
        });
        briefly(&statements)?;
        record::forget(conversion)
    })
}
