//! `monitoring.server_health`, and `monitoring.growth` and `monitoring.sequences`, which tell what comes to its end.

use super::*;
use groundskeeper_tests::PATIENCE;

fn health(client: &mut Client, columns: &str, component: &str) -> String {
    value(
        client,
        &format!(
            "SELECT concat_ws('|', {columns}) FROM monitoring.server_health WHERE component = '{component}'"
        ),
    )
}

/// Takes a sample of what the session has done.
fn record(client: &mut Client) {
    run_sql(client, "SELECT pg_stat_force_next_flush()");
    run_sql(client, "SELECT groundskeeper.record_metrics()");
}

#[test]
fn what_the_server_does_is_told_by_component() {
    let (_server, mut db) = private(
        Options::default().set("archive_mode", "on").set("archive_command", "false").set("work_mem", "64kB"),
    );
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    let mut reader = db.client_as(&monitor).unwrap();
    let components = column(&mut reader, "SELECT component FROM monitoring.server_health ORDER BY 1");
    let components: Vec<_> = components.into_iter().flatten().collect();
    assert_eq!(
        components,
        [
            "archiver_failures",
            "backend_fsyncs",
            "checkpoints",
            "oldest_transaction",
            "prepared_transactions",
            "replication_lag",
            "slot_retained_wal",
            "temporary_files",
            "wal_per_hour",
        ]
    );
    let wrong = "SELECT component || ' ' || status FROM monitoring.server_health
                  WHERE status NOT IN ('ok', 'warning', 'critical', 'unknown')
                     OR status = 'unknown' AND (value IS NOT NULL OR detail IS NULL) OR status <> 'ok' AND detail IS NULL";
    assert!(column(&mut reader, wrong).is_empty());
    assert_eq!(health(&mut reader, "status, value, detail", "replication_lag"), "ok|no standby is connected");
    assert_eq!(health(&mut reader, "status, value", "temporary_files"), "unknown");

    record(&mut client);
    run_sql(
        &mut client,
        "CREATE TABLE bet AS SELECT n, repeat('x', 100) AS x FROM generate_series(1, 20000) n",
    );
    run_sql(
        &mut client,
        "DO $$ BEGIN PERFORM count(*) FROM (SELECT n FROM bet ORDER BY x, n OFFSET 0) s; END $$",
    );
    for _ in 0..3 {
        run_sql(&mut client, "INSERT INTO bet SELECT n FROM generate_series(1, 100) n; CHECKPOINT");
    }
    record(&mut client);
    assert_eq!(health(&mut reader, "value > 0, unit, status", "wal_per_hour"), "t|bytes|ok");
    assert_eq!(health(&mut reader, "value > 0, unit, status", "temporary_files"), "t|bytes per hour|ok");
    let checkpoints = health(&mut reader, "value > 50, unit, status, remedy", "checkpoints");
    assert!(checkpoints.starts_with("t|percent|warning|ALTER SYSTEM SET max_wal_size = '"), "{checkpoints}");

    // The archiver tries a few times, a second apart, before it counts a file as failed.
    run_sql(&mut client, "SELECT pg_switch_wal()");
    let deadline = Instant::now() + PATIENCE;
    while health(&mut reader, "status", "archiver_failures") != "critical" {
        assert!(
            Instant::now() < deadline,
            "{}",
            health(&mut reader, "value, status, detail", "archiver_failures")
        );
        sleep(Duration::from_millis(200));
    }
    let failed = health(
        &mut reader,
        "value >= 1, detail ~ 'failed last, .*; none was ever archived'",
        "archiver_failures",
    );
    assert_eq!(failed, "t|t");

    let mut open = db.client().unwrap();
    run_sql(&mut open, "BEGIN; SELECT 1");
    let oldest = health(&mut reader, "value > 0, unit, detail", "oldest_transaction");
    let pid = open.query_one("SELECT pg_backend_pid()", &[]).unwrap().get::<_, i32>(0);
    assert!(oldest.starts_with(&format!("t|seconds|process {pid}, role postgres, database")), "{oldest}");
}

#[test]
fn a_sequence_ends_where_its_column_does() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        r#"CREATE SCHEMA app; SET search_path = app;
           CREATE TABLE bet (id serial PRIMARY KEY, tiny smallint);
           CREATE TABLE "Wide" (id bigint GENERATED ALWAYS AS IDENTITY);
           CREATE SEQUENCE narrow; ALTER TABLE bet ALTER tiny SET DEFAULT nextval('narrow'); SELECT setval('narrow', 30000);
           CREATE SEQUENCE shared; CREATE DOMAIN price AS numeric(4, 0);
           CREATE TABLE a (id bigint DEFAULT nextval('shared'), p price DEFAULT nextval('shared')); SELECT setval('shared', 8000);
           CREATE SEQUENCE down INCREMENT -1 MINVALUE -1000 MAXVALUE -1; SELECT setval('down', -500);
           CREATE SEQUENCE round MAXVALUE 100 CYCLE; SELECT setval('round', 99);
           CREATE SEQUENCE locked; CREATE TEMPORARY SEQUENCE mine;
           SELECT setval('bet_id_seq', 1900000000)"#,
    );
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN; ALTER SEQUENCE app.locked RESTART");
    let mut reader = db.client_as(&monitor).unwrap();
    run_sql(&mut reader, "SET statement_timeout = '10s'");
    assert!(reader.batch_execute("SELECT last_value FROM app.narrow").is_err());
    let found = "SELECT concat_ws('|', sequencename, coalesce(last_value::text, '-'), limit_value, coalesce(used_percent::text, '-'), column_name, status)
                   FROM monitoring.sequences WHERE schemaname = 'app' ORDER BY sequencename";
    let found: Vec<_> = column(&mut reader, found).into_iter().flatten().collect();
    assert_eq!(
        found,
        [
            r#"Wide_id_seq|-|9223372036854775807|0|app."Wide".id|ok"#,
            "bet_id_seq|1900000000|2147483647|88.48|app.bet.id|warning",
            "down|-500|-1000|49.95|ok",
            "locked|-|9223372036854775807|-|unknown: locked by another session",
            "narrow|30000|32767|91.56|app.bet.tiny|critical",
            "round|99|100|98.99|ok",
            "shared|8000|9999|80.01|app.a.p|warning",
        ]
    );
}

#[test]
fn growth_is_measured_from_the_second_sample_on() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE bet (n integer, filler text);
         CREATE TABLE steady AS SELECT n FROM generate_series(1, 1000) n;
         CREATE TABLE quote (id integer, day date) PARTITION BY RANGE (day);
         CREATE TABLE quote_2025 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    );
    let mut reader = db.client_as(&monitor).unwrap();
    let growth = |client: &mut Client, columns: &str, table: &str| {
        value(
            client,
            &format!(
                "SELECT concat_ws('|', {columns}) FROM monitoring.growth WHERE schemaname = 'public' AND tablename = '{table}'"
            ),
        )
    };
    let rate = "bytes_per_day, forecast_30d_bytes, measured_over";
    assert_eq!(growth(&mut reader, rate, "bet"), "");
    record(&mut client);
    assert_eq!(growth(&mut reader, rate, "bet"), "", "one is not enough");
    // The first was taken half a day ago.
    run_sql(
        &mut client,
        "UPDATE groundskeeper.relation_size SET sampled_at = sampled_at - interval '12 hours'",
    );
    run_sql(
        &mut client,
        "INSERT INTO bet SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n;
         INSERT INTO quote SELECT n, date '2025-03-01' FROM generate_series(1, 20000) n",
    );
    record(&mut client);
    let bet = "bytes = pg_total_relation_size('bet'), round(bytes_per_day / bytes, 1), round(forecast_30d_bytes / bytes), round(extract(epoch FROM measured_over) / 3600)";
    assert_eq!(growth(&mut reader, bet, "bet"), "t|2.0|61|12");
    assert_eq!(
        growth(&mut reader, "bytes = pg_total_relation_size('quote_2025'), bytes_per_day > bytes", "quote"),
        "t|t"
    );
    assert_eq!(growth(&mut reader, "bytes_per_day, forecast_30d_bytes = bytes", "steady"), "0|t");
    assert!(column(&mut reader, "SELECT 1 FROM monitoring.growth WHERE tablename = 'quote_2025'").is_empty());
    // The third only after an hour, and none of a clock that was ahead.
    let samples = "SELECT count(DISTINCT sampled_at) FROM groundskeeper.relation_size";
    record(&mut client);
    assert_eq!(value(&mut client, samples), "2");
    run_sql(
        &mut client,
        "UPDATE groundskeeper.relation_size SET sampled_at = sampled_at - interval '61 minutes';
         INSERT INTO groundskeeper.relation_size SELECT now() - interval '3 days 1 hour' + n * interval '1 minute', 'bet'::regclass, 1
           FROM generate_series(1, 5) n",
    );
    record(&mut client);
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN; LOCK bet");
    run_sql(&mut reader, "SET statement_timeout = '10s'");
    assert_eq!(growth(&mut reader, "bytes > 1000000, extract(day FROM measured_over)", "bet"), "t|3");
    assert_eq!(value(&mut client, samples), "4", "of a day long ago one is kept");
}
