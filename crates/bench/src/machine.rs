//! Where figures come from: without it they are worth nothing.

use std::process::Command;

use anyhow::Result;
use groundskeeper_sandbox::installation::Installation;
use serde::{Deserialize, Serialize};

use xtask::process::{ask, repository};

/// What it was measured on and with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of its threads there are.
    pub processors: usize,
    /// Memory, in gigabytes.
    pub memory: u64,
    /// The operating system and its kernel.
    pub system: String,
    /// The server's version.
    pub postgresql: String,
    /// The compiler's version.
    pub rust: String,
    /// The commit that was measured; `+` where files differed from it.
    pub commit: String,
}

impl Machine {
    /// This one.
    pub fn look(installation: &Installation) -> Result<Self> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes = field(&memory, "MemTotal").split(' ').next().and_then(|n| n.parse::<u64>().ok());
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let system = system.unwrap_or(std::env::consts::OS).trim_matches('"').to_owned();
        let kernel = ask(Command::new("uname").arg("-r")).unwrap_or_default();
        let git = |args: &[&str]| ask(Command::new("git").args(args).current_dir(repository()));
        let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default();
        // A report that is being written changes no result.
        let dirty = git(&[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":!docs",
            ":!crates/bench/results",
        ]);
        Ok(Self {
            processor: field(&cpu, "model name"),
            processors: std::thread::available_parallelism()?.get(),
            memory: kilobytes.unwrap_or(0).div_ceil(1024 * 1024),
            system: format!("{system}, Linux {kernel}"),
            postgresql: ask(installation.program("postgres").arg("--version")).unwrap_or_default(),
            rust: ask(Command::new("rustc").arg("--version")).unwrap_or_default(),
            commit: commit + if dirty.is_some_and(|files| !files.is_empty()) { "+" } else { "" },
        })
    }
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}
