//! Background workers of ours: how each is started, how it begins, and what all of them work with.

pub mod answer;
pub mod locks;
mod mailbox;
pub mod session;
pub mod toplevel;
mod transaction;
pub mod writeback;

pub use mailbox::Mailbox;
pub use session::write_at_once;
pub use transaction::Between;

use crate::backend;
use crate::compat;
use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime,
    DynamicBackgroundWorker, SignalWakeFlags,
};
use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

/// A worker that is to be started.
pub struct Worker<'a> {
    /// Its entry point.
    pub function: &'a str,
    /// What the server's log calls it.
    pub name: &'a str,
    /// What `pg_stat_activity` calls all of its kind.
    pub kind: &'a str,
    /// Where it connects.
    pub database: pg_sys::Oid,
    /// Whom it connects as; none for one whose rights are [`Rights::Server`].
    pub role: Option<pg_sys::Oid>,
    /// What it is told. There is room for some hundred bytes.
    pub told: &'a str,
    /// Whether its start and its end wake who starts it, who may keep the handle beyond the transaction.
    pub watched: bool,
}

/// Whose rights a worker has: its entry point says so, and not who starts it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// The server's own, for what looks after others and runs nobody's code. It is told to end, and looks whether it
    /// was.
    Server,
    /// Those of the role that it was given. It ends in the middle of a statement when the server shuts down.
    Role,
}

/// Starts a worker; `None` when none is free.
pub fn start(worker: &Worker) -> Option<DynamicBackgroundWorker> {
    let role = worker.role.map_or(0, u32::from);
    let builder = BackgroundWorkerBuilder::new(worker.name)
        .set_type(worker.kind)
        .set_library("pg_groundskeeper")
        .set_function(worker.function)
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        .enable_spi_access()
        .set_argument(worker.database.into_datum())
        .set_extra(&format!("{role} {}", worker.told));
    if !worker.watched {
        return builder.load_dynamic().ok();
    }
    let builder = builder.set_notify_pid(backend::process());
    // SAFETY: the handle must outlive this transaction, in whose memory PostgreSQL would otherwise allocate it.
    let context = unsafe { pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext) };
    let started = builder.load_dynamic();
    // SAFETY: the context that was current before.
    unsafe { pg_sys::MemoryContextSwitchTo(context) };
    started.ok()
}

/// The first thing that an entry point does: connects, and makes the session ours. What it returns is asked for by all
/// that is right only between transactions. `None` for a worker that was given
/// no role though it needs one: the connection would be a superuser's.
pub fn begin(argument: pg_sys::Datum, rights: Rights) -> Option<Between> {
    match rights {
        Rights::Server => {
            BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
        }
        Rights::Role => {
            // SAFETY: at the start of a worker, whose signals are blocked until its handlers are there.
            unsafe { set_sigterm_handler() };
            BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP);
        }
    }
    let role = match rights {
        Rights::Server => None,
        Rights::Role => Some(role().filter(|role| *role != pg_sys::InvalidOid)?),
    };
    // SAFETY: start() passes the database's OID.
    let database = unsafe { pg_sys::Oid::from_datum(argument, false) };
    let server = session::OfServer::of_new_process();
    BackgroundWorker::connect_worker_to_spi_by_oid(database, role);
    let mut between = Between::of_new_worker();
    session::own(&mut between, &server);
    Some(between)
}

/// The same for a worker that looks at what all databases share, and is connected to none.
pub fn begin_without_database() -> Between {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // SAFETY: at the start of a worker; without a database only the catalogs that all share can be read.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    Between::of_new_worker()
}

/// Ends a worker that the server is to start again: who returns is never seen again, whoever told it to end.
#[expect(ffi_unwind_calls, reason = "a long jump passes over this frame, which holds nothing to drop")]
pub fn leave_and_come_back(_: Between) -> ! {
    // SAFETY: between transactions, where a process may end at any time; what it holds is given back on the way out.
    unsafe { compat::proc_exit(1) }
}

/// What this worker was told.
pub fn told() -> &'static str {
    BackgroundWorker::get_extra().split_once(' ').map_or("", |(_, told)| told)
}

fn role() -> Option<pg_sys::Oid> {
    let (role, _) = BackgroundWorker::get_extra().split_once(' ')?;
    role.parse::<u32>().ok().map(pg_sys::Oid::from)
}

/// Whether a worker has ended.
pub fn ended(worker: &DynamicBackgroundWorker) -> bool {
    matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped | BackgroundWorkerStatus::PostmasterDied))
}

/// Reads the server's configuration again if this worker was told to; whether it was.
pub fn reread_configuration(_: &mut Between) -> bool {
    let told = BackgroundWorker::sighup_received();
    if told {
        // SAFETY: between transactions, in a process that may re-read its configuration.
        unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
    }
    told
}

unsafe extern "C-unwind" {
    /// PostgreSQL's own handler for backends: it ends the process at its next safe point, in the middle of a statement
    /// too. As it is, and not by pgrx's wrapper, which does more than a signal handler may.
    fn die(signal: core::ffi::c_int);
}

/// Has the worker end as a backend does when it is told to.
///
/// # Safety
/// Only at the start of a background worker.
unsafe fn set_sigterm_handler() {
    // SAFETY: `die` is made to be a signal handler: it sets flags and a latch.
    unsafe { compat::handle_signal(pg_sys::SIGTERM as i32, die) };
}
