//! A worker's session.

use super::Between;
use crate::backend;
use crate::settings;
use groundskeeper_core::job::Limits;
use pgrx::pg_sys;
use std::ffi::CString;
use std::num::NonZeroUsize;

/// What `ALTER ROLE` or `ALTER DATABASE ... SET` gave the session does not hold for maintenance: each of these has stopped or bent a
/// build on a real server.
pub fn own(between: &mut Between) {
    let zone = settings::timezone();
    let parallel_workers = parallel_maintenance_workers().to_string();
    let settings = [
        ("role", "none"),
        ("search_path", ""),
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("default_transaction_read_only", "off"),
        ("default_transaction_isolation", "read committed"),
        ("default_transaction_deferrable", "off"),
        ("row_security", "off"),
        // values travel as texts, which must read back as they were
        ("datestyle", "ISO, YMD"),
        ("intervalstyle", "postgres"),
        ("extra_float_digits", "1"),
        ("timezone", zone.as_str()),
        ("max_parallel_maintenance_workers", parallel_workers.as_str()),
        // Who waits that long looks for deadlocks, gives way, and makes autovacuum give way: before lock_timeout.
        ("deadlock_timeout", "50ms"),
    ];
    settings.into_iter().for_each(|(name, value)| set(between, name, value));
}

/// What the session writes from now on is on its way to the disk at once: a pile that the kernel writes later, in one go,
/// would keep the commits of others waiting. For a long copy through the buffers; what builds of indexes append passes
/// them by, and is looked after by `writeback`.
pub fn write_at_once(between: &mut Between) {
    set(between, "backend_flush_after", "256kB");
}

/// Sets what is the worker's own business, whichever role it connects as.
pub fn set(_: &mut Between, name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else { return };
    // SAFETY: between transactions, as the caller's token says, with NUL-terminated strings, as the SET of a superuser's session would.
    unsafe {
        pg_sys::StartTransactionCommand();
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
        pg_sys::CommitTransactionCommand();
    }
}

/// How many processors there are.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// What the server is set to, within what is left of the half of the processors that builds may take.
fn parallel_maintenance_workers() -> usize {
    let left = Limits::new(settings::max_workers(), cores()).parallel_workers;
    backend::parallel_maintenance_workers().min(left)
}
