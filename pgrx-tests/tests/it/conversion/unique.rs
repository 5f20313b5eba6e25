//! Whatever else a table keeps unique stays so across partitions: constraints and indexes without the partition key.

mod twins;

use std::thread::{sleep, spawn};
use std::time::Duration;

use groundskeeper_tests::difference;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use twins::twins;

use super::{carry_out, convert, convert_accepting, differing, ended, leftovers, queue, undo, until, with};

#[test]
fn preflight_names_what_is_kept_and_what_cannot_be() {
    let (_db, mut client) = twins();
    let findings = |client: &mut Client, check: &str| {
        let query = format!(
            "SELECT concat_ws(' ', severity, detail) FROM groundskeeper.partition_preflight('plain.t', 'day') WHERE check_name = '{check}' ORDER BY 1"
        );
        texts(client, &query).unwrap()
    };
    assert_eq!(findings(&mut client, "unique_constraints"), ["ok nothing in the way"]);
    assert_eq!(
        findings(&mut client, "key_table"),
        [
            r#"ok a key table keeps t_pkey, t_email, t_first, t_nick, t_pair, t_pos, t_ref, t_slug, "the ""index" unique across partitions"#
        ]
    );
    let on_conflict = findings(&mut client, "on_conflict").join("\n");
    assert!(on_conflict.contains("the unique index t_slug lacks the partition key: INSERT ... ON CONFLICT (lower(slug), ((tenant > 5))) fails"), "{on_conflict}");
    client.batch_execute("ALTER TABLE plain.t ADD g text GENERATED ALWAYS AS (email || 'x') STORED; CREATE UNIQUE INDEX of_g ON plain.t (lower(g))").unwrap();
    assert_eq!(
        findings(&mut client, "unique_constraints"),
        ["blocker unique without the partition key, over the generated column g: of_g"]
    );
}

/// A table whose primary key has the partition key, and which keeps something else unique.
#[test]
fn a_primary_key_with_the_partition_key_is_kept_as_a_whole() {
    let (db, mut client) = with(
        "CREATE TABLE e (id bigint, day date, token text NOT NULL UNIQUE, PRIMARY KEY (id, day));
         INSERT INTO e SELECT i, current_date - i % 90, 't' || i FROM generate_series(1, 200) i;
         CREATE TABLE of_token (token text REFERENCES e (token) ON UPDATE CASCADE); INSERT INTO of_token VALUES ('t5');
         CREATE TABLE of_pair (id bigint, day date, FOREIGN KEY (id, day) REFERENCES e); INSERT INTO of_pair SELECT id, day FROM e WHERE id = 6",
    );
    let dump = db.dump_schema().unwrap();
    convert(&mut client, "e", "day");
    assert_eq!(
        text(&mut client, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'e_pkey'")
            .unwrap(),
        "PRIMARY KEY (id, day)"
    );
    client
        .batch_execute("INSERT INTO e VALUES (1, current_date, 'x') ON CONFLICT (id, day) DO NOTHING")
        .unwrap();
    for (statement, code) in [
        ("INSERT INTO e VALUES (300, '2020-01-01', 't7')", "23505"),
        ("UPDATE e SET token = 't7', day = '2020-01-01' WHERE id = 8", "23505"),
        ("INSERT INTO of_token VALUES ('nobody')", "23503"),
        ("DELETE FROM e WHERE token = 't5'", "23503"),
        ("DELETE FROM e WHERE id = 6", "23503"),
        ("UPDATE e SET day = day - 40 WHERE id = 6", "23503"),
    ] {
        let refused = refusal(&mut client, statement).unwrap();
        assert_eq!(refused.code, code, "{statement}: {refused:?}");
    }
    client
        .batch_execute(
            "UPDATE e SET day = day - 40, token = 'moved' WHERE id = 5; UPDATE e SET id = 500 WHERE id = 9",
        )
        .unwrap();
    assert_eq!(text(&mut client, "TABLE of_token").unwrap(), "moved");
    assert_eq!(
        differing(&mut client, "SELECT id, day, token FROM e", "SELECT id, day, token FROM e_key"),
        "0"
    );
    undo(&mut client, "e");
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    assert_eq!(text(&mut client, "TABLE of_token").unwrap(), "moved");
}

/// What is unique at each moment need not be so in copies of several moments.
#[test]
fn values_that_pass_from_row_to_row_meanwhile_do_no_harm() {
    let (db, mut client) = with(
        "CREATE TABLE q (id bigint PRIMARY KEY, day date, pos bigint UNIQUE DEFERRABLE, pad text);
         INSERT INTO q SELECT i, current_date - (i % 90)::integer, i, repeat('x', 200) FROM generate_series(1, 130000) i",
    );
    let mut writing = db.client().unwrap();
    let writer = spawn(move || {
        let mut turns = 0;
        for turn in 0..2000_i64 {
            // From the end of the table to its beginning, and back.
            let (low, high) = (1 + turn % 20, 130_000 - turn % 20);
            let swap = format!(
                "UPDATE q SET pos = CASE id WHEN {low} THEN (SELECT pos FROM q WHERE id = {high}) ELSE (SELECT pos FROM q WHERE id = {low}) END
                  WHERE id IN ({low}, {high})"
            );
            if writing.batch_execute(&swap).is_ok() {
                turns += 1;
            }
            let done = "SELECT to_regclass('q_unpartitioned') IS NOT NULL";
            if turn > 50 && text(&mut writing, done).unwrap() == "true" {
                break;
            }
            sleep(Duration::from_millis(2));
        }
        turns
    });
    convert(&mut client, "q", "day");
    assert!(writer.join().unwrap() > 50);
    assert_eq!(differing(&mut client, "SELECT id, pos FROM q", "SELECT id, pos FROM q_key"), "0");
    assert_eq!(text(&mut client, "SELECT count(DISTINCT pos) FROM q").unwrap(), "130000");
    undo(&mut client, "q");
    assert_eq!(text(&mut client, "SELECT count(DISTINCT pos) FROM q").unwrap(), "130000");
}

#[test]
fn two_sessions_cannot_both_have_a_value() {
    let (db, mut client) = twins();
    convert(&mut client, "parted.t", "day");
    let mut first = db.client().unwrap();
    first
        .batch_execute(
            "BEGIN; INSERT INTO parted.t (id, email, ref) VALUES (4001, 'new', md5('new 1')::uuid)",
        )
        .unwrap();
    let mut second = db.client().unwrap();
    let waits = spawn(move || {
        refusal(
            &mut second,
            "INSERT INTO parted.t (id, day, email, ref) VALUES (4002, current_date, 'new', md5('new 2')::uuid)",
        )
    });
    until(
        &mut client,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        "1",
    );
    first.batch_execute("COMMIT").unwrap();
    let refused = waits.join().unwrap().unwrap();
    assert_eq!(refused.code, "23505", "{refused:?}");
}

/// One that comes while the table is being converted.
#[test]
fn a_unique_index_that_comes_too_late_is_named() {
    let (_db, mut client) = with(
        "CREATE TABLE l (id bigint PRIMARY KEY, day date, token text);
         INSERT INTO l SELECT i, current_date - (i % 60)::integer, 't' || i FROM generate_series(1, 60000) i",
    );
    client.batch_execute("SET groundskeeper.lock_timeout = '200ms'").unwrap();
    let job = queue(&mut client, "partition_table('l', 'day', accept => '{on_conflict}')");
    client.batch_execute("CREATE UNIQUE INDEX late ON l (token)").unwrap();
    let (state, error) = ended(&mut client, job);
    if state == "succeeded" {
        // it came after the end: PostgreSQL refuses what has not the partition key
        return;
    }
    assert!(
        error.contains("a unique index was created on public.l after its conversion had begun"),
        "{error}"
    );
    assert!(error.contains("token"), "{error}");
    undo(&mut client, "l");
    convert_accepting(&mut client, "l", "day", "on_conflict");
    assert_eq!(refusal(&mut client, "INSERT INTO l VALUES (70000, NULL, 't5')").unwrap().code, "23505");
}

/// What was taken off the key table is taken off the unpartitioned table too, or the way back would fail.
#[test]
fn a_constraint_that_is_dropped_from_the_key_table_is_gone() {
    let (_db, mut client) = with(
        "CREATE TABLE d (id bigint PRIMARY KEY, day date, token text UNIQUE, other text UNIQUE);
         INSERT INTO d SELECT i, current_date - (i % 60)::integer, 't' || i, 'o' || i FROM generate_series(1, 100) i",
    );
    convert(&mut client, "d", "day");
    client
        .batch_execute(
            "ALTER TABLE d_key DROP CONSTRAINT d_token_key; INSERT INTO d VALUES (200, NULL, 't5', 'x')",
        )
        .unwrap();
    assert_eq!(refusal(&mut client, "INSERT INTO d VALUES (201, NULL, 'y', 'x')").unwrap().code, "23505");
    assert_eq!(refusal(&mut client, "ALTER TABLE d RENAME other TO another").unwrap().code, "55000");
    undo(&mut client, "d");
    assert_eq!(text(&mut client, "SELECT count(*) FROM d WHERE token = 't5'").unwrap(), "2");
    let left =
        "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'd'::regclass";
    assert_eq!(text(&mut client, left).unwrap(), "d_other_key d_pkey");
}

/// A partition that retires takes what it kept unique with it, and new ones have all that the others have.
#[test]
fn values_of_a_partition_that_is_gone_are_free() {
    let (_db, mut client) = with(
        "CREATE TABLE g (id bigint PRIMARY KEY, day date NOT NULL, token text UNIQUE);
         INSERT INTO g SELECT i, current_date - (i % 60)::integer, 't' || i FROM generate_series(1, 200) i",
    );
    convert(&mut client, "g", "day");
    let oldest = text(&mut client, "SELECT tableoid::regclass FROM g ORDER BY day LIMIT 1").unwrap();
    let token = text(&mut client, "SELECT token FROM g ORDER BY day LIMIT 1").unwrap();
    assert_eq!(
        refusal(&mut client, &format!("INSERT INTO g VALUES (900, current_date, '{token}')")).unwrap().code,
        "23505"
    );
    carry_out(&mut client, &format!("drop_partition('{oldest}')"));
    client.batch_execute(&format!("INSERT INTO g VALUES (900, current_date, '{token}')")).unwrap();
    client.batch_execute("SELECT create_monthly_partitions(6)").unwrap();
    let lacking = "SELECT count(*) FROM pg_inherits i WHERE inhparent = 'g'::regclass
                      AND 2 <> (SELECT count(*) FROM pg_index x WHERE x.indrelid = i.inhrelid)";
    assert_eq!(text(&mut client, lacking).unwrap(), "0");
    assert_eq!(differing(&mut client, "SELECT id, token FROM g", "SELECT id, token FROM g_key"), "0");
}

/// Rows of a table without a primary key are told apart by what else no two of them share.
#[test]
fn a_table_without_a_primary_key_is_converted_too() {
    let (db, mut client) = with(
        "CREATE TABLE n (a text NOT NULL, b integer NOT NULL, day date, v integer, CONSTRAINT of_n UNIQUE (a, b), CONSTRAINT once UNIQUE (v));
         INSERT INTO n SELECT 'a' || i % 7, i, current_date - i % 90, i FROM generate_series(1, 300) i;
         CREATE TABLE of_pair (a text, b integer, FOREIGN KEY (a, b) REFERENCES n (a, b) ON DELETE CASCADE);
         INSERT INTO of_pair SELECT a, b FROM n WHERE b < 20",
    );
    let dump = db.dump_schema().unwrap();
    convert(&mut client, "n", "day");
    for statement in ["INSERT INTO n VALUES ('a1', 1, NULL, 900)", "INSERT INTO n VALUES ('new', 1, NULL, 8)"]
    {
        assert_eq!(refusal(&mut client, statement).unwrap().code, "23505", "{statement}");
    }
    client
        .batch_execute(
            "UPDATE n SET day = NULL WHERE b BETWEEN 5 AND 9; UPDATE n SET b = 1000, day = current_date WHERE b = 20;
             DELETE FROM n WHERE b = 10; INSERT INTO n VALUES ('x', 1, current_date + 400, 2000)",
        )
        .unwrap();
    let keys = |client: &mut Client| differing(client, "SELECT a, b, v FROM n", "SELECT a, b, v FROM n_key");
    assert_eq!(keys(&mut client), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM of_pair").unwrap(), "18");
    carry_out(&mut client, "drain_default('n')");
    assert_eq!(keys(&mut client), "0");
    // known again by its triggers
    client.batch_execute("DROP EXTENSION pg_groundskeeper; CREATE EXTENSION pg_groundskeeper").unwrap();
    db.settle().unwrap();
    client.batch_execute("SELECT groundskeeper.adopt_partitioned_table('n')").unwrap();
    undo(&mut client, "n");
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

/// Rows that came while nothing kept the keys are named by what they have twice, of each unique index.
#[test]
fn what_is_there_twice_is_named() {
    let (_db, mut client) = with(
        "CREATE TABLE w (id bigint PRIMARY KEY, day date, token text UNIQUE, tenant integer); CREATE UNIQUE INDEX w_first ON w (lower(token)) WHERE tenant = 1;
         INSERT INTO w SELECT i, current_date - i % 60, 't' || i, i FROM generate_series(1, 100) i",
    );
    convert(&mut client, "w", "day");
    for (row, named) in
        [("(900, NULL, 't5', 9)", "(token)=(t5) in "), ("(901, NULL, 'T1', 1)", "(lower(token))=(t1) in ")]
    {
        client
            .batch_execute(&format!(
                "SET groundskeeper.allow_partition_ddl = on; ALTER TABLE w DISABLE TRIGGER ALL; INSERT INTO w VALUES {row};
                 ALTER TABLE w ENABLE TRIGGER ALL; RESET groundskeeper.allow_partition_ddl"
            ))
            .unwrap();
        let job = queue(&mut client, "rebuild_keys('w')");
        let (state, error) = ended(&mut client, job);
        assert_eq!(state, "failed", "{row}: {error}");
        assert!(error.contains(named) && error.contains("w_default"), "{row}: {error}");
        client.batch_execute("DELETE FROM w WHERE id >= 900").unwrap();
    }
    carry_out(&mut client, "rebuild_keys('w')");
    assert_eq!(differing(&mut client, "SELECT id, token FROM w", "SELECT id, token FROM w_key"), "0");
}
