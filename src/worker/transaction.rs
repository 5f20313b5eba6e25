//! A worker's transactions, each of which is a step that has been taken or has not.

use super::session;
use crate::error::{Failure, Result};
use crate::subtransaction::isolated;
use crate::target;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

/// That this worker is between transactions. There is one, made when the worker begins, and whatever is right only
/// between transactions borrows it for as long as that takes: the compiler lets nobody do so inside of one.
pub struct Between(PhantomData<*mut ()>);

impl Between {
    /// At the beginning of a worker, once.
    pub(super) fn of_new_worker() -> Self {
        Self(PhantomData)
    }

    /// Runs one transaction; a failure in it is rolled back and returned.
    pub fn transaction<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        run(work)
    }

    /// The same, all of whose statements see what was committed when it began.
    pub fn transaction_of_one_snapshot<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        session::set(self, "default_transaction_isolation", "repeatable read");
        let result = run(work);
        session::set(self, "default_transaction_isolation", "read committed");
        result
    }
}

fn run<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let attempt = pg_sys::PgTryBuilder::new(AssertUnwindSafe(|| {
        BackgroundWorker::transaction(AssertUnwindSafe(|| isolated(|| target::hold().and_then(|()| work()))))
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
