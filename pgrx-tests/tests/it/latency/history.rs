//! Windows of time over samples: across restarts, crashes and rollbacks, and on a standby.

use super::*;
use groundskeeper_sandbox::server::{SUPERUSER, StopMode};
use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::standby_of;

/// What the marked statement has been counted, over all time.
fn marked(client: &mut Client) -> i64 {
    let query = "SELECT coalesce(sum(over_slo), 0)::bigint FROM groundskeeper.query_latency('1 day') WHERE scope = 'select'";
    client.query_one(query, &[]).unwrap().get(0)
}

fn slow(client: &mut Client) {
    run_sql(client, "SELECT pg_sleep(0.51)");
}

fn record(client: &mut Client) {
    assert!(
        client.query_one("SELECT groundskeeper.record_metrics() IS NOT NULL", &[]).unwrap().get::<_, bool>(0)
    );
}

#[test]
fn what_was_sampled_survives_a_restart_and_a_crash() {
    let (server, db) = preloaded(&["pg_groundskeeper"]);
    let mut client = db.client().unwrap();
    slow(&mut client);
    record(&mut client);
    slow(&mut client);
    record(&mut client);
    assert_eq!(marked(&mut client), 2);
    drop(client);
    server.restart().unwrap();
    let mut client = db.client().unwrap();
    assert_eq!(marked(&mut client), 2);
    slow(&mut client);
    assert_eq!(marked(&mut client), 3);
    record(&mut client);
    assert_eq!(marked(&mut client), 3);
    drop(client);
    server.stop(StopMode::Immediate).unwrap();
    server.up().unwrap();
    let mut client = db.client().unwrap();
    assert_eq!(marked(&mut client), 3);
    slow(&mut client);
    record(&mut client);
    record(&mut client);
    assert_eq!(marked(&mut client), 4);
}

#[test]
fn a_sample_that_is_rolled_back_loses_nothing() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let (mut client, mut other) = (db.client().unwrap(), db.client().unwrap());
    slow(&mut client);
    run_sql(&mut client, "BEGIN; SELECT groundskeeper.record_metrics()");
    // One at a time: the other is told so.
    let skipped = "SELECT groundskeeper.record_metrics() IS NULL";
    assert_eq!(text(&mut other, skipped).unwrap(), "true");
    assert_eq!(marked(&mut other), 1);
    run_sql(&mut client, "ROLLBACK");
    assert_eq!(marked(&mut other), 1);
    record(&mut other);
    assert_eq!(marked(&mut other), 1);
}

#[test]
fn a_window_holds_what_is_in_it_and_says_how_long_it_is() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let mut client = db.client().unwrap();
    slow(&mut client);
    record(&mut client);
    // The sample is moved into the past, and the one before it is missing.
    run_sql(&mut client, "UPDATE groundskeeper.metrics SET sampled_at = sampled_at - interval '1 s'");
    slow(&mut client);
    let over = |client: &mut Client, since: &str| -> (i64, f64) {
        let query = format!(
            "SELECT over_slo, extract(epoch FROM measured_over)::double precision
               FROM groundskeeper.query_latency('{since}') WHERE scope = 'select'"
        );
        let row = client.query_one(&query, &[]).unwrap();
        (row.get(0), row.get(1))
    };
    let (count, length) = over(&mut client, "500 ms");
    assert_eq!(count, 1);
    assert!((0.5..30.0).contains(&length), "{length}");
    let (count, longer) = over(&mut client, "1 hour");
    assert_eq!(count, 2);
    assert!(longer > length && longer < 300.0, "{longer}");
    for (call, code) in [
        ("query_latency(NULL)", "22004"),
        ("statement_latency(NULL)", "22004"),
        ("query_latency('0')", "22023"),
        ("query_latency('-1 hour')", "22023"),
        ("statement_latency('-1 hour')", "22023"),
    ] {
        assert_eq!(
            refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap().code,
            code,
            "{call}"
        );
    }
}

#[test]
fn a_standby_counts_its_own_and_writes_nothing() {
    let (server, db) = preloaded(&["pg_groundskeeper"]);
    let mut client = db.client().unwrap();
    slow(&mut client);
    record(&mut client);
    let standby = standby_of(&server).unwrap();

    let mut reader = standby.connect(db.name(), SUPERUSER).unwrap();
    assert_eq!(marked(&mut reader), 0, "the primary's");
    slow(&mut reader);
    slow(&mut reader);
    assert_eq!(marked(&mut reader), 2);
    for report in ["statement_latency()", "metrics_over()", "metrics_cost"] {
        run_sql(&mut reader, &format!("SELECT FROM groundskeeper.{report}"));
    }
    let refused = refusal(&mut reader, "SELECT groundskeeper.record_metrics()").unwrap();
    assert_eq!(refused.code, "25006", "{refused:?}");
    // Promoted, it goes on from there.
    run_sql(&mut reader, "SELECT pg_promote()");
    record(&mut reader);
    assert_eq!(marked(&mut reader), 3, "the primary's sample is its own history now");
    drop(reader);
    standby.destroy();
}
