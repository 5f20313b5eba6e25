//! What a quality score costs above a bare scan that reads the same columns.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::server::{self, Server};

use super::figures::{Findings, Role};
use super::{Effort, script};

const OURS: &str = "pg_groundskeeper";
const NOOP: &str = "C that returns its first argument";
const SCAN: &str = "bare scan";
const UNIT: &str = "ns/row above the scan";
/// The one that is also compared with the same rules in SQL.
const MONEYLINE: &str = "moneyline";

/// Each contestant's time in each round, less that of the scan in the same round.
const MEASURED: &str = "
    SELECT c.what, c.name, 1e9 * m.seconds / $1::float8, 1e9 * (m.seconds - scan.seconds) / $1::float8
      FROM score_bench.measurement m
      JOIN score_bench.contestant c USING (place)
      JOIN score_bench.contestant s ON s.what = c.what AND s.name = $2
      JOIN score_bench.measurement scan ON scan.place = s.place AND scan.round = m.round
     ORDER BY c.place, m.round";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let (rows, rounds) = (effort.rows(5_000_000, 500_000), effort.pick(5, 3));
    let server =
        server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB").start()?;
    let noop = format!("\\set noop '{}'\n", built(&server)?.display());
    let mut client = script::run(&server, &[&noop, include_str!("../sql/score.sql")], rows, rounds)?;
    let mut findings = Findings::new(format!(
        "{rows} records, {rounds} rounds after one that warms up, one process but for the parallel plan, no JIT, fsync \
         off; those that score moneylines gave the same score to 200,000 random records first."
    ));
    for row in client.query(MEASURED, &[&(rows as f64), &SCAN])? {
        let (what, name, whole, above): (String, String, f64, f64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        match name.as_str() {
            SCAN => findings.add(&what, &name, Role::Limit, "ns/row", whole),
            OURS => {
                findings.add(&what, &name, Role::Ours, "ns/row", whole);
                findings.add(&what, &name, Role::Ours, UNIT, above);
            }
            NOOP => findings.add(&what, &name, Role::Limit, UNIT, above),
            _ => findings.add(&what, &name, Role::Alternative, UNIT, above),
        }
    }
    let whats: Vec<String> =
        findings.figures.iter().filter(|f| f.who == NOOP).map(|f| f.case.clone()).collect();
    for what in whats {
        let ratio = findings.between(&what, UNIT, OURS, NOOP);
        findings.at_most(&format!("{what}: at most 3 times a C function that does nothing"), ratio, 3.0);
    }
    let against = |other| findings.between(MONEYLINE, UNIT, OURS, other);
    let (numeric, integer) = (against("SQL on numerics"), against("SQL on integer hundredths"));
    findings.at_most("at most 0.25 of an inlinable SQL function on numerics", numeric, 0.25);
    findings.at_most("no more than the same on integer hundredths", integer, 1.0);
    Ok(findings)
}

/// The library of the function that does nothing, where the server can read it.
fn built(server: &Server) -> Result<PathBuf> {
    let headers = server.installation().directory("--includedir-server")?;
    let (source, library) = (server.base().join("noop.c"), server.base().join("noop.so"));
    std::fs::write(&source, include_str!("../sql/noop.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-fPIC", "-shared", "-I"]).arg(headers).arg("-o").arg(&library).arg(&source);
    ensure!(compiler.status().context("there is no C compiler")?.success(), "the C function was not built");
    Ok(library)
}
