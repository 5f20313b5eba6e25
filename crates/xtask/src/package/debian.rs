//! A package, put together by `make install` and Debian's own tools.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use groundskeeper_sandbox::installation::Installation;

use crate::licences;
use crate::process::{announce, ask, execute, follow, repository, run_quietly};
use crate::setup::with_tools;
use crate::upgrade::VERSION;

/// Which packaging of the same version it is.
const REVISION: u32 = 1;

/// The moment that tools write into what they make, in seconds since 1970.
pub const DATE: &str = "SOURCE_DATE_EPOCH";

/// The package's version.
pub fn version() -> String {
    format!("{VERSION}-{REVISION}")
}

/// Who makes a package, and of sources of when, so that the same sources make the same package.
pub struct Packager {
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub address: String,
    /// When the sources were as they are.
    pub at: DateTime<Utc>,
}

impl Packager {
    /// As Debian's tools are told by DEBFULLNAME, DEBEMAIL and SOURCE_DATE_EPOCH, else as git says.
    pub fn find() -> Result<Self> {
        let git = |args: &[&str]| ask(Command::new("git").args(args).current_dir(repository()));
        let said = |variable: &str, args: &[&str]| {
            let value = std::env::var(variable).ok().or_else(|| git(args)).filter(|value| !value.is_empty());
            value.with_context(|| format!("{variable} is not set, and `git {}` says nothing", args.join(" ")))
        };
        let seconds = said(DATE, &["log", "-1", "--format=%ct"])?;
        let at = seconds.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        Ok(Self {
            name: said("DEBFULLNAME", &["config", "user.name"])?,
            address: said("DEBEMAIL", &["config", "user.email"])?,
            at: at.with_context(|| format!("{DATE} is no number of seconds: {seconds}"))?,
        })
    }

    fn maintainer(&self) -> String {
        format!("{} <{}>", self.name, self.address)
    }
}

/// Makes a package in a folder.
pub fn make(installation: &Installation, into: &Path, packager: &Packager) -> Result<PathBuf> {
    let major = installation.major();
    let name = format!("postgresql-{major}-pg-groundskeeper");
    let work = into.join(format!("work-{major}"));
    // What was there may be of another version.
    let _ = fs::remove_dir_all(&work);
    let package = Package { name, major, tree: work.join("debian/tree"), work, packager };
    package.build(installation)?;
    package.strip()?;
    package.describe()?;
    package.document()?;
    let file = package.pack(into)?;
    check(&file)?;
    Ok(file)
}

/// A package in the making.
struct Package<'a> {
    name: String,
    major: u32,
    /// Where Debian's tools find `debian/`.
    work: PathBuf,
    /// What it will hold, as it will lie on a system.
    tree: PathBuf,
    packager: &'a Packager,
}

impl Package<'_> {
    /// Builds the extension, for the folders that Debian's servers look into.
    fn build(&self, installation: &Installation) -> Result<()> {
        announce(format!(
            "building the extension for PostgreSQL {}, as it is shipped: takes minutes",
            self.major
        ));
        fs::create_dir_all(&self.tree)?;
        let mut make = with_tools(Command::new("make"));
        make.current_dir(repository()).arg("install");
        make.arg(format!("PG_CONFIG={}", installation.pg_config().display()));
        make.arg(format!("DESTDIR={}", self.tree.canonicalize()?.display()));
        make.arg(format!("pkglibdir=/usr/lib/postgresql/{}/lib", self.major));
        make.arg(format!("datadir=/usr/share/postgresql/{}", self.major));
        follow(&mut make)
    }

    fn library(&self) -> PathBuf {
        self.tree.join(format!("usr/lib/postgresql/{}/lib/pg_groundskeeper.so", self.major))
    }

    /// As debhelper strips libraries.
    fn strip(&self) -> Result<()> {
        let mut strip = Command::new("strip");
        strip.args(["--strip-unneeded", "--remove-section=.comment", "--remove-section=.note"]);
        run_quietly(strip.arg(self.library()))?;
        Ok(fs::set_permissions(self.library(), fs::Permissions::from_mode(0o644))?)
    }

    /// What Debian's tools read.
    fn describe(&self) -> Result<()> {
        let control = fs::read_to_string(repository().join("packaging/debian/control"))?;
        let control = control
            .replace("@MAJOR@", &self.major.to_string())
            .replace("@MAINTAINER@", &self.packager.maintainer());
        fs::write(self.work.join("debian/control"), control)?;
        let changelog = format!(
            "pg-groundskeeper ({}) unstable; urgency=medium\n\n  * Version {VERSION}; changelog.gz beside this file says what is new.\n\n -- {}  {}\n",
            version(),
            self.packager.maintainer(),
            self.packager.at.to_rfc2822()
        );
        Ok(fs::write(self.work.join("debian/changelog"), changelog)?)
    }

    /// What lies below /usr/share/doc.
    fn document(&self) -> Result<()> {
        let doc = self.tree.join("usr/share/doc").join(&self.name);
        fs::create_dir_all(&doc)?;
        let beginning = fs::read_to_string(repository().join("packaging/debian/copyright"))?;
        let own = fs::read_to_string(repository().join("LICENSE"))?;
        let copyright = licences::debian(&beginning, &own, &licences::of_library(self.major)?)?;
        fs::write(doc.join("copyright"), copyright)?;
        fs::copy(self.work.join("debian/changelog"), doc.join("changelog.Debian"))?;
        fs::copy(repository().join("CHANGELOG.md"), doc.join("changelog"))?;
        // Without the file's name and moment.
        let mut gzip = Command::new("gzip");
        run_quietly(gzip.args(["-9n", "changelog.Debian", "changelog"]).current_dir(&doc))?;
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--no-preserve=mode"]).arg(repository().join("integrations"));
        run_quietly(copy.arg(doc.join("examples")))
    }

    /// Control data, by what the library needs, and the archive.
    fn pack(&self, into: &Path) -> Result<PathBuf> {
        let control = self.tree.join("DEBIAN");
        fs::create_dir_all(&control)?;
        let in_work = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir(&self.work).env(DATE, self.packager.at.timestamp().to_string());
            command
        };
        let mut needs = in_work("dpkg-shlibdeps");
        run_quietly(
            needs.args(["--warnings=0", "-Tdebian/substvars"]).arg(self.library().strip_prefix(&self.work)?),
        )?;
        let mut sums = in_work("sh");
        let script = "cd debian/tree && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum > DEBIAN/md5sums";
        run_quietly(sums.args(["-ec", script]))?;
        let mut gencontrol = in_work("dpkg-gencontrol");
        let which = format!("-p{}", self.name);
        run_quietly(gencontrol.args(["-Pdebian/tree", "-Tdebian/substvars", &which]))?;
        // The same for all that is in it, whatever the umask.
        run_quietly(Command::new("chmod").args(["-R", "u+rwX,go+rX,go-w"]).arg(&self.tree))?;
        let mut build = in_work("dpkg-deb");
        build.args(["--root-owner-group", "-Zxz", "--build", "debian/tree"]);
        run_quietly(build.arg(into.canonicalize()?))?;
        let architecture = ask(Command::new("dpkg").arg("--print-architecture"));
        let architecture = architecture.context("dpkg does not say its architecture")?;
        let file = into.join(format!("{}_{}_{architecture}.deb", self.name, version()));
        ensure!(file.exists(), "dpkg-deb has not made {}", file.display());
        Ok(file)
    }
}

/// What Debian's own checker says of a package; it need not be installed.
fn check(package: &Path) -> Result<()> {
    if ask(Command::new("lintian").arg("--version")).is_none() {
        announce("lintian is not installed: the package is not checked by it");
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    // A package that is not in Debian's archive closes no bug of Debian's.
    lintian.args([
        "--fail-on=error,warning",
        "--suppress-tags=initial-upload-closes-no-bugs",
        "--allow-root",
    ]);
    execute(lintian.arg(package))
}
