//! What is done to a converted table later comes along on the way back.

use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{differing, ended, leftovers, queue, undo, until, with};

const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer, m integer,
        CONSTRAINT small CHECK (n < 1000), CONSTRAINT once UNIQUE (m, day));
    CREATE INDEX t_n ON t (n);
    INSERT INTO t SELECT i, current_date - i % 60, i, i FROM generate_series(1, 200) i;";

/// The constraints and indexes of the table, but for the primary key.
const HANGING: &str = "
    SELECT format('%s %s, %s', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint'))
      FROM pg_constraint WHERE conrelid = 't'::regclass AND contype NOT IN ('p', 'n')
    UNION ALL
    SELECT replace(pg_get_indexdef(indexrelid), ' ONLY ', ' ') FROM pg_index WHERE indrelid = 't'::regclass AND NOT indisprimary
    ORDER BY 1";

fn converted() -> (groundskeeper_tests::TestDb, Client) {
    let (db, mut client) = with(TABLE);
    super::convert(&mut client, "t", "day");
    (db, client)
}

#[test]
fn keys_and_indexes_added_later_are_there_after_the_way_back() {
    let (_db, mut client) = converted();
    // Rows that the new key does not allow are gone from the table, and perhaps not yet from where it came from.
    client
        .batch_execute(
            "INSERT INTO t SELECT i + 1000, current_date - i % 60, i, i + 1000 FROM generate_series(1, 100) i;
             DELETE FROM t WHERE id > 1000;
             ALTER TABLE t ADD CONSTRAINT twice UNIQUE (n, day) INCLUDE (m);
             COMMENT ON CONSTRAINT twice ON t IS 'added later';
             ALTER TABLE t ADD CONSTRAINT late UNIQUE (day, m) DEFERRABLE INITIALLY DEFERRED;
             CREATE UNIQUE INDEX plain ON t (day, n, m); CREATE INDEX partial ON t (m) WHERE n > 5;
             ALTER TABLE t ADD CONSTRAINT positive CHECK (n > -1000);
             UPDATE t SET n = n - 1",
        )
        .unwrap();
    let before = texts(&mut client, HANGING).unwrap();
    assert_eq!(before.len(), 11, "{before:?}");
    client.batch_execute("CREATE TABLE rows AS TABLE t").unwrap();
    undo(&mut client, "t");
    assert_eq!(texts(&mut client, HANGING).unwrap(), before);
    assert_eq!(differing(&mut client, "TABLE t", "TABLE rows"), "0");
    assert_eq!(leftovers(&mut client), [""; 0]);
    let twice = "INSERT INTO t SELECT -1, day, n, -5 FROM t WHERE id = 7";
    assert_eq!(refusal(&mut client, twice).unwrap().code, "23505");
    // and there once more
    super::convert(&mut client, "t", "day");
    assert_eq!(texts(&mut client, HANGING).unwrap(), before);
}

#[test]
fn a_key_added_while_the_way_back_waits_is_not_lost() {
    let (db, mut client) = converted();
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
    let job = queue(&mut client, "undo_partitioning('t')");
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "equal");
    reader
        .batch_execute(
            "ALTER TABLE t ADD CONSTRAINT twice UNIQUE (n, day); CREATE INDEX late ON t (m); COMMIT",
        )
        .unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    let there = texts(&mut client, HANGING).unwrap().join("\n");
    assert!(there.contains("twice UNIQUE (n, day)") && there.contains("INDEX late"), "{there}");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn what_was_taken_off_the_table_does_not_refuse_its_rows() {
    for way in ["undo_partitioning('t')", "finalize_partitioning('t')"] {
        let (_db, mut client) = converted();
        client
            .batch_execute(
                "ALTER TABLE t DROP CONSTRAINT small, DROP CONSTRAINT once; DROP INDEX t_n;
                 INSERT INTO t VALUES (201, current_date, 5000, 1), (202, current_date, 5000, 1);
                 CREATE TABLE rows AS TABLE t",
            )
            .unwrap();
        super::carry_out(&mut client, way);
        assert_eq!(texts(&mut client, HANGING).unwrap(), [""; 0], "{way}");
        assert_eq!(differing(&mut client, "TABLE t", "TABLE rows"), "0", "{way}");
        assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "202", "{way}");
    }
}

#[test]
fn a_unique_value_that_passes_from_row_to_row_is_followed() {
    for way in ["undo_partitioning('t')", "finalize_partitioning('t')"] {
        let (_db, mut client) = converted();
        // The first entry of the log names a row that has by now what another has given up, whose entry comes thousands
        // later.
        client
            .batch_execute(
                "UPDATE t SET n = n + 1 WHERE id = 2;
                 DO $$ BEGIN FOR i IN 1..30 LOOP UPDATE t SET n = n WHERE id > 2; END LOOP; END $$;
                 UPDATE t SET m = -1 WHERE id = 1;
                 UPDATE t SET m = 1, day = (SELECT day FROM t WHERE id = 1) WHERE id = 2;
                 CREATE TABLE rows AS TABLE t",
            )
            .unwrap();
        super::carry_out(&mut client, way);
        assert_eq!(differing(&mut client, "TABLE t", "TABLE rows"), "0", "{way}");
    }
}
