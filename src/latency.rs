//! Latency of statements and transactions: counted by hooks, in shared memory, where the library is preloaded.
//!
//! The hooks take no lock and allocate nothing. `groundskeeper-core` decides what a look at the clock means
//! (`stopwatch`) and what is made of the counts (`histogram`).

mod history;
mod hooks;
mod session;
mod shared;
mod statements;

pub use history::{sample, since, statements_since};

use pgrx::pg_sys;

/// Asks for the shared memory and puts the hooks in place, while `shared_preload_libraries` are loaded.
pub fn register() {
    // SAFETY: a plain read of the server's own global.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        shared::register();
        hooks::register();
    }
}
