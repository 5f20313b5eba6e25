//! A worker's session.

use super::Between;
use crate::backend;
use crate::compat;
use crate::settings;
use groundskeeper_core::job::Limits;
use pgrx::pg_sys;
use std::ffi::{CStr, CString};
use std::num::NonZeroUsize;

/// What `ALTER ROLE` and `ALTER DATABASE ... SET` may say of maintenance, too: how much it may take, where it puts things,
/// how durable it is, and what is logged of it.
const HEEDED: [&str; 14] = [
    "backend_flush_after",
    "default_tablespace",
    "effective_io_concurrency",
    "maintenance_io_concurrency",
    "maintenance_work_mem",
    "synchronous_commit",
    "temp_buffers",
    "temp_tablespaces",
    "track_io_timing",
    "vacuum_cost_delay",
    "vacuum_cost_limit",
    "wal_compression",
    "work_mem",
    "application_name",
];

/// Of a group of settings all are heeded: what is logged, our own, and those of other extensions and of applications.
fn is_heeded(name: &str) -> bool {
    HEEDED.contains(&name) || name.starts_with("log_") || name.contains('.')
}

/// What the server's configuration says, which is what a process begins with before it connects.
pub struct OfServer(Vec<(CString, CString)>);

impl OfServer {
    /// To be asked for before a worker connects.
    pub fn of_new_process() -> Self {
        let settable =
            |context| context == pg_sys::GucContext::PGC_USERSET || context == pg_sys::GucContext::PGC_SUSET;
        let all = compat::all_settings().into_iter().filter(|setting| settable(setting.context));
        let known = all.filter_map(|setting| {
            // SAFETY: a setting has a name; its value is a text that is copied before anything else is asked for.
            unsafe {
                let value = pg_sys::GetConfigOption(setting.name, true, false).as_ref()?;
                Some((CStr::from_ptr(setting.name).to_owned(), CStr::from_ptr(value).to_owned()))
            }
        });
        Self(known.collect())
    }

    /// What a role's or a database's word stands against, and is not heeded.
    fn overruled(&self) -> Vec<(&str, &str)> {
        let others = compat::all_settings().into_iter().filter(|setting| {
            use pg_sys::GucSource::{PGC_S_DATABASE_USER, PGC_S_GLOBAL};
            (PGC_S_GLOBAL..=PGC_S_DATABASE_USER).contains(&setting.source)
        });
        // SAFETY: a setting has a name.
        let others: Vec<&CStr> = others.map(|setting| unsafe { CStr::from_ptr(setting.name) }).collect();
        let overruled = self.0.iter().filter(|(name, _)| others.contains(&name.as_c_str()));
        let shown = overruled.filter_map(|(name, value)| Some((name.to_str().ok()?, value.to_str().ok()?)));
        shown.filter(|(name, _)| !is_heeded(name)).collect()
    }
}

/// What `ALTER ROLE` or `ALTER DATABASE ... SET` gave the session does not hold for maintenance, with few exceptions; nor
/// do settings of the whole server that have stopped or bent a build on a real one.
pub fn own(between: &mut Between, server: &OfServer) {
    server.overruled().into_iter().for_each(|(name, value)| set(between, name, value));
    let zone = settings::timezone();
    let parallel_workers = parallel_maintenance_workers().to_string();
    let encoding = backend::encoding_name();
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
        ("session_replication_role", "origin"),
        // names are compared as texts
        ("quote_all_identifiers", "off"),
        // values travel as texts, which must read back as they were
        ("client_encoding", encoding.as_str()),
        ("datestyle", "ISO, YMD"),
        ("intervalstyle", "postgres"),
        ("extra_float_digits", "1"),
        ("bytea_output", "hex"),
        ("array_nulls", "on"),
        ("standard_conforming_strings", "on"),
        ("transform_null_equals", "off"),
        ("plpgsql.variable_conflict", "error"),
        ("plpgsql.extra_errors", "none"),
        ("plpgsql.extra_warnings", "none"),
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
