//! Waiting for locks: writers queue behind whoever waits for a strong one, so nobody here waits for long.

use crate::cluster;
use crate::error::{Failure, Result};
use crate::guc::{lock_timeout, pinned, shows_notices};
use crate::owner;
use crate::target;
use std::ffi::CString;
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
