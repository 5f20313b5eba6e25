//! Latency of statements and transactions: counted by hooks, in shared memory, where the library is preloaded.
//!
//! The hooks take no lock and allocate nothing. `groundskeeper-core` decides what a look at the clock means
//! (`stopwatch`) and what is made of the counts (`histogram`).

mod history;
mod hooks;
mod session;
mod shared;
mod statements;

pub use history::{of_statements, sample, since, since_start, statements_since, steps, unsampled};

use crate::backend;

/// Asks for the shared memory and puts the hooks in place, while `shared_preload_libraries` are loaded.
pub fn register() {
    if backend::is_preloading() {
        shared::register();
        hooks::register();
    }
}

/// Whether latency is counted here: the library is preloaded.
pub fn is_counting() -> bool {
    shared::get().is_some()
}
