//! What a quality score costs above a bare scan that reads the same columns.

use anyhow::Result;

use super::figures::{Findings, Role};
use super::{Effort, script};
use groundskeeper_sandbox::server;

const OURS: &str = "pg_groundskeeper";
const UNIT: &str = "ns/row above the scan";

/// Each contestant's time in each round, less that of the scan in the same round.
const MEASURED: &str = "
    SELECT c.name, 1e9 * m.seconds / $1::float8, 1e9 * (m.seconds - scan.seconds) / $1::float8
      FROM score_bench.measurement m
      JOIN score_bench.contestant c USING (place)
      JOIN score_bench.measurement scan ON scan.place = 0 AND scan.round = m.round
     ORDER BY c.place, m.round";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let (rows, rounds) = (effort.rows(5_000_000, 500_000), effort.pick(5, 3));
    let server =
        server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB").start()?;
    let mut client = script::run(&server, &[include_str!("../sql/score.sql")], rows, rounds)?;
    let mut findings = Findings::new(format!(
        "{rows} moneylines, {rounds} rounds after one that warms up, one process, no JIT, fsync off; all contestants \
         gave the same score to 200,000 random records first."
    ));
    for row in client.query(MEASURED, &[&(rows as f64)])? {
        let (name, whole, above): (String, f64, f64) = (row.get(0), row.get(1), row.get(2));
        match name.as_str() {
            "bare scan" => findings.add("scanning and scoring", &name, Role::Limit, "ns/row", whole),
            OURS => {
                findings.add("scanning and scoring", &name, Role::Ours, "ns/row", whole);
                findings.add("scoring alone", &name, Role::Ours, UNIT, above);
            }
            _ => findings.add("scoring alone", &name, Role::Alternative, UNIT, above),
        }
    }
    let against = |other| findings.between("scoring alone", UNIT, OURS, other);
    let (numeric, integer) = (against("SQL on numerics"), against("SQL on integer hundredths"));
    findings.at_most("at most 0.25 of an inlinable SQL function on numerics", numeric, 0.25);
    findings.at_most("no more than the same on integer hundredths", integer, 1.0);
    Ok(findings)
}
