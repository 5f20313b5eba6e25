//! Every check and every test, in tiers, with one line at the end.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use groundskeeper_sandbox::installation::{Installation, PG_CONFIG};
use groundskeeper_sandbox::server;

use crate::process::{announce, cargo};
use crate::setup::Choice;
use crate::tally::Tally;
use crate::{install, lint};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// A real sportsbook feed; without it, what needs one is skipped
    #[arg(long, value_name = "FILE")]
    odds: Option<PathBuf>,
    /// Run the tests this many times, each time on a new server
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    repeat: u32,
    #[command(flatten)]
    choice: Choice,
    /// Try pg_upgrade, too, from this major version, which is installed beside the other
    #[arg(long, value_name = "MAJOR")]
    former: Option<u32>,
    /// Call each function so often with what it was not made for, by a new seed or by one that was printed
    #[arg(long, value_name = "CALLS[:SEED]")]
    fuzz: Option<String>,
    /// Run only tests whose names contain one of these
    filters: Vec<String>,
}

/// `cargo xtask test`
pub fn run(options: &Options) -> Result<()> {
    let mut tally = Tally::default();
    let outcome = tiers(options, &mut tally);
    if let Err(error) = &outcome {
        eprintln!("error: {error:#}");
        tally.failed += 1;
    }
    println!("{tally}");
    if tally.failed > 0 {
        bail!("not all is well");
    }
    Ok(())
}

/// A tier that fails does not keep the next from running, but without a built extension none can.
fn tiers(options: &Options, tally: &mut Tally) -> Result<()> {
    let odds =
        options.odds.as_ref().map(|file| file.canonicalize().with_context(|| format!("{}", file.display())));
    let odds = odds.transpose()?;
    let installation = options.choice.for_tests()?;
    if options.filters.is_empty() {
        tally.check(lint::format());
        tally.check(lint::clippy(&installation));
    }
    let former = options.former.map(|major| Choice { pg: Some(major) }.beside()).transpose()?;
    for server in former.iter().chain([&installation]) {
        install::run(server, install::Profile::Checked)?;
        install::released(server)?;
    }
    for round in 1..=options.repeat {
        if options.repeat > 1 {
            announce(format!("round {round} of {}", options.repeat));
        }
        unit_tests(&options.filters, tally)?;
        client_tests(&installation, former.as_ref(), options, odds.as_deref(), tally)?;
    }
    Ok(())
}

fn unit_tests(filters: &[String], tally: &mut Tally) -> Result<()> {
    announce("unit tests");
    let packages = ["groundskeeper-bench", "groundskeeper-core", "groundskeeper-sandbox", "xtask"];
    let mut unit = cargo(&["test", "--quiet", "--no-fail-fast"]);
    unit.args(packages.iter().flat_map(|package| ["--package", package]));
    *tally += libtest(unit.arg("--").args(filters))?;
    Ok(())
}

fn client_tests(
    installation: &Installation,
    former: Option<&Installation>,
    options: &Options,
    odds: Option<&Path>,
    tally: &mut Tally,
) -> Result<()> {
    let mut settings: Vec<(&str, OsString)> = Vec::new();
    let mut arguments: Vec<&str> = options.filters.iter().map(String::as_str).collect();
    settings.extend(options.fuzz.iter().map(|fuzz| ("GROUNDSKEEPER_FUZZ", fuzz.into())));
    settings.extend(former.map(|former| ("GROUNDSKEEPER_FORMER", former.pg_config().into())));
    if let Some(odds) = odds {
        settings.push(("GROUNDSKEEPER_ODDS", odds.into()));
        arguments.push("--include-ignored");
    }
    client(installation, &settings, &arguments, tally)
}

/// Runs the client tests on a server of their own.
pub fn client(
    installation: &Installation,
    settings: &[(&str, impl AsRef<OsStr>)],
    arguments: &[&str],
    tally: &mut Tally,
) -> Result<()> {
    announce(format!("client tests on PostgreSQL {}", installation.major()));
    // Each test has a database of its own there, and the dispatcher of each takes a worker beside its jobs.
    let server = server::Options::default().set("max_worker_processes", "32").start()?;
    let mut client = cargo(&["test", "--quiet", "--no-fail-fast", "--package", "groundskeeper-tests"]);
    let skipped = server.base().join("skipped");
    client.env("GROUNDSKEEPER_SERVER", server.base()).env("GROUNDSKEEPER_SKIPPED", &skipped);
    client.env(PG_CONFIG, installation.pg_config());
    client.envs(settings.iter().map(|(name, value)| (name, value.as_ref())));
    client.arg("--").args(arguments);
    let mut found = libtest(&mut client)?;
    found.skip(&fs::read_to_string(&skipped).unwrap_or_default());
    *tally += found;
    Ok(())
}

/// Runs tests, shows what they print, and counts.
fn libtest(command: &mut Command) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut tally = Tally::default();
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let line = line?;
        println!("{line}");
        tally += Tally::read(&line).unwrap_or_default();
    }
    if !child.wait()?.success() && tally.failed == 0 {
        // They did not compile, or died.
        tally.failed += 1;
    }
    Ok(tally)
}
