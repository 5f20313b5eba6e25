//! What the client tests share: one server for all, and one database for each.
//!
//! `cargo xtask test` starts the server and names its directory in `GROUNDSKEEPER_SERVER`. A test
//! that stops, kills or configures a server starts one of its own from
//! [`groundskeeper_sandbox::server`].
#![forbid(unsafe_code)]

mod database;
mod facts;
mod former;
mod lacking;
pub mod pgbouncer;
pub mod plan;
mod program;
pub mod prometheus;
pub mod python;
pub mod sample;
pub mod sql;
mod standby;
mod template;
mod waiting;

use std::path::Path;

use anyhow::{Context as _, Result};
use groundskeeper_sandbox::server::Server;

pub use database::{TestDb, difference};
pub use facts::facts;
pub use former::{FORMER, former, upgrade};
pub use lacking::{is_there, lacks, older_than};
pub use program::fed;
pub use standby::standby_of;
pub use template::Template;
pub use waiting::{PATIENCE, SetAtEnd};

/// The environment variable with the shared server's directory.
pub const SERVER: &str = "GROUNDSKEEPER_SERVER";
/// The environment variable with how many calls of each function are to be made, and by which seed: `CALLS:SEED`.
pub const FUZZ: &str = "GROUNDSKEEPER_FUZZ";
/// The environment variable with the path of a real sportsbook feed.
pub const ODDS: &str = "GROUNDSKEEPER_ODDS";

/// The server that all tests share.
pub fn server() -> Result<Server> {
    let base = std::env::var_os(SERVER).with_context(|| {
        format!("{SERVER} is not set: run the client tests with `cargo xtask test [FILTER]`")
    })?;
    Server::attach(Path::new(&base))
}
