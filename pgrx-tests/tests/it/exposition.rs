//! Metrics for monitoring systems: rows and text are the same, bounded, and quick.

mod causes;
mod exporters;
mod scraped;
mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::{Options, Server, quote_ident};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

fn exposed(client: &mut Client) -> String {
    text(client, "SELECT groundskeeper.prometheus_metrics()").unwrap()
}

/// The value of the one sample that begins so.
fn value(exposed: &str, sample: &str) -> f64 {
    let found: Vec<&str> =
        exposed.lines().filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')).collect();
    assert_eq!(found.len(), 1, "{sample}");
    found[0].parse().unwrap()
}

#[test]
fn the_view_and_the_text_have_the_same_samples() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SELECT groundskeeper.record_metrics(); SELECT groundskeeper.check_alerts()");
    let monitor = db.role("monitor").unwrap();
    run_sql(&mut client, &format!("GRANT pg_monitor TO {}", quote_ident(&monitor)));
    let mut client = db.client_as(&monitor).unwrap();
    let rows = texts(&mut client, "SELECT DISTINCT name FROM monitoring.metrics").unwrap();
    let exposed = exposed(&mut client);
    assert!(exposed.ends_with('\n'));
    let samples: BTreeSet<String> = exposed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
        .collect();
    assert_eq!(samples, rows.into_iter().collect());
    assert!(exposed.lines().count() < 2_200);
    let failed = "SELECT labels ->> 'collector' FROM monitoring.metrics WHERE name = 'groundskeeper_collector_success' AND value = 0";
    assert_eq!(texts(&mut client, failed).unwrap(), Vec::<String>::new());
    for family in
        ["groundskeeper_kpi_ratio", "groundskeeper_open_jobs", "groundskeeper_statement_duration_seconds"]
    {
        assert!(exposed.contains(&format!("# TYPE {family} ")), "{family}, empty or not");
    }
    assert_eq!(value(&exposed, "groundskeeper_kpi_target_ratio{kpi=\"cache_hit_ratio\"}"), 0.95);
    assert_eq!(
        value(&exposed, "groundskeeper_kpi_target_latency_seconds{kpi=\"query_latency_p95_ms\"}"),
        0.5
    );
    assert_eq!(value(&exposed, "groundskeeper_alert_firing{rule=\"heartbeat\"}"), 0.0);
}

#[test]
fn a_filter_on_the_name_reads_no_more_than_it_asks_for() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SELECT groundskeeper.record_metrics(); SELECT groundskeeper.check_alerts()");
    // Each table is scanned by one part only.
    let mut scanned = |filter: &str| {
        run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
        run_sql(&mut client, "BEGIN");
        let count =
            text(&mut client, &format!("SELECT count(*) FROM monitoring.metrics WHERE {filter}")).unwrap();
        let scans = "SELECT string_agg(pg_stat_get_xact_numscans(t::regclass)::text, ' ' ORDER BY n) FROM unnest(ARRAY[
            'groundskeeper.kpi_targets', 'groundskeeper.migration_runs', 'groundskeeper.schedule']) WITH ORDINALITY u (t, n)";
        let scans = text(&mut client, scans).unwrap();
        run_sql(&mut client, "ROLLBACK");
        assert_ne!(count, "0", "{filter}");
        scans
    };
    let of_kpis = scanned("name = 'groundskeeper_kpi_target_ratio'");
    let (kpis, others) = of_kpis.split_once(' ').unwrap();
    assert!(kpis != "0" && others == "0 0", "{of_kpis}");
    assert_eq!(
        scanned("name IN ('groundskeeper_kpi_target_ratio', 'groundskeeper_kpi_target_latency_seconds')"),
        of_kpis
    );
    assert_eq!(scanned("name LIKE 'groundskeeper_kpi_target%'"), of_kpis);
    assert_eq!(scanned("name = 'groundskeeper_build_info'"), "0 0 0");
    // All names together read each part once.
    let all = scanned("true");
    assert!(all.starts_with(&format!("{kpis} ")) && !all.contains('0'), "{all}");
    assert_eq!(scanned("name = 'groundskeeper_series_dropped'"), all);
}

#[test]
fn latency_is_a_histogram_and_exact_at_the_objective() {
    let server = Options::default().preload("pg_groundskeeper").start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    let mut client = db.client().unwrap();
    let before = exposed(&mut client);
    run_sql(&mut client, "SELECT pg_sleep(0.51)");
    let after = exposed(&mut client);
    let of = |exposed: &str, rest: &str| {
        value(exposed, &format!("groundskeeper_statement_duration_seconds{rest}"))
    };
    let bucket = |exposed: &str, le: &str| of(exposed, &format!("_bucket{{le=\"{le}\",scope=\"select\"}}"));
    let slow = |exposed: &str| of(exposed, "_count{scope=\"select\"}") - bucket(exposed, "0.5");
    // Asking is a statement, too, and slow where the machine is busy.
    assert!(slow(&after) - slow(&before) >= 1.0, "{after}");
    let over = value(&after, "groundskeeper_statements_over_objective_total{scope=\"select\"}");
    assert_eq!(slow(&after), over, "{after}");
    assert_eq!(bucket(&after, "+Inf"), of(&after, "_count{scope=\"select\"}"));
    let sum = of(&after, "_sum{scope=\"select\"}") - of(&before, "_sum{scope=\"select\"}");
    assert!(sum >= 0.47, "{sum}");
    drop((client, db));
    server.destroy();
}

#[test]
fn there_are_no_more_series_with_thousands_of_tables_and_rules() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let (before, _) = fastest(&mut client);
    run_sql(
        &mut client,
        "CREATE SCHEMA IF NOT EXISTS staging;
         INSERT INTO groundskeeper.alert_rules (rule, metric, comparison, fire_threshold)
         SELECT 'rule ' || n, 'failed_jobs', '>', 0 FROM generate_series(1, 1000) n",
    );
    for hundred in 0..50 {
        run_sql(
            &mut client,
            &format!(
                "DO $$ BEGIN FOR n IN 1..100 LOOP
                     EXECUTE format('CREATE TABLE staging.t_%s_%s (day date NOT NULL) PARTITION BY RANGE (day)', {hundred}, n);
                     IF n <= 4 THEN
                         PERFORM groundskeeper.adopt_partitioned_table(format('staging.t_%s_%s', {hundred}, n)::regclass);
                     END IF;
                 END LOOP; END $$"
            ),
        );
    }
    let (after, series) = fastest(&mut client);
    let began = Instant::now();
    let one_by_one = one_by_one(&mut client);
    eprintln!(
        "a scrape takes {before:.1?}, with 5,000 tables {after:.1?} for {series} series; name by name {:.1?}",
        began.elapsed()
    );
    assert!(series <= 2_000, "{series} series");
    assert_eq!(one_by_one, series, "whoever asks name by name gets the same");
    assert_eq!(text(&mut client, "SELECT count(*) FROM monitoring.metrics").unwrap(), series.to_string());
    // 900 rules and more that have two each, and 80 tables; the plan's own tables are not there.
    let dropped = value(&exposed(&mut client), "groundskeeper_series_dropped");
    assert!(dropped >= 1_800.0 + 80.0 * 9.0, "{dropped}");
    assert!(after < before * 3 + Duration::from_millis(300), "{before:?} became {after:?}");
}

/// How many series an exporter finds that has a query for each name.
fn one_by_one(client: &mut Client) -> usize {
    let names = texts(client, "SELECT name FROM groundskeeper_internal.metric_names()").unwrap();
    let query = "SELECT labels::text, value FROM monitoring.metrics WHERE name = $1";
    names.iter().map(|name| client.query(query, &[name]).unwrap().len()).sum()
}

/// How long a scrape takes at best, as a busy machine is slow at times, and how many series it has.
fn fastest(client: &mut Client) -> (Duration, usize) {
    let mut fastest = Duration::MAX;
    let mut series = 0;
    for _ in 0..5 {
        let began = Instant::now();
        series = exposed(client).lines().filter(|line| !line.starts_with('#')).count();
        fastest = fastest.min(began.elapsed());
    }
    (fastest, series)
}

/// A sample's line: its name, and its labels as they are.
fn read(line: &str) -> Option<(String, Vec<(String, String)>)> {
    let (head, value) = line.rsplit_once(' ')?;
    value.parse::<f64>().ok()?;
    let Some((name, rest)) = head.split_once('{') else {
        return Some((head.to_owned(), Vec::new()));
    };
    let mut labels = Vec::new();
    let mut rest = rest.strip_suffix('}')?;
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut chars = behind.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    escaped => escaped,
                }),
                (end, '"') => break end,
                (_, plain) => text.push(plain),
            }
        };
        labels.push((label.trim_start_matches(',').to_owned(), text));
        rest = &behind[end + 1..];
    }
    Some((name.to_owned(), labels))
}

#[test]
fn hostile_names_stay_labels() {
    let names = [
        "a\"} 1\ngroundskeeper_in_recovery 1",
        "back\\slash\\",
        "<script>alert(1)</script>",
        "carriage\rreturn",
        "carriage return",
        "{le=\"+Inf\"}",
        "\u{202e}x\u{1}",
    ];
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE SCHEMA app");
    for name in names {
        let quoted = quote_ident(name);
        run_sql(
            &mut client,
            &format!(
                "CREATE TABLE app.{quoted} (day date NOT NULL) PARTITION BY RANGE (day);
                 INSERT INTO groundskeeper.alert_rules (rule, metric, comparison, fire_threshold)
                 VALUES ($n${name}$n$, 'failed_jobs', '>', 0)"
            ),
        );
        run_sql(&mut client, &format!("SELECT groundskeeper.adopt_partitioned_table($n$app.{quoted}$n$)"));
    }
    let exposed = exposed(&mut client);
    assert_eq!(exposed.matches("\ngroundskeeper_collector_success{").count(), 9);
    for line in exposed.lines().filter(|line| line.starts_with("groundskeeper_collector_success{")) {
        assert!(line.ends_with(" 1"), "{line}");
    }
    let samples = exposed.trim_end().split('\n').filter(|line| !line.starts_with("# "));
    let samples: Vec<_> =
        samples.map(|line| read(line).unwrap_or_else(|| panic!("no sample: {line:?}"))).collect();
    let of = |family: &str, label: &str| -> BTreeSet<String> {
        let labels = samples.iter().filter(|(name, _)| name == family).flat_map(|(_, labels)| labels);
        labels.filter(|(name, _)| name == label).map(|(_, value)| value.clone()).collect()
    };
    let rules = of("groundskeeper_alert_firing", "rule");
    let tables = of("groundskeeper_table_partitions", "table");
    for name in names {
        assert!(rules.contains(name), "{name:?}: {rules:?}");
        assert!(tables.contains(&format!("app.{}", quote_ident(name))), "{name:?}: {tables:?}");
    }
    let rows =
        "SELECT labels ->> 'table' FROM monitoring.metrics WHERE name = 'groundskeeper_table_partitions'";
    assert_eq!(texts(&mut client, rows).unwrap().into_iter().collect::<BTreeSet<_>>(), tables);
    if groundskeeper_tests::is_there("promtool").unwrap() {
        let found = groundskeeper_tests::fed("promtool", &["check", "metrics"], &exposed).unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    }
}

#[test]
fn promtool_finds_nothing_wrong() {
    if groundskeeper_tests::lacks("promtool") {
        return;
    }
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SELECT groundskeeper.record_metrics(); SELECT groundskeeper.check_alerts()");
    let exposed = exposed(&mut client);
    let found = groundskeeper_tests::fed("promtool", &["check", "metrics", "--extended"], &exposed).unwrap();
    assert!(
        found.status.success(),
        "{}{}",
        String::from_utf8_lossy(&found.stdout),
        String::from_utf8_lossy(&found.stderr)
    );
    assert!(found.stderr.is_empty(), "{}", String::from_utf8_lossy(&found.stderr));
}

#[test]
fn each_rule_fires_on_its_cause_and_on_nothing_like_it() {
    if groundskeeper_tests::lacks("promtool") {
        return;
    }
    let rules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../integrations/prometheus");
    for (verb, file) in [("check", "alerts.yml"), ("test", "alerts_test.yml")] {
        let file = rules.join(file);
        let found =
            groundskeeper_tests::fed("promtool", &[verb, "rules", file.to_str().unwrap()], "").unwrap();
        let said =
            String::from_utf8_lossy(&found.stdout).into_owned() + &String::from_utf8_lossy(&found.stderr);
        assert!(found.status.success() && said.contains("SUCCESS"), "{said}");
    }
}
