//! A worker that does something for a caller, who waits for its end and reads what it has left in a mailbox.

use super::{Between, Mailbox, Rights, Worker};
use pgrx::bgworkers::DynamicBackgroundWorker;
use pgrx::pg_sys;

/// Starts a worker that is given the mailbox and `extra`, and waits for its end; why not, where none could be started.
pub fn wait_for(
    function: &str,
    kind: &str,
    database: pg_sys::Oid,
    role: Option<pg_sys::Oid>,
    mailbox: &Mailbox,
    extra: &str,
) -> Result<(), &'static str> {
    let told = format!("{} {extra}", mailbox.handle());
    let name = kind;
    let started = super::start(&Worker { function, name, kind, database, role, told: &told, watched: true });
    let Some(worker) = started else {
        return Err("no background worker is free: raise max_worker_processes");
    };
    Waiting(Some(worker)).until_it_ends();
    Ok(())
}

/// A worker that is told to end as soon as nobody waits for it any more.
struct Waiting(Option<DynamicBackgroundWorker>);

impl Waiting {
    fn until_it_ends(&self) {
        while self.0.as_ref().is_some_and(|worker| !super::ended(worker)) {
            let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
            // SAFETY: the backend's own latch, which the end of a worker that it started sets.
            unsafe {
                pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, 1000, pg_sys::PG_WAIT_EXTENSION);
                pg_sys::ResetLatch(pg_sys::MyLatch);
            }
            pgrx::check_for_interrupts!();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(worker) = self.0.take() {
            worker.terminate(); // one that has ended is not there to be told
        }
    }
}

/// Connects a worker that [`wait_for`] has started: where it is to answer, and the rest of what it was told.
pub fn connected(argument: pg_sys::Datum) -> Option<(Between, Mailbox, &'static str)> {
    let (mailbox, rest) = super::told().split_once(' ')?;
    let mailbox = mailbox.parse().ok().and_then(Mailbox::open)?;
    let between = super::begin(argument, Rights::Role)?;
    Some((between, mailbox, rest))
}
