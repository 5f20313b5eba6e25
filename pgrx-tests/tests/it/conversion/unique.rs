//! Whatever else a table keeps unique stays so across partitions: constraints and indexes without the partition key.

use std::thread::{sleep, spawn};
use std::time::Duration;

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

use super::{
    carry_out, convert, convert_accepting, differing, ended, finalize, installed, leftovers, queue, undo,
    until, with,
};

/// The same tables twice, with every kind of unique index, and children that refer to some of them.
const TWINS: &str = r#"
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE SCHEMA plain; CREATE SCHEMA parted;
    CREATE FUNCTION public.make(s text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('search_path', s || ', public', true);
        CREATE TABLE t (id bigint PRIMARY KEY, day date, email text, slug text, tenant integer, code integer, pos integer,
                        ref uuid, nick citext, note json, up text, "the ""Code" varchar(20));
        INSERT INTO t SELECT i, CASE WHEN i % 10 > 0 THEN current_date - i % 90 END, 'm' || i, 'Slug' || i, i / 10, i % 10, i,
                             md5(i::text)::uuid, 'Nick' || i, '{}', NULL, 'c' || i
          FROM generate_series(1, 300) i;
        ALTER TABLE t ADD CONSTRAINT t_email UNIQUE (email);
        ALTER TABLE t ADD CONSTRAINT t_pair UNIQUE (tenant, code) INCLUDE (note);
        ALTER TABLE t ADD CONSTRAINT t_pos UNIQUE (pos) DEFERRABLE INITIALLY DEFERRED;
        ALTER TABLE t ADD CONSTRAINT t_ref UNIQUE NULLS NOT DISTINCT (ref) WITH (fillfactor = 70);
        ALTER TABLE t ADD CONSTRAINT t_of_day UNIQUE (day, email);
        CREATE UNIQUE INDEX t_slug ON t (lower(slug), (tenant > 5));
        CREATE UNIQUE INDEX t_first ON t (tenant) WHERE code = 0 AND slug IS NOT NULL;
        CREATE UNIQUE INDEX t_nick ON t (nick);
        CREATE UNIQUE INDEX "the ""index" ON t ("the ""Code" DESC NULLS LAST);
        COMMENT ON CONSTRAINT t_email ON t IS 'of a constraint'; COMMENT ON INDEX t_slug IS 'of an index';
        CREATE TABLE by_email (email text REFERENCES t (email) ON DELETE SET NULL ON UPDATE CASCADE);
        CREATE TABLE by_pair (tenant integer, code integer, FOREIGN KEY (tenant, code) REFERENCES t (tenant, code) ON DELETE CASCADE);
        CREATE TABLE by_nick (nick citext REFERENCES t (nick) ON DELETE CASCADE);
        CREATE TABLE by_day (day date, email text, FOREIGN KEY (day, email) REFERENCES t (day, email));
        INSERT INTO by_email SELECT 'm' || i FROM generate_series(1, 40) i;
        INSERT INTO by_pair SELECT i / 10, i % 10 FROM generate_series(31, 60) i;
        INSERT INTO by_nick SELECT 'NICK' || i FROM generate_series(61, 80) i;
        INSERT INTO by_day SELECT day, email FROM t WHERE id BETWEEN 101 AND 120;
        ALTER TABLE t ADD CONSTRAINT own_kind FOREIGN KEY (up) REFERENCES t (email) ON UPDATE CASCADE;
    END $$;
    SELECT public.make('plain'), public.make('parted')"#;

const TABLES: [&str; 5] = ["t", "by_email", "by_pair", "by_nick", "by_day"];

fn assert_alike(client: &mut Client, what: &str) {
    for table in TABLES {
        let side = |schema: &str| format!("SELECT x::text FROM {schema}.{table} x");
        assert_eq!(differing(client, &side("plain"), &side("parted")), "0", "{table} after {what}");
    }
    let kept = r#"id, email, slug, tenant, code, pos, ref, nick, note::text, "the ""Code""#;
    let (rows, keys) = (format!("SELECT {kept} FROM parted.t"), format!("SELECT {kept} FROM parted.t_key"));
    assert_eq!(differing(client, &rows, &keys), "0", "keys after {what}");
}

/// PostgreSQL numbers the foreign keys that it makes to partitions.
fn plain_name(constraint: &str) -> String {
    constraint.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()
}

/// Runs a statement on either. Both must go the same way, and name the same constraint.
fn on_both(client: &mut Client, statement: &str) {
    let mut run = |schema: &str| {
        client.batch_execute(&format!("SET search_path = {schema}, public")).unwrap();
        let result = client.batch_execute(statement).map_err(|e| e.as_db_error().unwrap().clone());
        client.batch_execute("ROLLBACK; RESET search_path").unwrap();
        result
            .map_err(|e| (e.code().code().to_owned(), e.constraint().map(plain_name), e.message().to_owned()))
    };
    let (plain, parted) = (run("plain"), run("parted"));
    let known = |r: &Result<(), (String, Option<String>, String)>| {
        r.as_ref().err().map(|e| (e.0.clone(), e.1.clone()))
    };
    assert_eq!(known(&plain), known(&parted), "{statement}: {plain:?}, {parted:?}");
    assert_alike(client, statement);
}

const STATEMENTS: &[&str] = &[
    // each of them, in the partition that has the value and in another
    "INSERT INTO t (id, day, email, ref) SELECT 1001, day + 1, email, md5('x')::uuid FROM t WHERE id = 11",
    "INSERT INTO t (id, day, email, ref) VALUES (1001, '2020-01-01', 'm11', md5('x')::uuid)",
    "INSERT INTO t (id, day, tenant, code, ref) VALUES (1001, '2020-01-01', 1, 1, md5('x')::uuid)",
    "INSERT INTO t (id, day, pos, ref) VALUES (1001, '2020-01-01', 11, md5('x')::uuid)",
    "INSERT INTO t (id, ref) SELECT 1001, ref FROM t WHERE id = 11",
    "INSERT INTO t (id, slug, tenant, ref) VALUES (1001, 'SLUG11', 1, md5('x')::uuid)",
    "INSERT INTO t (id, slug, tenant, ref) VALUES (1001, 'SLUG11', 6, md5('x')::uuid)",
    "INSERT INTO t (id, slug, tenant, code, ref) VALUES (1002, 'other', 5, 0, md5('y')::uuid)",
    "INSERT INTO t (id, nick, ref) VALUES (1003, 'NICK11', md5('z')::uuid)",
    r#"INSERT INTO t (id, "the ""Code", ref) VALUES (1004, 'c11', md5('z')::uuid)"#,
    // NULLs: one is allowed where they are not distinct, any number elsewhere
    "INSERT INTO t (id, day) VALUES (1005, current_date)",
    "INSERT INTO t (id, day) VALUES (1006, current_date - 40)",
    // changed in place, and with a move
    "UPDATE t SET email = 'n' || id WHERE id BETWEEN 1 AND 50",
    "UPDATE t SET email = 'm' || id, day = day - 31 WHERE id BETWEEN 20 AND 60",
    "UPDATE t SET email = 'm70' WHERE id = 71",
    "UPDATE t SET email = 'm70', day = NULL WHERE id = 71",
    "UPDATE t SET tenant = 100, note = '{\"a\": 1}' WHERE id = 72",
    "UPDATE t SET note = NULL WHERE id BETWEEN 70 AND 90",
    "UPDATE t SET slug = upper(slug)",
    "UPDATE t SET slug = NULL WHERE id % 7 = 0",
    "UPDATE t SET nick = upper(nick), day = day + 40 WHERE id BETWEEN 61 AND 70",
    "UPDATE t SET pos = pos + 1",
    "UPDATE t SET pos = 5 WHERE pos = 6",
    "BEGIN; UPDATE t SET pos = 9 WHERE id = 10; UPDATE t SET pos = 9000 WHERE pos = 9 AND id <> 10; COMMIT",
    "UPDATE t SET code = 0 WHERE id = 95",
    // what refers to them
    "INSERT INTO by_email VALUES ('m200'), ('nobody')",
    "INSERT INTO by_email VALUES ('m200')",
    "UPDATE t SET email = 'renamed', day = current_date - 45 WHERE id = 200",
    "DELETE FROM t WHERE id = 200",
    "INSERT INTO by_pair VALUES (21, 3), (99, 99)",
    "DELETE FROM t WHERE id BETWEEN 31 AND 34",
    "DELETE FROM t WHERE id BETWEEN 61 AND 64",
    "DELETE FROM t WHERE id = 101",
    "UPDATE t SET day = day + 1 WHERE id = 102",
    "DELETE FROM by_day WHERE email IN ('m103', 'm104')",
    "DELETE FROM t WHERE id IN (103, 104)",
    "UPDATE t SET up = 'm210' WHERE id IN (211, 212)",
    "UPDATE t SET email = 'up', day = NULL WHERE id = 210",
    "DELETE FROM t WHERE id = 210",
    // gone and come again
    "BEGIN; DELETE FROM t WHERE id = 220; INSERT INTO t (id, email, ref) VALUES (2200, 'm220', md5('q')::uuid); COMMIT",
    "INSERT INTO t (id, email, ref) VALUES (2201, 'm220', md5('r')::uuid)",
    "MERGE INTO t USING (VALUES (230, 'm231'), (2301, 'm9999')) s (id, email) ON t.id = s.id
       WHEN MATCHED THEN UPDATE SET email = s.email WHEN NOT MATCHED THEN INSERT (id, email, ref) VALUES (s.id, s.email, md5('s')::uuid)",
];

fn twins() -> (TestDb, Client) {
    let (db, mut client) = installed(Template::Empty);
    let available = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext')";
    let script = if text(&mut client, available).unwrap() == "true" {
        TWINS.to_owned()
    } else {
        let without = TWINS.replace("CREATE EXTENSION IF NOT EXISTS citext;", "");
        without.replace("citext", "text").replace("'NICK'", "'Nick'")
    };
    client.batch_execute(&script).unwrap();
    (db, client)
}

#[test]
fn all_that_is_unique_is_as_on_a_plain_table() {
    let (db, mut client) = twins();
    let dump = db.dump_schema().unwrap();
    convert(&mut client, "parted.t", "day");
    assert_alike(&mut client, "the conversion");
    for statement in STATEMENTS {
        on_both(&mut client, statement);
    }
    let commented = "SELECT concat_ws(', ', obj_description((SELECT oid FROM pg_constraint WHERE conrelid = 'parted.t_key'::regclass
        AND conname = 't_email'), 'pg_constraint'), obj_description('parted.t_slug'::regclass, 'pg_class'))";
    assert_eq!(text(&mut client, commented).unwrap(), "of a constraint, of an index");
    undo(&mut client, "parted.t");
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    assert_eq!(leftovers(&mut client), [""; 0]);
    for table in TABLES {
        let side = |schema: &str| format!("SELECT x::text FROM {schema}.{table} x");
        assert_eq!(
            differing(&mut client, &side("plain"), &side("parted")),
            "0",
            "{table} after the way back"
        );
    }
    convert(&mut client, "parted.t", "day");
    finalize(&mut client, "parted.t");
    assert_alike(&mut client, "the end of the way");
    on_both(&mut client, "INSERT INTO t (id, email, ref) VALUES (3000, 'm20', md5('t')::uuid)");
    on_both(&mut client, "INSERT INTO t (id, email, ref) VALUES (3000, 'new', md5('t')::uuid)");
}

#[test]
fn a_dump_brings_all_of_it_back() {
    let (db, mut client) = twins();
    convert(&mut client, "parted.t", "day");
    finalize(&mut client, "parted.t");
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let mut client = copy.client().unwrap();
    on_both(&mut client, "INSERT INTO t (id, email, ref) VALUES (3000, 'm20', md5('t')::uuid)");
    on_both(&mut client, "UPDATE t SET email = 'other', day = NULL WHERE id = 30");
}

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
