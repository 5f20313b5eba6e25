//! Whose work is linked into the library, and on which terms: what packages and images must say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{announce, ask, cargo, repository};

/// A crate that is linked into the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an expression of SPDX's.
    pub licence: String,
    /// Who holds the rights, a line each.
    pub holders: Vec<String>,
    /// The files with its terms.
    pub files: Vec<PathBuf>,
}

/// `cargo xtask licences`: the terms of the extension, and those of each crate in a folder of its name.
pub fn write(into: &Path, major: u32) -> Result<()> {
    fs::create_dir_all(into)?;
    fs::copy(repository().join("LICENSE"), into.join("LICENSE"))?;
    let mut list = String::from("Linked into the library of pg_groundskeeper:\n\n");
    for linked in of_library(major)? {
        let Linked { name, version, licence, holders, files } = linked;
        list.push_str(&format!("{name} {version}: {licence}\n"));
        holders.iter().for_each(|holder| list.push_str(&format!("    {holder}\n")));
        let folder = into.join(format!("{name}-{version}"));
        for file in files {
            fs::create_dir_all(&folder)?;
            fs::copy(&file, folder.join(file.file_name().context("a file has a name")?))?;
        }
    }
    fs::write(into.join("LINKED.txt"), list)?;
    announce(format!("{} has the licences", into.display()));
    Ok(())
}

/// All that is linked into the library for a release of PostgreSQL, without what only runs while it is built.
pub fn of_library(major: u32) -> Result<Vec<Linked>> {
    let feature = format!("pg{major}");
    let mut tree = cargo(&["tree", "--locked", "--package", "pg_groundskeeper", "--prefix", "none"]);
    tree.args(["--edges", "normal,no-proc-macro", "--format", "{p}", "--no-default-features"]);
    let tree = ask(tree.args(["--features", &feature])).context("cargo tree does not answer")?;
    let wanted = in_tree(&tree);
    let metadata = ask(&mut cargo(&["metadata", "--format-version", "1", "--locked"]));
    let metadata: Value = serde_json::from_str(&metadata.context("cargo metadata does not answer")?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut found = vec![standard_library()?];
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let (name, version) = (text("name"), text("version"));
        if wanted.contains(&(name.clone(), version.clone())) {
            let home = PathBuf::from(text("manifest_path")).with_file_name("");
            let files = terms(&home)?;
            let mut holders = Vec::new();
            for file in &files {
                holders.extend(holders_in(&String::from_utf8_lossy(&fs::read(file)?)));
            }
            holders.dedup();
            if holders.is_empty() {
                let authors = package["authors"].as_array().into_iter().flatten();
                holders.extend(authors.filter_map(|author| author.as_str().map(str::to_owned)));
            }
            if holders.is_empty() {
                holders.push(format!("the authors of {name}"));
            }
            found.push(Linked { licence: text("license"), name, version, holders, files });
        }
    }
    ensure!(found.len() == wanted.len() + 1, "of {} crates cargo knows {}", wanted.len(), found.len() - 1);
    found.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(found)
}

/// What every program in Rust is linked with.
fn standard_library() -> Result<Linked> {
    let said = ask(Command::new("rustc").arg("--version")).context("there is no rustc")?;
    Ok(Linked {
        name: "std".to_owned(),
        version: said.split_whitespace().nth(1).unwrap_or_default().to_owned(),
        licence: "MIT OR Apache-2.0".to_owned(),
        holders: vec!["the Rust Project contributors".to_owned()],
        files: Vec::new(),
    })
}

/// Names and versions of what is not ours in what `cargo tree` prints: `serde v1.0.229`, where ours have a path behind.
fn in_tree(tree: &str) -> BTreeSet<(String, String)> {
    let others = tree.lines().filter(|line| !line.contains(" ("));
    let parts = others.filter_map(|line| line.trim().split_once(" v"));
    parts.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

/// The files of a crate with its terms.
fn terms(home: &Path) -> Result<Vec<PathBuf>> {
    const NAMES: [&str; 4] = ["LICEN", "COPY", "UNLICENSE", "NOTICE"];
    let mut found = Vec::new();
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if !NAMES.iter().any(|begins| name.starts_with(begins)) {
            continue;
        }
        if path.is_dir() {
            let inside = fs::read_dir(&path)?.map(|entry| Ok(entry?.path()));
            found.extend(inside.collect::<Result<Vec<_>>>()?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a licence that say whose the rights are, and not what is to be done with such a line.
fn holders_in(terms: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in terms.lines().map(str::trim) {
        let rest = line.trim_start_matches(['/', '*', '#', ' ']);
        let says = ["copyright (c) ", "copyright © ", "copyright 1", "copyright 2"]
            .iter()
            .any(|begins| rest.to_lowercase().starts_with(begins));
        // Apache's has a line to be filled in.
        if says && !rest.contains(['[', '{']) && !rest.contains("yyyy") {
            let holder = rest["copyright".len()..].trim();
            let holder =
                holder.trim_start_matches("(c)").trim_start_matches("(C)").trim_start_matches('©').trim();
            if !holder.is_empty() && !found.iter().any(|known| known == holder) {
                found.push(holder.to_owned());
            }
        }
    }
    found
}

/// The machine-readable copyright file of a Debian package, from what it begins with and our own terms.
pub fn debian(beginning: &str, own: &str, linked: &[Linked]) -> Result<String> {
    let holder = holders_in(own).pop().context("our own terms name nobody")?;
    let (_, terms) = own.split_once(&holder).context("our own terms name nobody")?;
    let mut file = beginning.trim_end().to_owned();
    file.push_str(&format!("\nCopyright: {holder}\nLicense: PostgreSQL\n{}", indented(terms)));
    let mut texts = BTreeMap::new();
    for Linked { name, version, licence, holders, .. } in linked {
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .with_context(|| format!("{name} {version} is licensed as {licence}"))?;
        for wanted in expression.requirements() {
            let id =
                wanted.req.license.id().with_context(|| format!("{licence} has a licence of its own"))?;
            texts.insert(id.name, on_debian(id.name).unwrap_or_else(|| id.text().to_owned()));
        }
        file.push_str(&format!("\nFiles: vendor/{name}-{version}/*\nCopyright: "));
        file.push_str(&holders.join("\n           "));
        file.push_str(&format!("\nLicense: {}\n", short(licence)));
    }
    for (name, text) in texts {
        file.push_str(&format!("\nLicense: {name}\n{}", indented(&text)));
    }
    Ok(file)
}

/// Debian has some texts on each system, which its packages refer to.
fn on_debian(name: &str) -> Option<String> {
    (name == "Apache-2.0").then(|| {
        format!("On Debian systems the full text of this licence is in the file\n/usr/share/common-licenses/{name}.")
    })
}

/// SPDX's expression in Debian's words.
fn short(licence: &str) -> String {
    licence.replace('/', " or ").replace(" OR ", " or ").replace(" AND ", " and ").replace(['(', ')'], "")
}

/// A text as the continuation of a field: each line begins with a space, and an empty one is a dot.
fn indented(text: &str) -> String {
    let lines = text.trim().lines().map(str::trim_end);
    lines.flat_map(|line| [" ", if line.is_empty() { "." } else { line }, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Linked, debian, holders_in, in_tree, of_library};

    #[test]
    fn each_crate_is_found_once_and_ours_are_left_out() {
        let tree = "pg_groundskeeper v0.2.0 (/somewhere)\nserde v1.0.229\nserde v1.0.229 (*)\ntoml v0.9.12+spec-1.1.0\n";
        let found: Vec<_> = in_tree(tree).into_iter().collect();
        assert_eq!(
            found,
            [("serde", "1.0.229"), ("toml", "0.9.12+spec-1.1.0")]
                .map(|(name, version)| (name.to_owned(), version.to_owned()))
        );
    }

    #[test]
    fn holders_are_read_and_the_terms_are_not() {
        let mit = "The MIT License\n\nCopyright (c) 2014 Somebody <a@b.example>\nCopyright (c) 2014 Somebody <a@b.example>\n\n\
                   The above copyright notice and this permission notice shall be included\n   Copyright [yyyy] [name of copyright owner]\n\
                   copyright notice that is included\n";
        assert_eq!(holders_in(mit), ["2014 Somebody <a@b.example>"]);
    }

    #[test]
    fn the_file_has_a_paragraph_for_each_crate_and_each_licence() {
        let linked = |name: &str, licence: &str| Linked {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            holders: vec!["2020 One".to_owned(), "2021 Another".to_owned()],
            files: Vec::new(),
        };
        let own = "PostgreSQL License\n\nCopyright (c) 2026, us\n\na\n\nb\n";
        let file = debian("Files: *\n", own, &[linked("x", "MIT/Apache-2.0"), linked("y", "Zlib")]).unwrap();
        let beginning =
            "Files: *\nCopyright: 2026, us\nLicense: PostgreSQL\n a\n .\n b\n\nFiles: vendor/x-1.0.0/*\n";
        assert!(file.starts_with(beginning), "{file}");
        assert!(
            file.contains("\nCopyright: 2020 One\n           2021 Another\nLicense: MIT or Apache-2.0\n")
        );
        for licence in ["Apache-2.0", "MIT", "Zlib"] {
            assert_eq!(file.matches(&format!("\nLicense: {licence}\n ")).count(), 1, "{licence}: {file}");
        }
        assert!(file.contains("/usr/share/common-licenses/Apache-2.0"));
        assert!(debian("", own, &[linked("z", "no licence")]).is_err());
        assert!(debian("", "nobody's", &[]).is_err());
    }

    #[test]
    fn what_is_linked_has_holders_and_terms() {
        let linked = of_library(15).unwrap();
        assert!(linked.len() > 40, "{linked:?}");
        assert!(linked.iter().any(|one| one.name == "pgrx" && !one.holders.is_empty()));
        assert!(!linked.iter().any(|one| one.name == "proptest"), "tests are not linked");
        let own = include_str!("../../../LICENSE");
        let file = debian(include_str!("../../../packaging/debian/copyright"), own, &linked).unwrap();
        let ours = "\nFiles: *\nCopyright: 2026, the pg_groundskeeper contributors\nLicense: PostgreSQL\n Permission to use";
        assert!(file.contains(ours), "{file}");
    }
}
