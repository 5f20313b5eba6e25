//! Metrics for monitoring systems: rows and text are the same, bounded, and quick.

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
    eprintln!("a scrape takes {before:.1?}, with 5,000 tables {after:.1?} for {series} series");
    assert!(series <= 2_000, "{series} series");
    assert!(after < before * 3 + Duration::from_millis(300), "{before:?} became {after:?}");
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
