//! The modules of the extension import in one direction.
#![allow(missing_docs, reason = "a test")]

mod sources;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sources::sources;

/// Each module may use those in the lines above it, and those before it in its own line; none that comes later.
const LAYERS: [&[&str]; 9] = [
    &["encoding", "error", "settings"],
    &["compat", "guc", "sql", "subtransaction", "parse", "backend"],
    &["owner", "target", "extension", "cluster", "waiting", "worker", "latency", "connections"],
    &["catalog", "bloat", "kpi", "metrics"],
    &["journal", "jobs", "alerts", "report", "exposition"],
    &["index", "partition", "migration", "statistics", "schedule"],
    &["plan"],
    &["runner", "launcher", "api"],
    &["lib"],
];

#[test]
fn modules_import_in_one_direction() -> Result<()> {
    let order: HashMap<&str, usize> =
        LAYERS.iter().flat_map(|layer| layer.iter()).enumerate().map(|(at, module)| (*module, at)).collect();
    let place = |module: &str| {
        let known = order.get(module).copied();
        known.with_context(|| format!("module {module} is in no layer: give it a place in LAYERS"))
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src").canonicalize()?;
    let mut wrong = Vec::new();
    for file in sources(&root)? {
        let path = file.strip_prefix(&root)?;
        let module = module_of(path).with_context(|| format!("{} is no module", path.display()))?;
        let at = place(&module)?;
        let mut text = fs::read_to_string(&file)?;
        if is_root_of(path) {
            text = text.replace("\nuse super::", "\nuse crate::");
        }
        for used in imports(&text) {
            if used != module && place(&used)? > at {
                wrong.push(format!("src/{} uses {used}", path.display()));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.sort();
    bail!("against the layers:\n{}", wrong.join("\n"))
}

#[test]
fn the_page_on_the_architecture_has_the_same_layers() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    let exists = |module: &str| {
        let path = root.join("src").join(module);
        path.is_dir() || path.with_extension("rs").exists()
    };
    for (number, layer) in LAYERS.iter().enumerate() {
        let row = page.lines().find(|line| line.starts_with(&format!("| {number} |")));
        let row = row.with_context(|| format!("ARCHITECTURE.md has no layer {number}"))?;
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        for module in layer.iter().filter(|module| exists(module)) {
            assert!(named.contains(module), "ARCHITECTURE.md does not name {module} in layer {number}");
        }
        let elsewhere = |name: &&&str| LAYERS.iter().flat_map(|layer| layer.iter()).any(|m| m == *name);
        for name in named.iter().filter(elsewhere) {
            assert!(layer.contains(name), "ARCHITECTURE.md names {name} in layer {number}");
        }
    }
    Ok(())
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let found = |text: &str| imports(text).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(found("use crate::sql::{self, required};"), "sql");
    assert_eq!(
        found("use crate::{catalog::{Relation, relation}, jobs};\nuse crate::error::Result;"),
        "catalog error jobs"
    );
    assert_eq!(found("    crate::settings::timezone() // not crate::plan"), "settings");
    assert_eq!(found("pub(crate) use groundskeeper_core::plan::Item; my_crate::sql::run()"), "");
}

/// The module right under the crate's root that a file belongs to.
fn module_of(path: &Path) -> Option<String> {
    let first = path.components().next()?;
    Some(Path::new(first.as_os_str()).file_stem()?.to_str()?.to_owned())
}

/// Whether a file is its module's root, to whom `super` is the crate.
fn is_root_of(path: &Path) -> bool {
    let depth = path.components().count();
    depth == 1 || depth == 2 && path.ends_with("mod.rs")
}

/// The modules under the crate's root that a text names: `crate::one` and `crate::{one, two::three}`.
fn imports(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let inside_a_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !inside_a_word {
            found.extend(first_names(&code[at + path.len()..]));
        }
    }
    found
}

/// The first names of the paths that a text begins with: one, or a group's.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| {
        let text = text.trim_start();
        text[..text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())].to_owned()
    };
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let (mut depth, mut names) = (0, vec![name(group)]);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}
