//! The book: the pages of `docs/` and what they link to, built by mdBook.

pub mod links;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{announce, ask, cargo, execute, follow, repository, target_dir};
use crate::setup::tools;

/// The release of mdBook that the book is built with.
const MDBOOK: &str = "0.5.4";

/// What names the chapters, and where.
const SUMMARY: &str = "docs/SUMMARY.md";

/// `cargo xtask book`
pub fn run() -> Result<()> {
    let home = target_dir().join("book");
    let built = home.join("html");
    lay_out(&repository(), &home.join("src"))?;
    fs::copy(repository().join("book.toml"), home.join("book.toml"))?;
    let mdbook = mdbook()?;
    announce("the book");
    execute(Command::new(mdbook).arg("build").arg("--dest-dir").arg(&built).arg(&home))?;
    let broken = links::broken(&built)?;
    ensure!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    announce(format!("{} is the book", built.join("index.html").display()));
    Ok(())
}

/// The chapters, as paths from the repository's root, in their order.
pub fn chapters(root: &Path) -> Result<Vec<PathBuf>> {
    let summary = fs::read_to_string(root.join(SUMMARY)).context(SUMMARY)?;
    let from = Path::new(SUMMARY);
    links::of(&summary).iter().map(|link| links::resolved(from, link).context(link.clone())).collect()
}

/// Copies the chapters and the files that they link to, each to where it lies in the repository: their links hold.
fn lay_out(root: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let chapters = chapters(root)?;
    let mut all: BTreeSet<PathBuf> = chapters.iter().cloned().collect();
    for chapter in &chapters {
        let page = fs::read_to_string(root.join(chapter)).with_context(|| chapter.display().to_string())?;
        for link in links::of(&page) {
            let Some(target) = links::resolved(chapter, &link) else { continue };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            ensure!(
                !is_page || chapters.contains(&target),
                "{} links to {}, which {SUMMARY} does not have",
                chapter.display(),
                target.display()
            );
            all.insert(target);
        }
    }
    for file in all {
        let copy = to.join(&file);
        fs::create_dir_all(copy.parent().context("a file has a folder")?)?;
        fs::copy(root.join(&file), copy).with_context(|| file.display().to_string())?;
    }
    let summary = fs::read_to_string(root.join(SUMMARY))?;
    Ok(fs::write(to.join("SUMMARY.md"), links::seen_from_above(Path::new(SUMMARY), &summary))?)
}

/// mdBook, whosever has the right version; else our own, which is built once.
fn mdbook() -> Result<PathBuf> {
    let own = tools().join("bin/mdbook");
    let fits = |program: &Path| {
        ask(Command::new(program).arg("--version")).is_some_and(|said| said.ends_with(MDBOOK))
    };
    if let Some(found) = [PathBuf::from("mdbook"), own.clone()].into_iter().find(|program| fits(program)) {
        return Ok(found);
    }
    announce(format!("building mdBook {MDBOOK}: takes minutes, once"));
    let exact = format!("={MDBOOK}");
    let mut install = cargo(&["install", "--locked", "mdbook", "--version", &exact, "--debug"]);
    install.args(["--no-default-features", "--features", "search"]);
    install.args(["--config", "profile.dev.debug=false", "--root"]).arg(tools());
    follow(&mut install).context("mdBook could not be built")?;
    Ok(own)
}
