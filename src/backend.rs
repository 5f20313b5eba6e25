//! Plain reads of what this process knows of itself and of the server, none of which can do harm. All of it is there
//! before any function of ours is called; a worker has it from the moment it is connected.

use pgrx::pg_sys;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// The database that it is connected to.
pub fn database() -> pg_sys::Oid {
    // SAFETY: a plain read of what is fixed for the life of the process.
    unsafe { pg_sys::MyDatabaseId }
}

/// The database's encoding, as it is called.
pub fn encoding_name() -> String {
    // SAFETY: a constant text that ends with NUL.
    unsafe { CStr::from_ptr(pg_sys::GetDatabaseEncodingName()) }.to_string_lossy().into_owned()
}

/// Its process id.
pub fn process() -> i32 {
    // SAFETY: a plain read of what is fixed for the life of the process.
    unsafe { pg_sys::MyProcPid }
}

/// Whether it serves a client: not a worker, parallel or other, and not a WAL sender.
pub fn is_client() -> bool {
    // SAFETY: a plain read of what is fixed for the life of the process.
    unsafe { pg_sys::MyBackendType == pg_sys::BackendType::B_BACKEND }
}

/// The current role: what CURRENT_USER says.
pub fn role() -> pg_sys::Oid {
    // SAFETY: a plain read of the process's own state.
    unsafe { pg_sys::GetUserId() }
}

/// Whether the current role is a superuser.
pub fn is_superuser() -> bool {
    // SAFETY: in a transaction; looks at the current role.
    unsafe { pg_sys::superuser() }
}

/// The role that the session logged in as, or was authorized as since: what RESET ROLE goes back to.
pub fn session_role() -> pg_sys::Oid {
    // SAFETY: a plain read of the process's own state.
    unsafe { pg_sys::GetSessionUserId() }
}

/// The current transaction's number, if it has written anything.
pub fn transaction() -> Option<pg_sys::TransactionId> {
    // SAFETY: a plain read of the process's own state.
    let number = unsafe { pg_sys::GetTopTransactionIdIfAny() };
    (number != pg_sys::InvalidTransactionId).then_some(number)
}

/// Whether all statements of the current transaction see what was committed when it began.
pub fn has_one_snapshot() -> bool {
    // SAFETY: a plain read of the process's own state.
    let level = unsafe { pg_sys::XactIsoLevel };
    level >= pg_sys::XACT_REPEATABLE_READ as i32
}

/// Whether `CREATE EXTENSION` or `ALTER EXTENSION UPDATE` is running a script.
pub fn is_creating_extension() -> bool {
    // SAFETY: a plain read of the process's own state.
    unsafe { pg_sys::creating_extension }
}

/// Whether `shared_preload_libraries` are being loaded.
pub fn is_preloading() -> bool {
    // SAFETY: a plain read of the server's state.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Whether the server has preloaded the library.
static PRELOADED: AtomicBool = AtomicBool::new(false);

/// Notes that the server preloads the library: every process begins with a copy of what the postmaster has noted.
pub fn note_preloaded() {
    PRELOADED.store(true, Ordering::Relaxed);
}

/// Whether the server has preloaded the library, and so has a launcher.
pub fn is_preloaded() -> bool {
    PRELOADED.load(Ordering::Relaxed)
}

/// Whether `pg_upgrade` runs the server.
pub fn is_upgrading() -> bool {
    // SAFETY: a plain read of the server's state.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// Whether the server is in recovery, as a standby always is.
pub fn is_in_recovery() -> bool {
    // SAFETY: a look at the server's state, which needs no transaction.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Which cluster this is: copies of one have the same number.
pub fn cluster() -> u64 {
    // SAFETY: reads what is fixed for the life of the server.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// How many workers one maintenance command may take.
pub fn parallel_maintenance_workers() -> usize {
    // SAFETY: a plain read of the process's own setting.
    let configured = unsafe { pg_sys::max_parallel_maintenance_workers };
    usize::try_from(configured).unwrap_or(0)
}

/// Whether requests to stop wait for [`heed_requests_to_stop`].
static HELD: AtomicBool = AtomicBool::new(false);

/// Whether the function that was called may be between two commits of a procedure; to be asked before it uses SPI.
pub fn is_in_procedure() -> bool {
    // SAFETY: reads the backend's own state.
    unsafe { pg_sys::SPI_inside_nonatomic_context() }
}

/// Lets requests to stop wait, until the next call of ours: between two of them a procedure commits, and one that
/// ended there would not be written down. An error ends this, as it does for PostgreSQL's own. Only in a procedure,
/// which makes that call.
pub fn hold_requests_to_stop() {
    if !HELD.swap(true, Ordering::Relaxed) {
        // SAFETY: the backend's own counter, which the backend's one thread reads.
        unsafe { pg_sys::InterruptHoldoffCount += 1 };
    }
}

/// Requests to stop are heeded again; those that came meanwhile at once, if so wished. Whether they had to wait.
pub fn heed_requests_to_stop(at_once: bool) -> bool {
    let held = HELD.swap(false, Ordering::Relaxed);
    if held {
        // SAFETY: as above; an error may have set it to nothing.
        unsafe { pg_sys::InterruptHoldoffCount = pg_sys::InterruptHoldoffCount.saturating_sub(1) };
    }
    if at_once {
        pgrx::check_for_interrupts!();
    }
    held
}

/// Forgets a request to cancel that has come: one that was answered is often made twice, as the postmaster signals the
/// process and its group.
pub fn forget_request_to_cancel() {
    // SAFETY: the backend's own flag, which its signal handler sets and its one thread reads.
    unsafe { pg_sys::QueryCancelPending = 0 };
}
