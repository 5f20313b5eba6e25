//! Every supported server: the README's two commands on bare systems that offer it, in one table.

mod page;
mod pypi;
mod root;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use groundskeeper_sandbox::installation::{PG_CONFIG, RELEASES};

use crate::process::{announce, cargo};
use crate::setup::Choice;
use crate::tally::Tally;
use page::Row;
use root::Root;

/// What must hold on every server, for a run that has no time for all: the install, that rolling back leaves an
/// identical database, a table that becomes partitions and goes back, the migration, jobs, and latency.
const ESSENTIAL: [&str; 11] = [
    "install::",
    "rollback::",
    "smoke::",
    "conversion::roundtrip::",
    "conversion::refusals::",
    "conversion::releases::",
    "migration::must_show::",
    "migration::ways::",
    "jobs::life::",
    "jobs::partitioned::",
    "latency::statements::",
];

/// Options of `cargo xtask matrix`.
#[derive(clap::Args)]
pub struct Options {
    /// Only these major versions
    #[arg(long, value_name = "MAJOR")]
    pg: Vec<u32>,
    /// Only what must hold on every server, on those that `cargo xtask test` does not take by itself
    #[arg(long, conflicts_with = "filters")]
    essential: bool,
    /// Run only tests whose names contain one of these
    filters: Vec<String>,
}

impl Options {
    fn wants(&self, place: Place, major: u32) -> bool {
        (self.pg.is_empty() || self.pg.contains(&major)) && !(self.essential && matches!(place, Place::Here))
    }

    fn filters(&self) -> Vec<&str> {
        if self.essential {
            return ESSENTIAL.to_vec();
        }
        self.filters.iter().map(String::as_str).collect()
    }

    /// Whether it is all of the table that is on the page.
    fn is_whole(&self) -> bool {
        self.pg.is_empty() && self.filters.is_empty() && !self.essential
    }
}

/// Where a release is to be had.
#[derive(Clone, Copy)]
enum Place {
    /// On this system, with the server that the two commands take by themselves
    Here,
    /// In the bare root of a Debian release, by its code name
    Debian(&'static str),
    /// From PyPI, run on this system
    PyPi,
}

/// Where a release is to be had that this system does not take by itself.
const ELSEWHERE: [(u32, Place); 4] = [
    (15, Place::Debian("bookworm")),
    (16, Place::PyPi),
    (17, Place::Debian("trixie")),
    (18, Place::Debian("sid")),
];

/// `cargo xtask matrix`
pub fn run(options: &Options) -> Result<()> {
    let here = Choice::default().major()?;
    ensure!(RELEASES.contains(&here), "this system's PostgreSQL {here} is not supported");
    let others = ELSEWHERE.into_iter().filter(|(major, _)| *major != here);
    let mut places: Vec<(u32, Place)> = std::iter::once((here, Place::Here)).chain(others).collect();
    places.sort_by_key(|(major, _)| *major);
    places.retain(|(major, place)| options.wants(*place, *major));
    let mut rows = Vec::new();
    for (major, place) in places {
        let row = match place {
            Place::Here => here_row(major, options),
            Place::Debian(name) => debian_row(major, name, options),
            Place::PyPi => pypi_row(major, options),
        };
        match row {
            Ok(row) => rows.push(row),
            // What cannot be had on this machine is no failure of the project's, but the page needs all of it.
            Err(error) if options.essential => announce(format!("skipped PostgreSQL {major}: {error:#}")),
            Err(error) => return Err(error.context(format!("PostgreSQL {major} is not to be had"))),
        }
    }
    let table = page::table(&rows);
    println!("\n{table}");
    if options.is_whole() {
        page::write(&rows)?;
    }
    let mut tally = Tally::default();
    rows.iter().for_each(|row| tally += row.tally);
    println!("{tally}");
    ensure!(tally.failed == 0, "not all is well");
    Ok(())
}

fn here_row(major: u32, options: &Options) -> Result<Row> {
    let mut row = Row::of(major, this_system());
    row.command(cargo(&["xtask", "demo"]))?;
    end(cargo(&["xtask", "demo", "--stop"]))?;
    row.tests(cargo(&["xtask", "test"]), &options.filters())?;
    Ok(row)
}

fn debian_row(major: u32, name: &str, options: &Options) -> Result<Row> {
    let root = Root::of_debian(name)?;
    let mut row = Row::of(major, format!("{}, bare", root.system()));
    row.command(root.cargo(&["xtask", "demo"])?)?;
    row.tests(root.cargo(&["xtask", "test"])?, &options.filters())?;
    Ok(row)
}

fn pypi_row(major: u32, options: &Options) -> Result<Row> {
    let pg_config = pypi::pg_config(major)?;
    let with = |args: &[&str]| {
        let mut command = cargo(args);
        command.env(PG_CONFIG, &pg_config);
        command
    };
    let mut row = Row::of(major, format!("{}, server from PyPI", this_system()));
    row.command(with(&["xtask", "demo"]))?;
    end(with(&["xtask", "demo", "--stop"]))?;
    row.tests(with(&["xtask", "test"]), &options.filters())?;
    Ok(row)
}

fn this_system() -> String {
    page::system(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn end(mut command: Command) -> Result<()> {
    command.stdout(Stdio::null()).status().map(drop).context("the demo's server could not be ended")
}

impl Row {
    /// Runs the first of the two commands.
    fn command(&mut self, mut command: Command) -> Result<()> {
        announce(format!("PostgreSQL {} on {}: cargo xtask demo", self.major, self.system));
        if command.status()?.success() {
            self.tally.passed += 1;
        } else {
            self.tally.failed += 1;
        }
        Ok(())
    }

    /// Runs the second, and reads the line at its end and what it says of what was skipped.
    fn tests(&mut self, mut command: Command, filters: &[&str]) -> Result<()> {
        announce(format!("PostgreSQL {} on {}: cargo xtask test", self.major, self.system));
        let mut child = command.args(filters).stdout(Stdio::piped()).spawn()?;
        let mut said = None;
        for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
            let line = line?;
            println!("{line}");
            if let Some((_, lacking)) = line.strip_prefix("skipped ").and_then(|line| line.split_once(": ")) {
                *self.lacking.entry(lacking.to_owned()).or_default() += 1;
            }
            said = Tally::closing(&line).or(said);
        }
        child.wait()?;
        let Some(tally) = said else {
            bail!("cargo xtask test ended without a result on PostgreSQL {}", self.major)
        };
        self.tally += tally;
        Ok(())
    }
}
