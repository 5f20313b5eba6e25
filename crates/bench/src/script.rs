//! Suites that are SQL by nature, as scripts of psql's.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use postgres::Client;

/// The database that a script runs in.
const DATABASE: &str = "bench";

/// Runs the parts of a script in a new database; the client that is returned reads what it left there.
pub fn run(server: &Server, parts: &[&str], rows: u64, rounds: usize) -> Result<Client> {
    server.create_database(DATABASE, "template0")?;
    let mut psql = server.client_program("psql", DATABASE);
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    psql.args(["--set", &format!("rows={rows}"), "--set", &format!("rounds={rounds}")]);
    let mut psql = psql.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = psql.stdin.take() {
        parts.iter().try_for_each(|part| stdin.write_all(part.as_bytes()))?;
    }
    ensure!(psql.wait()?.success(), "the script stopped");
    server.connect(DATABASE, SUPERUSER)
}
