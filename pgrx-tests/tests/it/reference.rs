//! The reference is what the catalogs say, in the order and with the examples of `reference/entries.toml`.

mod facts;
mod page;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};
use serde::Deserialize;

use facts::Facts;

/// Set, the pages are written instead of compared.
const WRITE: &str = "GROUNDSKEEPER_WRITE";

/// What is written by hand.
#[derive(Deserialize)]
struct Entries {
    pages: Vec<Page>,
}

/// A page, and a part of the list.
#[derive(Deserialize)]
struct Page {
    slug: String,
    title: String,
    /// The pages that tell more.
    see: Vec<String>,
    entries: Vec<Entry>,
}

/// A function, a procedure, a view or a table.
#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    example: String,
    /// Rows of the page on errors.
    #[serde(default)]
    errors: Vec<String>,
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn entries() -> Result<Entries> {
    toml::from_str(include_str!("reference/entries.toml")).context("entries.toml")
}

/// The files of the reference, as they should be.
fn files(entries: &Entries, facts: &Facts) -> Result<Vec<(String, String)>> {
    let mut files = vec![("reference.md".to_owned(), page::list(&entries.pages, facts, &docs())?)];
    for one in &entries.pages {
        files.push((format!("reference/{}.md", one.slug), page::details(one, facts, &docs())?));
    }
    files.push(("reference/settings.md".to_owned(), page::settings(facts)));
    Ok(files)
}

#[test]
fn the_reference_is_what_the_catalogs_say() -> Result<()> {
    let db = TestDb::installed(Template::Empty)?;
    let facts = Facts::read(&mut db.client()?)?;
    for (name, wanted) in files(&entries()?, &facts)? {
        let path = docs().join(&name);
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all(docs().join("reference"))?;
            fs::write(&path, &wanted)?;
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        let differs = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
        ensure!(
            found == wanted,
            "docs/{name} is not what the catalogs say: run this test with {WRITE}=1. The first difference: {differs:?}"
        );
    }
    Ok(())
}

#[test]
fn the_reference_has_all_that_is_there_and_nothing_else() -> Result<()> {
    let db = TestDb::installed(Template::Empty)?;
    let facts = Facts::read(&mut db.client()?)?;
    let there: BTreeSet<&str> = facts.names().collect();
    let entries = entries()?;
    let named: Vec<&str> =
        entries.pages.iter().flat_map(|page| &page.entries).map(|entry| entry.name.as_str()).collect();
    let written: BTreeSet<&str> = named.iter().copied().collect();
    ensure!(written.len() == named.len(), "entries.toml has a name twice");
    let missing: Vec<_> = there.difference(&written).collect();
    let wrong: Vec<_> = written.difference(&there).collect();
    ensure!(
        missing.is_empty() && wrong.is_empty(),
        "entries.toml lacks {missing:?} and should not have {wrong:?}"
    );
    Ok(())
}

#[test]
fn every_call_has_an_example_that_calls_it() -> Result<()> {
    let db = TestDb::installed(Template::Empty)?;
    let facts = Facts::read(&mut db.client()?)?;
    let entries = entries()?;
    let calls = |entry: &&Entry| {
        facts.routine(&entry.name).is_some() && !entry.example.contains(&format!("{}(", entry.name))
    };
    let without: Vec<&str> = entries
        .pages
        .iter()
        .flat_map(|page| &page.entries)
        .filter(calls)
        .map(|entry| entry.name.as_str())
        .collect();
    ensure!(without.is_empty(), "no example in entries.toml calls {without:?}");
    Ok(())
}

#[test]
fn main_errors_are_on_the_page_of_errors() -> Result<()> {
    let page = fs::read_to_string(docs().join("errors.md"))?;
    let entries = entries()?;
    let errors = entries.pages.iter().flat_map(|page| &page.entries).flat_map(|entry| &entry.errors);
    let has = |error: &str| {
        error
            .split_once(' ')
            .is_some_and(|(state, message)| page.contains(&format!("| {state} | `{message}` |")))
    };
    let unknown: Vec<&String> = errors.filter(|error| !has(error)).collect();
    ensure!(unknown.is_empty(), "docs/errors.md has no rows {unknown:#?}");
    Ok(())
}

#[test]
fn the_guide_has_every_setting() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let there = "SELECT name FROM pg_settings WHERE name LIKE 'groundskeeper.%' ORDER BY 1";
    let mut client = db.client().unwrap();
    client.batch_execute("LOAD 'pg_groundskeeper'").unwrap();
    let there = texts(&mut client, there).unwrap();
    let guide = fs::read_to_string(docs().join("guide.md")).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `groundskeeper.")?.split_once('`')?.0.to_owned());
    let mut written: Vec<String> =
        guide.lines().filter_map(row).map(|name| format!("groundskeeper.{name}")).collect();
    written.sort();
    assert_eq!(there, written);
}
