//! The files of exporters that no distribution packages: each of their queries is run, and has the columns that the file
//! declares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::run_sql;

pub fn file(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integrations").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names and types of a query's columns.
fn columns(client: &mut Client, query: &str) -> Vec<(String, String)> {
    let statement = client.prepare(query).unwrap_or_else(|error| panic!("{error:?}: {query}"));
    client.query(&statement, &[]).unwrap_or_else(|error| panic!("{error:?}: {query}"));
    statement
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.type_().name().to_owned()))
        .collect()
}

fn watched() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SELECT groundskeeper.record_metrics(); SELECT groundskeeper.check_alerts()");
    (db, client)
}

/// The scalar behind a key, out of its quotes.
fn scalar(line: &str, key: &str) -> Option<String> {
    let value = line.trim().trim_start_matches("- ").strip_prefix(key)?.strip_prefix(": ")?;
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    Some(quoted.map_or_else(|| value.to_owned(), |quoted| quoted.replace("''", "'")))
}

#[test]
fn sql_exporter_finds_the_columns_that_its_file_declares() {
    let (_db, mut client) = watched();
    let file = file("sql_exporter/groundskeeper.collector.yml");
    let mut collected = BTreeSet::new();
    for metric in file.split("  - metric_name: ").skip(1) {
        let name = metric.lines().next().unwrap();
        let of = |key: &str| metric.lines().find_map(|line| scalar(line, key));
        assert!(matches!(of("type").unwrap().as_str(), "counter" | "gauge"), "{name}");
        let listed = |key: &str| -> Vec<String> {
            let list = of(key).unwrap_or_else(|| "[]".to_owned());
            let list = list.trim_matches(['[', ']']).to_owned();
            list.split(", ").filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let wanted: Vec<String> = [listed("key_labels"), listed("values")].concat();
        let found = columns(&mut client, &of("query").unwrap());
        assert_eq!(found.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), wanted, "{name}");
        assert_eq!(found.last().unwrap().1, "float8", "{name}");
        collected.insert(name.to_owned());
    }
    let all = texts(&mut client, "SELECT name FROM groundskeeper_internal.metric_names()").unwrap();
    assert_eq!(collected, all.into_iter().collect());
}

#[test]
fn pgwatch_finds_its_time_its_tags_and_figures() {
    let (_db, mut client) = watched();
    let file = file("pgwatch/metrics.yaml");
    let (metrics, presets) = file.split_once("\npresets:\n").unwrap();
    let mut figures = BTreeSet::new();
    let mut measurements = Vec::new();
    for block in metrics.split("    sqls:\n      15: |\n").skip(1) {
        let indented = |line: &&str| line.starts_with("        ");
        let query = block.lines().take_while(indented).collect::<Vec<_>>().join("\n");
        let gauges: BTreeSet<&str> = block
            .lines()
            .skip_while(|line| line.trim() != "gauges:")
            .skip(1)
            .map_while(|line| line.strip_prefix("      - "))
            .collect();
        let found = columns(&mut client, &query);
        assert_eq!(found[0], ("epoch_ns".to_owned(), "int8".to_owned()), "{query}");
        for (name, kind) in &found[1..] {
            match name.strip_prefix("tag_") {
                Some(_) => assert_eq!(kind, "text", "{name}"),
                None => {
                    assert_eq!(kind, "float8", "{name}");
                    figures.insert(name.clone());
                }
            }
        }
        assert!(gauges.iter().all(|gauge| found.iter().any(|(name, _)| name == gauge)), "{gauges:?}");
    }
    for line in metrics.lines().filter(|line| line.starts_with("  groundskeeper")) {
        measurements.push(line.trim().trim_end_matches(':').to_owned());
    }
    for name in &measurements {
        assert!(presets.contains(&format!("      {name}: 60\n")), "{name} is in no preset");
    }
    let all = texts(&mut client, "SELECT name FROM groundskeeper_internal.metric_names()").unwrap();
    assert_eq!(figures, all.into_iter().collect());
}
