//! Columns that the table got, lost or changed since its twin was made: the twin gets the same, and the rows are brought over
//! where their values may differ, so that either can take the other's place at any time.

use super::exchange;
use super::record::{self, Conversion, LOG};
use super::sync::{self, Pair};
use crate::error::{Failure, Result};
use crate::settings;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::partition::convert::Stage;

/// How the columns of two tables differ, in words.
pub fn differing(table: &str, twin: &str) -> Result<Vec<String>> {
    sql::texts(include_str!("columns_differ.sql"), &[table.into(), twin.into()])
}

/// A change to the twin.
struct Change {
    /// It is for when all rows are brought over.
    is_late: bool,
    /// Its rows may have other values then.
    differs: bool,
    statement: String,
    /// What is run where that fails.
    otherwise: Option<Vec<String>>,
}

fn changes(conversion: &Conversion) -> Result<Vec<Change>> {
    let pair = Pair::of(conversion);
    if differing(&pair.source, &pair.target)?.is_empty() {
        return Ok(Vec::new());
    }
    let args = [pair.source.into(), pair.target.into(), conversion.beside_quoted(LOG).into()];
    sql::rows(include_str!("carry_columns.sql"), &args, |row| {
        Ok(Change {
            is_late: required(row, 1)?,
            differs: required(row, 2)?,
            statement: required(row, 3)?,
            otherwise: row.get(4)?,
        })
    })
}

/// Gives the twin the columns that the table has. What must not be NULL may be until the rows are brought over.
pub fn carry_over(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| {
        let changes = early(conversion)?;
        changes.iter().try_for_each(carry_out)?;
        if changes.iter().any(|change| change.differs) {
            compare_anew(conversion)?;
        }
        Ok(())
    })
}

fn early(conversion: &Conversion) -> Result<Vec<Change>> {
    Ok(changes(conversion)?.into_iter().filter(|change| !change.is_late).collect())
}

/// Whether a step failed over a table that was altered while it was taken, and has what it lacked by now.
pub fn carried_over_after(between: &mut Between, conversion: &Conversion, failure: &Failure) -> bool {
    let has_no_twin = matches!(conversion.stage, Stage::Begun | Stage::Restored | Stage::Finalized);
    if has_no_twin || failure.is_stop_request() || failure.is_lock_not_available() {
        return false;
    }
    let is_same = |between: &mut Between| between.transaction(|| Ok(early(conversion)?.is_empty()));
    // What is still another afterwards would be so forever.
    matches!(is_same(between), Ok(false))
        && carry_over(between, conversion).is_ok()
        && matches!(is_same(between), Ok(true))
}

/// All rows are to be compared, and what was proven is not any more.
pub fn compare_anew(conversion: &Conversion) -> Result<()> {
    record::unlogged(conversion, true)?;
    match conversion.stage {
        Stage::Equal => record::reach(conversion, Stage::Converted),
        Stage::Proven => record::reach(conversion, Stage::Indexed),
        _ => Ok(()),
    }
}

fn carry_out(change: &Change) -> Result<()> {
    let run = |statement: &String| {
        run_before_deadline(settings::lock_timeout_ms(), std::slice::from_ref(statement))
    };
    let Some(otherwise) = &change.otherwise else { return run(&change.statement) };
    // such as a value that has no like in the new type: the table's own are brought over
    isolated(|| run(&change.statement)).or_else(|failure| {
        if failure.is_lock_not_available() {
            return Err(failure);
        }
        otherwise.iter().try_for_each(run)
    })
}

/// The rest of it, once the log has been applied: under a lock of the twin, which nobody waits for.
pub fn tighten(between: &mut Between, conversion: &Conversion) -> Result<()> {
    let late = || -> Result<Vec<Change>> {
        Ok(changes(conversion)?.into_iter().filter(|change| change.is_late).collect())
    };
    if between.transaction(late)?.is_empty() {
        return Ok(());
    }
    between.transaction(|| {
        let pair = Pair::of(conversion);
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", pair.target);
        run_before_deadline(settings::lock_timeout_ms(), &[lock])?;
        while sync::apply(conversion, &pair, super::steps::BATCH)?.len() > 0 {}
        late()?.iter().try_for_each(carry_out)
    })
}

/// Under the exchange's lock: that both have the same. What was changed in this moment is carried over by the next attempt.
pub fn must_be_same(table: &str, twin: &str) -> Result<()> {
    match differing(table, twin)?.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(exchange::retry(&format!("columns were changed meanwhile: {first}"))),
    }
}
