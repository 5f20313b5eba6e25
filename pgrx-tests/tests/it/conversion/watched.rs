//! The triggers of a converted table: they stay enabled as a unique index does, and where they are not, the way on and the
//! way back put them back and compare all rows.

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{assert_keys, carry_out, convert, differing, ended, finalize, leftovers, queue, undo, with};

const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t ON DELETE CASCADE);
    INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i;";

/// Those of ours that do not fire for everybody.
const OFF: &str = "SELECT format('%s on %s is %s', tgname, tgrelid::regclass, tgenabled) FROM pg_trigger
                    WHERE tgname ~ 'groundskeeper' AND tgenabled <> 'A' AND tgname !~ 'groundskeeper_note_'";

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    (db, client)
}

fn newest(client: &mut Client) -> String {
    let newest = r"SELECT max(relid::text) FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\d'";
    text(client, newest).unwrap()
}

fn health(client: &mut Client) -> String {
    text(client, "SELECT status FROM monitoring.partition_health WHERE parent = 'public.t'").unwrap()
}

/// Has no event trigger of ours see what is done.
fn unseen(client: &mut Client, done: &str) {
    client
        .batch_execute(&format!(
            "ALTER EVENT TRIGGER groundskeeper_keep_triggers DISABLE; {done};
             ALTER EVENT TRIGGER groundskeeper_keep_triggers ENABLE"
        ))
        .unwrap();
}

#[test]
fn what_switches_triggers_off_leaves_ours_on() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "CREATE FUNCTION public.look_on() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER theirs AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION public.look_on()",
        )
        .unwrap();
    let newest = newest(&mut client);
    for statement in [
        "ALTER TABLE t DISABLE TRIGGER ALL",
        "ALTER TABLE t ENABLE TRIGGER ALL",
        "ALTER TABLE t DISABLE TRIGGER USER",
        "ALTER TABLE t ENABLE TRIGGER USER",
        "ALTER TABLE ONLY t DISABLE TRIGGER ALL",
        "ALTER TABLE t ENABLE REPLICA TRIGGER \"A_groundskeeper_key_insert\"",
        "ALTER TABLE t DISABLE TRIGGER groundskeeper_capture, ALTER n SET STATISTICS 10",
        &format!("ALTER TABLE {newest} DISABLE TRIGGER ALL"),
        &format!("ALTER TABLE {newest} ENABLE TRIGGER ALL"),
        "ALTER TABLE t_key DISABLE TRIGGER ALL",
        "ALTER TABLE t_key ENABLE TRIGGER ALL",
        "BEGIN; SAVEPOINT s; ALTER TABLE t DISABLE TRIGGER ALL; RELEASE s; COMMIT",
    ] {
        client.batch_execute(statement).unwrap();
        assert_eq!(texts(&mut client, OFF).unwrap(), [""; 0], "{statement}");
    }
    client.batch_execute("ALTER TABLE t DISABLE TRIGGER ALL; ALTER TABLE t_key DISABLE TRIGGER ALL").unwrap();
    let theirs = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'theirs'";
    assert_eq!(text(&mut client, theirs).unwrap(), "D", "what is somebody else's is as the statement says");
    for duplicate in ["INSERT INTO t VALUES (1, current_date - 50, 0)", "INSERT INTO t_key VALUES (-1), (-1)"]
    {
        assert_eq!(refusal(&mut client, duplicate).unwrap().code, "23505", "{duplicate}");
    }
    client
        .batch_execute("INSERT INTO t VALUES (5001, current_date, 1); DELETE FROM t WHERE id = 100")
        .unwrap();
    assert_keys(&mut client, "t", "t_key", "a load with triggers off");
    assert_eq!(health(&mut client), "ok");
    client.batch_execute("CREATE TABLE was AS TABLE t").unwrap();
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
    client.batch_execute("DROP TRIGGER theirs ON t").unwrap();
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn a_table_that_is_being_converted_goes_on_being_watched() {
    let (db, mut client) = with(TABLE);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t").unwrap();
    let job = queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    super::until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    reader
        .batch_execute(
            "COMMIT; ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET n = -n WHERE id < 20; ALTER TABLE t ENABLE TRIGGER ALL;
             CREATE TABLE was AS TABLE t",
        )
        .unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
}

#[test]
fn whoever_wants_them_off_can_have_that() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "SET groundskeeper.allow_partition_ddl = on; ALTER TABLE t DISABLE TRIGGER ALL; RESET groundskeeper.allow_partition_ddl;
             INSERT INTO t VALUES (6001, current_date, 1); DELETE FROM t WHERE id = 7",
        )
        .unwrap();
    let seen = "SELECT concat_ws('|', status, keys_status, problem, remedy) FROM monitoring.partition_health";
    let seen = text(&mut client, seen).unwrap();
    for said in
        ["keys, triggers|exact: 1 missing, 1 without a row", "switched off", "rebuild_keys('public.t')"]
    {
        assert!(seen.contains(said), "{said}: {seen}");
    }
}

#[test]
fn the_ways_on_and_back_put_them_back() {
    let broken = [
        "ALTER TABLE t DISABLE TRIGGER ALL",
        "ALTER TABLE t DISABLE TRIGGER ALL; ALTER TABLE t ENABLE TRIGGER ALL; SET session_replication_role = replica",
        "DROP TRIGGER groundskeeper_capture ON t",
        "DROP TRIGGER groundskeeper_capture ON t; DROP TRIGGER groundskeeper_capture_truncate ON t",
        "DROP FUNCTION t_capture() CASCADE",
        "DROP FUNCTION t_key_insert() CASCADE; DROP TRIGGER groundskeeper_capture ON t",
        "DROP TABLE t_changes; DROP TRIGGER groundskeeper_capture ON t",
    ];
    for done in broken {
        for goal in ["undo", "finalize", "catch up"] {
            let (_db, mut client) = converted();
            unseen(
                &mut client,
                &format!(
                    "{done}; UPDATE t SET n = -n WHERE id < 10; DELETE FROM t WHERE id = 20;
                     INSERT INTO t VALUES (7001, current_date, 1); UPDATE t SET day = day - 30 WHERE id = 33; RESET session_replication_role"
                ),
            );
            client.batch_execute("CREATE TABLE was AS TABLE t").unwrap();
            assert!(health(&mut client).contains("triggers"), "{done}");
            match goal {
                "undo" => undo(&mut client, "t"),
                "finalize" => finalize(&mut client, "t"),
                _ => {
                    client.batch_execute("SELECT FROM create_monthly_partitions()").unwrap();
                    _db.settle().unwrap();
                    assert_eq!(differing(&mut client, "TABLE t_unpartitioned", "TABLE was"), "0", "{done}");
                    assert_eq!(texts(&mut client, OFF).unwrap(), [""; 0], "{done}");
                    undo(&mut client, "t");
                }
            }
            assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0", "{goal} after {done}");
            if goal != "finalize" {
                assert_eq!(leftovers(&mut client), [""; 0], "{goal} after {done}");
            }
        }
    }
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    for goal in ["undo_partitioning('t')", "finalize_partitioning('t')"] {
        let (_db, mut client) = converted();
        unseen(
            &mut client,
            "ALTER TABLE t DISABLE TRIGGER ALL; INSERT INTO t VALUES (1, current_date - 50, -1); ALTER TABLE t ENABLE TRIGGER ALL",
        );
        let job = queue(&mut client, goal);
        let (state, error) = ended(&mut client, job);
        assert_eq!(state, "failed", "{error}");
        for said in ["public.t has 1 key more than once", "(id)=(1) in public.t_"] {
            assert!(error.contains(said), "{error}");
        }
        client.batch_execute("DELETE FROM t WHERE n = -1").unwrap();
        carry_out(&mut client, goal);
        assert_eq!(text(&mut client, "SELECT sum(n) FROM t").unwrap(), "20100");
    }
}

#[test]
fn an_owner_who_may_only_add_rows_has_his_ways_too() {
    let (mut db, mut client) = with("");
    let role = db.role("adder").unwrap();
    let owner = groundskeeper_sandbox::server::quote_ident(&role);
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA public TO {owner}")).unwrap();
    let mut as_owner = db.client_as(&role).unwrap();
    for when in ["before", "after"] {
        let revoke = format!("REVOKE UPDATE, DELETE, TRUNCATE ON t FROM {owner}");
        as_owner
            .batch_execute(
                "CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
                 INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i",
            )
            .unwrap();
        if when == "before" {
            as_owner.batch_execute(&revoke).unwrap();
        }
        convert(&mut client, "t", "day");
        if when == "after" {
            as_owner.batch_execute(&revoke).unwrap();
        }
        as_owner.batch_execute("INSERT INTO t VALUES (900, current_date, 1)").unwrap();
        assert_eq!(refusal(&mut as_owner, "DELETE FROM t").unwrap().code, "42501", "{when}");
        undo(&mut client, "t");
        assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "201", "{when}");
        assert_eq!(refusal(&mut as_owner, "DELETE FROM t").unwrap().code, "42501", "{when}");
        convert(&mut client, "t", "day");
        as_owner.batch_execute("INSERT INTO t VALUES (901, current_date, 1)").unwrap();
        finalize(&mut client, "t");
        client.batch_execute("DROP TABLE t").unwrap();
        assert_eq!(
            texts(&mut client, "SELECT relname FROM pg_class WHERE relname ~ '^t(_|$)'").unwrap(),
            [""; 0]
        );
    }
}

#[test]
fn a_crash_between_mending_and_comparing_is_remembered() {
    let (_db, mut client) = converted();
    // as it is when the triggers are back and nobody has compared anything yet
    unseen(
        &mut client,
        "ALTER TABLE t DISABLE TRIGGER ALL; DELETE FROM t WHERE id = 30; UPDATE t SET n = 0 WHERE id = 31; DELETE FROM t_key WHERE id = 30;
         ALTER TABLE t DISABLE TRIGGER ALL; UPDATE groundskeeper.conversion SET unlogged = true",
    );
    client.batch_execute("ALTER TABLE t ENABLE TRIGGER ALL; CREATE TABLE was AS TABLE t").unwrap();
    assert_eq!(texts(&mut client, OFF).unwrap(), [""; 0]);
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
}

#[test]
fn another_owner_of_a_part_is_seen() {
    let (mut db, mut client) = converted();
    let role = groundskeeper_sandbox::server::quote_ident(&db.role("other").unwrap());
    client
        .batch_execute(&format!("GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE t_key OWNER TO {role}"))
        .unwrap();
    let seen =
        text(&mut client, "SELECT concat_ws('|', status, problem) FROM monitoring.partition_health").unwrap();
    assert!(seen.contains("owner|") && seen.contains("public.t_key"), "{seen}");
    client.batch_execute("ALTER TABLE t_key OWNER TO postgres").unwrap();
    assert_eq!(health(&mut client), "ok");
}
