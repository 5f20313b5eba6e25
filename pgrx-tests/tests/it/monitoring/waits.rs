//! `monitoring.wait_events`.

use super::*;
use groundskeeper_tests::PATIENCE;

/// What is known of a wait, once there is anything.
fn waited(client: &mut Client, event: &str) -> String {
    let query = format!(
        "SELECT concat_ws('|', wait_event_type, samples >= 2, share > 0 AND share <= 1, max_sessions)
           FROM monitoring.wait_events WHERE wait_event = '{event}' AND samples >= 2 ORDER BY sampled_hour DESC LIMIT 1"
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(row) = column(client, &query).into_iter().flatten().next() {
            return row;
        }
        assert!(Instant::now() < deadline, "{:?}", column(client, "SELECT w FROM monitoring.wait_events w"));
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn what_sessions_wait_for_is_seen_and_stays_seen() {
    let (server, mut db) = private(Options::default().preload("pg_groundskeeper"));
    let reader = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE bet (n integer)");
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN; LOCK bet");
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let mut waiter = db.client().unwrap();
            std::thread::spawn(move || waiter.batch_execute("SELECT FROM bet").is_ok())
        })
        .collect();
    let mut reader = db.client_as(&reader).unwrap();
    assert_eq!(waited(&mut reader, "relation"), "Lock|t|t|2");
    // The one that holds the lock waits for its client, in a transaction.
    assert!(waited(&mut reader, "ClientRead").starts_with("Client|t|t|"));
    run_sql(&mut holder, "COMMIT");
    assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
    run_sql(&mut client, "SELECT count(*) FROM generate_series(1, 20000000)");
    assert!(waited(&mut reader, "CPU").starts_with("CPU|t|t|"));
    let sum = "SELECT bool_and(abs(s - 1) < 0.01) FROM (SELECT sum(share) s FROM monitoring.wait_events GROUP BY sampled_hour) h";
    assert_eq!(value(&mut reader, sum), "true");

    // Other databases have their own; written down, it survives the server.
    let mut elsewhere = server.connect("postgres", SUPERUSER).unwrap();
    run_sql(&mut elsewhere, "CREATE EXTENSION pg_groundskeeper");
    let foreign = "SELECT count(*) FROM monitoring.wait_events WHERE wait_event = 'relation'";
    assert_eq!(value(&mut elsewhere, foreign), "0");
    drop(elsewhere);
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    let locks = "SELECT sum(samples) FROM monitoring.wait_events WHERE wait_event = 'relation'";
    let before = value(&mut client, locks);
    drop((client, holder, reader));
    server.restart().unwrap();
    let mut client = db.client().unwrap();
    assert_eq!(value(&mut client, locks), before);
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    assert_eq!(value(&mut client, locks), before);
    // A clock that was ahead leaves nothing.
    run_sql(
        &mut client,
        "UPDATE groundskeeper.wait_sample SET sampled_hour = sampled_hour + interval '1 day'",
    );
    assert_eq!(value(&mut client, foreign), "0");
}

#[test]
fn without_the_library_preloaded_there_is_nothing_to_see() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    assert!(column(&mut client, "SELECT 1 FROM monitoring.wait_events").is_empty());
}
