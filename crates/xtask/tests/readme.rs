//! The README's figures are those of the last benchmarks, and it stays short.
#![allow(missing_docs, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Set, the table is written instead of compared.
const WRITE: &str = "GROUNDSKEEPER_WRITE";

/// A figure of the benchmarks: the case, the table in it, the contestant, and how its unit begins.
type Figure = [&'static str; 4];

/// A row: what it is about, our figures, those of others by their names.
struct Row(&'static str, &'static [Figure], &'static [(&'static str, Figure)]);

const ROWS: [Row; 8] = [
    Row(
        "5,000,000 rows become months, beside 200 writes a second",
        &[
            ["conversion", "while 200 writes a second go on", "the whole conversion", "rows/s"],
            [
                "conversion",
                "while 200 writes a second go on",
                "writers, during the conversion",
                "ms at the longest",
            ],
        ],
        &[("pg_partman, nobody writing", ["conversion", "the whole conversion", "pg_partman's", "rows/s"])],
    ),
    Row(
        "There, back, and there again, beside writers",
        &[
            ["roundtrip", "the whole way", "rows that the control tables", "rows"],
            ["roundtrip", "the whole way", "writers", "ms at the longest"],
        ],
        &[("quiet", ["roundtrip", "quiet, for as long as all of it", "writers", "ms at the longest"])],
    ),
    Row(
        "The months of 100 tables, nothing to do",
        &[["maintenance", "100 tables, nothing to do", "create_monthly_partitions()", "ms"]],
        &[("pg_partman", ["maintenance", "100 tables, nothing to do", "pg_partman's", "ms"])],
    ),
    Row(
        "A moneyline is scored",
        &[["score", "scoring alone", "pg_groundskeeper", "ns/row"]],
        &[("the same rules in SQL", ["score", "scoring alone", "SQL on numerics", "ns/row"])],
    ),
    Row(
        "Moneylines are staged",
        &[["migration", "moneylines, their games being there", "migrate_to_staging()", "rows/s"]],
        &[
            ("a bare INSERT", ["migration", "moneylines, their games being there", "bare INSERT", "rows/s"]),
            (
                "row by row",
                ["migration", "moneylines, their games being there", "client, row by row", "rows/s"],
            ),
        ],
    ),
    Row(
        "Statistics and views, nothing changed",
        &[["statistics", "nothing changed", "update_table_statistics()", "ms"]],
        &[("the plan's own function", ["statistics", "nothing changed", "the plan's own function", "ms"])],
    ),
    Row(
        "Latency of every statement is counted",
        &[["monitoring", "pgbench -S", "ours", "us of server CPU"]],
        &[
            ("nothing preloaded", ["monitoring", "pgbench -S", "off", "us of server CPU"]),
            ("pg_stat_statements", ["monitoring", "pgbench -S", "pg_stat_statements", "us of server CPU"]),
        ],
    ),
    Row(
        "`CREATE EXTENSION` over 10,000,000 rows that are written to",
        &[
            ["install", "10000000 rows", "CREATE EXTENSION", "s"],
            ["install", "10000000 rows", "writers, while it installs", "ms at the longest"],
        ],
        &[("quiet", ["install", "10000000 rows", "writers, in the quiet before", "ms at the longest"])],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The median with its unit, as the report of the benchmarks has it.
fn measured(report: &str, figure: &Figure) -> Result<String> {
    let [case, table, contestant, unit] = figure;
    let of_case = report.split("\n## ").find(|part| part.lines().next() == Some(*case));
    let of_table =
        of_case.and_then(|part| part.split("\n**").find(|part| part.starts_with(&format!("{table}**"))));
    let cells = of_table.unwrap_or_default().lines().map(|line| line.trim_matches(['|', ' ']).split(" | "));
    let found = cells.map(Iterator::collect::<Vec<&str>>).find_map(|cells| match cells[..] {
        [who, median, _, of, ..] if who.starts_with(contestant) && of.starts_with(unit) => {
            Some(format!("{} {}", median.trim(), of.trim()))
        }
        _ => None,
    });
    found.with_context(|| format!("docs/benchmarks/README.md has no {figure:?}"))
}

fn table(report: &str) -> Result<String> {
    let mut out = "| what | ours | others |\n| --- | --- | --- |\n".to_owned();
    for Row(what, ours, others) in &ROWS {
        let ours = ours.iter().map(|figure| measured(report, figure)).collect::<Result<Vec<String>>>()?;
        let other = |(name, figure): &(&str, Figure)| Ok(format!("{name}: {}", measured(report, figure)?));
        let others = others.iter().map(other).collect::<Result<Vec<String>>>()?;
        writeln!(out, "| {what} | {} | {} |", ours.join(", "), others.join("; "))?;
    }
    Ok(out)
}

#[test]
fn its_figures_are_those_of_the_benchmarks() -> Result<()> {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path)?;
    let wanted = table(&fs::read_to_string(root().join("docs/benchmarks/README.md"))?)?;
    let begin = readme.find("| what | ours | others |").context("README.md has no table of figures")?;
    let end = readme[begin..].find("\n\n").context("the table of figures has an end")?;
    let found = &readme[begin..=begin + end];
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, readme.replace(found, &wanted))?;
        return Ok(());
    }
    ensure!(found == wanted, "README.md has other figures than the benchmarks: run this test with {WRITE}=1");
    Ok(())
}

#[test]
fn it_is_a_front_door() -> Result<()> {
    let lines = fs::read_to_string(root().join("README.md"))?.lines().count();
    ensure!(lines < 140, "README.md has {lines} lines: what is long belongs into docs/");
    Ok(())
}
