//! What later releases of PostgreSQL allow on partitioned tables, and what they brought.

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{facts, older_than};

use super::{convert, leftovers, undo, with};

const CONSTRAINTS: &str = "SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
                            WHERE conrelid = 't'::regclass AND contype IN ('f', 'x') ORDER BY 1";

#[test]
fn an_exclusion_constraint_with_the_key_stays() {
    if older_than(17) {
        return;
    }
    let (_db, mut client) = with(
        "
        CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer,
            CONSTRAINT apart EXCLUDE USING btree (n WITH =, day WITH =) WHERE (n > 0));
        INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i",
    );
    let before = texts(&mut client, CONSTRAINTS).unwrap();
    convert(&mut client, "t", "day");
    assert_eq!(texts(&mut client, CONSTRAINTS).unwrap(), before);
    let twice = "INSERT INTO t SELECT 1000, day, n FROM t WHERE id = 7";
    assert_eq!(refusal(&mut client, twice).unwrap().code, "23P01");
    undo(&mut client, "t");
    assert_eq!(texts(&mut client, CONSTRAINTS).unwrap(), before);
    assert_eq!(refusal(&mut client, twice).unwrap().code, "23P01");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn foreign_keys_that_are_not_proven_stay_so() {
    if older_than(18) {
        return;
    }
    let (_db, mut client) = with(
        "
        CREATE TABLE public.p (id bigint PRIMARY KEY);
        CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n bigint, m bigint);
        INSERT INTO t SELECT i, current_date - i % 60, i, i FROM generate_series(1, 200) i;
        ALTER TABLE t ADD CONSTRAINT later FOREIGN KEY (n) REFERENCES p NOT VALID,
                      ADD CONSTRAINT never FOREIGN KEY (m) REFERENCES p NOT ENFORCED;
        COMMENT ON CONSTRAINT later ON t IS 'when the games are in'",
    );
    let before = texts(&mut client, CONSTRAINTS).unwrap();
    assert!(before[0].ends_with("NOT VALID") && before[1].ends_with("NOT ENFORCED"), "{before:?}");
    convert(&mut client, "t", "day");
    assert_eq!(texts(&mut client, CONSTRAINTS).unwrap(), before);
    let orphan = "INSERT INTO t VALUES (1000, current_date, 1, 1)";
    assert_eq!(refusal(&mut client, orphan).unwrap().code, "23503", "what comes is checked");
    client
        .batch_execute("INSERT INTO p VALUES (1); INSERT INTO t VALUES (1001, current_date, 1, 5)")
        .unwrap();
    undo(&mut client, "t");
    assert_eq!(texts(&mut client, CONSTRAINTS).unwrap(), before);
    let comment = "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'later'";
    assert_eq!(text(&mut client, comment).unwrap(), "when the games are in");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn virtual_columns_and_named_not_nulls_go_there_and_back() {
    if older_than(18) {
        return;
    }
    let (_db, mut client) = with("
        CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer CONSTRAINT always NOT NULL,
            twice integer GENERATED ALWAYS AS (n * 2) VIRTUAL, thrice integer GENERATED ALWAYS AS (n * 3) STORED);
        INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i");
    let before = facts(&mut client).unwrap();
    convert(&mut client, "t", "day");
    let sums = "SELECT format('%s %s %s', sum(n), sum(twice), sum(thrice)) FROM t";
    assert_eq!(text(&mut client, sums).unwrap(), "20100 40200 60300");
    client.batch_execute("INSERT INTO t VALUES (1000, current_date, 1)").unwrap();
    assert_eq!(refusal(&mut client, "INSERT INTO t VALUES (1001, current_date)").unwrap().code, "23502");
    let name = "SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'n' AND conkey = '{3}'";
    assert_eq!(text(&mut client, name).unwrap(), "always");
    undo(&mut client, "t");
    assert_eq!(text(&mut client, sums).unwrap(), "20101 40202 60303");
    assert_eq!(facts(&mut client).unwrap(), before);
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn keys_without_overlaps_are_refused_by_name() {
    if older_than(18) {
        return;
    }
    let (_db, mut client) = with("
        CREATE TABLE public.t (id int4range, day date, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS))");
    let blockers = "SELECT check_name || ': ' || detail FROM groundskeeper.partition_preflight('t', 'day')
                     WHERE severity = 'blocker' ORDER BY 1";
    let found = texts(&mut client, blockers).unwrap();
    assert_eq!(found, ["exclusion_constraints: exclusion constraints: t_pkey"]);
}
