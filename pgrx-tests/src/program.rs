//! Programs of others that look at what the extension says.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};

/// Programs that tests run where they are there.
const KNOWN: [&str; 5] = [
    "promtool",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-postgres-exporter",
    "prometheus-sql-exporter",
];

/// Where a program of that name is, if it is one of those that tests ask for; nothing for what is no program.
pub(crate) fn find(name: &str) -> Option<Option<PathBuf>> {
    KNOWN.contains(&name).then(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
    })
}

/// Runs a program on a text.
pub fn fed(program: &str, arguments: &[&str], input: &str) -> Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| program.to_owned())?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}
