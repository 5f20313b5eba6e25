//! A converted table beside a plain one: each statement ends the same way on both.

use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

use super::super::{convert, differing, finalize, installed, leftovers, undo};

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

pub fn twins() -> (TestDb, Client) {
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
