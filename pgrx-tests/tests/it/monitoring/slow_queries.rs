//! `monitoring.slow_queries` and `groundskeeper.slow_queries()`.

use super::*;
use groundskeeper_tests::sql::refusal;

#[test]
fn slow_queries_is_empty_without_its_source() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let count = "SELECT count(*) FROM monitoring.slow_queries";
    assert_eq!(value(&mut client, count), "0");
    if is_available(&mut client, "pg_stat_statements") {
        // Created but not preloaded, its own view fails.
        run_sql(&mut client, "CREATE EXTENSION pg_stat_statements");
        let preloaded = value(&mut client, "SELECT current_setting('shared_preload_libraries')");
        if !preloaded.contains("pg_stat_statements") {
            assert_eq!(value(&mut client, count), "0");
            assert_eq!(value(&mut client, "SELECT count(*) FROM groundskeeper.slow_queries()"), "0");
        }
    }
}

#[test]
fn slow_queries_reads_any_version_and_lets_it_be_updated() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (_server, mut db) = private(Options::default().preload("pg_stat_statements"));
    let reader = monitor(&mut db);
    let mut client = db.client().unwrap();
    let mut reader = db.client_as(&reader).unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA \"we\"\"ird.Schema\"; GRANT USAGE ON SCHEMA \"we\"\"ird.Schema\" TO PUBLIC",
    );
    run_sql(&mut client, "SELECT pg_sleep(1.1)");
    let slow = "SELECT format('%s: %s, %s', query, calls, mean_time BETWEEN 1000 AND 60000 AND total_time = mean_time)
                FROM monitoring.slow_queries WHERE query ~ 'pg_sleep'";
    let expected = "SELECT pg_sleep($1): 1, t";
    let versions = "SELECT version FROM pg_available_extension_versions
                     WHERE name = 'pg_stat_statements' AND string_to_array(version, '.')::integer[] >= '{1,4}'
                     ORDER BY string_to_array(version, '.')::integer[]";
    let versions = groundskeeper_tests::sql::texts(&mut client, versions).unwrap();
    assert!(versions.len() >= 7, "{versions:?}");
    for version in &versions {
        let create =
            format!("CREATE EXTENSION pg_stat_statements SCHEMA \"we\"\"ird.Schema\" VERSION '{version}'");
        run_sql(&mut client, &create);
        assert_eq!(value(&mut reader, slow), expected, "version {version}");
        let state = "SELECT state FROM groundskeeper.prerequisites() WHERE component = 'pg_stat_statements'";
        let old = matches!(version.as_str(), "1.4" | "1.5" | "1.6" | "1.7" | "1.8");
        assert_eq!(value(&mut reader, state), if old { "partial" } else { "ok" }, "version {version}");
        // With a view of ours on it, this would be refused.
        run_sql(&mut client, "ALTER EXTENSION pg_stat_statements UPDATE");
        assert_eq!(value(&mut reader, slow), expected, "version {version}, updated");
        run_sql(&mut client, "DROP EXTENSION pg_stat_statements");
    }
}

#[test]
fn slow_queries_shows_top_level_statements_of_this_database_and_hides_others_text() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let options = Options::default().preload("pg_stat_statements").set("pg_stat_statements.track", "all");
    let (server, mut db) = private(options);
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements");
    run_sql(&mut client, "DO $$ BEGIN PERFORM pg_sleep(1.1) AS nested_only; END $$");
    let mut elsewhere = server.connect("postgres", SUPERUSER).unwrap();
    run_sql(&mut elsewhere, "SELECT pg_sleep(1.1) AS elsewhere");
    let known = "SELECT count(*) FROM pg_stat_statements WHERE query ~ 'AS (nested_only|elsewhere)' AND query !~ '^DO'";
    assert_eq!(value(&mut client, known), "2", "the source has both");
    let texts = column(&mut client, "SELECT query FROM monitoring.slow_queries");
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].as_ref().unwrap().starts_with("DO "), "{texts:?}");

    let role = db.role("reader").unwrap();
    let grant = format!(
        "GRANT USAGE ON SCHEMA monitoring TO {0}; GRANT SELECT ON monitoring.slow_queries TO {0};
         GRANT EXECUTE ON FUNCTION groundskeeper_internal.statement_statistics TO {0}",
        quote_ident(&role)
    );
    run_sql(&mut client, &grant);
    let mut reader = db.client_as(&role).unwrap();
    assert_eq!(value(&mut reader, "SELECT query FROM monitoring.slow_queries"), "<insufficient privilege>");
}

#[test]
fn statements_are_ranked_by_total_mean_and_95th_percentile() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let library = "pg_stat_statements, pg_groundskeeper";
    let (server, db) = private(Options::default().preload(library).set("pg_stat_statements.track", "all"));
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements; SELECT groundskeeper.record_metrics()");
    run_sql(&mut client, "SELECT pg_stat_statements_reset()");
    run_sql(&mut client, "SELECT pg_sleep(0.5) AS slowest");
    for _ in 0..100 {
        run_sql(&mut client, "SELECT count(*) AS often FROM generate_series(1, 100000)");
    }
    // Mostly fast, but one of ten is slow.
    for n in 0..10 {
        run_sql(&mut client, &format!("SELECT pg_sleep(CASE {n} WHEN 0 THEN 0.8 ELSE 0 END) AS uneven"));
    }
    run_sql(&mut client, "DO $$ BEGIN PERFORM pg_sleep(0.01) AS nested; END $$");
    run_sql(&mut server.connect("postgres", SUPERUSER).unwrap(), "SELECT pg_sleep(0.01) AS elsewhere");
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    let first = |client: &mut Client, arguments: &str| {
        let sql = format!(
            "SELECT (regexp_match(query, 'AS (often|slowest|uneven)'))[1] FROM groundskeeper.slow_queries({arguments})
             WHERE query ~ 'AS (often|slowest|uneven)' LIMIT 1"
        );
        value(client, &sql)
    };
    assert_eq!(first(&mut client, "'mean'"), "slowest");
    assert_eq!(first(&mut client, "'p95'"), "uneven");
    let total = "SELECT bool_and(total_time = max) FROM (SELECT total_time, max(total_time) OVER ()
                   FROM groundskeeper.slow_queries('total') WHERE rank = 1) s";
    assert_eq!(value(&mut client, total), "true");
    let figure =
        "SELECT p95_ms BETWEEN 700 AND 5000 AND mean_time < 500 FROM groundskeeper.slow_queries('p95')
                   WHERE query ~ 'AS uneven'";
    assert_eq!(value(&mut client, figure), "true");
    let count = |client: &mut Client, arguments: &str, pattern: &str| {
        let sql = format!(
            "SELECT count(*) FROM groundskeeper.slow_queries({arguments}, top => 1000)
              WHERE query ~ 'AS {pattern}' AND query !~ '^DO'"
        );
        value(client, &sql)
    };
    assert_eq!(count(&mut client, "'total'", "nested"), "0");
    assert_ne!(count(&mut client, "'total', nested => true", "nested"), "0");
    assert_eq!(count(&mut client, "'total'", "elsewhere"), "0");
    assert_eq!(count(&mut client, "'total', database => 'postgres'", "elsewhere"), "1");
    assert_eq!(count(&mut client, "'total', database => NULL", "elsewhere"), "1");
    assert_eq!(value(&mut client, "SELECT count(*) FROM groundskeeper.slow_queries(top => 2)"), "2");
    let column = "SELECT p95_ms IS NOT NULL FROM groundskeeper_internal.statement_statistics() WHERE query ~ 'AS uneven'";
    assert_eq!(value(&mut client, column), "true");
    for (arguments, code) in [
        ("NULL", "22004"),
        ("nested => NULL", "22004"),
        ("'fastest'", "22023"),
        ("top => 0", "22023"),
        ("since => '0'", "22023"),
    ] {
        let refused =
            refusal(&mut client, &format!("SELECT groundskeeper.slow_queries({arguments})")).unwrap();
        assert_eq!(refused.code, code, "{arguments}: {refused:?}");
    }
}
