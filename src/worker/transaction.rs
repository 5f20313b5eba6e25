//! A worker's transactions, each of which is a step that has been taken or has not.

use super::session;
use crate::error::{Failure, Result};
use crate::subtransaction::isolated;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;
use std::panic::AssertUnwindSafe;

/// Runs one transaction; a failure in it is rolled back and returned.
pub fn transaction<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let attempt = pg_sys::PgTryBuilder::new(AssertUnwindSafe(|| {
        BackgroundWorker::transaction(AssertUnwindSafe(|| isolated(work)))
    }))
    .catch_others(|caught| Err(Failure::from_caught(caught)));
    let result = attempt.execute();
    // SAFETY: after an error that left the transaction open, aborting it is what the main loop of a backend
    // does; outside of a transaction there is nothing to abort.
    unsafe {
        if result.is_err() && pg_sys::IsTransactionState() {
            pg_sys::AbortCurrentTransaction();
        }
    }
    result
}

/// The same, all of whose statements see what was committed when it began.
pub fn transaction_of_one_snapshot<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    session::set("default_transaction_isolation", "repeatable read");
    let result = transaction(work);
    session::set("default_transaction_isolation", "read committed");
    result
}
