//! Locks: a job waits for whoever holds one, says for whom, and lets nobody else wait for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_tests::plan::plan_states;
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{
    READER, WRITER, in_transaction, invalid_indexes, job, job_in, prepare, queue_index, queue_other, until,
    until_job, until_state, valid_index,
};

/// A transaction that has read, and stands in the way of ALTER TABLE only.
const GLANCE: &str = "BEGIN; SELECT FROM staging.moneylines LIMIT 1";
const WIDENING: &str = "1.1.staging.moneylines.data_quality_score";
const CHECK: &str = "1.1.staging.moneylines.chk_moneylines_quality_score";

#[test]
fn a_build_names_those_that_it_waits_for_and_goes_on_when_they_leave() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let (_glance, _) = in_transaction(&db, GLANCE);
    let (mut writer, writer_pid) = in_transaction(&db, WRITER);
    let id = queue_index(&mut client);
    let waits_for = |pid: i32| format!("waits for {pid}");
    until_job(&mut client, id, "waiting for the writer", |job| {
        job.state == "waiting" && job.detail == waits_for(writer_pid)
    });

    // Jobs on other tables go on meanwhile.
    let other = queue_other(&mut client);
    until_state(&mut client, other, "succeeded");
    assert_eq!(job(&mut client, id).state, "waiting");

    let (mut reader, reader_pid) = in_transaction(&db, READER);
    writer.batch_execute("COMMIT").unwrap();
    until_job(&mut client, id, "waiting for the reader", |job| {
        job.state == "waiting" && job.detail == waits_for(reader_pid)
    });
    reader.batch_execute("COMMIT").unwrap();
    let done = until_state(&mut client, id, "succeeded");
    assert_eq!(done.detail, "");
    assert_eq!(valid_index(&mut client).len(), 1);
    assert_eq!(invalid_indexes(&mut client), [""; 0]);
}

/// Inserts now and then until told to stop; returns the longest that one of them took.
fn writer(db: &TestDb, stop: &Arc<AtomicBool>) -> JoinHandle<Duration> {
    let (mut client, stop) = (db.client().unwrap(), Arc::clone(stop));
    spawn(move || {
        let mut longest = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            client.batch_execute("INSERT INTO staging.moneylines (data_quality_score) VALUES (1.5)").unwrap();
            longest = longest.max(begun.elapsed());
            sleep(Duration::from_millis(5));
        }
        longest
    })
}

/// The job that has an item now.
fn job_of(client: &mut Client, item: &str) -> i64 {
    let plan = plan_states(client).unwrap();
    assert_eq!(plan[item].state, "queued", "{:?}", plan[item]);
    job_in(&plan[item].detail)
}

#[test]
fn an_exclusive_lock_is_tried_for_again_and_again_and_writers_hardly_notice() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let (mut reader, _) = in_transaction(&db, GLANCE);
    let stop = Arc::new(AtomicBool::new(false));
    let writing = writer(&db, &stop);
    db.install().unwrap();
    let id = job_of(&mut client, WIDENING);
    let kind = format!("SELECT kind FROM groundskeeper.jobs WHERE job_id = {id}");
    assert_eq!(text(&mut client, &kind).unwrap(), "alter_table");

    let refused = until_job(&mut client, id, "tried twice", |job| job.state == "queued" && job.attempts >= 2);
    // On a busy machine PostgreSQL may look for a deadlock before a wait is given up.
    let is_of_a_lock = ["lock timeout", "deadlock"].iter().any(|why| refused.error.contains(why));
    assert!(is_of_a_lock && refused.detail.contains("tried again"), "{refused:?}");
    reader.batch_execute("COMMIT").unwrap();
    let done = until_state(&mut client, id, "succeeded");
    db.settle().unwrap();
    stop.store(true, Ordering::Relaxed);
    let longest = writing.join().unwrap();
    println!("longest insert during {} attempts at an exclusive lock: {longest:?}", done.attempts);
    assert!(longest < Duration::from_secs(2), "{longest:?}");

    let history = format!(
        "SELECT format('%s %s %s', attempt, state, CASE WHEN lock_waits > 0 OR error ~ '^deadlock' THEN 't' ELSE error END) FROM groundskeeper.job_history
          WHERE job_id = {id} AND state <> 'succeeded' ORDER BY attempt"
    );
    let refused: Vec<String> = (1..done.attempts).map(|attempt| format!("{attempt} failed t")).collect();
    assert_eq!(texts(&mut client, &history).unwrap(), refused);
    let plan = plan_states(&mut client).unwrap();
    for item in [WIDENING, CHECK] {
        assert_eq!(plan[item].state, "applied", "{item}: {:?}", plan[item]);
    }
}

#[test]
fn an_attempt_that_is_over_quickly_counts_once_and_says_why() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let (mut reader, _) = in_transaction(&db, GLANCE);
    db.install().unwrap();
    client
        .batch_execute(&format!("ALTER DATABASE {} SET groundskeeper.lock_timeout = '5ms'", db.name()))
        .unwrap();
    let id = job_of(&mut client, WIDENING);
    let counted = format!(
        "SELECT attempts - (SELECT count(*) FROM groundskeeper.job_history h WHERE h.job_id = j.job_id)
           FROM groundskeeper.jobs j WHERE job_id = {id}"
    );
    while job(&mut client, id).attempts < 4 {
        assert_eq!(text(&mut client, &counted).unwrap(), "0", "as many attempts as there were");
        let now = job(&mut client, id);
        assert!(now.error.is_empty() || now.error.contains("lock timeout"), "{now:?}");
        sleep(Duration::from_millis(20));
    }
    reader.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
}

#[test]
fn what_follows_a_delayed_change_is_not_forgotten() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    db.install().unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.moneylines DROP CONSTRAINT chk_moneylines_quality_score;
             ALTER DATABASE {} SET groundskeeper.inline_build_limit = 0",
            db.name()
        ))
        .unwrap();
    let (mut reader, _) = in_transaction(&db, GLANCE);
    let mut client = db.client().unwrap();
    client.batch_execute("SELECT FROM groundskeeper.apply_plan(sections => '{1.1}')").unwrap();
    let id = job_of(&mut client, CHECK);
    until_job(&mut client, id, "refused once", |job| job.attempts > 0 && job.state == "queued");
    reader.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    db.settle().unwrap();
    let plan = plan_states(&mut client).unwrap();
    assert_eq!(plan[CHECK].state, "applied", "{:?}", plan[CHECK]);
}

#[test]
fn a_delayed_change_that_has_become_impossible_fails_and_says_why() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let (mut reader, _) = in_transaction(&db, GLANCE);
    db.install().unwrap();
    let id = job_of(&mut client, WIDENING);
    until_job(&mut client, id, "refused once", |job| job.attempts > 0 && job.state == "queued");
    client
        .batch_execute(
            "CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
             CREATE TRIGGER on_score BEFORE UPDATE OF data_quality_score ON staging.moneylines
                FOR EACH ROW EXECUTE FUNCTION public.nothing()",
        )
        .unwrap();
    reader.batch_execute("COMMIT").unwrap();
    let ended = until("its end", || {
        Some(job(&mut client, id))
            .filter(|job| job.state != "queued" && job.state != "running" && job.state != "waiting")
    });
    assert_eq!(ended.state, "failed", "{ended:?}");
    assert!(ended.error.contains("on_score"), "{ended:?}");
}
