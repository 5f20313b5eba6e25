//! The monitoring views and `prerequisites()`, each against what is known to mislead such views.

mod bloat;
mod drop_unused;
mod index_health;
mod indexes;
mod locks;
mod prerequisites;
mod server;
mod slow_queries;
mod standby;
mod vacuum;
mod waits;
mod watched;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::{Options, SUPERUSER, Server, quote_ident};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// Every view and function of this capability, for tests that only ask whether they answer.
const REPORTS: &[&str] = &[
    "groundskeeper.alerts",
    "groundskeeper.kpi_report()",
    "monitoring.connection_stats",
    "monitoring.connections_by_role",
    "monitoring.growth",
    "monitoring.idle_transactions",
    "monitoring.index_bloat",
    "monitoring.index_health",
    "monitoring.lock_tree",
    "monitoring.maintenance_status",
    "monitoring.sequences",
    "monitoring.server_health",
    "monitoring.slow_queries",
    "monitoring.table_bloat",
    "monitoring.unused_indexes",
    "monitoring.vacuum_health",
    "monitoring.wait_events",
    "groundskeeper.prerequisites()",
    "groundskeeper.performance_report()",
    "groundskeeper.performance_report_html('1 hour', now() - interval '1 hour')",
    "groundskeeper.prometheus_metrics()",
    "monitoring.metrics",
];

/// The first column of a query, as text.
fn column(client: &mut Client, sql: &str) -> Vec<Option<String>> {
    let rows = client.query(&format!("SELECT q.column::text FROM ({sql}) q (\"column\")"), &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The one value that a query returns, as text; empty for NULL.
fn value(client: &mut Client, sql: &str) -> String {
    let rows = column(client, sql);
    assert_eq!(rows.len(), 1, "{sql}");
    rows.into_iter().next().flatten().unwrap_or_default()
}

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

/// Runs a program to its end; what it starts keeps no pipe of ours open.
fn succeed(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn is_available(client: &mut Client, extension: &str) -> bool {
    !client.query("SELECT FROM pg_available_extensions WHERE name = $1", &[&extension]).unwrap().is_empty()
}

/// A server of the test's own and a database on it with the extension.
///
/// The database comes last, so that it is dropped while its server still runs.
fn private(options: Options) -> (Server, TestDb) {
    let server = options.start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    (server, db)
}

fn monitor(db: &mut TestDb) -> String {
    let role = db.role("monitor").unwrap();
    run_sql(&mut db.client().unwrap(), &format!("GRANT pg_monitor TO {}", quote_ident(&role)));
    role
}

#[test]
fn a_member_of_pg_monitor_reads_everything_and_others_nothing() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let reader = monitor(&mut db);
    let stranger = db.role("stranger").unwrap();
    let mut reader = db.client_as(&reader).unwrap();
    let mut stranger = db.client_as(&stranger).unwrap();
    for report in REPORTS {
        let sql = format!("SELECT count(*) FROM {report}");
        reader.query(&sql, &[]).unwrap_or_else(|error| panic!("{report}: {error}"));
        let refused = stranger.query(&sql, &[]).unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{report}");
    }
}

#[test]
fn connections_are_those_of_clients_against_the_slots_they_can_use() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut idle = db.client().unwrap();
    run_sql(&mut idle, "BEGIN");
    let mut client = db.client().unwrap();
    // One transaction sees one state of pg_stat_activity.
    run_sql(&mut client, "BEGIN");
    let states =
        column(&mut client, "SELECT state || connection_count FROM monitoring.connection_stats ORDER BY 1");
    assert_eq!(states.into_iter().flatten().collect::<Vec<_>>(), ["active1", "idle in transaction1"]);
    let agrees = "SELECT bool_and(
            server_connections = (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
            AND usable_slots = current_setting('max_connections')::int
                - current_setting('superuser_reserved_connections')::int
                - coalesce(current_setting('reserved_connections', true)::int, 0)
            AND utilization_percent = round(100.0 * server_connections / usable_slots, 1)
            AND avg_duration_seconds BETWEEN 0 AND max_duration_seconds)
        FROM monitoring.connection_stats";
    assert_eq!(value(&mut client, agrees), "true");
}

#[test]
fn a_reader_who_cannot_see_all_sessions_gets_no_utilization() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let role = db.role("reader").unwrap();
    let grant = format!(
        "GRANT USAGE ON SCHEMA monitoring TO {0}; GRANT SELECT ON monitoring.connection_stats TO {0}",
        quote_ident(&role)
    );
    run_sql(&mut db.client().unwrap(), &grant);
    let mut client = db.client_as(&role).unwrap();
    let own = "SELECT format('%s %s %s', connection_count, server_connections, utilization_percent)
               FROM monitoring.connection_stats";
    assert_eq!(value(&mut client, own), "1  ");
}

#[test]
fn a_locked_table_stalls_nobody() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let mut holder = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA staging;
         CREATE TABLE staging.free AS SELECT n FROM generate_series(1, 10000) n;
         CREATE TABLE staging.locked AS SELECT n FROM generate_series(1, 10000) n;
         CREATE TABLE staging.never_analyzed (id integer PRIMARY KEY) WITH (autovacuum_enabled = off);
         CREATE TABLE staging.quote (id integer, day date) PARTITION BY RANGE (day);
         CREATE TABLE staging.quote_2025 PARTITION OF staging.quote FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
         CREATE INDEX free_n ON staging.free (n)",
    );
    run_sql(&mut client, "VACUUM ANALYZE staging.free, staging.locked");
    let size = value(&mut client, "SELECT pg_relation_size('staging.locked')");
    run_sql(
        &mut holder,
        "BEGIN; LOCK staging.locked, staging.never_analyzed, staging.quote_2025 IN ACCESS EXCLUSIVE MODE;
         REINDEX INDEX staging.free_n",
    );
    run_sql(&mut client, "SET statement_timeout = '10s'");
    for report in REPORTS {
        client
            .query(&format!("SELECT * FROM {report}"), &[])
            .unwrap_or_else(|error| panic!("{report}: {error}"));
    }
    let found = "SELECT format('%s: %s, %s', tablename, table_bytes, size_reason) FROM monitoring.table_bloat
                 WHERE size_reason IS NOT NULL ORDER BY tablename";
    let found: Vec<_> = column(&mut client, found).into_iter().flatten().collect();
    let dated = "as of the last VACUUM or ANALYZE: locked by another session";
    let unknown = "unknown, for want of a VACUUM or ANALYZE: locked by another session";
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(
        found[0].starts_with("free: ") && found[0].ends_with(dated),
        "only its index is locked: {found:?}"
    );
    assert_eq!(found[1], format!("locked: {size}, {dated}"));
    assert_eq!(found[2], format!("never_analyzed: , {unknown}"));
    assert_eq!(found[3], format!("quote: , {unknown}"));
    assert_eq!(found[4], format!("quote_2025: , {unknown}"));
    let index = "SELECT size_reason FROM monitoring.unused_indexes WHERE indexname = 'free_n'";
    assert_eq!(value(&mut client, index), dated);
    run_sql(&mut holder, "ROLLBACK");
    assert!(
        column(&mut client, "SELECT 1 FROM monitoring.table_bloat WHERE size_reason IS NOT NULL").is_empty()
    );
}

#[test]
fn sizes_add_up_whatever_the_names() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        r#"CREATE SCHEMA raw_data; CREATE SCHEMA elsewhere;
           CREATE TABLE raw_data."we""ird.Name" (id integer PRIMARY KEY, payload text);
           ALTER TABLE raw_data."we""ird.Name" ALTER payload SET STORAGE EXTERNAL;
           INSERT INTO raw_data."we""ird.Name" SELECT n, repeat('x', 5000) FROM generate_series(1, 100) n;
           CREATE TABLE raw_data.quote (id integer, day date) PARTITION BY RANGE (day);
           CREATE INDEX ON raw_data.quote (id);
           CREATE TABLE raw_data.quote_2025 PARTITION OF raw_data.quote FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
           CREATE TABLE raw_data.quote_2026 PARTITION OF raw_data.quote FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
               PARTITION BY RANGE (id);
           CREATE TABLE elsewhere.leaf PARTITION OF raw_data.quote_2026 FOR VALUES FROM (0) TO (100000);
           INSERT INTO raw_data.quote SELECT n, date '2025-01-01' + n % 700 FROM generate_series(1, 20000) n;
           CREATE TABLE raw_data.hollow (id integer) PARTITION BY LIST (id)"#,
    );
    let odd = r#"SELECT size_bytes = pg_total_relation_size('raw_data."we""ird.Name"') AND table_bytes > 500000
                        AND index_bytes = pg_indexes_size('raw_data."we""ird.Name"')
                        AND size = pg_size_pretty(size_bytes)
                 FROM monitoring.table_bloat WHERE tablename = 'we"ird.Name'"#;
    assert_eq!(value(&mut client, odd), "true");
    let parent = "SELECT size_bytes = pg_total_relation_size('raw_data.quote_2025')
                                    + pg_total_relation_size('elsewhere.leaf') AND index_bytes > 0
                  FROM monitoring.table_bloat WHERE tablename = 'quote'";
    assert_eq!(value(&mut client, parent), "true");
    let parts = "SELECT tablename || ' of ' || partition_of FROM monitoring.table_bloat ORDER BY tablename";
    let parts: Vec<_> = column(&mut client, parts).into_iter().flatten().collect();
    assert_eq!(parts, ["quote_2025 of raw_data.quote", "quote_2026 of raw_data.quote"]);
    assert_eq!(
        value(&mut client, "SELECT size_bytes FROM monitoring.table_bloat WHERE tablename = 'hollow'"),
        "0"
    );
}
