//! The plan and what the migration knows of its tables name the tables of the betting database, and nothing else does.
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use groundskeeper_core::migration::PIPELINE_LOG;
use groundskeeper_core::plan::Plan;

/// Where the shapes that the migration fits are known, and the stages of the pipeline that its log tells of; `plan.toml`
/// and the core's part of the migration stand elsewhere. What was released, and what leads on from there, has both.
const ALLOWED: [&str; 7] = [
    "src/migration/",
    "src/api/migration.rs",
    "src/kpi/migration_log.sql",
    "sql/migration.sql",
    "sql/released/",
    "sql/upgrade/",
    "sql/pg_groundskeeper--",
];

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Whether a name stands in a line, not as a part of another.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(|before| is_word(before) || before == '.')
            && !line[at + name.len()..].starts_with(is_word)
    })
}

/// Whether something in a schema stands in a line: `schema.name`, where that is no call of a method.
fn names_within(line: &str, schema: &str) -> bool {
    let prefix = format!("{schema}.");
    line.match_indices(&prefix).any(|(at, _)| {
        let after = &line[at + prefix.len()..];
        let end = after.find(|letter| !is_word(letter)).unwrap_or(after.len());
        !line[..at].ends_with(|before| is_word(before) || before == '.')
            && end > 0
            && !after[end..].starts_with('(')
    })
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "sql") {
            out.push(path);
        }
    }
    Ok(())
}

#[test]
fn no_table_is_named_outside_of_the_plan_and_the_migration() -> Result<()> {
    let plan = Plan::built_in().map_err(anyhow::Error::msg)?;
    let relations = plan.items.iter().map(|item| &item.relation).chain(&plan.statistics);
    let ours = |schema: &str| !plan.schemas.iter().any(|known| known == schema);
    // A name of one word might mean anything.
    let mut words: BTreeSet<String> = relations
        .filter(|relation| !ours(&relation.schema) && relation.name.contains('_'))
        .map(|relation| relation.name.clone())
        .collect();
    words.extend(PIPELINE_LOG.rsplit('.').next().map(str::to_owned));
    words.extend(plan.schemas.iter().map(|schema| format!("'{schema}'")));

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mut all = Vec::new();
    files(&root.join("src"), &mut all)?;
    files(&root.join("sql"), &mut all)?;
    let mut wrong = Vec::new();
    for path in all {
        let shown = path.strip_prefix(&root)?.display().to_string();
        if ALLOWED.iter().any(|allowed| shown.starts_with(allowed)) {
            continue;
        }
        for (number, line) in fs::read_to_string(&path)?.lines().enumerate() {
            if words.iter().any(|word| names(line, word))
                || plan.schemas.iter().any(|schema| names_within(line, schema))
            {
                wrong.push(format!("{shown}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("tables of the database are named here:\n{}", wrong.join("\n"));
    }
    Ok(())
}

#[test]
fn a_name_is_found_as_a_word_and_a_method_is_no_table() {
    assert!(
        names("FROM raw_data.moneylines_raw m", "moneylines_raw")
            || names_within("FROM raw_data.moneylines_raw m", "raw_data")
    );
    assert!(names("n.nspname IN ('raw_data', 'staging')", "'staging'"));
    assert!(!names("not_moneylines_raw", "moneylines_raw"));
    assert!(names_within("'staging.games'", "staging"));
    assert!(!names_within("raw_data.is_object()", "raw_data"));
    assert!(!names_within("shape.staging.raw_id", "staging"));
}
