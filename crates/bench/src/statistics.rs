//! What `update_table_statistics()` costs beside the plan's own function, its naming errors mended.

use anyhow::Result;
use groundskeeper_sandbox::{server, shape};

use super::figures::{Findings, Role};
use super::{Effort, script};

const OURS: &str = "update_table_statistics()";
const PLANS: &str = "the plan's own function";

const MEASURED: &str = "
    SELECT what, who = 'ours', ms, touched FROM public.measured JOIN public.change USING (what) ORDER BY n, round";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let (rows, rounds) = (effort.rows(1_000_000, 300_000), effort.pick(5, 3));
    let server =
        server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB").start()?;
    let parts = [shape::SHAPE_A, include_str!("../sql/statistics.sql")];
    let mut client = script::run(&server, &parts, rows, rounds)?;
    let mut findings = Findings::new(format!(
        "{rows} raw rows and as many staged, {rounds} rounds, fsync and autovacuum off. The change is made just before \
         each run; the contestants take turns in going first, as each change leaves dead rows for the next to read."
    ));
    for row in client.query(MEASURED, &[])? {
        let (what, ours, ms, touched): (String, bool, f64, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let (who, role) = if ours { (OURS, Role::Ours) } else { (PLANS, Role::Alternative) };
        findings.add(&what, who, role, "ms", ms);
        findings.add(&what, who, role, "relations touched", touched as f64);
    }
    let idle = findings.between("nothing changed", "ms", OURS, PLANS);
    findings.at_most("at most 0.01 of the plan's time when nothing changed", idle, 0.01);
    let touched = findings.median("one table changed", OURS, "relations touched");
    findings.at_most("one table touched when one changed that no view reads", touched, 1.0);
    Ok(findings)
}
