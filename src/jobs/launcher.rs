//! The launcher: where the library is preloaded, it looks once into each database when the server has started,
//! so that jobs which a crash or a restart interrupted go on by themselves.

use super::dispatcher;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, SignalWakeFlags};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::time::Duration;

/// Registers the launcher; called while `shared_preload_libraries` are loaded. It starts when recovery is over,
/// so never on a standby, and not at all while `pg_upgrade` runs the server.
pub fn register() {
    // SAFETY: plain reads of the server's own globals.
    let (preloading, upgrading) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if !preloading || upgrading {
        return;
    }
    BackgroundWorkerBuilder::new("pg_groundskeeper launcher")
        .set_library("pg_groundskeeper")
        .set_function("groundskeeper_launcher")
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(5)))
        .enable_spi_access()
        .load();
}

/// The launcher's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_launcher(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // SAFETY: no database: only the catalogs that all databases share can be read, which is all that we need.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    for database in databases() {
        while !dispatcher::start_in(database) {
            // No worker is free now; the jobs are not in such a hurry that this database should be left out.
            if !BackgroundWorker::wait_latch(Some(Duration::from_secs(5))) {
                return;
            }
        }
        if !BackgroundWorker::wait_latch(Some(Duration::from_millis(200))) {
            return;
        }
    }
    // Staying costs nothing; leaving would have the postmaster start us again.
    while BackgroundWorker::wait_latch(None) {}
}

/// The databases that can be connected to, templates left alone.
fn databases() -> Vec<pg_sys::Oid> {
    let mut found = Vec::new();
    // SAFETY: a sequential scan of a shared catalog inside a transaction, as autovacuum's launcher does it; each
    // tuple is read before the next is fetched.
    unsafe {
        pg_sys::StartTransactionCommand();
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row: *const pg_sys::FormData_pg_database = pg_sys::GETSTRUCT(tuple).cast();
            if (*row).datallowconn && !(*row).datistemplate {
                found.push((*row).oid);
            }
        }
        pg_sys::heap_endscan(scan.cast());
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        pg_sys::CommitTransactionCommand();
    }
    found
}
