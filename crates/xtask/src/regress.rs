//! PostgreSQL's own regression and isolation suites: without us, with us preloaded, and with the extension in their
//! database. What they print must be the same.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::installation::Installation;
use groundskeeper_sandbox::server::{self, SUPERUSER, Server};

use crate::install;
use crate::process::{announce, run_quietly, target_dir};
use crate::setup::Choice;
use crate::tally::Tally;

/// How a server is to run the suites.
#[derive(Clone, Copy)]
enum With {
    /// As PostgreSQL is.
    Nothing,
    /// Preloaded, in no database.
    Library,
    /// Preloaded, and created in the database that the suite makes.
    Extension,
}

impl With {
    const ALL: [(Self, &str); 3] = [
        (Self::Nothing, "without us"),
        (Self::Library, "preloaded"),
        (Self::Extension, "with the extension created"),
    ];
}

/// The suites: folder, program that runs it, and list of its tests.
const SUITES: [(&str, &str, &str); 2] = [
    ("regress", "regress/pg_regress", "parallel_schedule"),
    ("isolation", "isolation/pg_isolation_regress", "isolation_schedule"),
];

/// `cargo xtask regress`
pub fn run(choice: Choice) -> Result<()> {
    let installation = choice.prepare()?;
    install::run(&installation, install::Profile::Checked)?;
    let source = source::of_server(&installation)?;
    let mut tally = Tally::default();
    for (suite, program, schedule) in SUITES {
        let mut plain = None;
        for (with, name) in With::ALL {
            announce(format!("{suite}, {name}"));
            let ran =
                Suite { installation: &installation, source: &source, suite, program, schedule }.run(with)?;
            let Some(plain) = &plain else {
                println!("    {} tests", ran.results.len());
                plain = Some(ran.results);
                continue;
            };
            let kept = target_dir().join("regress").join(format!("{suite} {name}").replace(' ', "-"));
            tally += compare(plain, &ran, &kept)?;
        }
    }
    println!("{tally}");
    ensure!(tally.failed == 0, "PostgreSQL's own suites see a difference");
    Ok(())
}

/// What each test printed.
type Results = BTreeMap<String, String>;

/// A run of a suite.
struct Ran {
    results: Results,
    /// The names of the objects that it has in its database besides.
    added: BTreeSet<String>,
}

struct Suite<'a> {
    installation: &'a Installation,
    source: &'a Path,
    suite: &'a str,
    program: &'a str,
    schedule: &'a str,
}

impl Suite<'_> {
    fn run(&self, with: With) -> Result<Ran> {
        let mut options = server::Options::default().set("max_wal_size", "2GB");
        if !matches!(with, With::Nothing) {
            options = options.preload("pg_groundskeeper");
        }
        let server = options.start()?;
        let folder = self.folder(&server)?;
        let pgxs = self.installation.directory("--pgxs")?;
        let programs = pgxs.ancestors().nth(2).context("pgxs is nowhere")?.join("test");
        // As the server's own user, who is to write beside it.
        let program = programs.join(self.program).display().to_string();
        let mut command = self.installation.server_program(&program)?;
        command.current_dir(&folder).args(["--use-existing", "--max-concurrent-tests=20"]);
        command.arg("--inputdir").arg(&folder).arg("--outputdir").arg(&folder);
        command.arg("--dlpath").arg(&folder).arg("--schedule").arg(folder.join(self.schedule));
        command.arg("--bindir").arg(self.installation.directory("--bindir")?);
        command.arg("--host").arg(server.socket_dir()).args(["--port", &server.port().to_string()]);
        command.args(["--user", SUPERUSER, "--dbname", "regression"]);
        let added = self.prepare(&server, with)?;
        let output = command.output()?;
        let results = results(&folder.join("results"))?;
        ensure!(
            !results.is_empty(),
            "the suite did not run: {}",
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
        );
        Ok(Ran { results, added })
    }

    /// As the suite would make its database, and with ours in it where it is to be, whose objects it names.
    fn prepare(&self, server: &Server, with: With) -> Result<BTreeSet<String>> {
        server.create_database("regression", "template0")?;
        let mut client = server.connect("regression", SUPERUSER)?;
        for setting in [
            "lc_messages TO 'C'",
            "lc_monetary TO 'C'",
            "lc_numeric TO 'C'",
            "lc_time TO 'C'",
            "bytea_output TO 'hex'",
            "timezone_abbreviations TO 'Default'",
        ] {
            client.batch_execute(&format!("ALTER DATABASE regression SET {setting}"))?;
        }
        if matches!(with, With::Extension) {
            client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
        }
        let names = "SELECT DISTINCT a.object_names[cardinality(a.object_names)]
                       FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                      CROSS JOIN pg_identify_object_as_address(d.classid, d.objid, 0) a
                      WHERE d.deptype = 'e' AND e.extname = 'pg_groundskeeper'";
        Ok(client.query(names, &[])?.iter().map(|row| row.get(0)).collect())
    }

    /// The suite's files where the server's user may read and write, with the libraries that its functions are in.
    fn folder(&self, server: &Server) -> Result<PathBuf> {
        let folder = server.base().join(self.suite);
        run_quietly(
            Command::new("cp").arg("-R").arg(self.source.join("src/test").join(self.suite)).arg(&folder),
        )?;
        if self.suite == "regress" {
            let mut compiler = Command::new("cc");
            compiler.args(["-shared", "-fPIC", "-O2", "-w", "-I"]);
            compiler.arg(self.installation.directory("--includedir-server")?);
            compiler.arg(folder.join("regress.c")).arg("-o").arg(folder.join("regress.so"));
            run_quietly(&mut compiler).context("the suite's functions do not compile")?;
            for library in ["autoinc.so", "refint.so"] {
                fs::copy(self.installation.directory("--pkglibdir")?.join(library), folder.join(library))?;
            }
        }
        let owner = fs::metadata(server.base().join("data"))?;
        let owner = format!(
            "{}:{}",
            std::os::unix::fs::MetadataExt::uid(&owner),
            std::os::unix::fs::MetadataExt::gid(&owner)
        );
        run_quietly(Command::new("chown").args(["-R", &owner]).arg(&folder))?;
        Ok(folder)
    }
}

/// What the tests have printed, by their names.
fn results(folder: &Path) -> Result<Results> {
    let mut found = Results::new();
    for file in fs::read_dir(folder).into_iter().flatten() {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "out")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            found.insert(name.to_owned(), String::from_utf8_lossy(&fs::read(&path)?).into_owned());
        }
    }
    Ok(found)
}

/// Counts tests that print the same, and keeps what others print.
fn compare(plain: &Results, ours: &Ran, kept: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    // What an earlier run kept is of no use any more.
    let _ = fs::remove_dir_all(kept);
    for (test, expected) in plain {
        let found = ours.results.get(test).map_or("", String::as_str);
        if expected == found || but_for(&ours.added, expected) == but_for(&ours.added, found) {
            tally.passed += 1;
            continue;
        }
        tally.failed += 1;
        fs::create_dir_all(kept)?;
        let [without, with] = ["without", "with"].map(|how| kept.join(format!("{test}.{how}")));
        fs::write(&without, expected)?;
        fs::write(&with, found)?;
        println!("    {test} differs: diff {} {}", without.display(), with.display());
    }
    println!("    {tally}");
    Ok(tally)
}

/// A text without the rows about objects that we add, and so without the width and the number of rows.
fn but_for(added: &BTreeSet<String>, text: &str) -> Vec<String> {
    let about_ours =
        |line: &str| line.contains('|') && line.split('|').any(|cell| added.contains(cell.trim()));
    text.lines()
        .filter(|line| !about_ours(line))
        .map(|line| match line.trim() {
            rule if !rule.is_empty() && rule.chars().all(|c| matches!(c, '-' | '+')) => "--".to_owned(),
            rows if rows.starts_with('(') && (rows.ends_with(" rows)") || rows.ends_with(" row)")) => {
                "(rows)".to_owned()
            }
            line => line.split_whitespace().collect::<Vec<_>>().join(" "),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::but_for;

    #[test]
    fn only_rows_about_our_objects_are_left_out() {
        let added = ["ours".to_owned()].into();
        let plain = " oid | name\n-----+------\n   1 | a\n(1 row)\n";
        let with = "  oid | name \n------+------\n    1 | a\n 9999 | ours\n(2 rows)\n";
        assert_eq!(but_for(&added, plain), but_for(&added, with));
        for other in [
            "  oid | name\n------+----\n    1 | b\n(1 row)\n",
            "  oid | name\n------+----\n(0 rows)\n",
            "ERROR: ours",
        ] {
            assert_ne!(but_for(&added, plain), but_for(&added, other), "{other}");
        }
    }
}
