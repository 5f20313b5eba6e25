//! What comes from the system's packages: by apt where it is, else by the user, who is told what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use groundskeeper_sandbox::installation::{Installation, RELEASES};
use nix::unistd::Uid;

use crate::process::{announce, ask, run_quietly};

/// Needed to build the extension and cargo-pgrx.
const BUILD: [&str; 4] = ["build-essential", "pkg-config", "libssl-dev", "libclang-dev"];

/// Where it is, packages come by it.
const APT: &str = "/usr/bin/apt-get";

/// Machines often upgrade themselves just when they have come up.
const WAIT_FOR_OTHERS: &str = "--option=DPkg::Lock::Timeout=300";

/// While our packages are installed, a new PostgreSQL gets no cluster of its own: servers here are
/// private ones. Clusters that exist are left alone.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/groundskeeper.conf";

/// What a command needs besides the compiler and the server.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    /// Packages by their names.
    pub packages: &'static [&'static str],
    /// Packages that not every system has: without one, some tests are skipped.
    pub optional: &'static [&'static str],
    /// Extensions of PostgreSQL, packaged for each release of it. They are optional: not every system has each.
    pub extensions: &'static [&'static str],
}

/// Installs what is missing. The server is that of `named`, else of the packages: of `major`, or the newest supported
/// that they offer.
pub fn server(named: Option<Installation>, major: Option<u32>, needs: Needs) -> Result<Installation> {
    let apt = Path::new(APT).exists();
    let mut wanted: Vec<String> = BUILD.iter().chain(needs.packages).map(|name| (*name).to_owned()).collect();
    if apt && needs.optional.iter().any(|package| !installed(package)) {
        wanted.extend(known(&needs.optional.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
    }
    match (named, apt) {
        (Some(installation), true) => {
            install(&wanted, false)?;
            Ok(installation)
        }
        (named, false) => by_hand(named, major),
        (None, true) => {
            let major = offered(major)?;
            wanted.extend([format!("postgresql-{major}"), format!("postgresql-server-dev-{major}")]);
            let extensions = needs.extensions.iter().map(|name| format!("postgresql-{major}-{name}"));
            wanted.extend(known(&extensions.collect::<Vec<_>>()));
            let new = !Path::new(&format!("/usr/lib/postgresql/{major}")).exists();
            install(&wanted, new)?;
            Installation::of_debian(major)
        }
    }
}

/// The release that commands take by themselves: that of `PG_CONFIG`, or the newest that the packages offer.
pub fn newest(named: Option<Installation>) -> Result<u32> {
    match named {
        Some(installation) => Ok(installation.major()),
        None if Path::new(APT).exists() => offered(None),
        None => Installation::find().map(|found| found.major()),
    }
}

/// The release to take from the packages.
fn offered(major: Option<u32>) -> Result<u32> {
    let mut majors = offers();
    let enough = |majors: &[u32]| major.map_or(!majors.is_empty(), |major| majors.contains(&major));
    if !enough(&majors) {
        update()?;
        majors = offers();
    }
    let list = majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    match major {
        Some(major) if majors.contains(&major) => Ok(major),
        Some(major) => bail!(
            "this system's packages have no PostgreSQL {major}, {}; apt.postgresql.org has all of them, or PG_CONFIG names the pg_config of an installation",
            if list.is_empty() { "nor another that is supported".to_owned() } else { format!("but {list}") }
        ),
        None => majors.last().copied().with_context(|| {
            format!(
                "this system's packages have no PostgreSQL of {} to {}; apt.postgresql.org has them, or PG_CONFIG names the pg_config of an installation",
                RELEASES.start(),
                RELEASES.end()
            )
        }),
    }
}

/// The supported releases that apt knows of, in order.
fn offers() -> Vec<u32> {
    let both = |major: u32| [format!("postgresql-{major}"), format!("postgresql-server-dev-{major}")];
    let known = known(&RELEASES.flat_map(both).collect::<Vec<_>>());
    RELEASES.filter(|major| both(*major).iter().all(|package| known.contains(package))).collect()
}

/// Those of the packages that apt could install, or has.
fn known(packages: &[String]) -> BTreeSet<String> {
    let mut policy = Command::new("apt-cache");
    policy.env("LC_ALL", "C").arg("policy").args(packages);
    candidates(&ask(&mut policy).unwrap_or_default())
}

/// The packages that have a candidate in what `apt-cache policy` prints.
fn candidates(policy: &str) -> BTreeSet<String> {
    let mut package = "";
    let mut found = BTreeSet::new();
    for line in policy.lines() {
        match line.trim().strip_prefix("Candidate: ") {
            Some("(none)") => {}
            Some(_) => drop(found.insert(package.to_owned())),
            None if !line.starts_with(' ') => package = line.trim_end_matches(':'),
            None => {}
        }
    }
    found
}

fn update() -> Result<()> {
    announce("asking for the system's packages");
    as_root("apt-get", &["update", "--quiet=2", WAIT_FOR_OTHERS])
}

fn install(wanted: &[String], new_server: bool) -> Result<()> {
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let by_hand = || format!("install these packages: apt-get install {names}");
    update().with_context(by_hand)?;
    announce(format!("installing packages: {names}"));
    let cluster_free = new_server && forbid_cluster();
    let mut args = vec!["install", "--yes", "--quiet=2", "--no-install-recommends", WAIT_FOR_OTHERS];
    args.extend(&missing);
    let outcome = as_root("apt-get", &args).with_context(by_hand);
    if cluster_free {
        as_root("rm", &[NO_CLUSTER])?;
    }
    outcome
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]);
    ask(&mut query).is_some_and(|status| status == "installed")
}

fn forbid_cluster() -> bool {
    let script =
        format!("mkdir -p $(dirname {NO_CLUSTER}) && echo create_main_cluster = false > {NO_CLUSTER}");
    as_root("sh", &["-c", &script]).is_ok()
}

/// Where there is no apt, nothing is installed, only asked for: in the words of the system's own package manager.
fn by_hand(named: Option<Installation>, major: Option<u32>) -> Result<Installation> {
    let found = named.map_or_else(Installation::find, Ok);
    let fits = |found: &Installation| {
        RELEASES.contains(&found.major()) && major.is_none_or(|major| found.major() == major)
    };
    let mut missing = Vec::new();
    if !found.as_ref().is_ok_and(fits) {
        let which = major.map_or(format!("{} to {}", RELEASES.start(), RELEASES.end()), |m| m.to_string());
        missing.push(format!(
            "PostgreSQL {which} with its server's headers (pg_config on the path, or named by PG_CONFIG)"
        ));
    }
    for program in ["cc", "clang", "pkg-config"] {
        if ask(Command::new(program).arg("--version")).is_none() {
            missing.push(program.to_owned());
        }
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let command = command_for(&release, std::env::consts::OS);
    ensure!(
        missing.is_empty(),
        "this system has no apt, so please install what is missing: {}{}",
        missing.join(", "),
        command.map_or_else(String::new, |command| format!("\n  {command}"))
    );
    found
}

/// What installs all of it on a system, as `/etc/os-release` describes it.
fn command_for(release: &str, os: &str) -> Option<&'static str> {
    if os == "macos" {
        return Some(
            "brew install postgresql@17 llvm pkgconf && export PG_CONFIG=$(brew --prefix postgresql@17)/bin/pg_config",
        );
    }
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let (id, like) = (value("ID"), value("ID_LIKE"));
    std::iter::once(id.as_str()).chain(like.split_whitespace()).find_map(|system| match system {
        "fedora" | "rhel" | "centos" => {
            Some("dnf install postgresql-server postgresql-server-devel postgresql-contrib gcc clang pkgconf openssl-devel pgbouncer")
        }
        "arch" => Some("pacman -S --needed postgresql base-devel clang openssl pgbouncer"),
        "alpine" => Some("apk add postgresql postgresql-dev postgresql-contrib build-base clang clang-dev pkgconf openssl-dev pgbouncer"),
        "suse" | "opensuse" => Some("zypper install postgresql-server postgresql-server-devel postgresql-contrib gcc clang pkg-config libopenssl-devel pgbouncer"),
        "freebsd" => Some("pkg install postgresql17-server postgresql17-contrib llvm pkgconf pgbouncer"),
        _ => None,
    })
}

/// Runs a program as root, through sudo where need be.
pub fn as_root(program: &str, args: &[&str]) -> Result<()> {
    let mut command = if Uid::effective().is_root() {
        Command::new(program)
    } else if ask(Command::new("sudo").arg("--version")).is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", program]);
        sudo
    } else {
        bail!("this needs root, and there is no sudo");
    };
    run_quietly(command.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::{candidates, command_for};

    #[test]
    fn what_apt_offers_is_read() {
        let policy = "postgresql-15:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n     15.1 -1\n\
                      postgresql-17:\n  Installed: (none)\n  Candidate: 17.6-0+deb13u1\n  Version table:\n     17.6-0+deb13u1 500\n";
        assert_eq!(candidates(policy).into_iter().collect::<Vec<_>>(), ["postgresql-17"]);
        assert!(candidates("").is_empty());
    }

    #[test]
    fn each_system_is_told_in_its_own_words() {
        let said =
            |release: &str| command_for(release, "linux").map(|command| command.split(' ').next().unwrap());
        assert_eq!(said("NAME=Fedora\nID=fedora\n"), Some("dnf"));
        assert_eq!(said("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Some("dnf"));
        assert_eq!(said("ID=manjaro\nID_LIKE=arch\n"), Some("pacman"));
        assert_eq!(said("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n"), Some("zypper"));
        assert_eq!(said("ID=alpine\n"), Some("apk"));
        assert_eq!(said("ID=plan9\n"), None);
        assert!(command_for("", "macos").is_some_and(|command| command.starts_with("brew")));
    }
}
