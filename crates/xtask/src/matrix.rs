//! Every supported server: the README's two commands on bare systems that offer it, in one table.

mod page;
mod pypi;
mod root;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
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
        match Site::of(place, major) {
            Ok(site) => rows.push(site.row(major, options)?),
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

/// A place that is ready.
enum Site {
    Here,
    Root(Root),
    PyPi(PathBuf),
}

impl Site {
    fn of(place: Place, major: u32) -> Result<Self> {
        Ok(match place {
            Place::Here => Self::Here,
            Place::Debian(name) => Self::Root(Root::of_debian(name)?),
            Place::PyPi => Self::PyPi(pypi::pg_config(major)?),
        })
    }

    fn system(&self) -> String {
        let here = || page::system(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        match self {
            Self::Here => here(),
            Self::Root(root) => format!("{}, bare", root.system()),
            Self::PyPi(_) => format!("{}, server from PyPI", here()),
        }
    }

    fn cargo(&self, args: &[&str]) -> Result<Command> {
        let mut command = match self {
            Self::Root(root) => return root.cargo(args),
            Self::Here | Self::PyPi(_) => cargo(args),
        };
        if let Self::PyPi(pg_config) = self {
            command.env(PG_CONFIG, pg_config);
        }
        Ok(command)
    }

    /// The two commands, and what became of them.
    fn row(&self, major: u32, options: &Options) -> Result<Row> {
        let mut row = Row::of(major, self.system());
        row.demo(self.cargo(&["xtask", "demo"])?)?;
        if !matches!(self, Self::Root(_)) {
            // In a root it has ended with the command.
            self.cargo(&["xtask", "demo", "--stop"])?.stdout(Stdio::null()).status()?;
        }
        row.tests(self.cargo(&["xtask", "test"])?, &options.filters())?;
        Ok(row)
    }
}

impl Row {
    /// Runs the first of the two commands.
    fn demo(&mut self, mut command: Command) -> Result<()> {
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
        // Without such a line it did not come to its end.
        self.tally += said.unwrap_or(Tally { failed: 1, ..Tally::default() });
        Ok(())
    }
}
