//! A bare Debian in a folder, and commands run in there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Uid;

use crate::packages::as_root;
use crate::process::{announce, ask, repository, run_quietly, target_dir};

/// What the README takes for granted on a machine, besides Rust; and whom to trust in downloads.
const TAKEN_FOR_GRANTED: &str = "--include=gcc,libc6-dev,ca-certificates";

/// Whom to trust in downloads, alone.
const TRUSTED: &str = "--include=ca-certificates";

/// Rust in there.
const RUST: &str = "/opt/rust";

/// What it takes to go in.
const MOUNT: &str = "mount -t tmpfs tmpfs /mnt";

/// Goes in: builds go to the root's own target directory, and cargo's downloads are shared, though not the programs
/// that somebody has installed with it. When the command ends, that is gone, and so is every process that was started.
const ENTER: &str = r#"
set -e
root=$1 target=$2 rust=$3 cargo=$4
shift 4
mkdir -p "$root/target" "$root/opt/rust" "$root/root/.cargo" "$cargo/bin"
mount --bind "$target" "$root/target"
mount --bind "$rust" "$root/opt/rust"
mount -o remount,bind,ro "$root/opt/rust"
mount --bind "$cargo" "$root/root/.cargo"
mount -t tmpfs tmpfs "$root/root/.cargo/bin"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
# This shell stays, to bury what is left behind.
chroot "$root" sh -c 'cd /src && exec "$@"' sh "$@" || exit $?
exit 0
"#;

/// The same with nothing of this machine's in it: what is there, a user has, too.
const ENTER_BARE: &str = r#"
set -e
root=$1
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
chroot "$root" "$@" || exit $?
exit 0
"#;

/// A root that can be entered.
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// A bare Debian of that code name below the target directory, made if it is not there, to build and test in.
    pub fn of_debian(name: &str) -> Result<Self> {
        possible()?;
        let path = folder().join(name);
        if !path.exists() {
            bootstrap(name, &path, TAKEN_FOR_GRANTED)?;
        }
        let root = Self { path: path.canonicalize()? };
        root.follow_machine()?;
        root.take_sources()?;
        Ok(root)
    }

    /// A new one without a compiler, as on a server, to install in. The one of before is gone.
    pub fn new_of_debian(name: &str) -> Result<Self> {
        possible()?;
        let (origin, path) = (folder().join(format!("{name}.origin")), folder().join(format!("{name}.new")));
        if !origin.exists() {
            bootstrap(name, &origin, TRUSTED)?;
        }
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        run_quietly(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(&origin).arg(&path))?;
        let root = Self { path: path.canonicalize()? };
        root.follow_machine()?;
        Ok(root)
    }

    /// Has its apt know another Debian's packages, too, by that one's code name: what only that one has can be installed.
    pub fn know(&self, name: &str) -> Result<()> {
        let sources = self.path.join("etc/apt");
        let own = fs::read_to_string(sources.join("sources.list"))?;
        let other = source_of(&own, name).context("its apt has no source")?;
        Ok(fs::write(sources.join("sources.list.d").join(format!("{name}.list")), other)?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where cargo builds what it builds in there.
    pub fn target_dir(&self) -> PathBuf {
        self.path.with_extension("target")
    }

    /// Its name.
    pub fn system(&self) -> String {
        system(&fs::read_to_string(self.path.join("etc/os-release")).unwrap_or_default())
    }

    /// Cargo in there, in the repository.
    pub fn cargo(&self, args: &[&str]) -> Result<Command> {
        let target = self.target_dir();
        fs::create_dir_all(&target)?;
        let rust = ask(Command::new("rustc").arg("--print").arg("sysroot")).context("there is no rustc")?;
        let mut command = entering();
        command.envs([
            (
                "PATH",
                format!("{RUST}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").as_str(),
            ),
            ("CARGO_TARGET_DIR", "/target"),
            // Nothing is built twice in there.
            ("CARGO_INCREMENTAL", "0"),
        ]);
        command.args(["sh", "-c", ENTER, "enter"]).arg(&self.path).arg(target).arg(rust).arg(cargo_home()?);
        command.arg("cargo").args(args);
        Ok(command)
    }

    /// A program of its own.
    pub fn program(&self, name: &str) -> Command {
        let mut command = entering();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["sh", "-c", ENTER_BARE, "enter"]).arg(&self.path).arg(name);
        command
    }

    /// The repository as a clone of it would be, what is not committed yet included. Only what has changed is written,
    /// so that cargo builds that anew and nothing else.
    fn take_sources(&self) -> Result<()> {
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(repository());
        let list = ask(&mut list).context("git does not say which files there are")?;
        let (from, to) = (repository(), self.path.join("src"));
        let files: BTreeSet<PathBuf> =
            list.split('\0').map(PathBuf::from).filter(|file| from.join(file).is_file()).collect();
        for file in &files {
            let (from, to) = (from.join(file), to.join(file));
            if fs::read(&to).ok().is_none_or(|there| !fs::read(&from).is_ok_and(|here| here == there)) {
                fs::create_dir_all(to.parent().unwrap_or(&to))?;
                fs::copy(&from, &to)?;
            }
        }
        remove_others(&to, &to, &files)
    }

    /// How the machine reaches its packages holds in there, too: names, certificates, and what apt is told.
    fn follow_machine(&self) -> Result<()> {
        for file in ["/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"] {
            if Path::new(file).exists() {
                fs::copy(file, self.path.join(file.trim_start_matches('/')))?;
            }
        }
        let said = ask(Command::new("apt-config").arg("dump")).unwrap_or_default();
        let ways =
            said.lines().filter(|line| line.starts_with("Acquire::") && !line.contains("::IndexTargets"));
        let ways: String = ways.flat_map(|line| [line, "\n"]).collect();
        Ok(fs::write(self.path.join("etc/apt/apt.conf.d/90machine"), ways)?)
    }
}

/// Whether roots can be made and entered.
fn possible() -> Result<()> {
    ensure!(Uid::effective().is_root(), "another system's root takes root to make and to enter");
    run_quietly(Command::new("unshare").args(["--mount", "--pid", "--fork", "sh", "-c", MOUNT]))
        .context("nothing can be mounted here, as in a container with few rights")
}

/// What goes in, without what cargo and rustup say of this machine, which is not so in there. When the command ends, so
/// does every process that it has started.
fn entering() -> Command {
    let mut command = Command::new("unshare");
    let foreign = |name: &str| ["CARGO", "RUST", "PG", "TMP"].iter().any(|word| name.starts_with(word));
    for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.env("HOME", "/root").args(["--mount", "--pid", "--fork", "--kill-child"]);
    command
}

/// Removes the files of a folder that are not in the list, which has them by their path from `root`.
fn remove_others(root: &Path, folder: &Path, list: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, list)?;
        } else if path.strip_prefix(root).is_ok_and(|file| !list.contains(file)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Where roots are.
fn folder() -> PathBuf {
    target_dir().join("matrix")
}

fn bootstrap(name: &str, path: &Path, include: &str) -> Result<()> {
    if ask(Command::new("debootstrap").arg("--version")).is_none() {
        as_root("apt-get", &["install", "--yes", "--quiet=2", "debootstrap"])
            .context("debootstrap is missing, and so is apt")?;
    }
    announce(format!("a bare Debian {name} in {}", path.display()));
    let draft = path.with_added_extension("draft");
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(folder())?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", include, name]).arg(&draft).args(mirror());
    run_quietly(&mut command).with_context(|| format!("no bare Debian {name}"))?;
    Ok(fs::rename(draft, path)?)
}

/// The mirror that this machine's own packages come from, if it is one of Debian.
fn mirror() -> Option<String> {
    let mut indexes = Command::new("apt-get");
    indexes.args(["indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]);
    let indexes = ask(&mut indexes)?;
    indexes.lines().find_map(|line| line.strip_prefix("Debian ")).map(str::to_owned)
}

/// The line for another release in what tells apt of one.
fn source_of(sources: &str, name: &str) -> Option<String> {
    let line = sources.lines().find(|line| line.starts_with("deb "))?;
    let mut words: Vec<&str> = line.split_whitespace().collect();
    *words.get_mut(2)? = name;
    Some(words.join(" ") + "\n")
}

/// Where cargo keeps what it has downloaded.
fn cargo_home() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    home.context("neither CARGO_HOME nor HOME is set")
}

/// A system's name, as `/etc/os-release` has it.
pub fn system(release: &str) -> String {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let name = value("NAME").unwrap_or_else(|| std::env::consts::OS.to_owned());
    let name = name.trim_end_matches(" GNU/Linux");
    // What is not released yet has a code name alone.
    match value("VERSION_ID").or_else(|| value("PRETTY_NAME")?.split('/').next_back().map(str::to_owned)) {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{source_of, system};

    #[test]
    fn another_releases_packages_come_from_the_same_mirror() {
        let sources = "# ours\ndeb http://mirror.example/debian trixie main\n";
        assert_eq!(
            source_of(sources, "bookworm").as_deref(),
            Some("deb http://mirror.example/debian bookworm main\n")
        );
        assert_eq!(source_of("", "bookworm"), None);
    }

    #[test]
    fn systems_are_named() {
        let stable =
            "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\n";
        assert_eq!(system(stable), "Debian 13");
        assert_eq!(
            system("PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nNAME=\"Debian GNU/Linux\"\n"),
            "Debian sid"
        );
        assert_eq!(system("NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\n"), "Ubuntu 24.04");
    }
}
