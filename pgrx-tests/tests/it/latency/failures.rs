//! What fails, is cancelled or killed, is counted with the time that it took.

use super::*;
use groundskeeper_tests::PATIENCE;
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
        let deadline = Instant::now() + PATIENCE;
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

#[test]
fn a_statement_that_always_fails_is_known_by_what_it_says() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let (_server, mut db) = preloaded(&["pg_stat_statements", "pg_groundskeeper"]);
    let [monitor, granted] = ["monitor", "granted"].map(|stem| db.role(stem).unwrap());
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        &format!(
            "CREATE EXTENSION pg_stat_statements; CREATE TABLE big AS SELECT n, md5(n::text) AS t FROM generate_series(1, 20000) n;
             GRANT pg_monitor TO {monitor}; GRANT EXECUTE ON FUNCTION groundskeeper.statement_latency, groundskeeper_internal.statement_texts TO {granted};
             GRANT SELECT ON groundskeeper.metrics, groundskeeper.latency_mark TO {granted}"
        ),
    );
    run_sql(&mut client, "SET statement_timeout = '600ms'");
    for secret in ["'4711'", "E'08\\'15'", "$q$4711$q$"] {
        let hidden = format!("SELECT count(*) /* card 4711 */ FROM big a, big b WHERE a.t < b.t || {secret}");
        assert_eq!(refused(&mut client, &hidden), "57014");
    }
    // Of several statements in one message it is the one that failed.
    assert_eq!(refused(&mut client, "SELECT 1; SELECT pg_sleep(5) AS late; SELECT 2"), "57014");
    run_sql(&mut client, "RESET statement_timeout");
    let seen = "SELECT concat_ws('|', query, calls, failed, mean_time > 500, toplevel)
                  FROM monitoring.slow_queries WHERE failed = calls ORDER BY 1";
    let both = [
        "SELECT count(*) FROM big a, big b WHERE a.t < b.t || $1|3|3|t|t".to_owned(),
        "SELECT pg_sleep($1) AS late|1|1|t|t".to_owned(),
    ];
    let mut reader = db.client_as(&monitor).unwrap();
    assert_eq!(sql::texts(&mut reader, seen).unwrap(), both);
    let ranked = "SELECT query FROM groundskeeper.slow_queries('p95') WHERE failed = calls ORDER BY 1";
    assert_eq!(sql::texts(&mut reader, ranked).unwrap().len(), 2);
    let latency = "SELECT concat_ws('|', query, calls, failed, over_slo, total_ms > 1500) FROM groundskeeper.statement_latency() WHERE query ~ 'big a'";
    assert_eq!(
        sql::text(&mut reader, latency).unwrap(),
        "SELECT count(*) FROM big a, big b WHERE a.t < b.t || $1|3|3|3|t"
    );
    // For who may see everybody's statements, and nobody else.
    let mut granted = db.client_as(&granted).unwrap();
    let hidden = "SELECT count(query) FROM groundskeeper.statement_latency() WHERE queryid IS NOT NULL";
    assert_eq!(sql::text(&mut granted, hidden).unwrap(), "0");
    // Once it has ended well, pg_stat_statements has it, and it is there once.
    run_sql(&mut client, "SELECT pg_sleep(0) AS late");
    let once =
        "SELECT count(*) FROM groundskeeper.slow_queries('total', top => 1000) WHERE query LIKE '%AS late'";
    assert_eq!(sql::text(&mut reader, once).unwrap(), "1");
    // Nothing of it is written down.
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    let stored = "SELECT count(*) FROM groundskeeper.metrics m, groundskeeper.latency_mark k
                   WHERE position('big a'::bytea IN coalesce(m.statement_latency, '')) > 0 OR position('big a'::bytea IN k.counts) > 0";
    assert_eq!(sql::text(&mut client, stored).unwrap(), "0");
}

#[test]
fn without_pg_stat_statements_too() {
    let (_server, db) =
        started(&Options::default().preload("pg_groundskeeper").set("compute_query_id", "on"));
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SET statement_timeout = '600ms'");
    assert_eq!(refused(&mut client, "SELECT pg_sleep(5) AS late"), "57014");
    run_sql(&mut client, "RESET statement_timeout");
    assert_eq!(
        sql::texts(&mut client, "SELECT query FROM monitoring.slow_queries WHERE failed = calls").unwrap(),
        ["SELECT pg_sleep($1) AS late"]
    );
}
