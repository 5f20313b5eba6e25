//! What each exporter reads, written from the families.

use std::fmt::Write as _;

use groundskeeper_core::exposition::{FAMILIES, Family, Kind, names};

/// Path below `integrations/` and content of each file.
pub fn files() -> [(&'static str, String); 5] {
    [
        ("postgres_exporter/queries.yaml", postgres_exporter()),
        ("sql_exporter/groundskeeper.collector.yml", sql_exporter()),
        ("sql_exporter/justwatch.yml", justwatch()),
        ("pgwatch/metrics.yaml", pgwatch()),
        ("cloudnative-pg/queries.yaml", cloudnative_pg()),
    ]
}

const ORIGIN: &str =
    "# Written from the metrics of pg_groundskeeper by its tests; see integrations/README.md.\n";

/// A family's name in two: exporters put a query's name before that of a column, and each query has a name of its own.
fn divided() -> Vec<(&'static Family, &'static str, &'static str)> {
    let mut taken: Vec<&str> = Vec::new();
    let mut divided = Vec::new();
    for family in &FAMILIES {
        let places: Vec<usize> = family.name.match_indices('_').map(|(at, _)| at).collect();
        let free = places.into_iter().rev().find(|at| !taken.contains(&&family.name[..*at]));
        if let Some(at) = free {
            taken.push(&family.name[..at]);
            divided.push((family, &family.name[..at], &family.name[at + 1..]));
        }
    }
    assert_eq!(divided.len(), FAMILIES.len(), "a family's name cannot be divided");
    divided
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn label_columns(family: &Family) -> String {
    family.labels.iter().map(|label| format!("labels ->> '{label}' AS \"{label}\", ")).collect()
}

/// The query of a family, with a column for each label and one for the value; a histogram has arrays.
fn query(family: &Family, column: &str) -> String {
    let labels = label_columns(family);
    if family.kind != Kind::Histogram {
        return format!(
            "SELECT {labels}value AS \"{column}\" FROM monitoring.metrics WHERE name = '{}'",
            family.name
        );
    }
    let names: String = family.labels.iter().map(|label| format!("\"{label}\", ")).collect();
    let by: Vec<String> = family.labels.iter().map(|label| format!("\"{label}\"")).collect();
    format!(
        "SELECT {names}array_agg(le ORDER BY le) FILTER (WHERE le < 'Infinity') AS \"{column}\", \
         array_agg(value::bigint ORDER BY le) FILTER (WHERE le < 'Infinity') AS \"{column}_bucket\", \
         max(value) FILTER (WHERE name LIKE '%\\_sum') AS \"{column}_sum\", \
         max(value) FILTER (WHERE name LIKE '%\\_count')::bigint AS \"{column}_count\" \
         FROM (SELECT name, {labels}CASE labels ->> 'le' WHEN '+Inf' THEN 'Infinity' ELSE labels ->> 'le' END::double precision \
         AS le, value FROM monitoring.metrics WHERE name IN ('{0}_bucket', '{0}_sum', '{0}_count')) m GROUP BY {1}",
        family.name,
        by.join(", ")
    )
}

fn usage(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "COUNTER",
        Kind::Gauge => "GAUGE",
        Kind::Histogram => "HISTOGRAM",
    }
}

fn entry(out: &mut String, family: &Family, key: &str, column: &str, extra: &str) {
    let _ = writeln!(out, "\n# {}\n{key}:\n  query: {}", family.name, quoted(&query(family, column)));
    out.push_str(extra);
    out.push_str("  metrics:\n");
    for label in family.labels {
        let _ = writeln!(out, "    - {label}:\n        usage: \"LABEL\"\n        description: \"Of what\"");
    }
    let (usage, help) = (usage(family.kind), quoted(family.help));
    let _ = writeln!(out, "    - {column}:\n        usage: \"{usage}\"\n        description: {help}");
}

fn postgres_exporter() -> String {
    let mut out = format!("{ORIGIN}# postgres_exporter --extend.query-path=queries.yaml, from 0.11 on\n");
    for (family, key, column) in divided() {
        entry(&mut out, family, key, column, "  cache_seconds: 30\n");
    }
    out
}

fn cloudnative_pg() -> String {
    let mut out = format!(
        "{ORIGIN}# The value of a ConfigMap's key that customQueriesConfigMap names; CloudNativePG puts cnpg_ before each name.\n\
         # Say in target_databases where the extension is.\n"
    );
    for (family, key, column) in divided() {
        entry(
            &mut out,
            family,
            key,
            column,
            "  target_databases:\n    - \"betting\"\n  runonserver: \">=15.0.0\"\n",
        );
    }
    out
}

/// Histograms are three counters to it.
fn sql_exporter() -> String {
    let mut out = format!(
        "{ORIGIN}# A collector of burningalchemist/sql_exporter: collector_files and collectors of sql_exporter.yml name it.\n\
         collector_name: groundskeeper\nmin_interval: 30s\nmetrics:\n"
    );
    for family in FAMILIES {
        let (names, labels): (Vec<String>, Vec<&str>) = match family.kind {
            Kind::Histogram => (
                ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", family.name)).into(),
                family.labels.to_vec(),
            ),
            _ => (vec![family.name.to_owned()], family.labels.to_vec()),
        };
        for name in names {
            let mut labels = labels.clone();
            if name.ends_with("_bucket") {
                labels.push("le");
            }
            let kind = if family.kind == Kind::Gauge { "gauge" } else { "counter" };
            let _ =
                writeln!(out, "  - metric_name: {name}\n    type: {kind}\n    help: {}", quoted(family.help));
            if !labels.is_empty() {
                let _ = writeln!(out, "    key_labels: [{}]", labels.join(", "));
            }
            let columns: String =
                labels.iter().map(|label| format!("labels ->> '{label}' AS \"{label}\", ")).collect();
            let query = format!("SELECT {columns}value FROM monitoring.metrics WHERE name = '{name}'");
            let _ = writeln!(out, "    values: [value]\n    query: {}", quoted(&query));
        }
    }
    out
}

/// Another program of the same name, which Debian has: one query for all, whose names Prometheus puts back.
fn justwatch() -> String {
    let mut labels: Vec<&str> = FAMILIES.iter().flat_map(|family| family.labels.iter().copied()).collect();
    labels.push("le");
    labels.sort_unstable();
    labels.dedup();
    let mut out = format!(
        "{ORIGIN}\
# justwatchcom/sql_exporter, which Debian has as prometheus-sql-exporter: -config.file. It has a metric for each query
# and calls it sql_groundskeeper; in its scrape_config, Prometheus gives each series its name back:
#   metric_relabel_configs:
#     - {{source_labels: [metric], regex: '(groundskeeper_.+)', target_label: __name__}}
#     - {{regex: 'metric|col|driver|host|database|user|sql_job', action: labeldrop}}
jobs:
  - name: groundskeeper
    interval: 30s
    connections:
      - 'postgres://monitor@localhost:5432/betting?sslmode=disable'
    queries:
      - name: groundskeeper
        help: 'All metrics of pg_groundskeeper, each with its name as a label.'
        labels: [metric, {}]
        values: [value]
        query: |
          SELECT name AS metric,
",
        labels.join(", ")
    );
    for label in labels {
        let _ = writeln!(out, "                 coalesce(labels ->> '{label}', '') AS \"{label}\",");
    }
    out.push_str("                 value\n            FROM monitoring.metrics\n");
    out
}

/// One measurement for each set of labels; what a row has no figure of is NULL, and left out.
fn pgwatch() -> String {
    let mut out = format!(
        "{ORIGIN}# pgwatch --metrics=metrics.yaml, from 3.0 on; the preset has all of it\nmetrics:\n"
    );
    let mut sets: Vec<&[&str]> = FAMILIES.iter().map(|family| family.labels).collect();
    sets.sort_unstable();
    sets.dedup();
    let mut names = Vec::new();
    for labels in sets {
        let families: Vec<&Family> = FAMILIES.iter().filter(|family| family.labels == labels).collect();
        let name =
            std::iter::once("groundskeeper").chain(labels.iter().copied()).collect::<Vec<_>>().join("_by_");
        measurement(&mut out, &name, labels, &families);
        names.push(name);
    }
    out.push_str(
        "presets:\n  groundskeeper:\n    description: All metrics of pg_groundskeeper\n    metrics:\n",
    );
    for name in names {
        let _ = writeln!(out, "      {name}: 60");
    }
    out
}

fn measurement(out: &mut String, name: &str, labels: &[&str], families: &[&Family]) {
    let _ = writeln!(out, "  {name}:\n    description: Metrics of pg_groundskeeper\n    sqls:\n      15: |");
    let mut columns: Vec<String> =
        labels.iter().map(|label| format!("labels ->> '{label}' AS \"tag_{label}\"")).collect();
    if families.iter().any(|family| family.kind == Kind::Histogram) {
        columns.push("labels ->> 'le' AS tag_le".to_owned());
    }
    let tags = columns.len();
    for family in families {
        let ends: &[&str] =
            if family.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        for end in ends {
            let name = format!("{}{end}", family.name);
            columns.push(format!("max(value) FILTER (WHERE name = '{name}') AS {name}"));
        }
    }
    let _ = writeln!(out, "        SELECT (extract(epoch FROM now()) * 1e9)::bigint AS epoch_ns,");
    let _ = writeln!(out, "               {}", columns.join(",\n               "));
    let wanted: Vec<String> = names()
        .filter(|(_, of)| families.iter().any(|family| family.name == of.name))
        .map(|(name, _)| format!("'{name}'"))
        .collect();
    let _ = writeln!(
        out,
        "          FROM monitoring.metrics\n         WHERE name IN ({})",
        wanted.join(",\n                        ")
    );
    if tags > 0 {
        let groups: Vec<String> = (2..2 + tags).map(|column| column.to_string()).collect();
        let _ = writeln!(out, "         GROUP BY {}", groups.join(", "));
    }
    let gauges: Vec<&str> =
        families.iter().filter(|family| family.kind == Kind::Gauge).map(|family| family.name).collect();
    if !gauges.is_empty() {
        let _ = writeln!(out, "    gauges:\n      - {}", gauges.join("\n      - "));
    }
}
