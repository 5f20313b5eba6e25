//! A real Prometheus, by way of real exporters with our files: what it stores is what there is, the dashboard shows it, and
//! each rule fires on what really happens.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use groundskeeper_tests::prometheus::{Prometheus, Running, until};
use serde_json::Value;

use super::causes::Causes;
use super::exporters::file;
use super::world::World;
use super::*;

/// The expressions of the dashboard, its variables filled in.
fn asked(instance: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("grafana/dashboard.json")).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().cloned());
    targets
        .flatten()
        .map(|target| {
            target["expr"].as_str().unwrap().replace("$instance", instance).replace("$__rate_interval", "5m")
        })
        .collect()
}

/// The rules as they are, but for how long what they find must last.
fn rules() -> String {
    let rules = file("prometheus/alerts.yml")
        .replace("_idle_transaction_seconds > 900", "_idle_transaction_seconds > 1");
    rules.lines().filter(|line| !line.trim().starts_with("for:")).map(|line| format!("{line}\n")).collect()
}

/// The lines of the file that Prometheus is to have besides, to give series their names.
fn relabelling() -> String {
    let head = file("sql_exporter/justwatch.yml");
    let lines: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    assert_eq!(lines[0], "metric_relabel_configs:");
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

/// How many series there are of each name; those that come and go by the second are left out.
fn counted(rows: impl Iterator<Item = (String, i64)>) -> BTreeMap<String, i64> {
    let passing = ["connections", "_job", "longest_idle"];
    rows.filter(|(name, _)| passing.iter().all(|part| !name.contains(part))).collect()
}

fn scrape(exporters: &[(&str, &Running)], alertmanager: &Running, directory: &Path) -> Prometheus {
    fs::write(directory.join("rules.yml"), rules()).unwrap();
    let mut settings = format!(
        "alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\nscrape_configs:\n",
        alertmanager.address()
    );
    for (job, exporter) in exporters {
        settings.push_str(&format!(
            "  - job_name: {job}\n    static_configs: [{{targets: ['{}']}}]\n",
            exporter.address()
        ));
        if *job == "sql" {
            settings.push_str(&relabelling());
        }
    }
    Prometheus::start(directory, &settings).unwrap()
}

fn alertmanager(directory: &Path) -> Running {
    fs::write(directory.join("alertmanager.yml"), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        .unwrap();
    Running::start(directory, "prometheus-alertmanager", |port, command| {
        command.args([
            "--config.file=alertmanager.yml",
            "--storage.path=alerted",
            "--cluster.listen-address=",
        ]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    })
    .unwrap()
}

#[test]
fn prometheus_stores_what_there_is_the_dashboard_shows_it_and_rules_fire() {
    for part in
        ["prometheus", "prometheus-alertmanager", "prometheus-postgres-exporter", "prometheus-sql-exporter"]
    {
        if groundskeeper_tests::lacks(part) {
            return;
        }
    }
    let mut world = World::new();
    let exporters = [
        ("postgres", world.postgres_exporter(&file("postgres_exporter/queries.yaml"))),
        ("sql", world.sql_exporter()),
    ];
    let manager = alertmanager(&world.directory);
    let scraped: Vec<(&str, &Running)> = exporters.iter().map(|(job, exporter)| (*job, exporter)).collect();
    let prometheus = scrape(&scraped, &manager, &world.directory);

    for (job, exporter) in &exporters {
        let all = |client: &mut Client| {
            let query = "SELECT name, count(*) FROM monitoring.metrics GROUP BY name";
            counted(client.query(query, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))))
        };
        let found = || {
            let query = format!("count by (__name__) ({{__name__=~\"groundskeeper_.+\", job=\"{job}\"}})");
            let rows = prometheus.query(&query)?;
            let name = |labels: &Value| labels["__name__"].as_str().unwrap_or_default().to_owned();
            anyhow::Ok(counted(rows.iter().map(|(labels, count)| (name(labels), *count as i64))))
        };
        let stored = until(&format!("{job} has all"), || {
            let (found, wanted) = (found()?, all(&mut world.client));
            anyhow::ensure!(found == wanted, "{:?}", difference(&found, &wanted));
            Ok(true)
        });
        stored.unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", exporter.log(), prometheus.log()));
        for query in asked(&exporter.address()) {
            until(&query, || Ok(!prometheus.query(&query)?.is_empty()))
                .unwrap_or_else(|error| panic!("{job}: {error:#}"));
        }
    }
    until("nothing fires before its cause", || {
        let firing = prometheus.firing()?;
        anyhow::ensure!(firing.is_empty(), "{firing:?}");
        Ok(true)
    })
    .unwrap();
    let mut seen = Causes { world: &mut world, prometheus: &prometheus, seen: Vec::new() };
    seen.all(&manager);
    let mut seen = seen.seen;
    drop(exporters);
    let absent = "GroundskeeperMetricsAbsent";
    // What is counted over the last minutes goes on firing beside it.
    until(absent, || Ok(prometheus.firing()?.iter().any(|firing| firing == absent))).unwrap();
    seen.push(absent.to_owned());
    seen.sort();
    let rules = rules();
    let mut stated: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    stated.sort_unstable();
    assert_eq!(seen, stated, "each rule has a cause here");
    drop((prometheus, manager));
    world.end();
}

fn difference(found: &BTreeMap<String, i64>, wanted: &BTreeMap<String, i64>) -> Vec<String> {
    let names = found.keys().chain(wanted.keys());
    let mut different: Vec<String> = names
        .filter(|name| found.get(*name) != wanted.get(*name))
        .map(|name| format!("{name}: {:?}, not {:?}", found.get(name), wanted.get(name)))
        .collect();
    different.dedup();
    different
}

#[test]
fn the_queries_for_cloudnative_pg_are_those_of_an_exporter() {
    if groundskeeper_tests::lacks("prometheus-postgres-exporter") {
        return;
    }
    let mut world = World::new();
    // It reads the same form, and leaves out what it does not know of.
    let exporter = world.postgres_exporter(&file("cloudnative-pg/queries.yaml"));
    let exposed = exporter.get("/metrics").unwrap();
    assert!(exposed.contains("pg_exporter_last_scrape_error 0"), "{}", exporter.log());
    let names = "SELECT DISTINCT name FROM monitoring.metrics WHERE name !~ 'longest_idle'";
    for name in groundskeeper_tests::sql::texts(&mut world.client, names).unwrap() {
        assert!(exposed.lines().any(|line| line.starts_with(&name)), "no {name}; {}", exporter.log());
    }
    drop(exporter);
    world.end();
}
