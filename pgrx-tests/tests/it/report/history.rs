//! What samples of a long time come to, and those of counters that begin anew.

use std::time::{Duration, Instant};

use super::*;

/// Copies of the last sample, one a minute for ninety days.
const QUARTER: &str = "
    DO $$
    DECLARE
        day date;
        name text;
    BEGIN
        FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date - n FROM generate_series(0, 91) n LOOP
            name := to_char(day, '\"metrics_\"YYYY_MM_DD');
            IF to_regclass('groundskeeper.' || name) IS NULL THEN
                EXECUTE format('CREATE TABLE groundskeeper.%I PARTITION OF groundskeeper.metrics FOR VALUES FROM (%L) TO (%L)',
                               name, day || ' 00:00:00+00', day || ' 24:00:00+00');
                EXECUTE format('ALTER EXTENSION pg_groundskeeper ADD TABLE groundskeeper.%I', name);
            END IF;
        END LOOP;
    END $$;
    INSERT INTO groundskeeper.metrics
    SELECT r.*
      FROM (SELECT * FROM groundskeeper.metrics ORDER BY sampled_at DESC LIMIT 1) m,
           generate_series(1, 90 * 24 * 60 - 60) n,
           jsonb_populate_record(NULL::groundskeeper.metrics, to_jsonb(m) || jsonb_build_object(
               'sampled_at', m.sampled_at - n * interval '1 minute', 'since', m.sampled_at - (n + 1) * interval '1 minute',
               'xact_commit', 1000000 - n)) r;
    UPDATE groundskeeper.metrics SET xact_commit = 1000000 WHERE sampled_at = (SELECT max(sampled_at) FROM groundskeeper.metrics)";

fn figure(report: &Value, name: &str) -> i64 {
    let figures = report["figures"]["data"].as_array().unwrap_or_else(|| panic!("{}", report["figures"]));
    let found = figures.iter().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("{figures:?}"));
    found["value"].as_f64().unwrap_or_else(|| panic!("{found}")) as i64
}

#[test]
fn ninety_days_of_samples_are_a_page_within_seconds() {
    let statements = groundskeeper_tests::is_there("pg_stat_statements").unwrap();
    let libraries = &["pg_groundskeeper", "pg_stat_statements"][..1 + usize::from(statements)];
    let (server, db) = preloaded(libraries, Template::Empty);
    let mut client = db.client().unwrap();
    if statements {
        run_sql(&mut client, "CREATE EXTENSION pg_stat_statements");
    }
    run_sql(&mut client, "CREATE TABLE public.played (n integer); INSERT INTO public.played VALUES (1)");
    for columns in 1..=40 {
        run_sql(&mut client, &format!("SELECT {} FROM public.played", vec!["n"; columns].join(", ")));
    }
    record(&mut client);
    run_sql(&mut client, QUARTER);

    let began = Instant::now();
    let page = text(&mut client, "SELECT groundskeeper.performance_report_html('90 days')").unwrap();
    let took = began.elapsed();
    let samples = text(&mut client, "SELECT count(*) FROM groundskeeper.metrics").unwrap();
    eprintln!("90 days, {samples} samples: {took:.1?}, {} bytes", page.len());
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    assert!(took < Duration::from_secs(60), "{took:?}, where an idle machine takes three seconds");
    let report = text(&mut client, "SELECT groundskeeper.performance_report('90 days')").unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(figure(&report, "Transactions committed"), 90 * 24 * 60 - 60);
    let steps = report["samples"]["data"].as_array().unwrap();
    assert!((60..=96).contains(&steps.len()), "{} steps", steps.len());
    drop((client, db));
    server.destroy();
}

#[test]
fn the_reset_of_one_tables_counters_is_none_of_the_databases() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE public.played (n integer)");
    for n in 0..300 {
        run_sql(&mut client, &format!("INSERT INTO public.played VALUES ({n})"));
    }
    record(&mut client);
    run_sql(&mut client, "SELECT pg_stat_reset_single_table_counters('public.played'::regclass)");
    record(&mut client);
    // A few of the test's own, not the hundreds from before.
    let committed = figure(&report(&mut client), "Transactions committed");
    assert!((1..100).contains(&committed), "{committed}");
}
