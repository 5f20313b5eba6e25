//! The pages of the documentation: each is a chapter, and their links lead somewhere. `cargo xtask book` looks at the links
//! of the built book besides.
#![allow(missing_docs, reason = "a test")]

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xtask::book::{chapters, links};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages that there are, by their paths from the root.
fn pages() -> Result<BTreeMap<PathBuf, String>> {
    let root = root();
    let mut files = Vec::new();
    for folder in ["docs", "integrations"] {
        files.extend(sources::with_extension(&root.join(folder), "md")?);
    }
    for entry in fs::read_dir(&root)? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let page = |path: &PathBuf| Ok((path.strip_prefix(&root)?.to_owned(), fs::read_to_string(path)?));
    files.iter().map(page).collect()
}

#[test]
fn every_page_is_a_chapter() -> Result<()> {
    let chapters = chapters(&root())?;
    let once: BTreeSet<&PathBuf> = chapters.iter().collect();
    ensure!(once.len() == chapters.len(), "docs/SUMMARY.md has a page twice: {chapters:?}");
    let pages = pages()?;
    let missing: Vec<&PathBuf> =
        pages.keys().filter(|page| !once.contains(page) && !page.ends_with("SUMMARY.md")).collect();
    ensure!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
    let gone: Vec<&&PathBuf> = once.iter().filter(|chapter| !pages.contains_key(**chapter)).collect();
    ensure!(gone.is_empty(), "docs/SUMMARY.md has {gone:?}, which are not there");
    Ok(())
}

#[test]
fn links_between_pages_lead_somewhere() -> Result<()> {
    let pages = pages()?;
    let anchors: BTreeMap<&PathBuf, BTreeSet<String>> =
        pages.iter().map(|(path, page)| (path, links::anchors(page))).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, page) in &pages {
        for link in links::of(page) {
            let place = link.split_once('#').map(|(_, place)| place);
            let target = links::resolved(path, &link);
            if target.is_none() && !link.starts_with('#') {
                continue;
            }
            count += 1;
            let target = target.unwrap_or_else(|| path.clone());
            let leads = match (anchors.get(&target), place) {
                (Some(anchors), Some(place)) => anchors.contains(place),
                _ => root().join(&target).exists(),
            };
            if !leads {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    ensure!(count > 100, "only {count} links are found");
    ensure!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_runbook_keeps_its_name() -> Result<()> {
    // Alert rules that are installed elsewhere link to it.
    let first = pages()?.remove(Path::new("docs/alerts.md")).context("docs/alerts.md")?;
    ensure!(links::anchors(&first).contains("groundskeepersilent"), "an alert's heading is gone");
    Ok(())
}
