//! Transactions: from their begin to the end of their commit, without the time in which they wait for the client.

use super::*;
use std::thread::sleep;
use std::time::Duration;

/// A constraint trigger that takes its time when the transaction commits.
const SLOW_COMMIT: &str = "
    CREATE TABLE bet (id integer PRIMARY KEY, odds integer);
    CREATE FUNCTION check_slowly() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_sleep(0.6);
      IF NEW.odds = 0 THEN RAISE EXCEPTION 'impossible odds'; END IF;
      RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON bet DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION check_slowly()";

#[test]
fn a_slow_deferred_trigger_is_seen_in_transactions() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    run_sql(&mut client, SLOW_COMMIT);
    // The installation may have been slow on a busy machine.
    let [slow_statements, slow_transactions] =
        ["statements", "transactions"].map(|scope| latency(&mut observer, scope).over_slo);
    let seen = calls(&mut observer, || {
        run_sql(&mut client, "INSERT INTO bet VALUES (1, 100)");
        run_sql(&mut client, "BEGIN");
        run_sql(&mut client, "INSERT INTO bet VALUES (2, 100)");
        run_sql(&mut client, "COMMIT");
        client.execute("INSERT INTO bet VALUES ($1, 100)", &[&3]).unwrap();
    });
    // The statements of the trigger are no client's.
    assert_eq!(seen, Calls { transactions: 3, write: 3, ..Calls::default() });
    let (statements, transactions) =
        (latency(&mut observer, "statements"), latency(&mut observer, "transactions"));
    assert_eq!(statements.over_slo, slow_statements, "{statements:?}");
    assert_eq!(transactions.over_slo, slow_transactions + 3, "{transactions:?}");
    assert!(transactions.max >= 600.0);

    // A commit that fails is a failed transaction; the statement had not failed.
    let seen = calls(&mut observer, || {
        assert_eq!(refused(&mut client, "INSERT INTO bet VALUES (4, 0)"), "P0001");
        run_sql(&mut client, "BEGIN");
        run_sql(&mut client, "INSERT INTO bet VALUES (5, 0)");
        assert_eq!(refused(&mut client, "COMMIT"), "P0001");
    });
    assert_eq!(seen, Calls { transactions: 2, write: 2, ..Calls::default() });
    let transactions = latency(&mut observer, "transactions");
    assert_eq!((transactions.over_slo, transactions.failed), (slow_transactions + 5, 2));
}

#[test]
fn idle_time_inside_a_transaction_is_left_out() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut observer, mut client) = (db.client().unwrap(), db.client().unwrap());
    for track_activities in ["on", "off"] {
        run_sql(&mut client, &format!("SET track_activities = {track_activities}"));
        let seen = calls(&mut observer, || {
            run_sql(&mut client, "BEGIN");
            sleep(Duration::from_millis(700));
            run_sql(&mut client, "SELECT pg_sleep(0.05)");
            sleep(Duration::from_millis(1600));
            client.query("SELECT pg_sleep(0.05)", &[]).unwrap();
            sleep(Duration::from_millis(700));
            run_sql(&mut client, "COMMIT");
        });
        assert_eq!(seen, Calls { transactions: 1, select: 2, utility: 0, ..Calls::default() });
        let transactions = latency(&mut observer, "transactions");
        // 3 seconds of it were idle; a busy machine adds to the rest.
        let worked = (100.0..2000.0).contains(&transactions.max);
        assert!(worked, "track_activities = {track_activities}: {transactions:?}");
        assert!(latency(&mut observer, "select").max < 1600.0);
    }
}
