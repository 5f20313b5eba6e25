//! What is no time that the server lets its clients wait: the clients' own, and our upkeep.

use super::*;
use groundskeeper_tests::lacks;
use groundskeeper_tests::sql::{text, texts};
use postgres::fallible_iterator::FallibleIterator as _;
use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_slow_client_is_none_of_the_servers_time() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut client, "CREATE TABLE lines (t text)");
    let (before, transactions) =
        (latency(&mut observer, "statements"), latency(&mut observer, "transactions"));
    // One that takes its time to send.
    let mut transaction = client.transaction().unwrap();
    let mut copy = transaction.copy_in("COPY lines FROM STDIN").unwrap();
    copy.write_all(b"a\n").unwrap();
    copy.flush().unwrap();
    sleep(Duration::from_millis(900));
    copy.write_all(b"b\n").unwrap();
    copy.finish().unwrap();
    transaction.commit().unwrap();
    let copied = latency(&mut observer, "statements");
    assert_eq!(copied.over_slo, before.over_slo, "{copied:?}");
    let waited = latency(&mut observer, "client_wait");
    assert!(waited.over_slo == 1 && waited.max > 700.0 && waited.max < 5_000.0, "{waited:?}");
    assert_eq!(latency(&mut observer, "transactions").over_slo, transactions.over_slo);
    // And one that takes its time to read: meanwhile nobody looks at the socket.
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 8000)";
    let mut result = client.query_raw(rows, Vec::<i32>::new()).unwrap();
    sleep(Duration::from_millis(1200));
    let mut count = 0;
    while result.next().unwrap().is_some() {
        count += 1;
    }
    drop(result);
    let mut copied = client.copy_out(&format!("COPY ({rows}) TO STDOUT") as &str).unwrap();
    sleep(Duration::from_millis(1200));
    assert!(std::io::copy(&mut copied, &mut std::io::sink()).unwrap() > 8_000_000 && count == 8_000);
    drop(copied);
    let read = latency(&mut observer, "statements");
    let waited = latency(&mut observer, "client_wait");
    assert_eq!(read.over_slo, before.over_slo, "{read:?}");
    assert!(waited.over_slo == 3, "{waited:?}");
}

#[test]
fn our_own_upkeep_is_told_apart() {
    if lacks("pg_stat_statements") {
        return;
    }
    let (_server, db) = preloaded(&["pg_stat_statements", "pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut client, "CREATE EXTENSION pg_stat_statements");
    run_sql(
        &mut client,
        "CREATE FUNCTION slowly() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.6)';
         INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES ('slowly', '* * * * *', 'SELECT public.slowly()')",
    );
    // The launcher calls nothing meanwhile.
    run_sql(
        &mut client,
        "SELECT FROM groundskeeper.schedule_maintenance();
         UPDATE groundskeeper.schedule SET scheduler = 'none', scheduled_at = now() - interval '1 day'",
    );
    let before = (latency(&mut observer, "statements"), latency(&mut observer, "transactions"));
    let apart = latency(&mut observer, "maintenance");
    // As a scheduler that connects like a client calls it.
    run_sql(&mut client, "CALL groundskeeper.run_scheduled('slowly')");
    run_sql(&mut client, "CALL groundskeeper.run_overdue()");
    let after = (latency(&mut observer, "statements"), latency(&mut observer, "transactions"));
    assert_eq!((after.0.over_slo, after.1.over_slo), (before.0.over_slo, before.1.over_slo), "{after:?}");
    assert_eq!(latency(&mut observer, "maintenance").calls, apart.calls + 2);
    let queries =
        "SELECT query FROM groundskeeper.statement_latency() WHERE query ~ 'run_scheduled|run_overdue'";
    assert!(texts(&mut observer, queries).unwrap().is_empty());
    let ended = "SELECT last_error IS NULL AND last_success IS NOT NULL FROM monitoring.maintenance_status WHERE task = 'slowly'";
    assert_eq!(text(&mut observer, ended).unwrap(), "true");
}

#[test]
fn the_65th_database_is_told_that_it_is_not_counted() {
    let (server, db) = preloaded(&["pg_groundskeeper"]);
    let mut admin = server.connect("postgres", "postgres").unwrap();
    for n in 0..64 {
        run_sql(&mut admin, &format!("CREATE DATABASE other_{n} STRATEGY file_copy"));
    }
    // The first statement of a session takes the place of its database.
    let server_of = db.server();
    for n in 0..64 {
        run_sql(&mut server_of.connect(&format!("other_{n}"), "postgres").unwrap(), "SELECT 1");
    }
    run_sql(&mut admin, "CREATE DATABASE last STRATEGY file_copy");
    let mut last = server_of.connect("last", "postgres").unwrap();
    run_sql(&mut last, "CREATE EXTENSION pg_groundskeeper");
    let detail = "SELECT detail FROM groundskeeper.kpi_report() WHERE kpi = 'query_latency_p95_ms'";
    let detail = text(&mut last, detail).unwrap();
    assert!(detail.contains("not counted in this database: 64 others"), "{detail}");
    assert!(texts(&mut last, "SELECT scope FROM groundskeeper.query_latency()").unwrap().is_empty());
}
