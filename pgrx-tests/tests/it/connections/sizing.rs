//! How large a pool should be, and how full one is.

use std::time::Instant;

use groundskeeper_sandbox::server::{Options, Server, quote_ident};
use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{PATIENCE, Template, TestDb};
use postgres::Client;

/// Sessions that hold a transaction open.
fn at_work(db: &TestDb, count: usize) -> Vec<Client> {
    let session = |_| {
        let mut client = db.client().unwrap();
        client.batch_execute("BEGIN").unwrap();
        client
    };
    (0..count).map(session).collect()
}

#[test]
fn what_is_at_work_counts_and_what_waits_in_a_pool_does_not() {
    let db = TestDb::installed(Template::Empty).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let _idle = [db.client().unwrap(), db.client().unwrap()];
    let busy = "SELECT groundskeeper_internal.busy_connections()";
    assert_eq!(text(&mut client, busy).unwrap(), "0");
    let sessions = at_work(&db, 3);
    assert_eq!(text(&mut client, busy).unwrap(), "3");
    assert_eq!(text(&mut client, "SELECT groundskeeper_internal.peak_busy()").unwrap(), "3");
    client.batch_execute("SET groundskeeper.pool_size = 4").unwrap();
    let pool = "SELECT format('%s %s %s %s %s', measured_against, used, capacity, utilization_percent, peak_utilization_percent)
                  FROM groundskeeper.pool_utilization()";
    assert_eq!(text(&mut client, pool).unwrap(), "pool 3 4 75.0 75.0");
    let view = "SELECT DISTINCT format('%s %s %s', busy_connections, pool_size, utilization_percent)
                  FROM monitoring.connection_stats";
    assert_eq!(text(&mut client, view).unwrap(), "3 4 75.0");
    client.batch_execute("SELECT groundskeeper.record_metrics()").unwrap();
    drop(sessions);
    let deadline = Instant::now() + PATIENCE;
    while text(&mut client, busy).unwrap() != "0" {
        assert!(Instant::now() < deadline, "sessions that ended are still busy");
    }
    // the peak of the sample stays, and is forgotten with the time that is asked about
    assert_eq!(text(&mut client, pool).unwrap(), "pool 0 4 0.0 75.0");
    assert_eq!(text(&mut client, "SELECT groundskeeper_internal.peak_busy('0')").unwrap(), "0");
}

#[test]
fn without_a_pool_every_connection_takes_a_slot() {
    let server = Options::default().set("max_connections", "13").start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let _idle = [db.client().unwrap(), db.client().unwrap(), db.client().unwrap()];
    let _elsewhere = server.connect("postgres", "postgres").unwrap();
    let slots = "SELECT format('%s %s %s %s', measured_against, used, capacity, utilization_percent)
                   FROM groundskeeper.pool_utilization()";
    assert_eq!(text(&mut client, slots).unwrap(), "slots 5 10 50.0");
    let view = "SELECT DISTINCT format('%s %s %s', server_connections, usable_slots, utilization_percent)
                  FROM monitoring.connection_stats";
    assert_eq!(text(&mut client, view).unwrap(), "5 10 50.0");
}

#[test]
fn the_arithmetic_is_shown() {
    let db = TestDb::installed(Template::Empty).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let _sessions = at_work(&db, 18);
    let row = client
        .query_one("SELECT pool_size, cores, usable_slots, peak_busy, reasoning FROM groundskeeper.recommend_pool_size()", &[])
        .unwrap();
    let [pool_size, cores, slots, peak] = [0, 1, 2, 3].map(|i| row.get::<_, i32>(i));
    let reasoning: &str = row.get(4);
    assert_eq!(peak, 18);
    assert_eq!(pool_size, 31, "18 / 0.6 = 30, which would be 60 % exactly");
    let machine = i32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    assert_eq!(cores, machine);
    for part in [
        "18 / 0.60 = 30.0, so 31 stay under 60 %".to_owned(),
        format!("2 x {cores} + 1 = {}", 2 * cores + 1),
        "the plan's minimum: 5".to_owned(),
        format!("{slots} usable"),
    ] {
        assert!(reasoning.contains(&part), "{part}: {reasoning}");
    }
    client.batch_execute("SET groundskeeper.pool_size = 18").unwrap();
    let full = "SELECT reasoning LIKE '%the pool of 18 was full%' FROM groundskeeper.recommend_pool_size()";
    assert_eq!(text(&mut client, full).unwrap(), "true");
}

#[test]
fn what_exceeds_the_slots_across_all_pools_is_refused() {
    let server = Options::default().set("max_connections", "33").start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let _sessions = at_work(&db, 15);
    let mut client = db.client().unwrap();
    // 26 of 30 are needed, which is fine as long as no other database has a pool.
    let size = "SELECT pool_size FROM groundskeeper.recommend_pool_size()";
    assert_eq!(text(&mut client, size).unwrap(), "26");
    server.create_database("other", "template0").unwrap();
    client.batch_execute("ALTER DATABASE other SET groundskeeper.pool_size = 5").unwrap();
    // The session that made the database may take a moment to go.
    let deadline = Instant::now() + PATIENCE;
    while text(&mut client, "SELECT groundskeeper_internal.slots_of_other_databases()").unwrap() != "5" {
        assert!(Instant::now() < deadline, "other connections than the test's");
    }
    let refused = refusal(&mut client, "SELECT groundskeeper.recommend_pool_size()").unwrap();
    assert_eq!(refused.code, "53400", "{refused:?}");
    assert_eq!(refused.message, "a pool of 26 connections is needed and 25 slots are available");
    assert!(refused.detail.contains("30 usable - 5 of other databases = 25 available"), "{refused:?}");
    assert!(refused.hint.contains("max_connections"), "{refused:?}");
}

#[test]
fn who_cannot_see_all_sessions_is_told_so() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let role = quote_ident(&db.role("reader").unwrap());
    let grant = format!(
        "GRANT EXECUTE ON FUNCTION groundskeeper.recommend_pool_size, groundskeeper_internal.peak_busy,
             groundskeeper_internal.busy_connections, groundskeeper_internal.slots_of_other_databases, groundskeeper.pool_utilization TO {role}"
    );
    db.client().unwrap().batch_execute(&grant).unwrap();
    let mut reader = db.client_as(role.trim_matches('"')).unwrap();
    let hidden = "SELECT peak_busy IS NULL AND reasoning LIKE 'load: hidden from you%' FROM groundskeeper.recommend_pool_size()";
    assert_eq!(text(&mut reader, hidden).unwrap(), "true");
    let unknown = "SELECT utilization_percent IS NULL AND used IS NULL FROM groundskeeper.pool_utilization()";
    assert_eq!(text(&mut reader, unknown).unwrap(), "true");
}
