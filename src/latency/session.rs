//! What a backend knows of its own statement and transaction.

use super::client;
use super::shared::{self, Database, Scope};
use crate::backend;
use groundskeeper_core::statement_text::{LONGEST, without_constants};
use groundskeeper_core::stopwatch::{Class, Moment, Statement, Stopwatch};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::ffi::c_char;

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
    /// What the running statement says, as much of it as may be needed if it fails.
    static SOURCE: RefCell<Source> = const { RefCell::new(Source { bytes: [0; READ], length: 0 }) };
    /// Found once; it is not given away while the database exists.
    static COUNTERS: Cell<Option<&'static Database>> = const { Cell::new(None) };
}

/// How much of a statement is read: what is kept of it is shorter, without comments and constants.
const READ: usize = 2 * LONGEST;

/// The beginning of a statement's text.
struct Source {
    bytes: [u8; READ],
    length: usize,
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
        client: client::waited(),
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
    with(|watch| {
        watch.begin(class, queryid, token, raw::GetCurrentStatementStartTimestamp(), client::waited());
    });
}

/// What it says: `length` bytes of the text from `start` on, all of it where that is not known. Copied, as it may be gone
/// when the statement has failed.
///
/// # Safety
/// `text` is NULL or ends with NUL, and is as long as that.
pub unsafe fn remember(text: *const c_char, start: i32, length: i32) {
    SOURCE.with_borrow_mut(|source| {
        source.length = 0;
        if text.is_null() {
            return;
        }
        let start = usize::try_from(start).unwrap_or(0);
        let most = usize::try_from(length).ok().filter(|length| *length > 0).unwrap_or(READ).min(READ);
        // SAFETY: as the caller says; strnlen() looks no further than the end.
        source.length = unsafe {
            let text = text.add(start);
            let length = nix::libc::strnlen(text, most);
            std::ptr::copy_nonoverlapping(text.cast(), source.bytes.as_mut_ptr(), length);
            length
        };
    });
}

/// What is being run was asked for by a scheduler of ours.
pub fn is_upkeep() {
    with(Stopwatch::is_upkeep);
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
    if statement.waited > 0 {
        record(Scope::Client, statement.waited, failed);
    }
    let is_told_apart = statement.queryid != 0 && statement.class != Class::Maintenance;
    if let Some(shared) = shared::get().filter(|_| is_told_apart) {
        let slot = shared.statements.record(backend::database().to_u32(), statement.queryid, elapsed, failed);
        // pg_stat_statements has no text of what never ends.
        if let Some(slot) = slot.filter(|_| failed) {
            slot.describe(text);
        }
    }
}

/// Writes what the statement says without its constants; how long that is.
fn text(out: &mut [u8]) -> usize {
    // SAFETY: a plain read of the session's own setting.
    let escapes = unsafe { !pg_sys::standard_conforming_strings };
    SOURCE.with_borrow(|source| without_constants(&source.bytes[..source.length], escapes, out))
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
