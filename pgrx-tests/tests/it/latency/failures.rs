//! What fails, is cancelled or killed, is counted with the time that it took.

use super::*;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn a_statement_killed_by_timeout_is_seen_with_its_time() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut client, "SET statement_timeout = '600ms'");
    let seen = calls(&mut observer, || {
        assert_eq!(refused(&mut client, "SELECT pg_sleep(10)"), "57014");
    });
    assert_eq!(seen, Calls { transactions: 1, select: 1, failed: 1, ..Calls::default() });
    let (select, transactions) = (latency(&mut observer, "select"), latency(&mut observer, "transactions"));
    for scope in [select, transactions] {
        assert!(scope.max >= 600.0 && scope.max < 5_000.0, "{scope:?}");
        // On a busy machine what came before may have taken long, too.
        assert!(scope.over_slo >= 1 && scope.failed == 1, "{scope:?}");
    }
}

#[test]
fn waiting_for_a_lock_counts_wherever_it_happens() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut holder) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut holder, "CREATE TABLE locked (n integer)");
    run_sql(&mut holder, "BEGIN; LOCK TABLE locked");
    // PostgreSQL waits while it parses, before any executor is started; cancelled then, there is no statement yet.
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SET statement_timeout = '600ms'");
    let seen = calls(&mut observer, || {
        assert_eq!(refused(&mut client, "TABLE locked"), "57014");
    });
    assert_eq!(seen, Calls { transactions: 1, failed: 1, ..Calls::default() });
    assert!(latency(&mut observer, "statements").max >= 600.0);
    assert!(latency(&mut observer, "select").max < 500.0);

    // In messages of their own, inside a transaction: Parse waits, Execute is quick.
    run_sql(&mut client, "SET statement_timeout = 0; BEGIN; SELECT 1");
    let waiting = std::thread::spawn(move || {
        let rows = client.query("SELECT * FROM locked", &[]).unwrap();
        (client, rows.len())
    });
    sleep(Duration::from_millis(700));
    run_sql(&mut holder, "COMMIT");
    let (mut client, rows) = waiting.join().unwrap();
    assert_eq!(rows, 0);
    run_sql(&mut client, "COMMIT");
    let select = latency(&mut observer, "select");
    assert!(select.max >= 600.0, "{select:?}");
}

#[test]
fn what_fails_after_a_savepoint_or_in_a_block_is_counted_once() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    let seen = calls(&mut observer, || {
        run_sql(&mut client, "BEGIN");
        run_sql(&mut client, "SAVEPOINT a");
        assert_eq!(refused(&mut client, "SELECT 1 / (n - 1) FROM generate_series(1, 1) n"), "22012");
        run_sql(&mut client, "ROLLBACK TO a");
        assert_eq!(refused(&mut client, "SELECT nonsense"), "42703");
        assert_eq!(refused(&mut client, "SELECT 1"), "25P02");
        run_sql(&mut client, "ROLLBACK TO a");
        run_sql(&mut client, "SELECT 1");
        run_sql(&mut client, "COMMIT");
    });
    assert_eq!(seen, Calls { transactions: 1, select: 2, failed: 2, ..Calls::default() });
    assert_eq!(latency(&mut observer, "transactions").failed, 0);
    // What is rolled back on request has not failed.
    let seen = calls(&mut observer, || {
        run_sql(&mut client, "BEGIN");
        run_sql(&mut client, "SELECT 1");
        run_sql(&mut client, "ROLLBACK");
        run_sql(&mut client, "BEGIN");
        assert_eq!(refused(&mut client, "SELECT 1 / (n - 1) FROM generate_series(1, 1) n"), "22012");
        run_sql(&mut client, "ROLLBACK");
    });
    assert_eq!(seen, Calls { transactions: 2, select: 2, failed: 1, ..Calls::default() });
    assert_eq!(latency(&mut observer, "transactions").failed, 1);
}

#[test]
fn an_error_that_is_handled_is_none() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(
        &mut client,
        "CREATE FUNCTION careful() RETURNS integer LANGUAGE plpgsql AS $$
         BEGIN
           BEGIN PERFORM count(*) FROM generate_series(1, 3) n WHERE 1 / (n - 2) = 0;
           EXCEPTION WHEN division_by_zero THEN NULL; END;
           RETURN (SELECT count(*) FROM generate_series(1, 3));
         END $$",
    );
    let seen = calls(&mut observer, || run_sql(&mut client, "SELECT careful()"));
    assert_eq!(seen, Calls { transactions: 1, select: 1, ..Calls::default() });
}

#[test]
fn a_session_that_is_killed_leaves_its_statement() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client, mut idle) =
        (db.client().unwrap(), db.client().unwrap(), db.client().unwrap());
    run_sql(&mut idle, "BEGIN");
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND (query LIKE '%pg_sleep%' OR query = 'BEGIN') AND pid <> pg_backend_pid()";
    let seen = calls(&mut observer, || {
        let sleeping =
            std::thread::spawn(move || assert!(client.batch_execute("SELECT pg_sleep(60)").is_err()));
        let mut killer = db.client().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let sleeps = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while killer.query(sleeps, &[]).unwrap().is_empty() {
            assert!(Instant::now() < deadline);
            // Each look is counted as well, so this one is left to the server.
            sleep(Duration::from_millis(100));
        }
        assert_eq!(killer.query_one(kill, &[]).unwrap().get::<_, i64>(0), 2);
        sleeping.join().unwrap();
        sleep(Duration::from_millis(300));
    });
    // The idle one had no statement to lose.
    assert_eq!(seen.failed, 1, "{seen:?}");
    assert_eq!(latency(&mut observer, "transactions").failed, 2);
}
