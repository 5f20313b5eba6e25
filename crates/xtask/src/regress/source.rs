//! The source package of the installed server, which apt fetches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use groundskeeper_sandbox::installation::Installation;

use crate::process::{announce, ask, run_quietly, target_dir};

/// The server's source below the target directory, as its distribution has it.
pub fn of_server(installation: &Installation) -> Result<PathBuf> {
    ensure!(
        Path::new("/usr/bin/apt-get").exists(),
        "this system has no apt, which knows the server's source"
    );
    let package = format!("postgresql-{}", installation.major());
    let installed =
        ask(Command::new("dpkg-query").args(["--show", "--showformat=${source:Version}", &package]));
    let folder = target_dir().join("regress");
    fs::create_dir_all(folder.join("lists/partial"))?;
    let folder = folder.canonicalize()?;
    let apt = Apt::new(&folder)?;
    let mut versions = apt.versions(&package)?;
    // Mirrors do not keep the source of each update: then the next best does, as all runs are compared with each other.
    versions.sort_by_key(|version| Some(version) != installed.as_ref());
    for version in &versions {
        let source = folder.join(format!("{package}-{}", version.replace([':', '~', '/'], "_")));
        if source.join("src/test/regress").exists() || apt.fetch(&package, version, &source).is_ok() {
            announce(format!("the suites of {package} {version}"));
            return Ok(source);
        }
    }
    bail!("apt has no source of {package}")
}

/// apt with lists of its own: the system's are left as they are.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        let mut targets = Command::new("apt-get");
        let line = "deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)";
        targets.args(["indextargets", "--format", line, "Created-By: Packages"]);
        let sources = ask(&mut targets).context("apt knows no sources of packages")?;
        let mut lines: Vec<String> = sources.lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        fs::write(folder.join("sources.list"), lines.join("\n") + "\n")?;
        let apt = Self { folder: folder.to_owned() };
        run_quietly(apt.command("apt-get").args(["update", "--quiet=2"])).context("no list of sources")?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, place) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg(format!("--option={option}={}", self.folder.join(place).display()));
        }
        command.arg("--option=Dir::Etc::sourceparts=/dev/null").current_dir(&self.folder);
        command
    }

    /// Newest first.
    fn versions(&self, package: &str) -> Result<Vec<String>> {
        let said = ask(self.command("apt-cache").args(["showsrc", package]));
        let said = said.with_context(|| format!("apt has no source of {package}"))?;
        Ok(said.lines().filter_map(|line| line.strip_prefix("Version: ")).map(str::to_owned).collect())
    }

    fn fetch(&self, package: &str, version: &str, into: &Path) -> Result<()> {
        let exact = format!("{package}={version}");
        run_quietly(self.command("apt-get").args(["source", "--download-only", "--quiet=2", &exact]))?;
        let file = version.split_once(':').map_or(version, |(_, version)| version);
        let mut unpack = Command::new("dpkg-source");
        unpack.args(["--no-check", "--extract", &format!("{package}_{file}.dsc")]);
        run_quietly(unpack.arg(into).current_dir(&self.folder))
    }
}
