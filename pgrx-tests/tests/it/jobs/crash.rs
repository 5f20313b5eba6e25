//! `kill -9` at every step. The postmaster then restarts all its children, so whoever held the job up is gone too.

use std::process::Command;

use groundskeeper_sandbox::server::{Options, SUPERUSER, Server};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use serde_json::json;

use super::{
    INDEX, READER, WRITER, drop_index, in_transaction, index_task, invalid_indexes, prepare,
    queue_with_entry, until, until_job, until_state, valid_index,
};

/// A step of a build, and how to hold the build up in it.
struct Step {
    name: &'static str,
    /// What another session does.
    begin: &'static str,
    /// What the job then shows.
    phase: &'static str,
}

const CLAIMED: Step = Step {
    name: "claimed",
    begin: "BEGIN; LOCK TABLE staging.moneylines IN ACCESS EXCLUSIVE MODE",
    phase: "",
};
const REGISTERED: Step =
    Step { name: "registered", begin: WRITER, phase: "waiting for writers before build" };
/// Only where something is left of an earlier attempt.
const DROPPING: Step = Step { name: "dropping", begin: READER, phase: "" };
const BUILDING: Step = Step {
    name: "building",
    begin: "SELECT pg_advisory_lock(4711)",
    phase: "building index: scanning table",
};
const BUILT: Step = Step { name: "built", begin: READER, phase: "waiting for old snapshots" };
const RECORDING: Step =
    Step { name: "recording", begin: "BEGIN; LOCK TABLE groundskeeper.change IN EXCLUSIVE MODE", phase: "" };

/// An index by the name of the plan's, of which the scan can be held up.
const HELD: &str = "
    CREATE FUNCTION public.held(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_advisory_lock(4711); PERFORM pg_advisory_unlock(4711); RETURN $1; END'";

fn prepared(server: &Server) -> (TestDb, Client) {
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    clear(&mut client);
    client.batch_execute(HELD).unwrap();
    (db, client)
}

/// Everything as it was before the build.
fn clear(client: &mut Client) {
    drop_index(client, INDEX);
    // The change log notices that the index is gone.
    client.batch_execute("SELECT FROM groundskeeper.rollback_plan()").unwrap();
}

fn queue(client: &mut Client) -> i64 {
    let task = index_task("staging", "moneylines", INDEX, "public.held(game_id)");
    let entry = json!({
        "item": format!("2.1.staging.moneylines.{INDEX}"), "forward": ["CREATE INDEX"],
        "inverse": [format!("DROP INDEX staging.{INDEX}")], "prior_definition": null, "undo": {}
    });
    queue_with_entry(client, "staging.moneylines", SUPERUSER, &task, Some(&entry))
}

/// Queues a build, or wakes it up, and waits until it is held up in that step. Returns who holds it up.
fn hold_up(
    db: &TestDb,
    client: &mut Client,
    step: &Step,
    begin: impl FnOnce(&mut Client) -> i64,
) -> (Client, i64) {
    let (other, _) = in_transaction(db, step.begin);
    let id = begin(client);
    until_job(client, id, step.name, |job| job.state == "waiting" && job.phase == step.phase);
    (other, id)
}

/// Kills one process of a server and waits until the server is up again.
fn kill(server: &Server, db: &TestDb, pid: &str) -> Client {
    let crashes = || server.log().matches("all server processes terminated; reinitializing").count();
    let before = crashes();
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
    until("the crash", || (crashes() > before).then_some(()));
    until("the server up again", || db.client().ok())
}

fn process(client: &mut Client, backend_type: &str) -> String {
    let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = ";
    text(client, &format!("{query}'{backend_type}'")).unwrap()
}

/// The build is done, once, and nothing else is left of all the attempts.
fn assert_converged(client: &mut Client, id: i64, what: &str) {
    let done = until_state(client, id, "succeeded");
    let history = format!("SELECT h FROM groundskeeper.job_history h WHERE job_id = {id} ORDER BY attempt");
    let history = texts(client, &history).unwrap();
    assert_eq!(done.attempts, 1, "{what}: a crash uses up no attempt: {history:#?}");
    assert_eq!(invalid_indexes(client), [""; 0], "{what}");
    let built = "SELECT indexrelid::regclass FROM pg_index
                  WHERE indrelid = 'staging.moneylines'::regclass AND indexprs IS NOT NULL";
    assert_eq!(texts(client, built).unwrap(), [format!("staging.{INDEX}")], "{what}");
    let recorded = format!(
        "SELECT count(*) FROM groundskeeper.change_log WHERE item ~ '{INDEX}$' AND reverted_at IS NULL"
    );
    assert_eq!(text(client, &recorded).unwrap(), "1", "{what}");
    let attempts =
        format!("SELECT count(*) FROM groundskeeper.job_history WHERE job_id = {id} AND state = 'succeeded'");
    assert_eq!(text(client, &attempts).unwrap(), "1", "{what}");
    let unfinished =
        "SELECT job_id FROM groundskeeper.job_history WHERE finished_at IS NULL OR state = 'running'";
    assert_eq!(texts(client, unfinished).unwrap(), [""; 0], "{what}");
    until("no stray lock", || {
        let locks = "SELECT locktype FROM pg_locks WHERE locktype IN ('advisory', 'object')";
        texts(client, locks).unwrap().is_empty().then_some(())
    });
}

#[test]
fn preloaded_a_job_goes_on_by_itself_whatever_is_killed() {
    let server = Options::default().preload("pg_groundskeeper").start().unwrap();
    let (db, mut client) = prepared(&server);
    for step in [CLAIMED, REGISTERED, BUILDING, BUILT, RECORDING] {
        let (_other, id) = hold_up(&db, &mut client, &step, queue);
        let before = valid_index(&mut client);
        let runner = process(&mut client, "pg_groundskeeper job");
        client = kill(&server, &db, &runner);
        assert_converged(&mut client, id, step.name);
        if step.name == RECORDING.name {
            assert_eq!(valid_index(&mut client), before, "what was built stays");
        }
        clear(&mut client);
    }
    let (_other, id) = hold_up(&db, &mut client, &BUILT, queue);
    let dispatcher = process(&mut client, "pg_groundskeeper dispatcher");
    client = kill(&server, &db, &dispatcher);
    assert_converged(&mut client, id, "the dispatcher killed");
    clear(&mut client);

    let (_other, id) = hold_up(&db, &mut client, &REGISTERED, queue);
    server.kill_9().unwrap();
    server.up().unwrap();
    let mut client = db.client().unwrap();
    assert_converged(&mut client, id, "the whole server killed");
}

#[test]
fn without_preloading_a_job_goes_on_with_the_next_call_whatever_is_killed() {
    let server = Options::default().start().unwrap();
    let (db, mut client) = prepared(&server);
    let plan_status = "SELECT FROM groundskeeper.plan_status()";
    // The same job again and again, which comes a step further each time.
    for steps in [&[CLAIMED, REGISTERED, DROPPING, BUILDING][..], &[BUILT, RECORDING]] {
        let mut queued = None;
        for step in steps {
            let (_other, id) = hold_up(&db, &mut client, step, |client| {
                let Some(id) = queued else { return queue(client) };
                client.batch_execute(&format!("CALL groundskeeper.wait_for_job({id}, '0 s')")).unwrap();
                id
            });
            queued = Some(id);
            let runner = process(&mut client, "pg_groundskeeper job");
            client = kill(&server, &db, &runner);
        }
        let id = queued.unwrap();
        client.batch_execute(&format!("CALL groundskeeper.wait_for_job({id})")).unwrap();
        assert_converged(&mut client, id, steps.last().unwrap().name);
        clear(&mut client);
    }
    let (_other, id) = hold_up(&db, &mut client, &BUILT, queue);
    let dispatcher = process(&mut client, "pg_groundskeeper dispatcher");
    client = kill(&server, &db, &dispatcher);
    client.batch_execute(plan_status).unwrap();
    assert_converged(&mut client, id, "the dispatcher killed");
    clear(&mut client);

    let (_other, id) = hold_up(&db, &mut client, &REGISTERED, queue);
    server.kill_9().unwrap();
    server.up().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(plan_status).unwrap();
    assert_converged(&mut client, id, "the whole server killed");
}

#[test]
fn a_job_lost_in_a_crash_is_cancelled_at_once() {
    let server = Options::default().start().unwrap();
    let (db, mut client) = prepared(&server);
    let (_other, id) = hold_up(&db, &mut client, &REGISTERED, queue);
    let runner = process(&mut client, "pg_groundskeeper job");
    let mut client = kill(&server, &db, &runner);
    // Another session may have the worker's process id by now; it must not be the one that is cancelled.
    let (mut innocent, pid) = in_transaction(&db, "BEGIN");
    client.batch_execute(&format!("UPDATE groundskeeper.job SET worker_pid = {pid}")).unwrap();
    let sleeping = std::thread::spawn(move || innocent.batch_execute("SELECT pg_sleep(2)"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(text(&mut client, &format!("SELECT groundskeeper.cancel_job({id})")).unwrap(), "cancelled");
    assert_eq!(super::job(&mut client, id).state, "cancelled");
    assert!(sleeping.join().unwrap().is_ok(), "an innocent session was cancelled");
}
