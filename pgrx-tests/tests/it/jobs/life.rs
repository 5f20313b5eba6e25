//! From queued to its end, and everything that can be asked meanwhile.

use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, facts};
use postgres::Client;

use super::{
    INDEX, READER, WRITER, in_transaction, index_task, invalid_indexes, job, prepare, queue_index,
    queue_task, until, until_job, until_state, valid_index,
};

/// What `wait_for_job` returns.
fn wait_for(client: &mut Client, job: i64, timeout: &str) -> String {
    let call = format!("CALL groundskeeper.wait_for_job({job}, '{timeout}')");
    client.query_one(&call, &[]).unwrap().get(0)
}

#[test]
fn the_views_have_the_columns_of_the_contract() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let mut columns = |view: &str| {
        let query = format!(
            "SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) FROM pg_attribute
              WHERE attrelid = 'groundskeeper.{view}'::regclass AND attnum > 0 ORDER BY attnum"
        );
        texts(&mut client, &query).unwrap().join(", ")
    };
    assert_eq!(
        columns("jobs"),
        "job_id bigint, kind text, target text, state text, progress numeric, phase text, detail text, \
         attempts integer, queued_at timestamp with time zone, started_at timestamp with time zone, \
         finished_at timestamp with time zone, error text"
    );
    assert_eq!(
        columns("job_history"),
        "job_id bigint, attempt integer, started_at timestamp with time zone, \
         finished_at timestamp with time zone, state text, error text, lock_waits integer, rows_done bigint"
    );
}

#[test]
fn a_job_is_queued_runs_and_succeeds() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let (mut writer, _) = in_transaction(&db, WRITER);
    client.batch_execute("BEGIN").unwrap();
    let id = queue_index(&mut client);
    assert_eq!(job(&mut client, id).state, "queued");
    client.batch_execute("COMMIT").unwrap();

    let waiting = until_state(&mut client, id, "waiting");
    assert_eq!(waiting.phase, "waiting for writers before build");
    let shown = format!(
        "SELECT format('%s %s %s %s %s', kind, target, progress BETWEEN 0 AND 1, started_at >= queued_at, finished_at)
           FROM groundskeeper.jobs WHERE job_id = {id}"
    );
    assert_eq!(text(&mut client, &shown).unwrap(), "create_index staging.moneylines t t ");

    let waits = format!("SELECT lock_waits FROM groundskeeper.job_history WHERE job_id = {id}");
    until("the wait counted", || (text(&mut client, &waits).unwrap() == "1").then_some(()));
    writer.batch_execute("COMMIT").unwrap();
    let done = until_state(&mut client, id, "succeeded");
    assert_eq!((done.detail.as_str(), done.error.as_str(), done.attempts), ("", "", 1));
    let shown = format!(
        "SELECT format('%s %s', progress = 1, finished_at >= started_at) FROM groundskeeper.jobs WHERE job_id = {id}"
    );
    assert_eq!(text(&mut client, &shown).unwrap(), "t t");
    assert_eq!(valid_index(&mut client).len(), 1);
    let history = format!(
        "SELECT format('%s %s %s %s %s', attempt, state, finished_at >= started_at, lock_waits > 0, error)
           FROM groundskeeper.job_history WHERE job_id = {id}"
    );
    assert_eq!(texts(&mut client, &history).unwrap(), ["1 succeeded t t "]);
    let rows = format!("SELECT rows_done FROM groundskeeper.job_history WHERE job_id = {id}");
    let validated = "SELECT count(*) FROM staging.moneylines WHERE validation_status = 'validated'";
    assert_eq!(text(&mut client, &rows).unwrap(), text(&mut client, validated).unwrap());
    let logged = format!(
        "SELECT count(*) FROM groundskeeper.change_log WHERE item ~ '{INDEX}$' AND reverted_at IS NULL"
    );
    assert_eq!(text(&mut client, &logged).unwrap(), "1");
}

#[test]
fn waiting_for_a_job_ends_with_it_or_with_the_patience() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let (mut writer, _) = in_transaction(&db, WRITER);
    let id = queue_index(&mut client);
    until_state(&mut client, id, "waiting");

    let begun = Instant::now();
    assert_eq!(wait_for(&mut client, id, "200 ms"), "waiting");
    assert!(begun.elapsed() > Duration::from_millis(190) && begun.elapsed() < Duration::from_secs(3));
    assert_eq!(wait_for(&mut client, id, "-1 day"), "waiting");

    // The build must outwait every snapshot that is older than its end; the waiting session must hold none.
    let mut waiting = db.client().unwrap();
    let waiter = spawn(move || wait_for(&mut waiting, id, "20 s"));
    sleep(Duration::from_millis(200));
    let begun = Instant::now();
    writer.batch_execute("COMMIT").unwrap();
    assert_eq!(waiter.join().unwrap(), "succeeded");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(wait_for(&mut client, id, "1 s"), "succeeded");
}

#[test]
fn waiting_is_refused_where_it_makes_no_sense() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let (_writer, _) = in_transaction(&db, WRITER);
    let id = queue_index(&mut client);
    let refused = refusal(&mut client, "CALL groundskeeper.wait_for_job(4711)").unwrap();
    assert_eq!((refused.code.as_str(), refused.message.as_str()), ("42704", "job 4711 does not exist"));
    assert_eq!(refusal(&mut client, "CALL groundskeeper.wait_for_job(NULL)").unwrap().code, "22004");
    let begun = Instant::now();
    for known in [id, 4711] {
        let call = format!("BEGIN; CALL groundskeeper.wait_for_job({known}, '10 s')");
        assert_eq!(refusal(&mut client, &call).unwrap().code, "2D000");
        client.batch_execute("ROLLBACK").unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "at once");
    for call in ["cancel_job(4711)", "retry_job(4711)"] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert_eq!((refused.code.as_str(), refused.message.as_str()), ("42704", "job 4711 does not exist"));
    }
}

#[test]
fn a_queued_job_is_cancelled_and_can_be_tried_again() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    client.batch_execute("BEGIN").unwrap();
    let id = queue_index(&mut client);
    let mut call =
        |function: &str| text(&mut client, &format!("SELECT groundskeeper.{function}({id})")).unwrap();
    assert_eq!(call("cancel_job"), "cancelled");
    assert_eq!(call("cancel_job"), "cancelled");
    client.batch_execute("COMMIT").unwrap();
    sleep(Duration::from_millis(300));
    assert_eq!(job(&mut client, id).state, "cancelled");
    assert!(valid_index(&mut client).is_empty());

    let retry = format!("SELECT groundskeeper.retry_job({id})");
    assert_eq!(text(&mut client, &retry).unwrap(), "queued");
    until_state(&mut client, id, "succeeded");
    assert_eq!(valid_index(&mut client).len(), 1);
    let refused = refusal(&mut client, &retry).unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("55000", &*format!("job {id} is succeeded"))
    );
    assert_eq!(text(&mut client, &format!("SELECT groundskeeper.cancel_job({id})")).unwrap(), "succeeded");
}

/// Holds a build up in each of its phases: what another session does, and the phase then shown.
const PHASES: [(&str, &str); 3] = [
    ("BEGIN; LOCK TABLE staging.moneylines IN ACCESS EXCLUSIVE MODE", ""),
    (WRITER, "waiting for writers before build"),
    (READER, "waiting for old snapshots"),
];

#[test]
fn a_running_job_is_cancelled_within_a_second_in_every_phase() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let task = index_task("staging", "moneylines", "held_up", "game_id");
    for (begin, phase) in PHASES {
        let (mut other, _) = in_transaction(&db, begin);
        // Not through the plan, which would look at the table.
        let id = queue_task(&mut client, "staging.moneylines", "postgres", &task);
        until_job(&mut client, id, phase, |job| job.state == "waiting" && job.phase == phase);
        cancel(&mut client, id, phase);
        other.batch_execute("ROLLBACK").unwrap();
        // What the build left is dropped, and built anew.
        assert_eq!(text(&mut client, &format!("SELECT groundskeeper.retry_job({id})")).unwrap(), "queued");
        until_state(&mut client, id, "succeeded");
        let built =
            "SELECT count(*) FROM pg_index WHERE indexrelid = 'staging.held_up'::regclass AND indisvalid";
        assert_eq!(text(&mut client, built).unwrap(), "1", "{phase}");
        assert_eq!(invalid_indexes(&mut client), [""; 0], "{phase}");
        client.batch_execute("DROP INDEX staging.held_up").unwrap();
    }
}

fn cancel(client: &mut Client, id: i64, phase: &str) {
    let begun = Instant::now();
    let cancel = format!("SELECT groundskeeper.cancel_job({id})");
    assert_eq!(text(client, &cancel).unwrap(), "running", "{phase}");
    until("cancelled", || (job(client, id).state == "cancelled").then_some(()));
    let took = begun.elapsed();
    println!("cancelled after {took:?}, {phase}");
    assert!(took < Duration::from_secs(2), "{phase}: {took:?}");
}

#[test]
fn a_build_is_cancelled_in_the_middle_of_its_scan() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    client
        .batch_execute(
            "CREATE FUNCTION public.slowly(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql
                 AS 'BEGIN PERFORM pg_sleep(30); RETURN $1; END'",
        )
        .unwrap();
    let task = index_task("staging", "moneylines", "slow", "public.slowly(id)");
    let id = queue_task(&mut client, "staging.moneylines", "postgres", &task);
    until_job(&mut client, id, "building", |job| job.phase.starts_with("building index"));
    cancel(&mut client, id, "building");
}

#[test]
fn what_a_cancelled_build_left_is_replaced_by_the_next_apply() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let (mut writer, _) = in_transaction(&db, WRITER);
    let id = queue_index(&mut client);
    until_state(&mut client, id, "waiting");
    cancel(&mut client, id, "waiting for writers before build");
    writer.batch_execute("COMMIT").unwrap();
    assert_eq!(invalid_indexes(&mut client), [format!("staging.{INDEX}")]);
    let state = format!("SELECT state FROM groundskeeper.plan_status() WHERE item ~ '{INDEX}$'");
    assert_eq!(text(&mut client, &state).unwrap(), "pending");

    client.batch_execute("SELECT FROM groundskeeper.apply_plan(sections => '{2.1}')").unwrap();
    db.settle().unwrap();
    assert_eq!(text(&mut client, &state).unwrap(), "applied");
    assert_eq!(invalid_indexes(&mut client), [""; 0]);
}

#[test]
fn an_installation_that_is_rolled_back_starts_nothing() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let before = facts(&mut client).unwrap();
    client.batch_execute("LOAD 'pg_groundskeeper'; SET groundskeeper.inline_build_limit = 0").unwrap();
    let workers = "SELECT count(*) FROM pg_stat_activity
                    WHERE backend_type LIKE 'pg_groundskeeper%' AND datname = current_database()";
    let install = "BEGIN; CREATE EXTENSION pg_groundskeeper";
    client.batch_execute(install).unwrap();
    let queued =
        text(&mut client, "SELECT count(*) > 5 FROM groundskeeper.jobs WHERE state = 'queued'").unwrap();
    assert_eq!(queued, "true");
    client.batch_execute("ROLLBACK").unwrap();
    until("no worker", || (text(&mut client, workers).unwrap() == "0").then_some(()));
    assert_eq!(facts(&mut client).unwrap(), before);

    // The same session, with a part rolled back and the rest kept.
    client
        .batch_execute(&format!(
            "BEGIN; SAVEPOINT before; CREATE EXTENSION pg_groundskeeper; ROLLBACK TO before; {}; COMMIT",
            &install[7..]
        ))
        .unwrap();
    db.settle().unwrap();
    let states = "SELECT DISTINCT state FROM groundskeeper.jobs";
    assert_eq!(texts(&mut client, states).unwrap(), ["succeeded"]);
}
