//! Isolation: a failure inside is an ordinary value outside, and leaves nothing behind.

use crate::error::{Failure, Result};
use pgrx::pg_sys;
use pgrx::pg_sys::PgTryBuilder;
use std::panic::AssertUnwindSafe;

/// What becomes of the work after it succeeded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Keep,
    Undo,
}

/// Runs `work` in a subtransaction that is rolled back if it fails, by our error or PostgreSQL's.
///
/// A request to cancel or shut down is passed on, never turned into a value.
pub fn isolated<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    run(Ending::Keep, work)
}

/// Runs `work` for each item; what fails for one leaves nothing behind, and the others are done. As long as nothing
/// fails, one subtransaction serves them all: the end of each looks through all that the backend has cached.
pub fn isolated_each<T, R>(items: &[T], mut work: impl FnMut(&T) -> Result<R>) -> Vec<Result<R>> {
    match isolated(|| items.iter().map(&mut work).collect::<Result<Vec<R>>>()) {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(_) => items.iter().map(|item| isolated(|| work(item))).collect(),
    }
}

/// The same, requests to stop included: for whoever writes them down before they go on.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    attempt(Ending::Keep, work)
}

/// Runs `work` in a subtransaction that is rolled back in any case, with the locks that it took.
pub fn looked_at<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    run(Ending::Undo, work)
}

/// A result that was [`caught`], unless it is a request to stop: that goes on up.
pub fn passed_on<T>(result: Result<T>) -> Result<T> {
    match result {
        Err(failure) if failure.is_stop_request() => {
            pgrx::pg_sys::panic::ErrorReport::from(failure.clone()).report(pgrx::PgLogLevel::ERROR);
            Err(failure)
        }
        other => other,
    }
}

fn run<T>(on_success: Ending, work: impl FnOnce() -> Result<T>) -> Result<T> {
    passed_on(attempt(on_success, work))
}

fn attempt<T>(on_success: Ending, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: plain reads of the backend's own globals, restored below as the documented protocol of an
    // internal subtransaction demands.
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    // SAFETY: we are inside a transaction (every caller is an SQL function or a worker's transaction).
    // The work runs in the caller's memory context, so what it returns outlives the subtransaction.
    unsafe {
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
    }
    let result = PgTryBuilder::new(AssertUnwindSafe(work))
        .catch_others(|caught| Err(Failure::from_caught(caught)))
        .execute();
    // SAFETY: the subtransaction begun above is the innermost one: whatever was begun inside has ended, by
    // itself or with the error. Context and owner are those of the enclosing transaction.
    unsafe {
        if result.is_ok() && on_success == Ending::Keep {
            pg_sys::ReleaseCurrentSubTransaction();
        } else {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
    }
    result
}
