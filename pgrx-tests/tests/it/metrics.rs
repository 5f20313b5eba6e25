//! The history of metrics, on a server that does not preload the library.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

fn record(client: &mut Client) {
    // What a session has counted is reported when it is idle, and not more often than it pleases.
    run_sql(client, "SELECT pg_stat_force_next_flush()");
    let row = client.query_one("SELECT groundskeeper.record_metrics() IS NOT NULL", &[]);
    assert!(row.unwrap_or_else(|error| panic!("{error:?}")).get::<_, bool>(0));
}

fn partitions(client: &mut Client) -> Vec<String> {
    let query = "SELECT replace(inhrelid::regclass::text, 'groundskeeper.metrics_', '') FROM pg_inherits
                  WHERE inhparent = 'groundskeeper.metrics'::regclass ORDER BY 1";
    texts(client, query).unwrap()
}

#[test]
fn samples_are_taken_without_preloading_and_latency_says_nothing() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    record(&mut client);
    for function in ["query_latency()", "statement_latency()"] {
        let count = format!("SELECT count(*) FROM groundskeeper.{function}");
        assert_eq!(text(&mut client, &count).unwrap(), "0");
    }
    let sample = "SELECT latency IS NULL AND since IS NULL AND usable_slots > 0 AND cost_ms > 0 FROM groundskeeper.metrics";
    assert_eq!(text(&mut client, sample).unwrap(), "true");
    let cost =
        "SELECT samples || ' ' || (mean_cost_ms > 0) || ' ' || (bytes > 0) FROM groundskeeper.metrics_cost";
    assert_eq!(text(&mut client, cost).unwrap(), "1 true true");
}

#[test]
fn partitions_are_made_ahead_and_dropped_in_time() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    // Whatever the session's time zone is.
    run_sql(&mut client, "SET timezone = 'Pacific/Kiritimati'; SET datestyle = 'SQL, DMY'");
    record(&mut client);
    let days =
        "SELECT to_char((now() AT TIME ZONE 'UTC')::date + n, 'YYYY_MM_DD') FROM generate_series(0, 1) n";
    let days = texts(&mut client, days).unwrap();
    assert_eq!(partitions(&mut client), days);
    for old in ["2020_01_31", "2020_02_01"] {
        run_sql(
            &mut client,
            &format!(
                "CREATE TABLE groundskeeper.metrics_{old} PARTITION OF groundskeeper.metrics
                   FOR VALUES FROM ('{0} 00:00:00+00') TO ('{0} 24:00:00+00');
                 ALTER EXTENSION pg_groundskeeper ADD TABLE groundskeeper.metrics_{old}",
                old.replace('_', "-")
            ),
        );
    }
    // A reader is not waited for long, and is no reason to fail; next time will do.
    let mut reader = db.client().unwrap();
    run_sql(&mut reader, "BEGIN; SELECT FROM groundskeeper.metrics");
    record(&mut client);
    assert_eq!(partitions(&mut client).len(), 4);
    run_sql(&mut reader, "COMMIT");
    record(&mut client);
    assert_eq!(partitions(&mut client), days);
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.metrics").unwrap(), "3");
    assert_eq!(
        text(&mut client, "SELECT current_setting('lock_timeout')").unwrap(),
        "0",
        "the caller's settings stay"
    );
}

#[test]
fn the_history_is_neither_dumped_nor_left_behind() {
    let db = TestDb::new(Template::Empty).unwrap();
    let before = db.dump_schema().unwrap();
    db.install().unwrap();
    let mut client = db.client().unwrap();
    record(&mut client);
    let dump = db.dump().unwrap();
    assert!(!dump.contains("metrics_"), "{dump}");
    run_sql(&mut client, "DROP EXTENSION pg_groundskeeper");
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn counters_add_up_across_resets_and_dropped_tables() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n; CREATE INDEX kept_n ON kept (n);
         CREATE TABLE dropped AS SELECT n FROM generate_series(1, 50000) n; SELECT count(*) FROM dropped;
         SET enable_seqscan = off",
    );
    let over = |client: &mut Client, column: &str| -> Option<i64> {
        let query = format!("SELECT {column}::bigint FROM groundskeeper.metrics_over()");
        client.query_one(&query, &[]).unwrap().get(0)
    };
    let look_up = |client: &mut Client| {
        for n in 1..=200 {
            run_sql(client, &format!("SELECT * FROM kept WHERE n = {n}"));
        }
    };
    assert_eq!(over(&mut client, "idx_blks_hit"), None, "no samples");
    record(&mut client);
    assert_eq!(over(&mut client, "idx_blks_hit"), None, "one is not enough");
    look_up(&mut client);
    record(&mut client);
    let first = over(&mut client, "idx_blks_hit").unwrap();
    assert!((200..2_000).contains(&first), "{first}");
    // The sum of all tables sinks, but nothing was reset.
    run_sql(&mut client, "DROP TABLE dropped");
    record(&mut client);
    let heap = over(&mut client, "heap_blks_hit").unwrap();
    assert!(heap < 2_000, "{heap}");
    run_sql(&mut client, "SELECT pg_stat_reset()");
    look_up(&mut client);
    record(&mut client);
    let second = over(&mut client, "idx_blks_hit").unwrap();
    assert!((first + 200..first + 2_000).contains(&second), "{first}, then {second}");
}

#[test]
fn connections_are_sampled_without_the_one_that_samples() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let mut busy = db.client().unwrap();
    let _idle = db.client().unwrap();
    run_sql(&mut busy, "BEGIN");
    record(&mut client);
    run_sql(&mut busy, "COMMIT");
    record(&mut client);
    let peaks = "SELECT peak_database_connections || ' ' || peak_database_busy_connections || ' ' ||
                        (peak_connections >= 2 AND peak_busy_connections >= 1) FROM groundskeeper.metrics_over()";
    assert_eq!(text(&mut client, peaks).unwrap(), "2 1 true");
}

#[test]
fn a_role_that_may_record_needs_no_right_on_the_tables() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let recorder = db.role("recorder").unwrap();
    let grant =
        format!("GRANT EXECUTE ON FUNCTION groundskeeper.record_metrics TO {}", quote_ident(&recorder));
    run_sql(&mut db.client().unwrap(), &grant);
    let mut recorder = db.client_as(&recorder).unwrap();
    record(&mut recorder);
    assert!(recorder.batch_execute("TABLE groundskeeper.metrics").is_err());
}

#[test]
fn the_reset_of_one_tables_counters_counts_nothing_again() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE big AS SELECT n, md5(n::text) AS t FROM generate_series(1, 50000) n; CREATE TABLE other (n integer);
         SET work_mem = '64kB'; SELECT count(*) FROM (SELECT * FROM big ORDER BY t OFFSET 0) s; RESET work_mem",
    );
    record(&mut client);
    record(&mut client);
    let over = "SELECT format('%s %s', temp_bytes, xact_commit < 20) FROM groundskeeper.metrics_over()";
    assert_eq!(text(&mut client, over).unwrap(), "0 t");
    let blocks = "SELECT heap_blks_hit::bigint FROM groundskeeper.metrics_over()";
    let before: i64 = client.query_one(blocks, &[]).unwrap().get(0);
    for table in ["other", "big"] {
        run_sql(&mut client, &format!("SELECT pg_stat_reset_single_table_counters('{table}'::regclass)"));
        record(&mut client);
        assert_eq!(text(&mut client, over).unwrap(), "0 t", "{table}");
    }
    let after: i64 = client.query_one(blocks, &[]).unwrap().get(0);
    assert!(after < before + 500, "{before}, then {after}");
}

#[test]
fn samples_of_a_clock_that_was_ahead_are_of_no_time() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    record(&mut client);
    record(&mut client);
    // At the end of tomorrow, for which there is a partition.
    run_sql(
        &mut client,
        "UPDATE groundskeeper.metrics SET database_busy_connections = 77, connections = 78,
                sampled_at = date_trunc('day', now(), 'UTC') + interval '47 hours'
          WHERE sampled_at = (SELECT max(sampled_at) FROM groundskeeper.metrics)",
    );
    let over = "SELECT format('%s %s %s', samples, peak_connections < 78, measured_over) FROM groundskeeper.metrics_over('3 days')";
    assert_eq!(text(&mut client, over).unwrap(), "1 t ");
    for size in ["0", "5"] {
        run_sql(&mut client, &format!("SET groundskeeper.pool_size = {size}"));
        let peak = "SELECT peak_used < 77 FROM groundskeeper.pool_utilization('3 days')";
        assert_eq!(text(&mut client, peak).unwrap(), "true");
    }
}
