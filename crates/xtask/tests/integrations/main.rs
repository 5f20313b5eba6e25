//! The files in `integrations/` have the metrics that there are: those of exporters are written from the families, and
//! nothing else asks for one that is not there.
#![allow(missing_docs, reason = "a test")]

mod exporters;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_core::exposition::{FAMILIES, family_of};
use serde_json::Value;

/// Set, the files are written instead of compared.
const WRITE: &str = "GROUNDSKEEPER_WRITE";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

#[test]
fn the_files_of_exporters_are_those_of_the_families() -> Result<()> {
    for (path, wanted) in exporters::files() {
        let path = Path::new("integrations").join(path);
        if std::env::var_os(WRITE).is_some() {
            fs::write(root().join(&path), &wanted)?;
        }
        let found = read(&path.display().to_string())?;
        ensure!(
            found == wanted,
            "{} is not what the families say: run this test with {WRITE}=1",
            path.display()
        );
    }
    Ok(())
}

/// Words that could be names of ours.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("groundskeeper_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn rules_and_panels_ask_for_metrics_that_there_are() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&read("integrations/grafana/dashboard.json")?)?;
    let mut asked = names(&dashboard.to_string());
    let expressions: Vec<String> = read("integrations/prometheus/alerts.yml")?
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("expr:")?.to_owned()))
        .collect();
    ensure!(expressions.len() > 10, "the rules are not where they were");
    asked.extend(expressions.iter().flat_map(|expression| names(expression)));
    let unknown: Vec<&String> = asked.iter().filter(|name| family_of(name).is_none()).collect();
    ensure!(unknown.is_empty(), "no such metric: {unknown:?}");
    Ok(())
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .replace(' ', "-")
        .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "")
}

#[test]
fn each_alert_has_an_entry_in_the_runbook() -> Result<()> {
    let runbook = read("docs/alerts.md")?;
    let entries: BTreeSet<String> =
        runbook.lines().filter_map(|line| Some(anchor(line.strip_prefix("### ")?))).collect();
    let rules = read("integrations/prometheus/alerts.yml")?;
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for alert in &alerts {
        ensure!(entries.contains(&anchor(alert)), "docs/alerts.md has no entry for {alert}");
        ensure!(rules.contains(&format!("docs/alerts.md#{}", anchor(alert))), "no runbook of {alert}");
    }
    ensure!(rules.matches("runbook_url:").count() == alerts.len(), "an alert has no runbook");
    for rule in &groundskeeper_core::plan::Plan::built_in().map_err(anyhow::Error::msg)?.alert_rules {
        ensure!(entries.contains(&anchor(&rule.rule)), "docs/alerts.md has no entry for {}", rule.rule);
    }
    Ok(())
}

#[test]
fn no_family_is_forgotten() -> Result<()> {
    for (path, text) in exporters::files() {
        for family in FAMILIES.iter().filter(|_| path != "sql_exporter/justwatch.yml") {
            ensure!(text.contains(family.name), "{path} lacks {}", family.name);
        }
    }
    Ok(())
}
