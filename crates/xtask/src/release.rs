//! `cargo xtask release --dry-run`: all that stands before the tag of a release.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{announce, ask, cargo, execute, follow, repository, run_quietly};
use crate::setup::{Choice, tools, with_tools};
use crate::tally::Tally;
use crate::upgrade::{self, VERSION};
use crate::{book, install, lint};

/// PGXN's own validator of META.json.
const VALIDATOR: &str = "pgxn_meta";

/// Options of `cargo xtask release`.
#[derive(clap::Args)]
pub struct Options {
    /// Changes nothing; the tag, and what comes after it, is set by hand
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choice: Choice,
    /// Makes packages for these Debians, too, by their code names, and tries them there (as root)
    #[arg(long, value_name = "CODENAME")]
    debian: Vec<String>,
    /// Runs only tests whose names contain one of these
    filters: Vec<String>,
}

/// `cargo xtask release`
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.dry_run, "a release is tagged by hand: CONTRIBUTING.md has the list");
    let mut tally = Tally::default();
    let installation = options.choice.prepare()?;
    tally.check(nothing_is_uncommitted());
    tally.check(it_is_not_tagged());
    tally.check(changes_are_told());
    tally.check(lint::run(options.choice));
    tally.check(meta_is_valid());
    tally.check(install::run(&installation, install::Profile::Checked).and_then(|()| {
        let written = fs::read_to_string(upgrade::path(&repository())?)?;
        let same = written == install::upgrade_script(&installation)?;
        ensure!(same, "`cargo xtask upgrade-script` writes another script than the one that is committed");
        Ok(())
    }));
    announce("what was released, and versions");
    tally.check(execute(&mut cargo(&[
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--test",
        "upgrade",
        "--test",
        "release",
    ])));
    tally.check(command("test", options, &options.filters));
    tally.check(book::run());
    tally.check(command("package", options, &[]));
    for name in &options.debian {
        tally.check(execute(&mut cargo(&["xtask", "package", "--debian", name])));
    }
    println!("{tally}");
    ensure!(tally.failed == 0, "this is no release yet");
    announce(format!("{VERSION} may be tagged, where CONTRIBUTING.md's list is done"));
    Ok(())
}

/// Another command of the project's, for the same server.
fn command(name: &str, options: &Options, rest: &[String]) -> Result<()> {
    let mut command = cargo(&["xtask", name]);
    if let Some(major) = options.choice.pg {
        command.args(["--pg", &major.to_string()]);
    }
    execute(command.args(rest))
}

fn git(args: &[&str]) -> Result<String> {
    let said = ask(Command::new("git").args(args).current_dir(repository()));
    said.with_context(|| format!("git {} says nothing", args.join(" ")))
}

fn nothing_is_uncommitted() -> Result<()> {
    announce("what is committed");
    let changed = git(&["status", "--porcelain"])?;
    ensure!(changed.is_empty(), "not committed:\n{changed}");
    Ok(())
}

fn it_is_not_tagged() -> Result<()> {
    announce("tags");
    let tags = git(&["tag", "--list"])?;
    let taken = tags.lines().any(|tag| tag.trim_start_matches('v') == VERSION);
    ensure!(!taken, "{VERSION} is tagged: the next version comes first");
    Ok(())
}

/// What a test cannot ask for between releases; that META.json follows Cargo.toml is one of every day.
fn changes_are_told() -> Result<()> {
    announce("CHANGELOG.md");
    let changes = fs::read_to_string(repository().join("CHANGELOG.md"))?;
    let heading = first_version(&changes).context("CHANGELOG.md has no versions")?;
    ensure!(
        heading.split_whitespace().next() == Some(VERSION),
        "CHANGELOG.md begins with {heading}, and not with {VERSION} and its day"
    );
    Ok(())
}

/// The first heading of a version in a list of changes.
fn first_version(changes: &str) -> Option<&str> {
    changes.lines().find_map(|line| line.strip_prefix("## "))
}

/// By PGXN's own validator, which is built when it is not there.
fn meta_is_valid() -> Result<()> {
    announce("META.json");
    let mut validate = with_tools(Command::new(VALIDATOR));
    if ask(with_tools(Command::new(VALIDATOR)).arg("--version")).is_none() {
        announce(format!("installing {VALIDATOR}: takes some minutes, once"));
        follow(cargo(&["install", "--locked", VALIDATOR, "--root"]).arg(tools()))?;
    }
    run_quietly(validate.arg(repository().join("META.json")))
}

#[cfg(test)]
mod tests {
    use super::first_version;

    #[test]
    fn the_newest_version_comes_first() {
        assert_eq!(
            first_version("# Changes\n\n## 0.2.0 (2026-12-01)\n\n### Added\n\n## 0.1.0\n"),
            Some("0.2.0 (2026-12-01)")
        );
        assert_eq!(first_version("# Changes\n"), None);
    }
}
