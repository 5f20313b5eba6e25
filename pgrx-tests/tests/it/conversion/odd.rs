//! What may be done to a converted table, or stand beside it, and has been seen to break one.

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{assert_keys, carry_out, convert, differing, finalize, installed, leftovers, undo, with};

/// A table that is referred to, and a copy of its rows.
const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t);
    INSERT INTO t SELECT i, current_date - i % 90, i FROM generate_series(1, 300) i;
    INSERT INTO child SELECT i FROM generate_series(1, 10) i;
    CREATE TABLE was AS TABLE t;";

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    (db, client)
}

#[test]
fn keys_are_known_again_after_the_extension_was_dropped() {
    for is_final in [false, true] {
        let (_db, mut client) = converted();
        if is_final {
            finalize(&mut client, "t");
        }
        client
            .batch_execute(
                "DROP EXTENSION pg_groundskeeper; CREATE EXTENSION pg_groundskeeper;
                 SELECT groundskeeper.adopt_partitioned_table('t');
                 SELECT groundskeeper.set_retention('t', '1 month', 'drop')",
            )
            .unwrap();
        let kept = "SELECT count(*) FROM groundskeeper.apply_retention() WHERE action = 'kept' AND detail LIKE '%child%'";
        client.batch_execute("UPDATE child SET t_id = t_id + 79 WHERE t_id = 10").unwrap();
        assert_eq!(text(&mut client, kept).unwrap(), "1", "finalized: {is_final}");
        assert_keys(&mut client, "t", "t_key", "retiring");
        let lost = "SELECT count(*) FROM child WHERE t_id NOT IN (SELECT id FROM t)";
        assert_eq!(text(&mut client, lost).unwrap(), "0");
        let newest =
            "SELECT max(relid::text) FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\\d'";
        let newest = text(&mut client, newest).unwrap();
        let refused = refusal(&mut client, &format!("ALTER TABLE t DETACH PARTITION {newest}")).unwrap();
        assert_eq!(refused.code, "55000");
        if !is_final {
            undo(&mut client, "t");
            assert_eq!(leftovers(&mut client), [""; 0]);
        }
    }
}

#[test]
fn a_partition_made_by_hand_is_truncated_with_its_keys() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "CREATE TABLE far PARTITION OF t FOR VALUES FROM ('2097-06-01') TO ('2097-07-01');
             CREATE TABLE further (LIKE t INCLUDING ALL);
             ALTER TABLE t ATTACH PARTITION further FOR VALUES FROM ('2097-07-01') TO ('2097-08-01');
             INSERT INTO t VALUES (500, '2097-06-05'), (501, '2097-07-05'), (502, '2097-07-06');
             INSERT INTO child VALUES (500)",
        )
        .unwrap();
    assert_eq!(refusal(&mut client, "TRUNCATE far").unwrap().code, "23503");
    client.batch_execute("TRUNCATE further").unwrap();
    assert_keys(&mut client, "t", "t_key", "truncating");
    undo(&mut client, "t");
    let expected =
        "SELECT * FROM (SELECT * FROM was UNION ALL VALUES (500, date '2097-06-05', NULL::integer)) e";
    assert_eq!(differing(&mut client, "TABLE t", expected), "0");
}

#[test]
fn a_table_that_is_named_elsewhere_keeps_its_name() {
    let (_db, mut client) = converted();
    client.batch_execute("CREATE SCHEMA other").unwrap();
    let names = [
        "ALTER TABLE t RENAME TO other_name",
        "ALTER TABLE t SET SCHEMA other",
        "ALTER TABLE t RENAME COLUMN id TO key",
        "ALTER TABLE t RENAME id TO key",
    ];
    for statement in names {
        assert_eq!(refusal(&mut client, statement).unwrap().code, "55000", "{statement}");
    }
    assert_eq!(refusal(&mut client, "ALTER TABLE t RENAME n TO m").unwrap().code, "55000");
    finalize(&mut client, "t");
    for statement in names {
        assert_eq!(refusal(&mut client, statement).unwrap().code, "55000", "{statement}");
    }
    client.batch_execute("ALTER TABLE t RENAME n TO m; ALTER TABLE child RENAME TO kid").unwrap();
    client.batch_execute("SET quote_all_identifiers = on").unwrap();
    let newest = "SELECT max(relid::text) FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\\d'";
    let newest = text(&mut client, newest).unwrap();
    let refused = refusal(&mut client, &format!("ALTER TABLE t DETACH PARTITION {newest}")).unwrap();
    assert_eq!(refused.code, "55000");
    client.batch_execute("DELETE FROM t WHERE id = 300; INSERT INTO t VALUES (301, current_date)").unwrap();
}

#[test]
fn a_partition_taken_away_by_force_is_no_obstacle_to_the_way_back() {
    let (_db, mut client) = with(
        &TABLE
            .replace("REFERENCES public.t", "")
            .replace("id bigint PRIMARY KEY, day date", "id bigint, day date, PRIMARY KEY (id, day)"),
    );
    convert(&mut client, "t", "day");
    let oldest = "SELECT min(relid::text) FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\\d'";
    let oldest = text(&mut client, oldest).unwrap();
    client.batch_execute(&format!("ALTER TABLE t DETACH PARTITION {oldest}")).unwrap();
    // What left by that is in the unpartitioned table still; the message says how to bring the two together.
    let job = super::queue(&mut client, "undo_partitioning('t')");
    let (state, error) = super::ended(&mut client, job);
    assert!(state == "failed" && error.contains("are not equal"), "{state} {error}");
    client
        .batch_execute(
            "INSERT INTO t_changes SELECT id, day FROM t UNION SELECT id, day FROM t_unpartitioned",
        )
        .unwrap();
    undo(&mut client, "t");
    let left = format!("SELECT * FROM was WHERE (id, day) NOT IN (SELECT id, day FROM {oldest})");
    assert_eq!(differing(&mut client, "TABLE t", &left), "0");
    client.batch_execute(&format!("DROP TABLE {oldest}")).unwrap();
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn dates_beyond_all_timestamps_are_dates_too() {
    let (_db, mut client) = with(TABLE);
    client.batch_execute("INSERT INTO t VALUES (1001, '5874897-12-31'), (1002, '4713-01-01 BC')").unwrap();
    convert(&mut client, "t", "day");
    undo(&mut client, "t");
    convert(&mut client, "t", "day");
    client.batch_execute("INSERT INTO t VALUES (1003, '5874897-12-30')").unwrap();
    finalize(&mut client, "t");
    assert_eq!(text(&mut client, "SELECT count(*) FROM t WHERE id > 1000").unwrap(), "3");
}

#[test]
fn a_publication_of_all_tables_is_no_obstacle() {
    let (_db, mut client) = with(TABLE);
    client
        .batch_execute(
            "CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true);
             ALTER TABLE t REPLICA IDENTITY FULL",
        )
        .unwrap();
    let call = "partition_table('t', 'day', accept => '{on_conflict,publications}')";
    carry_out(&mut client, call);
    client.batch_execute("UPDATE t SET n = 0 WHERE id < 50; DELETE FROM t WHERE id > 290").unwrap();
    undo(&mut client, "t");
    carry_out(&mut client, call);
    client.batch_execute("UPDATE t SET n = 1 WHERE id < 50").unwrap();
    finalize(&mut client, "t");
    assert_keys(&mut client, "t", "t_key", "a publication");
}

#[test]
fn another_request_for_the_same_table_is_refused() {
    let (_db, mut client) = with(TABLE);
    client.batch_execute("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").unwrap();
    let first = super::queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    let again = super::queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    assert_eq!(first, again);
    for other in ["'day', 'week'", "'day', timezone => 'UTC'", "'day', premake => 5"] {
        let call = format!("SELECT groundskeeper.partition_table('t', {other}, accept => '{{on_conflict}}')");
        client.batch_execute("SAVEPOINT s").unwrap();
        assert_eq!(refusal(&mut client, &call).unwrap().code, "55000", "{other}");
        client.batch_execute("ROLLBACK TO s").unwrap();
    }
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(super::ended(&mut client, first).0, "succeeded");
}

#[test]
fn what_says_only_is_named_beforehand() {
    let (_db, mut client) = with(TABLE);
    client
        .batch_execute(
            "CREATE VIEW whole AS SELECT count(*) FROM t; CREATE VIEW itself AS SELECT count(*) FROM ONLY t;
             CREATE FUNCTION adds(i bigint) RETURNS void BEGIN ATOMIC INSERT INTO t VALUES (i, now()::date); END;
             CREATE FUNCTION counts() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM ONLY t; END",
        )
        .unwrap();
    let blockers = "SELECT detail FROM groundskeeper.partition_preflight('t', 'day') WHERE severity = 'blocker' ORDER BY 1";
    let found = texts(&mut client, blockers).unwrap();
    assert_eq!(
        found,
        ["counts()", "itself"]
            .map(|name| format!("public.{name} reads the table itself and not its partitions: it says ONLY"))
    );
}

#[test]
fn columns_stay_the_same_while_there_are_two_of_a_table() {
    let (_db, mut client) = installed(Template::ShapeA);
    carry_out(
        &mut client,
        "partition_table('staging.moneylines', 'processed_at', accept => '{on_conflict}')",
    );
    let outcome = "SELECT action || ' ' || state FROM groundskeeper.rollback_plan() WHERE item = '1.1.staging.moneylines.data_quality_score'";
    assert_eq!(text(&mut client, outcome).unwrap(), "skip blocked");
    let job = "SELECT max(job_id) FROM groundskeeper.jobs WHERE kind = 'undo_partitioning'";
    let job = text(&mut client, job).unwrap().parse().unwrap();
    assert_eq!(super::ended(&mut client, job), ("succeeded".to_owned(), super::outcome(&mut client, job).1));
    assert_eq!(text(&mut client, outcome).unwrap(), "revert pending");
}

#[test]
fn months_that_have_retired_are_not_made_again() {
    let (_db, mut client) = converted();
    finalize(&mut client, "t");
    client.batch_execute("SELECT groundskeeper.set_retention('t', '1 month', 'drop')").unwrap();
    // the oldest month stays, as a child refers to it; one between it and the present goes
    client.batch_execute("UPDATE child SET t_id = (SELECT id FROM t ORDER BY day LIMIT 1)").unwrap();
    client.batch_execute("SELECT count(*) FROM groundskeeper.apply_retention()").unwrap();
    let bounds =
        "SELECT string_agg(relid::text, ' ' ORDER BY relid::text) FROM pg_partition_tree('t') WHERE isleaf";
    let before = text(&mut client, bounds).unwrap();
    let made = "SELECT count(*) FROM create_monthly_partitions() WHERE action <> 'exists'";
    assert_eq!(text(&mut client, made).unwrap(), "0");
    assert_eq!(text(&mut client, bounds).unwrap(), before);
    let absurd = "SELECT groundskeeper.set_retention('t', '10000 years')";
    assert_eq!(refusal(&mut client, absurd).unwrap().code, "22023");
}

#[test]
fn an_index_behind_a_foreign_key_still_serves_when_keys_are_kept_apart() {
    let (_db, mut client) = installed(Template::ShapeA);
    let state = "SELECT state FROM groundskeeper.plan_status() WHERE item = 'beyond.staging.moneylines.idx_staging_moneylines_raw'";
    assert_eq!(text(&mut client, state).unwrap(), "applied");
    convert(&mut client, super::RAW, "game_date");
    assert_eq!(text(&mut client, state).unwrap(), "applied");
    undo(&mut client, super::RAW);
    assert_eq!(text(&mut client, state).unwrap(), "applied");
}
