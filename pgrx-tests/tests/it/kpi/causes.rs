//! What makes each KPI what it is.

use super::*;
use groundskeeper_sandbox::simulator::Simulation;
use groundskeeper_tests::sql::text;

const MIGRATION: &str = "migration_success_rate";

#[test]
fn migration_succeeds_fails_and_is_unknown() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let none = kpi(&mut client, MIGRATION);
    assert_eq!((none.status.as_str(), none.samples), ("unknown", 0));
    assert!(none.detail.contains("public.pipeline_execution_log: no run"), "{none:?}");

    let now = chrono::DateTime::from_timestamp(1_750_000_000, 0).unwrap();
    Simulation { rows: 3_000, seed: 1, now }.load(&mut client, &|_| ()).unwrap();
    run_sql(&mut client, "CALL groundskeeper.migrate_to_staging()");
    let good = kpi(&mut client, MIGRATION);
    assert_eq!((good.status.as_str(), good.value), ("pass", Some(100.0)), "{good:?}");
    assert!(good.samples >= 3_000 && good.method.contains("pipeline_execution_log"), "{good:?}");

    // A constraint that one raw row in three offends, and new rows for it.
    run_sql(
        &mut client,
        "ALTER TABLE staging.totals ADD CONSTRAINT poison CHECK (raw_id % 3 > 0) NOT VALID;
         INSERT INTO raw_data.totals_raw
             (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, collected_at, game_date)
         SELECT source, game_external_id, sportsbook_name, total_points, over_odds, under_odds,
                collected_at + interval '1 day', game_date FROM raw_data.totals_raw LIMIT 900",
    );
    run_sql(&mut client, "CALL groundskeeper.migrate_to_staging('total')");
    let bad = kpi(&mut client, MIGRATION);
    assert_eq!(bad.status, "fail", "{bad:?}");
    let counted = "SELECT round(100.0 * sum(records_successful) / sum(records_processed), 2)
                     FROM public.pipeline_execution_log WHERE status = 'completed'";
    assert_eq!(bad.value.unwrap().to_string(), text(&mut client, counted).unwrap(), "{bad:?}");

    // Without that log our own table has the same.
    run_sql(&mut client, "DROP TABLE public.pipeline_execution_log");
    let own = kpi(&mut client, MIGRATION);
    assert_eq!((own.value, own.samples), (bad.value, bad.samples));
    assert!(own.method.contains("groundskeeper.migration_runs") && own.detail.contains("does not exist"));
    run_sql(
        &mut client,
        "UPDATE groundskeeper.kpi_targets SET min_samples = 1000000 WHERE kpi = 'migration_success_rate'",
    );
    let few = kpi(&mut client, MIGRATION);
    assert_eq!(few.status, "unknown");
    assert!(few.detail.contains("of the 1000000 samples needed"), "{few:?}");
}

#[test]
fn the_pipelines_log_counts_only_what_is_finished_recent_and_a_migration() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    // The figures of the plan, before.
    run_sql(
        &mut client,
        "INSERT INTO public.pipeline_execution_log
             (pipeline_stage, records_processed, records_successful, records_failed, start_time, end_time, status)
         VALUES ('staging', 23391, 21448, 1943, now(), now(), 'completed'),
                ('staging', 1000, 0, 0, now(), NULL, 'running'),
                ('raw', 1000, 0, 1000, now(), now(), 'completed'),
                ('staging', 1000, 0, 1000, now() - interval '3 days', now() - interval '2 days', 'completed'),
                ('staging', NULL, NULL, NULL, now(), now(), 'failed')",
    );
    let seen = kpi(&mut client, MIGRATION);
    assert_eq!((seen.value, seen.samples, seen.status.as_str()), (Some(91.69), 23_391, "fail"), "{seen:?}");
    assert!(seen.detail.contains("2 runs of public.pipeline_execution_log, 1 of which failed"), "{seen:?}");
    // Rows that contradict themselves make no percentage beyond 100.
    run_sql(
        &mut client,
        "TRUNCATE public.pipeline_execution_log;
         INSERT INTO public.pipeline_execution_log
             (pipeline_stage, records_processed, records_successful, records_failed, start_time, end_time, status)
         VALUES ('staging', 10, 900, 100, now(), now(), 'completed')",
    );
    assert_eq!(kpi(&mut client, MIGRATION).value, Some(90.0));
    // What failed again is left out, as far as it is told of in earnest.
    for (metadata, value) in [
        (r#"{"failed_again": 50}"#, 94.74),
        (r#"{"failed_again": 1e300}"#, 100.0),
        (r#"{"failed_again": -5}"#, 90.0),
        (r#"{"failed_again": "some"}"#, 90.0),
        (r#"[1]"#, 90.0),
    ] {
        run_sql(&mut client, &format!("UPDATE public.pipeline_execution_log SET metadata = '{metadata}'"));
        assert_eq!(kpi(&mut client, MIGRATION).value, Some(value), "{metadata}");
    }
    // Something else by that name is not read: a view could run anything with the reader's rights.
    run_sql(
        &mut client,
        "DROP TABLE public.pipeline_execution_log;
         CREATE FUNCTION public.trap() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
         CREATE VIEW public.pipeline_execution_log AS
             SELECT 'staging' AS pipeline_stage, 'completed' AS status, public.trap() AS records_processed,
                    1 AS records_successful, 1 AS records_failed, now() AS start_time, now() AS end_time",
    );
    let seen = kpi(&mut client, MIGRATION);
    assert!(seen.detail.ends_with("public.pipeline_execution_log: is no table"), "{seen:?}");
}

#[test]
fn latency_passes_fails_and_is_unknown() {
    const LATENCY: &str = "query_latency_p95_ms";
    let db = TestDb::installed(Template::Empty).unwrap();
    let not_loaded = kpi(&mut db.client().unwrap(), LATENCY);
    assert_eq!(not_loaded.status, "unknown");
    assert!(not_loaded.detail.contains("shared_preload_libraries"), "{not_loaded:?}");
    drop(db);

    let (_server, db) = private(&Options::default().preload("pg_groundskeeper"));
    let mut client = db.client().unwrap();
    let few = kpi(&mut client, LATENCY);
    assert_eq!(few.status, "unknown");
    assert!(few.detail.contains("of the 100 samples needed"), "{few:?}");
    for _ in 0..120 {
        run_sql(&mut client, "SELECT 1");
    }
    let quick = kpi(&mut client, LATENCY);
    assert_eq!(quick.status, "pass", "{quick:?}");
    assert!(quick.samples >= 120 && quick.value.unwrap() < 500.0, "{quick:?}");
    // One statement in ten is slow.
    let sleeping: Vec<_> = (0..14)
        .map(|_| {
            let mut client = db.client().unwrap();
            std::thread::spawn(move || run_sql(&mut client, "SELECT pg_sleep(0.55)"))
        })
        .collect();
    sleeping.into_iter().for_each(|thread| thread.join().unwrap());
    let slow = kpi(&mut client, LATENCY);
    assert_eq!(slow.status, "fail", "{slow:?}");
    assert!(slow.value.unwrap() >= 500.0 && slow.detail.contains(" took 500 ms or longer"), "{slow:?}");
}

#[test]
fn a_pool_is_idle_busy_and_unsampled() {
    const POOL: &str = "connection_pool_utilization";
    let db = TestDb::installed(Template::Empty).unwrap();
    run_sql(
        &mut db.client().unwrap(),
        &format!("ALTER DATABASE {} SET groundskeeper.pool_size = 10", db.name()),
    );
    let mut client = db.client().unwrap();
    let unsampled = kpi(&mut client, POOL);
    assert_eq!(unsampled.status, "unknown");
    assert!(unsampled.detail.contains("record_metrics()"), "{unsampled:?}");
    let mut pool: Vec<Client> = (0..8).map(|_| db.client().unwrap()).collect();
    run_sql(&mut pool[0], "BEGIN");
    for _ in 0..5 {
        record(&mut client);
    }
    let idle = kpi(&mut client, POOL);
    assert_eq!((idle.status.as_str(), idle.value, idle.samples), ("pass", Some(10.0), 5), "{idle:?}");
    pool.iter_mut().skip(1).for_each(|client| run_sql(client, "BEGIN"));
    record(&mut client);
    pool.iter_mut().for_each(|client| run_sql(client, "COMMIT"));
    drop(pool);
    // The peak is past and known all the same.
    let busy = kpi(&mut client, POOL);
    assert_eq!((busy.status.as_str(), busy.value), ("fail", Some(80.0)), "{busy:?}");
    let peak = "SELECT peak_busy || ' ' || (SELECT peak_used FROM groundskeeper.pool_utilization())
                  FROM groundskeeper_internal.peak_busy()";
    assert_eq!(text(&mut client, peak).unwrap(), "8 8");
    run_sql(&mut client, "SET groundskeeper.pool_size = 0");
    assert!(kpi(&mut client, POOL).method.contains("usable slots"));
}

#[test]
fn blocks_are_found_read_and_not_asked_for() {
    // A cache that a table does not fit into, and a table that does.
    let (_server, db) = private(&Options::default().set("shared_buffers", "1MB"));
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE small AS SELECT n FROM generate_series(1, 100) n; CREATE INDEX small_n ON small (n);
         CREATE TABLE large AS SELECT n, repeat('x', 400) AS filler FROM generate_series(1, 20000) n;
         CREATE INDEX large_n ON large (n);
         SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off",
    );
    run_sql(&mut client, "VACUUM ANALYZE");
    let both = |client: &mut Client| ["index_hit_ratio", "cache_hit_ratio"].map(|name| kpi(client, name));
    for ratio in both(&mut client) {
        assert_eq!(ratio.status, "unknown");
        assert!(ratio.detail.contains("two are needed"), "{ratio:?}");
    }
    record(&mut client);
    record(&mut client);
    for ratio in both(&mut client) {
        assert_eq!(ratio.status, "unknown", "no traffic is no hit ratio: {ratio:?}");
    }
    // Each look-up enters the index and then the table.
    run_sql(
        &mut client,
        "DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM FROM small WHERE n = i % 100; END LOOP; END $$",
    );
    record(&mut client);
    for ratio in both(&mut client) {
        assert_eq!(ratio.status, "pass", "{ratio:?}");
        assert!(ratio.value.unwrap() <= 100.0 && ratio.samples >= 4_900, "{ratio:?}");
    }
    run_sql(
        &mut client,
        "DO $$ BEGIN FOR i IN 1..20000 LOOP PERFORM FROM large WHERE n = i * 7919 % 20000; END LOOP; END $$",
    );
    record(&mut client);
    for ratio in both(&mut client) {
        assert_eq!(ratio.status, "fail", "{ratio:?}");
        assert!(ratio.value.unwrap() > 0.0 && ratio.detail.contains(" read, "), "{ratio:?}");
    }
    // A reset is no traffic that never was.
    let before = both(&mut client).map(|ratio| ratio.samples);
    run_sql(&mut client, "SELECT pg_stat_reset()");
    record(&mut client);
    let after = both(&mut client).map(|ratio| ratio.samples);
    assert!(after.iter().zip(before).all(|(after, before)| *after >= before), "{before:?}, then {after:?}");
}

#[test]
fn tables_are_dense_bloated_and_out_of_sight() {
    const BLOAT: &str = "table_bloat_max";
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    assert!(kpi(&mut client, BLOAT).detail.contains("have no tables"));
    run_sql(&mut client, "CREATE SCHEMA staging; CREATE TABLE staging.tiny AS SELECT 1 AS n");
    let unseen = kpi(&mut client, BLOAT);
    assert_eq!(unseen.status, "unknown");
    assert!(unseen.detail.contains("none of 1 tables has a figure"), "{unseen:?}");
    if groundskeeper_tests::lacks("pgstattuple") {
        return;
    }
    run_sql(
        &mut client,
        "CREATE EXTENSION pgstattuple;
         CREATE TABLE staging.game WITH (autovacuum_enabled = off) AS
             SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 40000) n",
    );
    run_sql(&mut client, "VACUUM ANALYZE staging.game");
    let dense = kpi(&mut client, BLOAT);
    assert_eq!(dense.status, "pass", "{dense:?}");
    assert!(dense.detail.contains("staging.game; 1 of 2 tables have no figure"), "{dense:?}");
    run_sql(&mut client, "DELETE FROM staging.game WHERE n % 2 = 0");
    run_sql(&mut client, "VACUUM ANALYZE staging.game");
    let bloated = kpi(&mut client, BLOAT);
    assert_eq!(bloated.status, "fail", "{bloated:?}");
    assert!((40.0..60.0).contains(&bloated.value.unwrap()), "{bloated:?}");
}
