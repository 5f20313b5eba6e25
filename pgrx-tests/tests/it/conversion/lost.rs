//! A table that is dropped, made anew, or renamed in the middle of its conversion, or whose changes nobody logs.

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{convert, differing, ended, finalize, leftovers, outcome, queue, undo, until, with};

const TABLE: &str = "CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
    INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i;";
const CHILD: &str = "CREATE TABLE public.child (id bigint REFERENCES t ON DELETE CASCADE); INSERT INTO child SELECT generate_series(1, 50);";
const PARTITION: &str = "partition_table('t', 'day', accept => '{on_conflict}')";

/// Begins a conversion, and does something to the table when it has come to that stage and waits for its next lock.
fn interrupted(db: &TestDb, client: &mut Client, call: &str, stage: &str, done: &str) -> (String, String) {
    let lock = if stage == "shadowed" { "ROW EXCLUSIVE" } else { "ACCESS SHARE" };
    let mut other = db.client().unwrap();
    other.batch_execute(&format!("BEGIN; LOCK TABLE t IN {lock} MODE")).unwrap();
    let job = queue(client, call);
    until(client, "SELECT stage FROM groundskeeper.conversion", stage);
    // Whichever of the two is told of the deadlock tries again.
    while other.batch_execute(&format!("SAVEPOINT s; {done}; COMMIT")).is_err() {
        other.batch_execute("ROLLBACK TO s").unwrap();
    }
    ended(client, job)
}

#[test]
fn what_is_left_of_a_dropped_table_is_named_and_cleared_away() {
    for stage in ["shadowed", "proven"] {
        let (db, mut client) = with(TABLE);
        let (state, error) = interrupted(&db, &mut client, PARTITION, stage, "DROP TABLE t");
        assert_eq!(state, "failed", "{error}");
        for said in [
            "public.t was dropped or replaced in the middle",
            "public.t_partitioned",
            "undo_partitioning('public.t_partitioned')",
        ] {
            assert!(error.contains(said), "{stage}: {error}");
        }
        // A job of its own, and no other way than that.
        assert_eq!(
            refusal(&mut client, "SELECT groundskeeper.finalize_partitioning('t_partitioned')").unwrap().code,
            "55000"
        );
        undo(&mut client, "t_partitioned");
        if stage == "proven" {
            // The only copy of the rows is the user's to drop.
            assert_eq!(text(&mut client, "SELECT count(*) FROM t_partitioned").unwrap(), "200");
            client.batch_execute("DROP TABLE t_partitioned").unwrap();
        }
        assert_eq!(leftovers(&mut client), [""; 0], "{stage}");
        client.batch_execute(TABLE).unwrap();
        convert(&mut client, "t", "day");
    }
}

#[test]
fn a_table_gone_before_anything_was_made_leaves_nothing() {
    let (_db, mut client) = with(TABLE);
    client.batch_execute("BEGIN").unwrap();
    let job = queue(&mut client, PARTITION);
    client.batch_execute("DROP TABLE t; COMMIT").unwrap();
    let (state, error) = ended(&mut client, job);
    assert!(
        state == "failed" && error.contains("public.t was dropped") && error.contains("Nothing is left"),
        "{error}"
    );
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn a_table_made_anew_is_not_exchanged_for_a_copy_of_the_old_one() {
    let (db, mut client) = with(&format!("{TABLE} {CHILD}"));
    let anew = "DROP TABLE t CASCADE; CREATE TABLE t (id bigint PRIMARY KEY, day date, n integer);
                INSERT INTO t SELECT i, current_date, -i FROM generate_series(1, 77) i";
    let (state, error) = interrupted(&db, &mut client, PARTITION, "proven", anew);
    assert!(state == "failed" && error.contains("public.t was dropped or replaced"), "{state} {error}");
    assert_eq!(refusal(&mut client, &format!("SELECT groundskeeper.{PARTITION}")).unwrap().code, "55000");
    undo(&mut client, "t");
    assert_eq!(text(&mut client, "SELECT format('%s %s', count(*), max(n)) FROM t").unwrap(), "77 -1");
    assert_eq!(text(&mut client, "SELECT count(*) FROM t_partitioned").unwrap(), "200");
    client.batch_execute("DROP TABLE t_partitioned").unwrap();
    assert_eq!(leftovers(&mut client), [""; 0]);
    convert(&mut client, "t", "day");
    assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "77");
}

#[test]
fn the_unpartitioned_table_outlives_the_partitioned_one() {
    for anew in [false, true] {
        for child in [false, true] {
            let (_db, mut client) = with(TABLE);
            if child {
                client.batch_execute(CHILD).unwrap();
            }
            convert(&mut client, "t", "day");
            if child {
                assert_eq!(refusal(&mut client, "DROP TABLE t").unwrap().code, "2BP01");
            }
            client.batch_execute("UPDATE t SET n = n + 1; DROP TABLE t CASCADE").unwrap();
            if anew {
                client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, day date)").unwrap();
            }
            let named = if anew { "t" } else { "t_unpartitioned" };
            let finalizing =
                refusal(&mut client, &format!("SELECT groundskeeper.finalize_partitioning('{named}')"))
                    .unwrap();
            assert!(
                finalizing.code == "55000" && finalizing.detail.contains("t_unpartitioned"),
                "{finalizing:?}"
            );
            undo(&mut client, named);
            assert_eq!(text(&mut client, "SELECT count(*) FROM t_unpartitioned").unwrap(), "200");
            client
                .batch_execute("INSERT INTO t_unpartitioned VALUES (0, NULL, 0); DROP TABLE t_unpartitioned")
                .unwrap();
            if child {
                // As on a plain table, CASCADE has taken the foreign key along.
                client.batch_execute("INSERT INTO child VALUES (999)").unwrap();
            }
            assert_eq!(leftovers(&mut client), [""; 0], "anew {anew}, child {child}");
            if anew {
                convert(&mut client, "t", "day");
            }
        }
    }
}

#[test]
fn the_name_of_a_table_that_was_done_with_is_free_again() {
    let (_db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    finalize(&mut client, "t");
    let again = refusal(&mut client, &format!("SELECT groundskeeper.{PARTITION}")).unwrap();
    assert!(again.code == "55000" && again.message.contains("partitioned already"), "{again:?}");
    client
        .batch_execute(&format!(
            "DROP TABLE t; CREATE TABLE t_partitioned (); CREATE TABLE t_changes (); {TABLE}"
        ))
        .unwrap();
    // Tables that only have such names are somebody's; what kept the old one's keys is not.
    let taken = refusal(&mut client, &format!("SELECT groundskeeper.{PARTITION}")).unwrap();
    assert!(taken.detail.contains("t_partitioned") && !taken.detail.contains("t_key"), "{taken:?}");
    client.batch_execute("DROP TABLE t_partitioned, t_changes").unwrap();
    convert(&mut client, "t", "day");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn a_renamed_table_is_waited_for() {
    let (db, mut client) = with(&format!("{TABLE} {CHILD}"));
    let (state, error) = interrupted(&db, &mut client, PARTITION, "proven", "ALTER TABLE t RENAME TO other");
    assert!(state == "failed" && error.contains("It is public.other now"), "{error}");
    client.batch_execute("UPDATE other SET n = -n WHERE id < 10").unwrap();
    for call in
        ["undo_partitioning('other')", "undo_partitioning('t_partitioned')", "finalize_partitioning('other')"]
    {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert!(refused.code == "55000" && refused.detail.contains("public.other"), "{call}: {refused:?}");
    }
    client.batch_execute("ALTER TABLE other RENAME TO t").unwrap();
    convert(&mut client, "t", "day");
    let rename = "ALTER TABLE t RENAME TO other";
    assert_eq!(refusal(&mut client, rename).unwrap().code, "55000");
    client
        .batch_execute(&format!(
            "SET groundskeeper.allow_partition_ddl = on; {rename}; RESET groundskeeper.allow_partition_ddl"
        ))
        .unwrap();
    assert_eq!(
        refusal(&mut client, "SELECT groundskeeper.undo_partitioning('t_unpartitioned')").unwrap().code,
        "55000"
    );
    client.batch_execute("INSERT INTO other VALUES (1000, NULL, 0); INSERT INTO child VALUES (1000); ALTER TABLE other RENAME TO t").unwrap();
    let elsewhere =
        refusal(&mut client, "SELECT groundskeeper.undo_partitioning('t_unpartitioned')").unwrap();
    assert!(elsewhere.hint.contains("'public.t'"), "{elsewhere:?}");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
    assert_eq!(
        text(&mut client, "SELECT format('%s %s', count(*), sum(n)) FROM t").unwrap(),
        format!("201 {}", 20_100 - 90)
    );
}

#[test]
fn changes_that_nobody_logged_are_not_lost() {
    let unwatched = "DROP TRIGGER groundskeeper_capture ON t; UPDATE t SET n = 0 WHERE id = 17; DELETE FROM t WHERE id = 18";
    for (call, stage) in
        [(PARTITION, "proven"), ("undo_partitioning('t')", "equal"), ("finalize_partitioning('t')", "equal")]
    {
        let (db, mut client) = with(TABLE);
        if call != PARTITION {
            convert(&mut client, "t", "day");
        }
        client.batch_execute("CREATE TABLE rows AS TABLE t; UPDATE rows SET n = 0 WHERE id = 17; DELETE FROM rows WHERE id = 18").unwrap();
        // What was proven before is proven again.
        let (state, error) = interrupted(&db, &mut client, call, stage, unwatched);
        assert_eq!(state, "succeeded", "{call}: {error}");
        assert_eq!(differing(&mut client, "TABLE t", "TABLE rows"), "0", "{call}");
        if call != "finalize_partitioning('t')" {
            if call == PARTITION {
                undo(&mut client, "t");
            }
            assert_eq!(leftovers(&mut client), [""; 0]);
            assert_eq!(differing(&mut client, "TABLE t", "TABLE rows"), "0", "{call}");
        }
    }
}

#[test]
fn a_partition_that_left_holds_nothing_up() {
    for way in ["undo_partitioning('t')", "finalize_partitioning('t')"] {
        let (_db, mut client) = with(TABLE);
        convert(&mut client, "t", "day");
        let oldest = "SELECT min(c.oid)::regclass FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 't'::regclass";
        let oldest = text(&mut client, oldest).unwrap();
        super::carry_out(&mut client, &format!("detach_partition('{oldest}')"));
        super::carry_out(&mut client, way);
        let triggers = format!("SELECT tgname FROM pg_trigger WHERE tgrelid = '{oldest}'::regclass");
        assert_eq!(texts(&mut client, &triggers).unwrap(), [""; 0], "{way}");
        client.batch_execute(&format!("TRUNCATE {oldest}; DROP TABLE {oldest}")).unwrap();
        assert_eq!(outcome(&mut client, 1).0, "succeeded");
    }
}
