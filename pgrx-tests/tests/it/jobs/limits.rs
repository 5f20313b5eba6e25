//! How many jobs run at once, how long they are remembered, and which a copied database leaves alone.

use std::thread::sleep;
use std::time::Duration;

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};

use super::{
    INDEX, OTHER, WRITER, drop_index, in_transaction, index_task, job, prepare, queue_index, queue_other,
    queue_task, until, until_job, until_state, valid_index,
};

/// A database on a server of the test's own.
fn on(server: &Server) -> TestDb {
    TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap()
}

#[test]
fn two_jobs_run_at_once_and_one_per_table() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let tables = "staging.moneylines, staging.spreads, staging.totals";
    let (mut writer, _) = in_transaction(&db, &format!("BEGIN; LOCK TABLE {tables} IN ROW EXCLUSIVE MODE"));
    let jobs: Vec<i64> = ["moneylines", "moneylines", "spreads", "totals"]
        .iter()
        .enumerate()
        .map(|(n, table)| {
            let task = index_task("staging", table, &format!("extra_{n}"), "id");
            queue_task(&mut client, &format!("staging.{table}"), "postgres", &task)
        })
        .collect();
    until_state(&mut client, jobs[0], "waiting");
    until_state(&mut client, jobs[2], "waiting");
    for _ in 0..50 {
        let running =
            "SELECT job_id FROM groundskeeper.jobs WHERE state IN ('running', 'waiting') ORDER BY 1";
        assert_eq!(texts(&mut client, running).unwrap(), [jobs[0].to_string(), jobs[2].to_string()]);
        let workers = "SELECT count(*) FROM pg_stat_activity
                        WHERE backend_type = 'pg_groundskeeper job' AND datname = current_database()";
        assert_eq!(text(&mut client, workers).unwrap(), "2");
        sleep(Duration::from_millis(10));
    }
    writer.batch_execute("COMMIT").unwrap();
    for id in jobs {
        until_state(&mut client, id, "succeeded");
    }
}

/// Builds that are at work take half of the processors; one that waits for a lock, as above, takes none.
#[test]
fn builds_leave_half_of_the_processors_to_the_application() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let slow = "CREATE FUNCTION staging.slowly(id bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
                $$BEGIN PERFORM pg_sleep(0.02); RETURN id; END$$";
    client.batch_execute(slow).unwrap();
    for (n, table) in ["moneylines", "spreads", "totals"].iter().enumerate() {
        let rows = format!("INSERT INTO staging.{table} (game_id) SELECT generate_series(1, 20)");
        client.batch_execute(&rows).unwrap();
        let task = index_task("staging", table, &format!("slow_{n}"), "staging.slowly(id)");
        queue_task(&mut client, &format!("staging.{table}"), "postgres", &task);
    }
    db.settle().unwrap();
    let most_at_once = "SELECT max((SELECT count(*) FROM groundskeeper.job_history o
                                     WHERE o.started_at <= h.started_at AND o.finished_at > h.started_at))
                          FROM groundskeeper.job_history h JOIN groundskeeper.jobs j USING (job_id)
                         WHERE j.kind = 'create_index' AND h.state = 'succeeded'";
    let most: usize = text(&mut client, most_at_once).unwrap().parse().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(most, 2.min((cores / 2).max(1)));
}

#[test]
fn without_a_free_worker_a_job_says_so_and_starts_when_one_is_free() {
    // Two for the database that is busy, one for the dispatcher of the other.
    let server = small_server("3");
    let (busy, other) = (on(&server), on(&server));
    let (mut busy_client, mut client) = (prepare(&busy), prepare(&other));
    let (mut writer, _) = in_transaction(&busy, WRITER);
    let holding = queue_index(&mut busy_client);
    until_state(&mut busy_client, holding, "waiting");

    let id = queue_index(&mut client);
    let starved = until_job(&mut client, id, "starved", |job| !job.detail.is_empty());
    assert_eq!(starved.state, "queued");
    assert!(starved.detail.contains("max_worker_processes"), "{starved:?}");
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    assert_eq!(job(&mut client, id).detail, "");
}

#[test]
fn without_a_worker_even_for_the_dispatcher_a_job_says_so() {
    let server = small_server("2");
    let (busy, other) = (on(&server), on(&server));
    let (mut busy_client, mut client) = (prepare(&busy), prepare(&other));
    let (mut writer, _) = in_transaction(&busy, WRITER);
    let holding = queue_index(&mut busy_client);
    until_state(&mut busy_client, holding, "waiting");

    let id = queue_index(&mut client);
    let starved = job(&mut client, id);
    assert_eq!(starved.state, "queued");
    assert!(starved.detail.contains("max_worker_processes"), "{starved:?}");
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut busy_client, holding, "succeeded");
    until("no worker", || {
        let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_groundskeeper%'";
        (text(&mut client, workers).unwrap() == "0").then_some(())
    });
    client.batch_execute("SELECT FROM groundskeeper.plan_status()").unwrap();
    until_state(&mut client, id, "succeeded");
}

fn small_server(workers: &str) -> Server {
    let options = Options::default().set("max_worker_processes", workers);
    options.set("max_logical_replication_workers", "0").start().unwrap()
}

#[test]
fn old_jobs_are_forgotten_with_their_history() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let [old, young] = [(); 2].map(|()| {
        let id = queue_index(&mut client);
        until_state(&mut client, id, "succeeded");
        drop_index(&mut client, INDEX);
        id
    });
    for (id, days) in [(old, 91), (young, 89)] {
        client
            .batch_execute(&format!(
                "UPDATE groundskeeper.job SET finished_at = now() - interval '{days} days' WHERE job_id = {id}"
            ))
            .unwrap();
    }
    let id = queue_index(&mut client);
    until_state(&mut client, id, "succeeded");
    let kept = [young, id].map(|id| id.to_string());
    for view in ["jobs", "job_history"] {
        let jobs = format!("SELECT job_id FROM groundskeeper.{view} ORDER BY 1");
        assert_eq!(texts(&mut client, &jobs).unwrap(), kept, "{view}");
    }
}

#[test]
fn a_copied_database_does_nothing_until_it_is_told_to() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let [queued, lost] = [queue_index(&mut client), queue_other(&mut client)];
    for id in [queued, lost] {
        until_state(&mut client, id, "succeeded");
    }
    client.close().unwrap();
    end_sessions(&db);

    let copy = TestDb::new(Template::Empty).unwrap();
    let name = copy.name().to_owned();
    copy.server().drop_database(&name).unwrap();
    copy.server().create_database(&name, db.name()).unwrap();
    let mut client = copy.client().unwrap();
    // As if it had been copied earlier: while one was queued, and after the other had been lost in a crash.
    client
        .batch_execute(&format!(
            "DROP INDEX staging.{OTHER}; DROP INDEX staging.{INDEX};
             UPDATE groundskeeper.job SET state = 'queued' WHERE job_id = {queued};
             UPDATE groundskeeper.job SET state = 'running', worker_pid = 4711 WHERE job_id = {lost}"
        ))
        .unwrap();
    client
        .batch_execute(
            "SELECT FROM groundskeeper.plan_status(); SELECT groundskeeper_internal.look_after_jobs()",
        )
        .unwrap();
    // Its own jobs run, on the same table too.
    let task = index_task("staging", "totals", "own", "id");
    let own = queue_task(&mut client, "staging.totals", "postgres", &task);
    until_state(&mut client, own, "succeeded");
    assert_eq!(valid_index(&mut client).len(), 0);
    for (id, state) in [(queued, "queued"), (lost, "running")] {
        assert_eq!(job(&mut client, id).state, state);
    }

    assert_eq!(text(&mut client, "SELECT groundskeeper.resume()").unwrap(), "2");
    for id in [queued, lost] {
        until_state(&mut client, id, "succeeded");
    }
    assert_eq!(valid_index(&mut client).len(), 1);
}

/// Ends every session there, which a copy is not made beside.
fn end_sessions(db: &TestDb) {
    let mut client = db.server().connect("postgres", "postgres").unwrap();
    let sessions = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}'",
        db.name()
    );
    until("no session", || (text(&mut client, &sessions).unwrap() == "0").then_some(()));
}
