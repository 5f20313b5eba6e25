//! Waiting for locks: writers queue behind whoever waits for a strong one, so nobody here waits for long.

use crate::cluster;
use crate::error::{Failure, Result};
use crate::guc::{lock_timeout, pinned, shows_notices};
use crate::owner;
use crate::subtransaction::{caught, passed_on};
use crate::target;
use pgrx::pg_sys;
use std::ffi::{CString, c_int};
use std::time::{Duration, Instant};

/// Runs statements in order, waiting for locks no longer than that in all: `lock_timeout` alone is per lock, and
/// writers queue behind us until we have the last one. Once the time is up, a lock is had at once or not at all.
pub fn run_before_deadline(milliseconds: i32, statements: &[String]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    statements.iter().try_for_each(|statement| {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        let left = i32::try_from(left).unwrap_or(milliseconds).max(1);
        run_waiting(left, statement)
    })
}

/// Runs one statement of ours, which waits no longer than that for any lock; an ALTER TABLE as the table's owner.
pub fn run_waiting(milliseconds: i32, statement: &str) -> Result<()> {
    // What is ours looks after the keys of partitions itself, and what PostgreSQL notes of it is news to nobody who has
    // not asked for more than notices.
    let ours = [(c"groundskeeper.allow_partition_ddl", c"on"), (c"client_min_messages", c"warning")];
    let ours = if shows_notices() { &ours[..] } else { &ours[..1] };
    with_lock_timeout(milliseconds, || pinned(ours, || owner::run(statement)))?;
    target::check()
}

/// Runs `work` with another `lock_timeout`, and brings the caller's back.
pub fn with_lock_timeout<T>(milliseconds: i32, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let value = CString::new(format!("{milliseconds}ms")).map_err(|e| Failure::internal(e.to_string()))?;
    let before = lock_timeout();
    pinned(&[(c"lock_timeout", &value)], || cluster::waiting_likewise(milliseconds, &before, work))
}

/// What the declarations of pgrx leave out of PostgreSQL's timers.
mod raw {
    use super::c_int;

    /// The timer of `statement_timeout`, the fourth in every release.
    pub const STATEMENT_TIMEOUT: c_int = 3;

    // SAFETY: as the server's headers declare them. They take no pointers, and are for a process whose timers are set up, as
    // those of every backend and worker with a database are.
    unsafe extern "C" {
        pub safe fn enable_timeout_after(timer: c_int, milliseconds: c_int);
        pub safe fn enable_timeout_at(timer: c_int, time: i64);
        pub safe fn disable_timeout(id: c_int, keep_indicator: bool);
        pub safe fn get_timeout_active(timer: c_int) -> bool;
        pub safe fn get_timeout_indicator(timer: c_int, reset: bool) -> bool;
        pub safe fn get_timeout_finish_time(timer: c_int) -> i64;
        pub safe fn GetCurrentTimestamp() -> i64;
    }
}

/// Runs `work` for no longer than that; `None` when it was ended, and nothing of it is left. A `statement_timeout` that
/// comes first ends it as ever.
pub fn ended_after<T>(milliseconds: i32, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let timer = raw::STATEMENT_TIMEOUT;
    let ends = raw::GetCurrentTimestamp() + i64::from(milliseconds) * 1000;
    let before = raw::get_timeout_active(timer).then(|| raw::get_timeout_finish_time(timer));
    if before.is_some_and(|before| before <= ends) {
        return work().map(Some);
    }
    raw::enable_timeout_after(timer, milliseconds);
    let result = caught(work);
    raw::disable_timeout(timer, true);
    let rang = raw::get_timeout_indicator(timer, true) || raw::GetCurrentTimestamp() >= ends;
    if let Some(before) = before {
        raw::enable_timeout_at(timer, before);
    }
    match result {
        Ok(done) => {
            if rang {
                // It rang when all was done: what it asks for is nobody's wish any more.
                // SAFETY: a flag of this process's own, which the signal sets and whoever heeds it clears.
                unsafe { pg_sys::QueryCancelPending = 0 };
            }
            Ok(Some(done))
        }
        Err(failure) if rang && failure.is_query_canceled() => Ok(None),
        Err(failure) => passed_on(Err(failure)),
    }
}
