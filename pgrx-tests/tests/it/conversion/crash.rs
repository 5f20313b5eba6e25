//! `kill -9` after and in the middle of every step: what was begun goes on, or is undone, and nothing is left behind.

use std::thread::{JoinHandle, spawn};

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{differing, ended, leftovers, patiently, queue, until};

const TABLE: &str = "
    CREATE TABLE public.referred (id integer PRIMARY KEY); INSERT INTO referred SELECT generate_series(0, 10);
    CREATE TABLE public.t (id bigserial PRIMARY KEY, day date, n integer REFERENCES referred, note text);
    INSERT INTO t (day, n, note) SELECT CASE WHEN i % 9 > 0 THEN current_date - i % 90 END, i % 10, repeat('x', 50) FROM generate_series(1, 4000) i;
    CREATE INDEX t_n ON t (n, day); CREATE INDEX t_note ON t (note);
    CREATE TABLE public.child (id bigint REFERENCES t ON DELETE CASCADE); INSERT INTO child SELECT i FROM generate_series(1, 500) i;
    CREATE VIEW public.v AS SELECT n, day FROM t;
    CREATE MATERIALIZED VIEW public.m AS SELECT n, count(*) FROM t GROUP BY n; CREATE UNIQUE INDEX m_n ON m (n);
    CREATE TABLE public.control AS TABLE t";

const PARTITION: &str = "partition_table('t', 'day', accept => '{on_conflict}')";
const UNDO: &str = "undo_partitioning('t')";
const FINALIZE: &str = "finalize_partitioning('t')";

/// Where a job is held up: what another session does, the stage at which it is then, and what the worker waits in.
struct Point {
    name: &'static str,
    call: &'static str,
    hold: &'static str,
    stage: &'static str,
}

/// Each step in its middle, which is also after the one before it: a lock on what the step needs next holds it up.
const POINTS: &[Point] = &[
    Point { name: "the shadow is made", call: PARTITION, hold: "SELECT set_hold('begun')", stage: "begun" },
    Point {
        name: "capture begins",
        call: PARTITION,
        hold: "LOCK TABLE t IN ROW EXCLUSIVE MODE",
        stage: "shadowed",
    },
    Point {
        name: "rows are copied",
        call: PARTITION,
        hold: "SELECT set_hold('captured')",
        stage: "captured",
    },
    Point {
        name: "a batch is copied",
        call: PARTITION,
        hold: "SELECT set_hold('copying rows')",
        stage: "captured",
    },
    Point { name: "indexes are built", call: PARTITION, hold: "SELECT set_hold('copied')", stage: "copied" },
    Point {
        name: "rows are compared",
        call: PARTITION,
        hold: "SELECT set_hold('indexed')",
        stage: "indexed",
    },
    Point {
        name: "rows are being compared",
        call: PARTITION,
        hold: "SELECT set_hold('comparing rows')",
        stage: "indexed",
    },
    Point {
        name: "the names are exchanged",
        call: PARTITION,
        hold: "LOCK TABLE t IN ACCESS SHARE MODE",
        stage: "proven",
    },
    Point { name: "it settles", call: PARTITION, hold: "SELECT set_hold('swapped')", stage: "swapped" },
    Point {
        name: "the way back is proven",
        call: UNDO,
        hold: "SELECT set_hold('converted')",
        stage: "converted",
    },
    Point {
        name: "the names are exchanged back",
        call: UNDO,
        hold: "LOCK TABLE t IN ACCESS SHARE MODE",
        stage: "equal",
    },
    Point { name: "it is cleaned up", call: UNDO, hold: "SELECT set_hold('restored')", stage: "restored" },
    Point {
        name: "the end is proven",
        call: FINALIZE,
        hold: "SELECT set_hold('converted')",
        stage: "converted",
    },
    Point {
        name: "the former is dropped",
        call: FINALIZE,
        hold: "LOCK TABLE t IN ACCESS SHARE MODE",
        stage: "equal",
    },
];

/// Each step at its end: its work is done, and what is written down of it is not committed.
const ENDS: &[Point] = &[
    Point { name: "shadowed", call: PARTITION, hold: "SELECT set_hold('to shadowed')", stage: "begun" },
    Point { name: "captured", call: PARTITION, hold: "SELECT set_hold('to captured')", stage: "shadowed" },
    Point { name: "copied", call: PARTITION, hold: "SELECT set_hold('to copied')", stage: "captured" },
    Point { name: "indexed", call: PARTITION, hold: "SELECT set_hold('to indexed')", stage: "copied" },
    Point { name: "proven", call: PARTITION, hold: "SELECT set_hold('to proven')", stage: "indexed" },
    Point { name: "swapped", call: PARTITION, hold: "SELECT set_hold('to swapped')", stage: "proven" },
    Point { name: "converted", call: PARTITION, hold: "SELECT set_hold('to converted')", stage: "swapped" },
    Point { name: "equal", call: UNDO, hold: "SELECT set_hold('to equal')", stage: "converted" },
    Point { name: "restored", call: UNDO, hold: "SELECT set_hold('to restored')", stage: "equal" },
    Point { name: "finalized", call: FINALIZE, hold: "SELECT set_hold('to finalized')", stage: "equal" },
];

/// Holds a job up where it reports a phase, or writes down a stage, in the transaction that does so.
const HOLDING: &str = "
    CREATE TABLE public.hold (stage text);
    CREATE FUNCTION public.set_hold(stage text) RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(4711); INSERT INTO public.hold VALUES (stage)';
    CREATE FUNCTION public.held() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF NEW.phase IS DISTINCT FROM OLD.phase AND EXISTS (SELECT FROM public.hold h WHERE h.stage = NEW.phase) THEN
            PERFORM pg_advisory_xact_lock(4711);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER held BEFORE UPDATE ON groundskeeper.job FOR EACH ROW EXECUTE FUNCTION public.held();
    CREATE FUNCTION public.held_at_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF NEW.stage <> OLD.stage AND EXISTS (SELECT FROM public.hold h WHERE h.stage = 'to ' || NEW.stage) THEN
            PERFORM pg_advisory_xact_lock(4711);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER held BEFORE UPDATE ON groundskeeper.conversion FOR EACH ROW EXECUTE FUNCTION public.held_at_end()";

fn prepared(server: &Server) -> (TestDb, Client) {
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(&format!("{TABLE}; {HOLDING}")).unwrap();
    (db, client)
}

/// Brings a fresh table to where the point's call can be made.
fn ready(client: &mut Client, point: &Point) {
    if point.call != PARTITION {
        let job = queue(client, PARTITION);
        assert_eq!(ended(client, job).0, "succeeded");
    }
    client.batch_execute("DELETE FROM t WHERE id % 97 = 0; DELETE FROM control WHERE id % 97 = 0").unwrap();
}

fn again(client: &mut Client) {
    client
        .batch_execute("DROP MATERIALIZED VIEW m; DROP VIEW v; DROP TABLE IF EXISTS t, t_key, child, referred, control CASCADE; DROP FUNCTION IF EXISTS t_key_insert, t_key_update, t_key_delete, t_key_truncate, t_key_restore;
                        DELETE FROM groundskeeper.conversion; DELETE FROM groundskeeper.managed_tables; TRUNCATE hold")
        .unwrap();
    client.batch_execute(TABLE).unwrap();
}

fn writing(db: &TestDb) -> JoinHandle<()> {
    let mut client = db.client().unwrap();
    spawn(move || {
        for i in 0.. {
            let id = 1 + i * 37 % 4000;
            let statement = format!(
                "BEGIN; UPDATE t SET day = current_date - {i} % 80, n = {i} % 10 WHERE id = {id};
                 UPDATE control SET day = current_date - {i} % 80, n = {i} % 10 WHERE id = {id}; COMMIT"
            );
            if client.batch_execute(&statement).is_err() {
                return; // the server was killed
            }
        }
    })
}

/// Kills the server while the job is held up there, with a writer at work, and starts it again.
fn crash_at(server: &Server, db: &TestDb, client: &mut Client, point: &Point) -> (Client, i64) {
    ready(client, point);
    let mut other = db.client().unwrap();
    let begins = if point.hold.starts_with("SELECT") { "" } else { "BEGIN; " };
    other.batch_execute(&format!("{begins}{}", point.hold)).unwrap();
    let job = queue(client, point.call);
    until(client, "SELECT stage FROM groundskeeper.conversion", point.stage);
    let worker = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper job' AND wait_event_type = 'Lock'
                     AND datname = current_database()";
    until(client, worker, "1");
    let writer = writing(db);
    std::thread::sleep(std::time::Duration::from_millis(100));
    server.kill_9().unwrap();
    drop(other);
    writer.join().unwrap();
    server.up().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("TRUNCATE hold").unwrap();
    (client, job)
}

fn assert_rows(client: &mut Client, what: &str) {
    let columns = "SELECT id, day, n, note FROM";
    assert_eq!(differing(client, &format!("{columns} t"), &format!("{columns} control")), "0", "{what}");
    assert_eq!(
        text(client, "SELECT count(*) FROM child WHERE id NOT IN (SELECT id FROM t)").unwrap(),
        "0",
        "{what}"
    );
}

#[test]
fn killed_at_any_step_it_goes_on() {
    goes_on(Options::default().preload("pg_groundskeeper"), POINTS, false);
}

#[test]
fn killed_before_a_step_is_written_down_it_goes_on() {
    goes_on(Options::default().preload("pg_groundskeeper"), ENDS, false);
}

#[test]
fn killed_at_any_step_it_goes_on_when_looked_after() {
    goes_on(Options::default(), POINTS, true);
}

fn goes_on(options: Options, points: &[Point], look_after: bool) {
    let server = options.start().unwrap();
    let (db, mut client) = prepared(&server);
    for point in points {
        let what = point.name;
        let (back, job) = crash_at(&server, &db, &mut client, point);
        client = back;
        if look_after {
            client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '0 s')")).unwrap();
        }
        let end = ended(&mut client, job);
        assert_eq!(end.0, "succeeded", "{what}: {end:?}");
        assert_rows(&mut client, what);
        if point.call == PARTITION {
            super::assert_keys(&mut client, "t", "t_key", what);
            let job = queue(&mut client, UNDO);
            assert_eq!(ended(&mut client, job).0, "succeeded", "{what}");
            assert_rows(&mut client, what);
        }
        if point.call == FINALIZE {
            super::assert_keys(&mut client, "t", "t_key", what);
            assert_eq!(text(&mut client, "SELECT to_regclass('t_unpartitioned') IS NULL").unwrap(), "true");
        } else {
            assert_eq!(leftovers(&mut client), [""; 0], "{what}");
        }
        again(&mut client);
    }
}

#[test]
fn killed_at_any_step_it_can_be_undone() {
    let server = Options::default().start().unwrap();
    let (db, mut client) = prepared(&server);
    for point in POINTS.iter().chain(ENDS).filter(|point| point.call == PARTITION) {
        let (back, _) = crash_at(&server, &db, &mut client, point);
        client = back;
        let job = queue(&mut client, UNDO);
        let end = ended(&mut client, job);
        assert_eq!(end.0, "succeeded", "{}: {end:?}", point.name);
        assert_rows(&mut client, point.name);
        assert_eq!(leftovers(&mut client), [""; 0], "{}", point.name);
        again(&mut client);
    }
}

#[test]
fn killed_with_a_prepared_transaction_open_it_waits_for_it() {
    let server = Options::default().set("max_prepared_transactions", "5").start().unwrap();
    let (db, mut client) = prepared(&server);
    client
        .batch_execute("BEGIN; INSERT INTO t (id, n) VALUES (-1, 3); UPDATE t SET n = 9 WHERE id = 5; DELETE FROM t WHERE id = 6; PREPARE TRANSACTION 'early'")
        .unwrap();
    let job = queue(&mut client, PARTITION);
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "shadowed");
    until(&mut client, "SELECT count(*) > 0 FROM groundskeeper.job_history WHERE lock_waits > 0", "true");
    server.kill_9().unwrap();
    server.up().unwrap();
    client = db.client().unwrap();
    client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '2 s')")).unwrap();
    assert_eq!(text(&mut client, "SELECT stage FROM groundskeeper.conversion").unwrap(), "shadowed");
    client.batch_execute("COMMIT PREPARED 'early'").unwrap();
    client.batch_execute("INSERT INTO control (id, n) VALUES (-1, 3); UPDATE control SET n = 9 WHERE id = 5; DELETE FROM control WHERE id = 6").unwrap();
    assert!(patiently(|| super::outcome(&mut client, job).0 == "succeeded"));
    assert_rows(&mut client, "a prepared transaction");
}

/// A job whose work was over when its worker was killed has nothing left to do, and nothing to complain of.
#[test]
fn killed_when_the_way_back_is_over_it_has_succeeded() {
    let db = TestDb::installed(Template::Empty).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(TABLE).unwrap();
    let job = queue(&mut client, PARTITION);
    assert_eq!(ended(&mut client, job).0, "succeeded");
    let job = queue(&mut client, UNDO);
    assert_eq!(ended(&mut client, job).0, "succeeded");
    let again =
        format!("UPDATE groundskeeper.job SET state = 'queued', finished_at = NULL WHERE job_id = {job}");
    client.batch_execute(&again).unwrap();
    client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '0 s')")).unwrap();
    let end = ended(&mut client, job);
    assert_eq!(end.0, "succeeded", "{end:?}");
    assert_eq!(leftovers(&mut client), [""; 0]);
}
