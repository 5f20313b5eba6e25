//! Every check and every test, in tiers, with one line at the end.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use groundskeeper_sandbox::server;

use crate::process::{announce, cargo};
use crate::{install, lint, setup};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// A real sportsbook feed; without it, what needs one is skipped
    #[arg(long, value_name = "FILE")]
    odds: Option<PathBuf>,
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
    let installation = setup::for_tests()?;
    if options.filters.is_empty() {
        tally.check(lint::format());
        tally.check(lint::clippy(&installation));
    }
    install::run(&installation)?;

    announce("unit tests");
    let packages = ["groundskeeper-bench", "groundskeeper-core", "groundskeeper-sandbox", "xtask"];
    let mut unit = cargo(&["test", "--quiet", "--no-fail-fast"]);
    unit.args(packages.iter().flat_map(|package| ["--package", package]));
    *tally += libtest(unit.arg("--").args(&options.filters))?;

    announce("client tests");
    let server = server::Options::default().start()?;
    let mut client = cargo(&["test", "--quiet", "--no-fail-fast", "--package", "groundskeeper-tests"]);
    client.env("GROUNDSKEEPER_SERVER", server.base());
    client.arg("--").args(&options.filters);
    if let Some(fuzz) = &options.fuzz {
        client.env("GROUNDSKEEPER_FUZZ", fuzz);
    }
    if let Some(odds) = odds {
        client.env("GROUNDSKEEPER_ODDS", odds).arg("--include-ignored");
    }
    *tally += libtest(&mut client)?;
    drop(server);
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

/// How many passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn read(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| -> Option<u64> {
            counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }

    fn check(&mut self, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed += 1;
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_are_read_and_added_up() {
        let mut tally = Tally::default();
        tally += Tally::read("test result: ok. 13 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out")
            .unwrap();
        tally +=
            Tally::read("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out")
                .unwrap();
        assert_eq!(tally.to_string(), "15 passed, 1 failed, 1 skipped");
        assert_eq!(Tally::read("test feed ... ok"), None);
    }
}
