//! What differs between releases of PostgreSQL is in one module.
#![allow(missing_docs, reason = "a test")]

mod sources;

use std::fs;
use std::path::Path;

use anyhow::Result;
use sources::sources;

/// What asks for a release, when it is compiled or when it runs.
const QUESTIONS: [&str; 6] =
    ["\"pg1", "\"since_", "PG_VERSION_NUM", "PG_MAJORVERSION", "server_version_num()", "pg_sys::PG_VERSION"];

#[test]
fn only_one_module_asks_for_the_release() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src").canonicalize()?;
    let compat = root.join("compat.rs");
    let asked = |text: &str| QUESTIONS.into_iter().find(|question| text.contains(question));
    assert!(asked(&fs::read_to_string(&compat)?).is_some(), "the questions are not what compat asks");
    for file in sources(&root)?.into_iter().filter(|file| *file != compat) {
        let question = asked(&fs::read_to_string(&file)?);
        assert_eq!(question, None, "{} asks for the release: compat.rs does", file.display());
    }
    Ok(())
}

#[test]
fn the_next_release_inherits() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let compat = fs::read_to_string(root.join("src/compat.rs"))?;
    assert!(
        !compat.contains("feature = \"pg"),
        "compat.rs asks for one release, and not for it and all that follow"
    );
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    for release in 17..=18 {
        let inherits = format!("since_{release} = [\"since_{}\"]", release - 1);
        assert!(manifest.contains(&inherits), "Cargo.toml lacks {inherits}");
    }
    Ok(())
}
