//! Keys that are kept apart: they are right or known to be wrong, and can be mended while writers go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{SetAtEnd, Template, TestDb};
use postgres::Client;

const TABLE: &str = "
    CREATE TABLE public.t (id integer, at date, n integer, PRIMARY KEY (id));
    CREATE TABLE public.child (t_id integer REFERENCES public.t ON DELETE CASCADE);
    INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 300) i;
    INSERT INTO child SELECT generate_series(1, 20);";

fn carry_out(db: &TestDb, client: &mut Client, call: &str) -> (String, String) {
    let job: i64 = client.query_one(&format!("SELECT groundskeeper.{call}"), &[]).unwrap().get(0);
    db.settle().unwrap();
    let outcome = client
        .query_one(
            "SELECT state, concat_ws(': ', detail, error) FROM groundskeeper.jobs WHERE job_id = $1",
            &[&job],
        )
        .unwrap();
    (outcome.get(0), outcome.get(1))
}

fn converted() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(TABLE).unwrap();
    let (state, error) = carry_out(&db, &mut client, "partition_table('t', 'at', accept => '{on_conflict}')");
    assert_eq!(state, "succeeded", "{error}");
    (db, client)
}

const HEALTH: &str =
    "SELECT concat_ws('|', status, keys_status) FROM monitoring.partition_health WHERE parent = 'public.t'";
/// Rows without a key, and keys without a row.
const WRONG: &str = "SELECT count(*) FROM ((SELECT id FROM t EXCEPT SELECT id FROM t_key) UNION ALL (SELECT id FROM t_key EXCEPT SELECT id FROM t)) d";

#[test]
fn keys_that_are_wrong_are_seen_and_mended() {
    let (db, mut client) = converted();
    assert_eq!(text(&mut client, HEALTH).unwrap(), "ok|exact: the keys of 300 rows, and no others");
    client
        .batch_execute("SET session_replication_role = replica; DELETE FROM t_key WHERE id BETWEEN 100 AND 109; INSERT INTO t_key VALUES (-1), (-2); RESET session_replication_role")
        .unwrap();
    assert_eq!(text(&mut client, HEALTH).unwrap(), "keys|exact: 10 missing, 2 without a row among 300 rows");
    let (state, said) = carry_out(&db, &mut client, "rebuild_keys('t')");
    assert_eq!(
        (state.as_str(), said.as_str()),
        ("succeeded", "10 keys added, 2 removed, 0 corrected; all of them are those of the rows")
    );
    assert_eq!(text(&mut client, HEALTH).unwrap(), "ok|exact: the keys of 300 rows, and no others");
    assert_eq!(text(&mut client, "SELECT count(*) FROM child").unwrap(), "20");
}

#[test]
fn a_key_that_is_referred_to_or_there_twice_is_named() {
    let (db, mut client) = converted();
    client
        .batch_execute(
            "SET groundskeeper.allow_partition_ddl = on; ALTER TABLE t DISABLE TRIGGER ALL;
             INSERT INTO t VALUES (5, current_date - 50, -1); DELETE FROM t WHERE id = 200; INSERT INTO t VALUES (5000, current_date, 1)",
        )
        .unwrap();
    let (state, error) = carry_out(&db, &mut client, "rebuild_keys('t')");
    assert!(
        state == "failed"
            && error.contains("1 key more than once")
            && error.contains("(id)=(5) in public.t_"),
        "{error}"
    );
    assert_eq!(text(&mut client, WRONG).unwrap(), "2", "nothing was changed");
    let off = "SELECT count(*) > 0 FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgenabled = 'D'";
    assert_eq!(text(&mut client, off).unwrap(), "true");
    client.batch_execute("DELETE FROM t WHERE n = -1; DELETE FROM t WHERE id = 7").unwrap();
    let (state, error) = carry_out(&db, &mut client, "rebuild_keys('t')");
    assert!(state == "failed" && error.contains("Keys: 7."), "{error}");
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM child WHERE t_id = 7").unwrap(),
        "1",
        "nothing cascades"
    );
    assert_eq!(text(&mut client, off).unwrap(), "false");
    client.batch_execute("DELETE FROM child WHERE t_id = 7").unwrap();
    let (state, error) = carry_out(&db, &mut client, "rebuild_keys('t')");
    assert_eq!(state, "succeeded", "{error}");
    assert_eq!(text(&mut client, WRONG).unwrap(), "0");
}

#[test]
fn writers_go_on_meanwhile() {
    let (db, mut client) = converted();
    let stop = AtomicBool::new(false);
    scope(|threads| {
        let _end = SetAtEnd(&stop);
        for writer in 0..2 {
            let (db, stop) = (&db, &stop);
            threads.spawn(move || {
                let mut client = db.client().unwrap();
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = 1 + (i * 7 + writer * 3) % 300;
                    // whichever of them is told of a conflict goes on with the next
                    let _ = client.batch_execute(&format!(
                        "INSERT INTO t VALUES ({}, current_date - {}, 0); UPDATE t SET at = at - 20, id = id + 10000 WHERE id = {id};
                         UPDATE t SET id = id - 10000 WHERE id = {id} + 10000; DELETE FROM t WHERE id = {};
                         INSERT INTO t VALUES ({id}, current_date, 1)",
                        20_000 + i * 2 + writer,
                        i % 60,
                        20_000 + (i - 5) * 2 + writer,
                    ));
                }
            });
        }
        for round in 0..4 {
            // Keys are lost and forged only where nobody is at them.
            client
                .batch_execute("BEGIN; LOCK TABLE t, t_key; DELETE FROM t_key k WHERE id % 3 = 0 AND NOT EXISTS (SELECT FROM child WHERE t_id = k.id);
                    INSERT INTO t_key SELECT -i FROM generate_series(1, 50) i ON CONFLICT DO NOTHING; COMMIT")
                .unwrap();
            let (state, error) = carry_out(&db, &mut client, "rebuild_keys('t')");
            if state != "succeeded" {
                // A row that came for one whose key was lost has it twice: that is what it says.
                assert!(error.contains("more than once"), "{round}: {error}");
                client.batch_execute("DELETE FROM t a USING t b WHERE a.id = b.id AND (a.tableoid, a.ctid) > (b.tableoid, b.ctid)").unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    client
        .batch_execute(
            "DELETE FROM t a USING t b WHERE a.id = b.id AND (a.tableoid, a.ctid) > (b.tableoid, b.ctid)",
        )
        .unwrap();
    let (state, error) = carry_out(&db, &mut client, "rebuild_keys('t')");
    assert_eq!(state, "succeeded", "{error}");
    assert_eq!(text(&mut client, WRONG).unwrap(), "0");
}

#[test]
fn what_drops_partitions_otherwise_is_refused_too() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "CREATE SCHEMA attic;
             DO $$ BEGIN EXECUTE format('ALTER TABLE %s SET SCHEMA attic', (SELECT max(relid::text) FROM pg_partition_tree('t') WHERE relid::text ~ '\\d')); END $$;
             CREATE TABLE t_far PARTITION OF t FOR VALUES FROM ('2097-02-01') TO ('2097-03-01') PARTITION BY LIST (n);
             CREATE TABLE t_far_1 PARTITION OF t_far FOR VALUES IN (1); CREATE TABLE t_far_d PARTITION OF t_far DEFAULT;
             INSERT INTO t VALUES (5001, '2097-02-05', 1), (5002, '2097-02-05', 2)",
        )
        .unwrap();
    for statement in [
        "DROP SCHEMA attic CASCADE",
        "DROP TABLE t_far_d",
        "DROP TABLE t_far",
        "ALTER TABLE t_far DETACH PARTITION t_far_1",
    ] {
        let refused = refusal(&mut client, statement).unwrap();
        assert!(
            refused.code == "55000" && refused.hint.contains("groundskeeper."),
            "{statement}: {refused:?}"
        );
    }
    assert_eq!(text(&mut client, WRONG).unwrap(), "0");
    // Ours take the keys along on every level.
    for (call, rows) in [("detach_partition('t_far_1')", "301"), ("drop_partition('t_far')", "300")] {
        let (state, error) = carry_out(&_db, &mut client, call);
        assert_eq!(state, "succeeded", "{call}: {error}");
        assert_eq!(text(&mut client, "SELECT count(*) FROM t_key").unwrap(), rows, "{call}");
        assert_eq!(text(&mut client, WRONG).unwrap(), "0", "{call}");
    }
    // A restore alone may bring a key that is there.
    assert_eq!(refusal(&mut client, "INSERT INTO t_key VALUES (-5), (-5)").unwrap().code, "23505");
    client.batch_execute("INSERT INTO t_key VALUES (5)").unwrap();
    // With all of it goes all of it.
    assert_eq!(refusal(&mut client, "DROP TABLE t").unwrap().code, "2BP01");
    client.batch_execute("SELECT FROM child; DROP TABLE t CASCADE").unwrap();
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('t', 't_key')";
    assert_eq!(text(&mut client, left).unwrap(), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM pg_proc WHERE proname ~ '^t_key_'").unwrap(), "0");
}

#[test]
fn many_keys_are_sampled_quickly() {
    let (db, mut client) = converted();
    client
        .batch_execute("INSERT INTO t SELECT i, current_date - i % 60, 0 FROM generate_series(1001, 151000) i; ANALYZE t, t_key")
        .unwrap();
    let begun = std::time::Instant::now();
    let seen = text(&mut client, HEALTH).unwrap();
    let took = begun.elapsed();
    assert!(seen.contains("sampled: none wrong in a sample of"), "{seen}");
    assert!(took.as_millis() < 500, "{took:?}");
    client.batch_execute("DELETE FROM t_key WHERE id > 1000 AND id % 2 = 0").unwrap();
    let seen = text(&mut client, HEALTH).unwrap();
    assert!(
        seen.starts_with("keys") && seen.contains("sampled: ") && seen.contains(" missing in a sample"),
        "{seen}"
    );
    let (state, error) = carry_out(&db, &mut client, "rebuild_keys('t')");
    assert!(state == "succeeded" && error.starts_with("75000 keys added"), "{error}");
}

#[test]
fn who_may_not_read_the_rows_is_told_so() {
    let (mut db, mut client) = converted();
    let monitor = db.role("monitor").unwrap();
    client.batch_execute(&format!("GRANT pg_monitor TO {monitor}")).unwrap();
    let seen = text(&mut db.client_as(&monitor).unwrap(), HEALTH).unwrap();
    assert!(seen.starts_with("ok|unknown: permission denied"), "{seen}");
}

#[test]
fn what_has_no_keys_apart_is_refused() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("CREATE TABLE public.plain (id integer PRIMARY KEY, at date)").unwrap();
    assert_eq!(refusal(&mut client, "SELECT groundskeeper.rebuild_keys('plain')").unwrap().code, "55000");
}
