//! What is not the same in all supported releases of PostgreSQL, and nowhere else: `since_16`, `since_17` and `since_18`
//! are counted from below, so that the next release has all that the last one had. Queries ask the server itself,
//! by `server_version_num`.

use pgrx::pg_sys;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What the executor is told to run, as it came to us.
#[derive(Clone, Copy)]
pub struct Run {
    /// The query.
    pub query: *mut pg_sys::QueryDesc,
    /// Forwards, as a rule.
    pub direction: pg_sys::ScanDirection::Type,
    /// How many rows; 0 for all.
    pub count: u64,
    /// Whether it is run once. Since 18 nobody says so any more.
    #[cfg(not(feature = "since_18"))]
    pub once: bool,
}

/// A function of `ExecutorRun`'s signature.
#[cfg(not(feature = "since_18"))]
pub type Executor =
    unsafe extern "C-unwind" fn(*mut pg_sys::QueryDesc, pg_sys::ScanDirection::Type, u64, bool);
/// A function of `ExecutorRun`'s signature.
#[cfg(feature = "since_18")]
pub type Executor = unsafe extern "C-unwind" fn(*mut pg_sys::QueryDesc, pg_sys::ScanDirection::Type, u64);

unsafe extern "C-unwind" {
    /// PostgreSQL's own, without the jump buffer that the declaration of pgrx sets.
    pub fn standard_ExecutorRun(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
        #[cfg(not(feature = "since_18"))] once: bool,
    );

    /// PostgreSQL's own. That it does not return, the headers of 18 say in a word that bindgen does not know.
    pub fn proc_exit(code: c_int) -> !;
}

impl Run {
    /// Has it run by that function.
    ///
    /// # Safety
    /// In a hook that was given these arguments.
    #[expect(ffi_unwind_calls, reason = "a long jump passes over this frame, which holds nothing to drop")]
    pub unsafe fn by(self, executor: Executor) {
        // SAFETY: the arguments are those that PostgreSQL gave us.
        unsafe {
            #[cfg(not(feature = "since_18"))]
            executor(self.query, self.direction, self.count, self.once);
            #[cfg(feature = "since_18")]
            executor(self.query, self.direction, self.count);
        }
    }
}

/// Makes a function that can stand in `ExecutorRun_hook` of one that takes a [`Run`].
macro_rules! executor_hook {
    ($name:ident, $run:path) => {
        unsafe extern "C-unwind" fn $name(
            query: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            #[cfg(not(feature = "since_18"))] once: bool,
        ) {
            // SAFETY: in the hook, with the arguments that it was given.
            unsafe {
                $run($crate::compat::Run {
                    query,
                    direction,
                    count,
                    #[cfg(not(feature = "since_18"))]
                    once,
                });
            }
        }
    };
}
pub(crate) use executor_hook;

/// Runs a portal to its end. `PortalRun` lost an argument with 18.
///
/// # Safety
/// As its protocol demands: a started portal, and a live receiver.
pub unsafe fn portal_run(portal: pg_sys::Portal, receiver: *mut pg_sys::DestReceiver) {
    let all = i64::MAX as core::ffi::c_long;
    let mut completion = pg_sys::QueryCompletion::default();
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(not(feature = "since_18"))]
        pg_sys::PortalRun(portal, all, true, true, receiver, receiver, &raw mut completion);
        #[cfg(feature = "since_18")]
        pg_sys::PortalRun(portal, all, true, receiver, receiver, &raw mut completion);
    }
}

/// A handler of signals.
pub type Handler = unsafe extern "C-unwind" fn(core::ffi::c_int);

/// Has a signal handled. The backend's function has a name of its own since 18.
///
/// # Safety
/// The handler does no more than a signal handler may.
pub unsafe fn handle_signal(signal: core::ffi::c_int, handler: Handler) {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(not(feature = "since_18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "since_18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// The first file of a relation, from the data directory. A file node is a locator since 16, and its path a value
/// since 18.
pub fn main_file(relation: &pg_sys::RelationData) -> PathBuf {
    let main = pg_sys::ForkNumber::MAIN_FORKNUM;
    // SAFETY: numbers in, and a text that ends with NUL out.
    unsafe {
        #[cfg(not(feature = "since_16"))]
        let path = {
            let node = relation.rd_node;
            pg_sys::GetRelationPath(node.dbNode, node.spcNode, node.relNode, -1, main)
        };
        #[cfg(feature = "since_16")]
        let path = {
            let node = relation.rd_locator;
            pg_sys::GetRelationPath(node.dbOid, node.spcOid, node.relNumber, -1, main)
        };
        #[cfg(feature = "since_18")]
        let path = path.str_.as_ptr();
        let path: *const c_char = path;
        PathBuf::from(OsStr::from_bytes(CStr::from_ptr(path).to_bytes()))
    }
}

/// All settings that there are. How many is told on the way since 16, and apart before.
pub fn all_settings() -> Vec<&'static pg_sys::config_generic> {
    // SAFETY: the array has as many elements as PostgreSQL says, and is copied at once. They live as long as the process
    // but for those that stand in for a library's, which is loaded already.
    unsafe {
        #[cfg(not(feature = "since_16"))]
        let (all, count) = (pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions());
        #[cfg(feature = "since_16")]
        let (all, count) = {
            let mut count = 0;
            (pg_sys::get_guc_variables(&raw mut count), count)
        };
        (0..usize::try_from(count).unwrap_or(0)).filter_map(|at| (*all.add(at)).as_ref()).collect()
    }
}

/// A query's number. It is signed since 18, the same bits before.
pub fn query_id(statement: &pg_sys::PlannedStmt) -> i64 {
    i64::from_ne_bytes(statement.queryId.to_ne_bytes())
}

/// Analyzes a partitioned table. Its partitions, which autovacuum looks after, can be left alone since 18.
pub const ANALYZE_WHOLE: &str = if cfg!(feature = "since_18") { "ANALYZE ONLY" } else { "ANALYZE" };

/// What each client's session that is not idle waits for at this moment, by database: the number of the event, 0 where
/// it waits for nothing.
pub fn waits_of_clients() -> Vec<(u32, u32)> {
    // SAFETY: the local copy of all backends' states is made by the first call and given back by the last one; the
    // entries are counted from 1 up to what that call says. A backend that has ended meanwhile has no process any more;
    // what it waits for is one word, which PostgreSQL itself reads without a lock.
    unsafe {
        let count = pg_sys::pgstat_fetch_stat_numbackends();
        let waits = (1..=count)
            .filter_map(|number| {
                #[cfg(not(feature = "since_16"))]
                let entry = pg_sys::pgstat_fetch_stat_local_beentry(number);
                #[cfg(feature = "since_16")]
                let entry = pg_sys::pgstat_get_local_beentry_by_index(number);
                let status = &entry.as_ref()?.backendStatus;
                let is_idle = [pg_sys::BackendState::STATE_UNDEFINED, pg_sys::BackendState::STATE_IDLE]
                    .contains(&status.st_state);
                if status.st_backendType != pg_sys::BackendType::B_BACKEND || is_idle {
                    return None;
                }
                let process = pg_sys::BackendPidGetProc(status.st_procpid).as_ref()?;
                let event = (&raw const process.wait_event_info).read_volatile();
                // Where activities are not tracked nobody knows who is idle; they wait for their client.
                let is_tracked = status.st_state != pg_sys::BackendState::STATE_DISABLED;
                (is_tracked || event & 0xff00_0000 != pg_sys::PG_WAIT_CLIENT)
                    .then(|| (status.st_databaseid.to_u32(), event))
            })
            .collect();
        pg_sys::pgstat_clear_backend_activity_snapshot();
        waits
    }
}
