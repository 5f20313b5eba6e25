//! Latency of statements and transactions: counted by hooks, in shared memory, where the library is preloaded.
//!
//! The hooks take no lock and allocate nothing. `groundskeeper-core` decides what a look at the clock means
//! (`stopwatch`) and what is made of the counts (`histogram`).

mod client;
mod history;
mod hooks;
mod session;
mod shared;
mod statements;
pub mod waits;

pub use history::{of_statements, sample, since, since_start, statements_since, steps, unsampled};
pub use session::is_upkeep;

use crate::backend;
use std::collections::HashMap;

/// Asks for the shared memory and puts the hooks in place, while `shared_preload_libraries` are loaded.
pub fn register() {
    if backend::is_preloading() {
        shared::register();
        hooks::register();
        client::register();
    }
}

/// Why nothing is counted in this database, if so.
pub fn uncounted() -> Option<String> {
    let Some(shared) = shared::get() else {
        return Some(
            "latency is not counted: pg_groundskeeper is not in shared_preload_libraries".to_owned(),
        );
    };
    shared.database(backend::database().to_u32()).is_none().then(|| {
        format!(
            "latency is not counted in this database: {} others have taken all counters that there are",
            shared::DATABASES
        )
    })
}

/// Whether the library is preloaded.
pub fn is_preloaded() -> bool {
    shared::get().is_some()
}

/// What failed statements of this database say, without constants, by query identifier: for who may see everybody's.
pub fn texts() -> HashMap<i64, Vec<u8>> {
    shared::get().map(|shared| shared.statements.texts(backend::database().to_u32())).unwrap_or_default()
}

/// How many statements can be told apart, of all databases together.
pub const STATEMENTS: usize = statements::SLOTS;
