//! Every supported server: the README's two commands on bare systems that offer it, in one table.

mod page;
mod pypi;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Result, ensure};
use groundskeeper_sandbox::installation::{PG_CONFIG, RELEASES};

use crate::process::{announce, cargo, relay};
use crate::root::{Root, system};
use crate::setup::Choice;
use crate::tally::Tally;
use page::Row;

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
    /// All tests with the server that `cargo xtask test` takes by itself, and on the others only what must hold everywhere
    #[arg(long, conflicts_with = "filters")]
    essential: bool,
    /// Run only tests whose names contain one of these
    filters: Vec<String>,
}

impl Options {
    fn wants(&self, major: u32) -> bool {
        self.pg.is_empty() || self.pg.contains(&major)
    }

    fn filters(&self, site: &Site) -> Vec<&str> {
        match site {
            Site::Here if self.essential => Vec::new(),
            _ if self.essential => ESSENTIAL.to_vec(),
            _ => self.filters.iter().map(String::as_str).collect(),
        }
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

/// The release of the Debian before, and that one's code name: from it pg_upgrade is tried in the root of a release.
fn former(major: u32) -> Option<(u32, &'static str)> {
    let before = ELSEWHERE.iter().rev().skip_while(|(release, _)| *release != major).skip(1);
    before.into_iter().find_map(|(release, place)| match place {
        Place::Debian(name) => Some((*release, *name)),
        Place::Here | Place::PyPi => None,
    })
}

/// `cargo xtask matrix`
pub fn run(options: &Options) -> Result<()> {
    let here = Choice::default().major()?;
    ensure!(RELEASES.contains(&here), "this system's PostgreSQL {here} is not supported");
    let others = ELSEWHERE.into_iter().filter(|(major, _)| *major != here);
    let mut places: Vec<(u32, Place)> = std::iter::once((here, Place::Here)).chain(others).collect();
    places.sort_by_key(|(major, _)| *major);
    places.retain(|(major, _)| options.wants(*major));
    let mut rows = on_both_kinds_of_places(places, options)?;
    rows.sort_by_key(|row| row.major);
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

/// On this system, one after the other, and beside that in the roots: tests wait more than they work.
fn on_both_kinds_of_places(places: Vec<(u32, Place)>, options: &Options) -> Result<Vec<Row>> {
    let lanes: (Vec<_>, Vec<_>) =
        places.into_iter().partition(|(_, place)| matches!(place, Place::Here | Place::PyPi));
    let along = |lane: Vec<(u32, Place)>| -> Result<Vec<Row>> {
        let rows = lane.into_iter().map(|(major, place)| on(place, major, options));
        Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    let (here, in_roots) = thread::scope(|scope| {
        let in_roots = scope.spawn(|| along(lanes.1));
        (along(lanes.0), in_roots.join())
    });
    let in_roots = in_roots.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(here?.into_iter().chain(in_roots).collect())
}

/// Nothing for what cannot be had on this machine, which is no failure of the project's; but the page needs all of it.
fn on(place: Place, major: u32, options: &Options) -> Result<Option<Row>> {
    match Site::of(place, major) {
        Ok(site) => site.row(major, options).map(Some),
        Err(error) if options.essential => {
            announce(format!("skipped PostgreSQL {major}: {error:#}"));
            Ok(None)
        }
        Err(error) => Err(error.context(format!("PostgreSQL {major} is not to be had"))),
    }
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
        let here = || system(&fs::read_to_string("/etc/os-release").unwrap_or_default());
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
        let mut tests = self.cargo(&["xtask", "test"])?;
        if let Some(former) = self.former(major, options)? {
            tests.args(["--former", &former.to_string()]);
        }
        row.tests(tests, &options.filters(self))?;
        Ok(row)
    }

    /// The release from which pg_upgrade is tried, where another Debian's packages are to be had. It takes the extension
    /// built for both.
    fn former(&self, major: u32, options: &Options) -> Result<Option<u32>> {
        match (self, former(major)) {
            (Self::Root(root), Some((before, name))) if !options.essential => {
                root.know(name)?;
                Ok(Some(before))
            }
            _ => Ok(None),
        }
    }
}

impl Row {
    /// Runs the first of the two commands.
    fn demo(&mut self, mut command: Command) -> Result<()> {
        announce(format!("PostgreSQL {} on {}: cargo xtask demo", self.major, self.system));
        if relay(&mut command, &self.major.to_string(), |_| ())? {
            self.tally.passed += 1;
        } else {
            self.tally.failed += 1;
        }
        Ok(())
    }

    /// Runs the second, and reads the line at its end and what it says of what was skipped.
    fn tests(&mut self, mut command: Command, filters: &[&str]) -> Result<()> {
        announce(format!("PostgreSQL {} on {}: cargo xtask test", self.major, self.system));
        let (mut said, whose) = (None, self.major.to_string());
        relay(command.args(filters), &whose, |line| {
            if let Some((_, lacking)) = line.strip_prefix("skipped ").and_then(|line| line.split_once(": ")) {
                *self.lacking.entry(lacking.to_owned()).or_default() += 1;
            }
            said = Tally::closing(line).or(said);
        })?;
        // Without such a line it did not come to its end.
        self.tally += said.unwrap_or(Tally { failed: 1, ..Tally::default() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::former;

    #[test]
    fn a_release_is_upgraded_from_that_of_the_debian_before() {
        assert_eq!([15, 17, 18].map(former), [None, Some((15, "bookworm")), Some((17, "trixie"))]);
    }
}
