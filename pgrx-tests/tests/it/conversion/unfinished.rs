//! Conversions that nobody works on: they are seen, and a way back is there, with the extension dropped and made again too.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text};
use postgres::Client;

use super::{carry_out, convert, differing, ended, leftovers, queue, undo, until, with};

const TABLE: &str = "CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
    INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i;";
const PARTITION: &str = "partition_table('t', 'day', accept => '{on_conflict}')";
const AGAIN: &str = "DROP EXTENSION pg_groundskeeper; CREATE EXTENSION pg_groundskeeper";

/// Cancels a conversion that waits for its exchange, and writes the table afterwards.
fn cancelled() -> (TestDb, Client, i64) {
    let (db, mut client) = with(TABLE);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t").unwrap();
    let job = queue(&mut client, PARTITION);
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).unwrap();
    assert_eq!(ended(&mut client, job).0, "cancelled");
    reader.batch_execute("COMMIT").unwrap();
    client
        .batch_execute(
            "UPDATE t SET n = -n WHERE id <= 50; DELETE FROM t WHERE id = 60; CREATE TABLE was AS TABLE t",
        )
        .unwrap();
    (db, client, job)
}

const HEALTH: &str = "SELECT concat_ws('|', parent, status, problem, remedy, capture_backlog IS NOT NULL) FROM monitoring.partition_health";

#[test]
fn one_that_was_cancelled_is_seen_until_it_is_taken_back() {
    let (_db, mut client, job) = cancelled();
    let seen = text(&mut client, HEALTH).unwrap();
    for said in [
        "public.t|conversion|",
        "which is proven",
        "public.t_changes",
        &format!("retry_job({job})"),
        "undo_partitioning('public.t') takes it back|t",
    ] {
        assert!(seen.contains(said), "{said}: {seen}");
    }
    let detail = format!("SELECT detail FROM groundskeeper.jobs WHERE job_id = {job}");
    let said = text(&mut client, &detail).unwrap();
    assert!(said.contains("unfinished") && said.contains(&format!("retry_job({job})")), "{said}");
    undo(&mut client, "t");
    assert_eq!(text(&mut client, &format!("SELECT count(*) FROM ({HEALTH}) h")).unwrap(), "0");
    assert_eq!(text(&mut client, &detail).unwrap(), "");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn one_that_nothing_is_written_down_of_is_known_by_its_traces() {
    let (db, mut client, _) = cancelled();
    client.batch_execute(AGAIN).unwrap();
    db.settle().unwrap();
    let seen = text(&mut client, HEALTH).unwrap();
    assert!(
        seen.contains("|conversion|the extension was dropped")
            && seen.contains("undo_partitioning('public.t')"),
        "{seen}"
    );
    let refused = refusal(&mut client, &format!("SELECT groundskeeper.{PARTITION}")).unwrap();
    assert!(refused.code == "55000" && refused.hint.contains("undo_partitioning('public.t')"), "{refused:?}");
    client.batch_execute("UPDATE t SET n = 0 WHERE id = 70; UPDATE was SET n = 0 WHERE id = 70").unwrap();
    // Nothing goes on from there while the way back is asked for.
    client.batch_execute("BEGIN; SELECT groundskeeper.undo_partitioning('t')").unwrap();
    let refused = refusal(&mut client, &format!("SELECT groundskeeper.{PARTITION}")).unwrap();
    assert!(refused.code == "55000" && refused.hint.contains("undo_partitioning('public.t')"), "{refused:?}");
    client.batch_execute("ROLLBACK").unwrap();
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
    convert(&mut client, "t", "day");
}

#[test]
fn one_that_had_only_made_its_copy_is_known_by_that() {
    let (db, mut client) = with(TABLE);
    let mut writer = db.client().unwrap();
    writer.batch_execute("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE").unwrap();
    let job = queue(&mut client, PARTITION);
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "shadowed");
    client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).unwrap();
    assert_eq!(ended(&mut client, job).0, "cancelled");
    writer.batch_execute("COMMIT").unwrap();
    client.batch_execute(AGAIN).unwrap();
    db.settle().unwrap();
    let refused = refusal(&mut client, &format!("SELECT groundskeeper.{PARTITION}")).unwrap();
    assert!(refused.hint.contains("undo_partitioning('public.t')"), "{refused:?}");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
    // One that has rows may be somebody's.
    client
        .batch_execute(
            "CREATE TABLE t_partitioned (LIKE t) PARTITION BY RANGE (day); CREATE TABLE t_p PARTITION OF t_partitioned DEFAULT;
             INSERT INTO t_partitioned VALUES (1, current_date, 1)",
        )
        .unwrap();
    assert_eq!(refusal(&mut client, "SELECT groundskeeper.undo_partitioning('t')").unwrap().code, "55000");
    assert_eq!(text(&mut client, "SELECT count(*) FROM t_partitioned").unwrap(), "1");
}

#[test]
fn what_may_be_the_only_copy_of_a_row_is_not_dropped() {
    let (db, mut client, _) = cancelled();
    client
        .batch_execute(&format!("{AGAIN}; INSERT INTO t_partitioned VALUES (9999, current_date, 1)"))
        .unwrap();
    db.settle().unwrap();
    let job = queue(&mut client, "undo_partitioning('t')");
    let (state, error) = ended(&mut client, job);
    assert!(
        state == "failed" && error.contains("t_partitioned has 1 rows that public.t has not"),
        "{state} {error}"
    );
    client.batch_execute("DROP TABLE t_partitioned").unwrap();
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn a_converted_table_goes_back_without_what_was_written_down() {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    client
        .batch_execute(&format!(
            "{AGAIN}; UPDATE t SET n = -n; DELETE FROM t WHERE id = 3; CREATE TABLE was AS TABLE t"
        ))
        .unwrap();
    db.settle().unwrap();
    let seen = text(&mut client, HEALTH).unwrap();
    assert!(seen.contains("undo_partitioning('public.t')"), "{seen}");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
    assert_eq!(differing(&mut client, "TABLE t", "TABLE was"), "0");
}

#[test]
fn one_whose_table_has_its_name_back_is_cleared_away() {
    for written in [false, true] {
        let (db, mut client) = with(&format!(
            "{TABLE} CREATE TABLE public.child (t_id bigint REFERENCES public.t); INSERT INTO child VALUES (1)"
        ));
        convert(&mut client, "t", "day");
        // a key without a row: the foreign key cannot be validated on the way back
        client
            .batch_execute(
                "SET session_replication_role = replica; INSERT INTO child VALUES (777); RESET session_replication_role",
            )
            .unwrap();
        let job = queue(&mut client, "undo_partitioning('t')");
        assert_eq!(ended(&mut client, job).0, "failed");
        assert_eq!(text(&mut client, "SELECT stage FROM groundskeeper.conversion").unwrap(), "restored");
        client.batch_execute(AGAIN).unwrap();
        db.settle().unwrap();
        if written {
            client.batch_execute("UPDATE t SET n = -n WHERE id < 10").unwrap();
        }
        undo(&mut client, "t");
        if written {
            let detail = "SELECT detail FROM groundskeeper.jobs ORDER BY job_id DESC LIMIT 1";
            let detail = text(&mut client, detail).unwrap();
            assert!(detail.contains("kept: public.t_partitioned"), "{detail}");
            client.batch_execute("DROP TABLE t_partitioned").unwrap();
        }
        assert_eq!(leftovers(&mut client), [""; 0], "{written}");
        assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "200");
    }
}

#[test]
fn strangers_traces_are_not_believed() {
    let (mut db, mut client) = with(TABLE);
    let role = db.role("stranger").unwrap();
    let stranger = quote_ident(&role);
    client
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO {stranger}; GRANT TRIGGER ON t TO {stranger}"
        ))
        .unwrap();
    db.client_as(&role)
        .unwrap()
        .batch_execute(
            "CREATE FUNCTION public.t_capture() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER groundskeeper_capture AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION public.t_capture();
             CREATE TABLE public.t_changes (id bigint); CREATE TABLE public.t_partitioned (id bigint) PARTITION BY RANGE (id)",
        )
        .unwrap();
    let refused = refusal(&mut client, "SELECT groundskeeper.undo_partitioning('t')").unwrap();
    assert!(refused.code == "42501" && refused.detail.contains("t_capture"), "{refused:?}");
    assert_eq!(text(&mut client, "SELECT count(*) FROM monitoring.partition_health").unwrap(), "0");
    // Nor is it kept enabled for its maker.
    client.batch_execute("ALTER TABLE t DISABLE TRIGGER groundskeeper_capture").unwrap();
    let state = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'groundskeeper_capture'";
    assert_eq!(text(&mut client, state).unwrap(), "D");
}

#[test]
fn what_a_drain_left_is_seen_and_cleared_by_the_next() {
    let (db, mut client) = with(
        "CREATE TABLE public.d (id bigint PRIMARY KEY, day date); INSERT INTO d SELECT i, current_date FROM generate_series(1, 100) i",
    );
    convert(&mut client, "d", "day");
    client
        .batch_execute("INSERT INTO d SELECT i, current_date + 300 FROM generate_series(201, 300) i")
        .unwrap();
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM d").unwrap();
    let job = queue(&mut client, "drain_default('d')");
    until(
        &mut client,
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper job' AND wait_event_type = 'Lock'",
        "1",
    );
    client
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type ~ '^pg_groundskeeper'",
        )
        .unwrap();
    client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).unwrap();
    until(
        &mut client,
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper job'",
        "0",
    );
    if text(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgname = 'groundskeeper_watch'").unwrap()
        == "1"
    {
        let left = "SELECT remedy FROM monitoring.partition_health WHERE parent = 'public.d_default'";
        assert!(text(&mut client, left).unwrap().contains("drain_default('public.d')"));
    }
    reader.batch_execute("COMMIT").unwrap();
    carry_out(&mut client, "drain_default('d')");
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'groundskeeper_watch'").unwrap(),
        "0"
    );
}
