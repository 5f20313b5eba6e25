//! What the report says is what the views say.

use std::time::{Duration, Instant};

use groundskeeper_tests::sql::refusal;

use super::*;

#[test]
fn without_any_data_each_part_says_why() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let report = report(&mut client);
    let parts = report.as_object().unwrap().values().filter(|part| part.get("reason").is_some());
    for part in parts {
        assert!(part["data"].is_null() != part["reason"].is_null(), "{part}");
    }
    assert!(
        report["latency"]["reason"].as_str().unwrap().contains("shared_preload_libraries"),
        "{}",
        report["latency"]
    );
    assert!(report["samples"]["data"].as_array().unwrap().len() <= 96);
    let page = page(&mut client);
    for reason in ["Nothing to show:", "shared_preload_libraries", "no table is managed"] {
        assert!(page.contains(reason), "{reason}");
    }
}

#[test]
fn kpis_are_those_of_the_report_of_kpis() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    record(&mut client);
    let query = "SELECT jsonb_agg(to_jsonb(k) - 'detail' - 'value' - 'samples' - 'measured_over')
                   FROM groundskeeper.kpi_report() k";
    let known: Value = serde_json::from_str(&text(&mut client, query).unwrap()).unwrap();
    let mut said = report(&mut client)["kpis"].clone();
    let columns = ["kpi", "value", "target", "status", "samples", "measured_over", "method", "detail"];
    for kpi in said.as_array_mut().unwrap() {
        let kpi = kpi.as_object_mut().unwrap();
        assert!(
            kpi.len() == columns.len() && columns.iter().all(|column| kpi.contains_key(*column)),
            "{kpi:?}"
        );
        for changing in ["detail", "value", "samples", "measured_over"] {
            kpi.remove(changing);
        }
    }
    assert_eq!(said, known);
    let page = page(&mut client);
    for kpi in known.as_array().unwrap() {
        assert!(page.contains(kpi["kpi"].as_str().unwrap()), "{kpi}");
    }
}

#[test]
fn latency_is_that_of_the_clients_and_the_plan_shows_before_and_after() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (server, db) = preloaded(&["pg_groundskeeper", "pg_stat_statements"], Template::ShapeA);
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements; SELECT groundskeeper.rollback_plan()");
    db.settle().unwrap();
    let query = "SELECT count(*) FROM staging.totals WHERE sportsbook_name = 'x' AND game_id = 1";
    for _ in 0..20 {
        run_sql(&mut client, query);
    }
    run_sql(&mut client, "SELECT pg_sleep(0.55)");
    record(&mut client);
    run_sql(&mut client, "SELECT groundskeeper.apply_plan()");
    db.settle().unwrap();
    for _ in 0..30 {
        run_sql(&mut client, query);
    }
    record(&mut client);

    let report = report(&mut client);
    let latency = &report["latency"]["data"];
    assert!(latency["total"]["calls"].as_i64().unwrap() >= 50, "{latency}");
    assert!(latency["total"]["over_objective"].as_i64().unwrap() >= 1, "{latency}");
    let bands: i64 = latency["bands"].as_array().unwrap().iter().map(|band| band.as_i64().unwrap()).sum();
    assert_eq!(bands, latency["total"]["calls"].as_i64().unwrap());
    let counted =
        latency["steps"].as_array().unwrap().iter().filter(|step| !step["quantiles"].is_null()).count();
    assert!((1..=2).contains(&counted), "{counted} steps have samples");
    let changes = report["plan"]["data"].as_array().unwrap();
    assert!(!changes.is_empty(), "{}", report["plan"]);
    let measured: Vec<&Value> = changes.iter().filter(|change| !change["before"].is_null()).collect();
    assert!(measured.iter().all(|change| change["after"]["calls"].as_i64().unwrap() >= 30), "{measured:?}");
    assert!(!measured.is_empty(), "{changes:?}");
    page(&mut client);
    drop((client, db));
    server.destroy();
}

#[test]
fn two_intervals_stand_side_by_side() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    record(&mut client);
    let with = "SELECT groundskeeper.performance_report('2 hours', now() - interval '7 days')";
    let report: Value = serde_json::from_str(&text(&mut client, with).unwrap()).unwrap();
    assert!(
        report["compared_with"]["ends"].is_string() && report["figures_compared"]["data"].is_array(),
        "{report}"
    );
    let html = "SELECT groundskeeper.performance_report_html('2 hours', now() - interval '7 days')";
    assert!(text(&mut client, html).unwrap().contains("id=\"compared\""));
    assert!(!page(&mut client).contains("id=\"compared\""));
}

#[test]
fn no_interval_that_makes_no_sense_is_reported() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    for (arguments, code) in [
        ("'0 hours'", "22023"),
        ("'-1 day'", "22023"),
        ("'11 years'", "22023"),
        ("'100000000 years'", "22008"),
        ("NULL", "22004"),
        ("'1 day', now() + interval '1 hour'", "22023"),
        ("'1 day', 'infinity'", "22023"),
        ("'1 day', '-infinity'", "22023"),
    ] {
        for function in ["performance_report", "performance_report_html"] {
            let call = format!("SELECT groundskeeper.{function}({arguments})");
            let refusal = refusal(&mut client, &call).unwrap();
            assert_eq!(refusal.code, code, "{call}");
        }
    }
}

#[test]
fn what_is_to_be_done_comes_first() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE staging.broken (a integer); INSERT INTO staging.broken VALUES (1), (1);
         CREATE TABLE staging.days (day date NOT NULL, n integer) PARTITION BY RANGE (day);
         CREATE TABLE staging.days_default PARTITION OF staging.days DEFAULT;
         SELECT groundskeeper.adopt_partitioned_table('staging.days');
         SELECT public.create_monthly_partitions();
         INSERT INTO staging.days SELECT '1999-01-01', n FROM generate_series(1, 7) n",
    );
    // left behind by a build that fails
    refusal(&mut client, "CREATE UNIQUE INDEX CONCURRENTLY broken_a ON staging.broken (a)").unwrap();
    let report = report(&mut client);
    let verdicts = report["verdicts"].as_array().unwrap();
    assert!(verdicts.len() <= 7, "{verdicts:?}");
    let of = |section: &str| {
        verdicts.iter().find(|verdict| verdict["section"] == section && verdict["weight"] == "act")
    };
    let broken = of("indexes").unwrap_or_else(|| panic!("{verdicts:?}"));
    assert_eq!(broken["run"], "REINDEX INDEX CONCURRENTLY staging.broken_a");
    let partitions = of("partitions").unwrap_or_else(|| panic!("{verdicts:?}"));
    assert!(partitions["observation"].as_str().unwrap().contains("staging.days"), "{partitions}");
    let weights: Vec<&str> = verdicts.iter().map(|verdict| verdict["weight"].as_str().unwrap()).collect();
    assert!(weights.is_sorted(), "{weights:?}");
    let days = &report["partitions"]["data"][0];
    assert_eq!((&days["parent"], &days["default_rows"]), (&"staging.days".into(), &7.into()));
    assert!(days["months"].as_array().unwrap().len() >= 3, "{days}");
    let page = page(&mut client);
    assert!(page.contains("REINDEX INDEX CONCURRENTLY staging.broken_a"));
    assert!(page.find("id=\"verdicts\"") < page.find("id=\"kpis\""));
}

#[test]
fn five_thousand_tables_take_less_than_five_seconds() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE SCHEMA IF NOT EXISTS staging");
    for hundred in 0..50 {
        run_sql(
            &mut client,
            &format!(
                "DO $$ BEGIN FOR n IN 1..100 LOOP
                     EXECUTE format('CREATE TABLE staging.t_%s_%s (id bigint PRIMARY KEY, a text)', {hundred}, n);
                 END LOOP; END $$"
            ),
        );
    }
    let began = Instant::now();
    let page = page(&mut client);
    let took = began.elapsed();
    eprintln!("5,000 tables: {took:.1?}, {} bytes", page.len());
    assert!(took < Duration::from_secs(60), "{took:?}, where an idle machine takes two seconds");
}
