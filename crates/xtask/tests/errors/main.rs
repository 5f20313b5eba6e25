//! The page on errors has every error, warning and notice that the sources can raise, and no other.
#![allow(missing_docs, reason = "a test")]

mod elsewhere;
mod rust;
#[path = "../sources/mod.rs"]
mod sources;
mod sql;
mod states;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// What stands for a name or a number in a message, and for a SQLSTATE that is that of a cause.
const ANY: &str = "…";

/// A message with its SQLSTATE.
type Row = (String, String);

/// What the sources raise.
#[derive(Default)]
struct Found {
    /// Each with where it was found, and what it says besides.
    rows: BTreeMap<Row, String>,
    /// Places whose message is not known from the source alone.
    unknown: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, row: Row, remark: String) {
        self.rows.entry(row).or_insert(remark);
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder and of those in it that end with an extension, and their texts.
fn files(folder: &str, extension: &str) -> Result<Vec<(String, String)>> {
    let root = root();
    let mut found = Vec::new();
    for path in sources::with_extension(&root.join(folder), extension)? {
        let name = path.strip_prefix(&root)?.display().to_string();
        found.push((name, fs::read_to_string(&path)?));
    }
    found.sort();
    Ok(found)
}

fn raised() -> Result<Found> {
    let mut found = Found::default();
    let rust = files("src", "rs")?;
    rust::raised(&rust, &mut found)?;
    // What was released, and the script that is made of the other files, say nothing else.
    let made = |name: &str| name.starts_with("sql/released/") || name.starts_with("sql/pg_groundskeeper--");
    let sql = files("sql", "sql")?.into_iter().filter(|(name, _)| !made(name));
    for (name, text) in sql.chain(files("src", "sql")?).chain(rust).chain(files("crates/core/src", "rs")?) {
        sql::raised(&name, &text, &mut found);
    }
    Ok(found)
}

/// The rows of the page: `| SQLSTATE | message | meaning and remedy |`.
fn written() -> Result<BTreeMap<Row, String>> {
    let page = fs::read_to_string(root().join("docs/errors.md")).context("docs/errors.md")?;
    let mut rows = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [state, message, remedy] = cells[..] else { continue };
        let is_state = state == ANY || state.len() == 5 && state.bytes().all(|b| b.is_ascii_alphanumeric());
        let Some(message) = message.strip_prefix('`').and_then(|message| message.strip_suffix('`')) else {
            continue;
        };
        if is_state {
            let before = rows.insert((state.to_owned(), message.to_owned()), remedy.to_owned());
            ensure!(before.is_none(), "docs/errors.md has two rows {state} {message}");
        }
    }
    Ok(rows)
}

#[test]
fn the_page_has_every_error_and_no_other() -> Result<()> {
    let mut found = raised()?;
    elsewhere::add(&mut found, &root())?;
    ensure!(found.rows.len() > 150, "only {} errors are found in the sources", found.rows.len());
    let written = written()?;
    let missing = found.rows.iter().filter(|(row, _)| !written.contains_key(row));
    let missing: Vec<String> =
        missing.map(|((state, message), remark)| format!("| {state} | `{message}` | {remark} |")).collect();
    let wrong = written.keys().filter(|row| !found.rows.contains_key(row));
    let wrong: Vec<String> = wrong.map(|(state, message)| format!("{state} {message}")).collect();
    ensure!(
        missing.is_empty() && wrong.is_empty(),
        "docs/errors.md lacks\n{}\nand should not have\n{}",
        missing.join("\n"),
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn each_row_says_what_it_means() -> Result<()> {
    let short: Vec<Row> = written()?.into_iter().filter(|row| row.1.len() < 8).map(|row| row.0).collect();
    ensure!(short.is_empty(), "these rows of docs/errors.md say too little: {short:?}");
    Ok(())
}
