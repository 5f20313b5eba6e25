//! What a backend knows of its own statement and transaction.

use super::shared::{self, Database, Scope};
use crate::backend;
use groundskeeper_core::stopwatch::{Class, Moment, Statement, Stopwatch};
use pgrx::pg_sys;
use std::cell::Cell;

/// Functions of PostgreSQL's that read a clock or a variable and raise no error. The declarations of pgrx set a
/// jump buffer for each call, which would cost more than they do.
mod raw {
    unsafe extern "C" {
        pub safe fn GetCurrentTimestamp() -> i64;
        pub safe fn GetCurrentTransactionStartTimestamp() -> i64;
        pub safe fn GetCurrentStatementStartTimestamp() -> i64;
    }
}

thread_local! {
    static STOPWATCH: Cell<Stopwatch> = const { Cell::new(Stopwatch::new()) };
    /// When the message arrived whose EXECUTE or FETCH is being run.
    static WRAPPED: Cell<i64> = const { Cell::new(0) };
    /// Found once; it is not given away while the database exists.
    static COUNTERS: Cell<Option<&'static Database>> = const { Cell::new(None) };
}

fn with<T>(work: impl FnOnce(&mut Stopwatch) -> T) -> T {
    STOPWATCH.with(|cell| {
        let mut stopwatch = cell.get();
        let result = work(&mut stopwatch);
        cell.set(stopwatch);
        result
    })
}

fn moment() -> Moment {
    Moment {
        now: raw::GetCurrentTimestamp(),
        transaction_start: raw::GetCurrentTransactionStartTimestamp(),
        message_start: raw::GetCurrentStatementStartTimestamp(),
        // SAFETY: plain reads of the backend's own globals.
        idle: unsafe { pg_sys::pgstat_track_activities.then_some(pg_sys::pgStatTransactionIdleTime) },
    }
}

/// Whether what begins now is a client's statement and not inside of one.
pub fn is_top_level() -> bool {
    backend::is_client() && !with(|watch| watch.is_running(raw::GetCurrentStatementStartTimestamp()))
}

/// An EXECUTE or FETCH begins, or has ended.
pub fn wrap(begins: bool) {
    WRAPPED.set(if begins { raw::GetCurrentStatementStartTimestamp() } else { 0 });
}

/// Whether an EXECUTE or FETCH is being run; one that failed is forgotten with the next message.
pub fn is_wrapped() -> bool {
    WRAPPED.get() == raw::GetCurrentStatementStartTimestamp()
}

/// A statement begins.
pub fn begin(class: Class, queryid: i64, token: usize) {
    with(|watch| watch.begin(class, queryid, token, raw::GetCurrentStatementStartTimestamp()));
}

/// Whether it is the statement with this token that is being run.
pub fn is_running(token: usize) -> bool {
    with(|watch| watch.is_running_token(token))
}

/// Where the stopwatch stands: it changes with each statement that is counted.
pub fn state() -> Stopwatch {
    STOPWATCH.get()
}

/// The running statement has ended.
pub fn end() {
    if let Some((statement, elapsed)) = with(|watch| watch.end(&moment())) {
        count(&statement, elapsed, false);
    }
}

/// Transaction control has ended.
pub fn end_of_control() {
    with(|watch| watch.end_of_control(&moment()));
}

/// The message has failed.
pub fn fail() {
    if let Some((statement, elapsed)) = with(|watch| watch.fail(&moment())) {
        count(&statement, elapsed, true);
    }
}

/// The transaction has ended.
pub fn end_transaction(failed: bool) {
    if let Some(elapsed) = with(|watch| watch.end_transaction(&moment())) {
        record(Scope::Transactions, elapsed, failed);
    }
}

fn count(statement: &Statement, elapsed: u64, failed: bool) {
    record(Scope::Statements(statement.class), elapsed, failed);
    if statement.queryid != 0
        && let Some(shared) = shared::get()
    {
        shared.statements.record(backend::database().to_u32(), statement.queryid, elapsed, failed);
    }
}

fn record(scope: Scope, elapsed: u64, failed: bool) {
    let counters = COUNTERS.get().or_else(|| {
        let found = shared::get().and_then(|shared| shared.database(backend::database().to_u32()));
        COUNTERS.set(found);
        found
    });
    if let Some(counters) = counters.and_then(|database| database.scope(scope)) {
        counters.record(elapsed, failed);
    }
}
