//! The old months of a converted table retire, with the keys of their rows; what foreign keys need stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{SetAtEnd, TestDb};
use postgres::Client;

use super::{assert_keys, convert, differing, finalize, leftovers, undo, with};

/// Ten months with rows, the oldest of which a child refers to, and a copy of all of them.
const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t ON DELETE CASCADE);
    INSERT INTO t SELECT i, date_trunc('month', current_date) - i % 10 * interval '1 month' FROM generate_series(1, 100) i;
    INSERT INTO child VALUES (9);
    CREATE TABLE was AS TABLE t;";

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    (db, client)
}

/// Policy and what comes of it, without the partitions' names.
fn retire(client: &mut Client, keep: &str, action: &str, dry_run: bool) -> Vec<String> {
    let policy = format!("SELECT groundskeeper.set_retention('t', '{keep}', '{action}')");
    client.batch_execute(&policy).unwrap();
    let outcomes = format!(
        "SELECT concat_ws(' ', action, regexp_replace(detail, '\\d{{4}}_\\d\\d', 'YYYY_MM'))
           FROM groundskeeper.apply_retention({dry_run}) ORDER BY partition"
    );
    texts(client, &outcomes).unwrap()
}

const NEEDED: &str = "kept rows of public.child still refer to rows of public.t_YYYY_MM";

#[test]
fn rows_go_with_their_keys_by_each_action() {
    let (_db, mut client) = converted();
    client.batch_execute("CREATE SCHEMA attic; SET groundskeeper.archive_schema = 'attic'").unwrap();
    let would = retire(&mut client, "7 months", "drop", true);
    assert_eq!(would, [NEEDED, "would drop"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "100", "a dry run");
    assert_eq!(retire(&mut client, "7 months", "drop", false), [NEEDED, "dropped"]);
    assert_eq!(retire(&mut client, "6 months", "detach", false), [NEEDED, "detached"]);
    let archived = retire(&mut client, "5 months", "archive", false);
    assert_eq!(archived, [NEEDED, "archived attic.t_YYYY_MM"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "70");
    assert_keys(&mut client, "t", "t_key", "retiring");
    assert_eq!(text(&mut client, "SELECT count(*) FROM child").unwrap(), "1", "nothing cascades");
    // A key that went may be given again, and nothing refers to one that is not there.
    client.batch_execute("INSERT INTO t VALUES (8, current_date)").unwrap();
    assert_eq!(refusal(&mut client, "INSERT INTO child VALUES (7)").unwrap().code, "23503");
    assert_keys(&mut client, "t", "t_key", "a key given again");
    // By hand it is refused as before: only ours looks after the keys.
    let name = "SELECT relid FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\\d' ORDER BY relid::text DESC LIMIT 1";
    let newest = text(&mut client, name).unwrap();
    let refused = refusal(&mut client, &format!("ALTER TABLE t DETACH PARTITION {newest}")).unwrap();
    assert_eq!(refused.code, "55000");
}

#[test]
fn what_has_retired_does_not_come_back() {
    let (_db, mut client) = converted();
    assert_eq!(retire(&mut client, "7 months", "drop", false), [NEEDED, "dropped"]);
    let left = "SELECT * FROM was WHERE id % 10 <> 8";
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, "TABLE t", left), "0");
    assert_eq!(leftovers(&mut client), [""; 0]);
    convert(&mut client, "t", "day");
    finalize(&mut client, "t");
    client.batch_execute("DELETE FROM child").unwrap();
    assert_eq!(retire(&mut client, "6 months", "drop", false), ["dropped"; 3]);
    let left = "SELECT * FROM was WHERE id % 10 < 7";
    assert_eq!(differing(&mut client, "TABLE t", left), "0");
    assert_keys(&mut client, "t", "t_key", "retiring when finalized");
}

/// What writers do to rows of months that retire: rows come, move to the current month, go, and are referred to.
fn meddle(db: &TestDb, stop: &AtomicBool, writer: i64) -> (Vec<i64>, Vec<i64>) {
    let mut client = db.client().unwrap();
    let (mut moved, mut referred) = (Vec::new(), Vec::new());
    let mut turn = writer;
    while !stop.load(Ordering::Relaxed) {
        turn += 3;
        let id = 1 + turn * 7919 % 30_000;
        match turn % 4 {
            0 => {
                let new =
                    format!("INSERT INTO t VALUES ({}, current_date - 150 - {})", 100_000 + turn, turn % 90);
                client.batch_execute(&new).unwrap();
            }
            1 => {
                let moves = format!("UPDATE t SET day = current_date WHERE id = {id}");
                if client.execute(moves.as_str(), &[]).unwrap() == 1 {
                    moved.push(id);
                }
            }
            2 => {
                let gone =
                    format!("DELETE FROM t WHERE id = {} AND day < current_date - 60", 100_000 + turn - 2);
                client.execute(gone.as_str(), &[]).unwrap();
            }
            // one whose row has retired is refused
            _ => {
                if client.execute(format!("INSERT INTO child VALUES ({id})").as_str(), &[]).is_ok() {
                    referred.push(id);
                }
            }
        }
        thread::sleep(Duration::from_millis(3));
    }
    (moved, referred)
}

#[test]
fn rows_that_come_and_go_while_their_months_retire_keep_their_keys() {
    let (db, mut client) = with(
        "CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
         CREATE TABLE public.child (t_id bigint REFERENCES public.t ON DELETE CASCADE);
         CREATE INDEX ON public.child (t_id);
         INSERT INTO t SELECT i, date_trunc('month', current_date) - i % 10 * interval '1 month' FROM generate_series(1, 30000) i",
    );
    convert(&mut client, "t", "day");
    client.batch_execute("SELECT groundskeeper.set_retention('t', '1 month', 'drop')").unwrap();
    let stop = AtomicBool::new(false);
    let (done, dropped) = thread::scope(|scope| {
        let _end = SetAtEnd(&stop);
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                scope.spawn({
                    let (db, stop) = (&db, &stop);
                    move || meddle(db, stop, writer)
                })
            })
            .collect();
        let mut dropped = 0;
        for _ in 0..4 {
            let said = texts(&mut client, "SELECT action FROM groundskeeper.apply_retention()").unwrap();
            dropped += said.iter().filter(|action| *action == "dropped").count();
        }
        stop.store(true, Ordering::Relaxed);
        let done: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        (done, dropped)
    });
    println!("{dropped} months have retired meanwhile");
    assert_keys(&mut client, "t", "t_key", "retiring under writers");
    for (moved, referred) in done {
        let there =
            "SELECT count(*) FROM unnest($1::bigint[]) i WHERE NOT EXISTS (SELECT FROM t WHERE t.id = i)";
        for (what, ids) in [("moved", moved), ("referred to", referred)] {
            let lost: i64 = client.query_one(there, &[&ids]).unwrap().get(0);
            assert_eq!(lost, 0, "rows that were {what} are there");
        }
    }
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'groundskeeper_watch%'";
    assert_eq!(text(&mut client, left).unwrap(), "0");
    assert_eq!(refusal(&mut client, "INSERT INTO child VALUES (7777777)").unwrap().code, "23503");
}

/// The worker that retires partitions would wait for its caller, and the caller for it, without PostgreSQL noticing.
#[test]
fn a_key_that_the_caller_has_locked_is_not_waited_for() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "SELECT groundskeeper.set_retention('t', '7 months', 'drop'); SET statement_timeout = '20s';
             BEGIN; SELECT FROM t_key FOR KEY SHARE",
        )
        .unwrap();
    let said = "SELECT concat_ws(' ', action, detail) FROM groundskeeper.apply_retention()";
    let said = texts(&mut client, said).unwrap();
    assert!(said.len() == 2 && said.iter().all(|outcome| outcome.starts_with("kept")), "{said:?}");
    client.batch_execute("COMMIT").unwrap();
    assert_keys(&mut client, "t", "t_key", "a refusal");
}
