//! The keys of a table whose partitions each have their own: as on a plain table, whatever is done to it.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{assert_keys, convert, differing, undo, with};

/// The same tables twice: `plain` stays as it is, `parted` is converted. Each has children with every action.
pub const TWINS: &str = "
    CREATE SCHEMA plain; CREATE SCHEMA parted;
    CREATE FUNCTION public.make(s text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('search_path', s, true);
        CREATE TABLE t (id bigint PRIMARY KEY, day date, n integer, parent bigint);
        INSERT INTO t SELECT i, CASE WHEN i % 10 > 0 THEN current_date - i % 90 END, i FROM generate_series(1, 300) i;
        CREATE TABLE cascading (id bigint REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE setting (id bigint REFERENCES t ON DELETE SET NULL ON UPDATE SET NULL);
        CREATE TABLE restricting (id bigint REFERENCES t ON DELETE RESTRICT);
        CREATE TABLE deferring (id bigint REFERENCES t DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO cascading SELECT i FROM generate_series(1, 60) i;
        INSERT INTO setting SELECT i FROM generate_series(21, 80) i;
        INSERT INTO restricting SELECT i FROM generate_series(101, 120) i;
        INSERT INTO deferring SELECT i FROM generate_series(121, 140) i;
        ALTER TABLE t ADD CONSTRAINT own_kind FOREIGN KEY (parent) REFERENCES t ON DELETE CASCADE;
    END $$;
    SELECT public.make('plain'), public.make('parted')";

pub fn twins() -> (TestDb, Client) {
    let (db, mut client) = with(TWINS);
    convert(&mut client, "parted.t", "day");
    (db, client)
}

const TABLES: [&str; 5] = ["t", "cascading", "setting", "restricting", "deferring"];

pub fn assert_alike(client: &mut Client, what: &str) {
    for table in TABLES {
        let side = |schema: &str| format!("SELECT * FROM {schema}.{table}");
        assert_eq!(differing(client, &side("plain"), &side("parted")), "0", "{table} after {what}");
    }
    assert_keys(client, "parted.t", "parted.t_key", what);
}

/// Runs a statement on either, in whose schema it names `t` and the children; both must go the same way.
fn on_both(client: &mut Client, statement: &str) {
    let mut run = |schema: &str| {
        client.batch_execute(&format!("SET search_path = {schema}, pg_catalog")).unwrap();
        let result = client.batch_execute(statement).map_err(|e| e.as_db_error().unwrap().clone());
        client.batch_execute("ROLLBACK; RESET search_path").unwrap();
        result.map_err(|e| (e.code().code().to_owned(), e.message().to_owned()))
    };
    let (plain, parted) = (run("plain"), run("parted"));
    let code = |r: &Result<(), (String, String)>| r.as_ref().err().map(|e| e.0.clone());
    assert_eq!(code(&plain), code(&parted), "{statement}: {plain:?}, {parted:?}");
    assert_alike(client, statement);
}

/// Everything that has made one or another kind of trigger lose a key, leave a stale one, or come too late.
const STATEMENTS: &[&str] = &[
    "INSERT INTO t VALUES (1, '2026-01-01')",
    "INSERT INTO t VALUES (1, NULL)",
    "INSERT INTO t VALUES (10, NULL)",
    "INSERT INTO t VALUES (1001, NULL), (1001, current_date)",
    "INSERT INTO t VALUES (1001, NULL), (1002, '2026-10-01'), (1003, '2099-01-01'), (1004, 'infinity'), (1005, '-infinity')",
    "INSERT INTO cascading VALUES (5000)",
    "INSERT INTO cascading VALUES (1001), (1002), (1003)",
    "BEGIN; INSERT INTO deferring VALUES (1006); INSERT INTO t VALUES (1006, current_date); COMMIT",
    "BEGIN; INSERT INTO deferring VALUES (7777); COMMIT",
    // the partition key changes: between partitions, to and from the default one
    "UPDATE t SET day = current_date - 40 WHERE id BETWEEN 20 AND 70",
    "UPDATE t SET day = NULL WHERE id BETWEEN 1 AND 30",
    "UPDATE t SET day = current_date WHERE day IS NULL",
    "UPDATE t SET day = '2099-01-01' WHERE id IN (101, 121)",
    // the key changes
    "UPDATE t SET id = 2001 WHERE id = 1",
    "UPDATE t SET id = 2002, day = current_date - 40 WHERE id = 2",
    "UPDATE t SET id = id + 3000 WHERE id BETWEEN 3 AND 25",
    "UPDATE t SET id = 4 WHERE id = 3003",
    "UPDATE t SET id = 3005 WHERE id = 3006",
    "UPDATE t SET id = 3005, day = NULL WHERE id = 3006",
    "UPDATE t SET id = 9101 WHERE id = 101",
    "BEGIN; UPDATE t SET id = 9121 WHERE id = 121; COMMIT",
    "BEGIN; UPDATE t SET id = 9121 WHERE id = 121; UPDATE t SET id = 121 WHERE id = 9121; COMMIT",
    "UPDATE t SET id = id, n = 0",
    // rows go
    "DELETE FROM t WHERE id = 40",
    "DELETE FROM t WHERE id BETWEEN 41 AND 45",
    "DELETE FROM t WHERE id = 102",
    "BEGIN; DELETE FROM t WHERE id = 122; DELETE FROM deferring WHERE id = 122; COMMIT",
    "BEGIN; DELETE FROM t WHERE id = 123; COMMIT",
    "BEGIN; DELETE FROM t WHERE id = 124; INSERT INTO t VALUES (124, '2026-06-06'); COMMIT",
    "BEGIN; DELETE FROM t WHERE id = 46; SAVEPOINT s; INSERT INTO t VALUES (46, NULL); ROLLBACK TO s; COMMIT",
    "BEGIN; SAVEPOINT s; DELETE FROM t WHERE id = 47; ROLLBACK TO s; UPDATE t SET day = NULL WHERE id = 47; COMMIT",
    "WITH gone AS (DELETE FROM t WHERE id = 190 RETURNING *) INSERT INTO t SELECT id, '2026-05-05', n FROM gone",
    "WITH x AS (INSERT INTO t VALUES (5001, current_date), (5002, NULL) RETURNING id) INSERT INTO cascading SELECT id FROM x",
    "WITH x AS (UPDATE t SET day = NULL WHERE id BETWEEN 50 AND 55 RETURNING id) INSERT INTO setting SELECT id FROM x",
    "WITH c AS (DELETE FROM restricting WHERE id = 103) DELETE FROM t WHERE id = 103",
    "MERGE INTO t USING (VALUES (56, current_date - 50), (6001, current_date), (6002, NULL)) s (id, day) ON t.id = s.id
       WHEN MATCHED THEN UPDATE SET day = s.day WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.day)",
    "MERGE INTO t USING (VALUES (57), (58)) s (id) ON t.id = s.id WHEN MATCHED AND t.id = 57 THEN DELETE WHEN MATCHED THEN UPDATE SET id = 6058, day = NULL",
    // rows that refer to rows of their own kind
    "INSERT INTO t VALUES (7001, current_date, 0, 7001)",
    "INSERT INTO t VALUES (7002, NULL, 0, 7001), (7003, current_date, 0, 7002)",
    "UPDATE t SET day = NULL WHERE id = 7001",
    "DELETE FROM t WHERE id = 7001",
    "INSERT INTO t VALUES (7004, current_date, 0, 99999)",
    "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > 200)",
];

#[test]
fn keys_are_as_on_a_plain_table() {
    let (_db, mut client) = twins();
    assert_alike(&mut client, "the conversion");
    for statement in STATEMENTS {
        on_both(&mut client, statement);
    }
    undo(&mut client, "parted.t");
    for table in TABLES {
        let side = |schema: &str| format!("SELECT * FROM {schema}.{table}");
        assert_eq!(
            differing(&mut client, &side("plain"), &side("parted")),
            "0",
            "{table} after the way back"
        );
    }
}

/// Deferred triggers run as whoever commits, and since 18 as whoever queued them: for both tables alike.
#[test]
fn a_deferred_key_is_checked_whoever_commits() {
    let (mut db, mut client) = twins();
    let writer = quote_ident(&db.role("writer").unwrap());
    let grants = ["plain", "parted"].map(|schema| {
        format!(
            "GRANT USAGE ON SCHEMA {schema} TO {writer};
             GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.t TO {writer};
             GRANT INSERT ON {schema}.deferring TO {writer}"
        )
    });
    client.batch_execute(&grants.join(";")).unwrap();
    for statements in [
        "INSERT INTO deferring VALUES (1006); SET LOCAL ROLE ?; INSERT INTO t VALUES (1006, current_date)",
        "SET LOCAL ROLE ?; INSERT INTO deferring VALUES (1007); RESET ROLE; INSERT INTO t VALUES (1007, NULL)",
        "SET LOCAL ROLE ?; INSERT INTO deferring VALUES (1008)",
        "SET LOCAL ROLE ?; INSERT INTO deferring VALUES (1009); RESET ROLE",
        "SET LOCAL ROLE ?; DELETE FROM t WHERE id = 121",
        "SET LOCAL ROLE ?; DELETE FROM t WHERE id = 122; RESET ROLE",
        "SET LOCAL ROLE ?; DELETE FROM t WHERE id = 123; RESET ROLE; DELETE FROM deferring WHERE id = 123",
        "SET LOCAL ROLE ?; UPDATE t SET id = 9124 WHERE id = 124; RESET ROLE; DELETE FROM deferring WHERE id = 124",
        "SET LOCAL ROLE ?; UPDATE t SET day = NULL WHERE id = 125; RESET ROLE",
    ] {
        on_both(&mut client, &format!("BEGIN; {}; COMMIT", statements.replace('?', &writer)));
    }
}

#[test]
fn a_duplicate_is_refused_as_by_a_unique_index() {
    let (_db, mut client) = twins();
    for date in ["NULL", "'2026-01-01'", "current_date"] {
        let refused = refusal(&mut client, &format!("INSERT INTO parted.t VALUES (7, {date})")).unwrap();
        assert_eq!(refused.code, "23505", "{refused:?}");
        assert!(refused.detail.contains("(id)=(7) already exists"), "{refused:?}");
    }
    let refused = refusal(&mut client, "INSERT INTO parted.cascading VALUES (77777)").unwrap();
    assert_eq!(refused.code, "23503");
}

#[test]
fn what_is_written_to_a_partition_counts() {
    let (_db, mut client) = twins();
    let here = text(&mut client, "SELECT tableoid::regclass FROM parted.t WHERE id = 5").unwrap();
    let default = "parted.t_default";
    for (statement, plain) in [
        (format!("INSERT INTO {default} VALUES (8001, NULL)"), "INSERT INTO plain.t VALUES (8001, NULL)"),
        (
            format!("UPDATE {default} SET id = 8002 WHERE id = 8001"),
            "UPDATE plain.t SET id = 8002 WHERE id = 8001",
        ),
        (format!("DELETE FROM {default} WHERE id = 10"), "DELETE FROM plain.t WHERE id = 10"),
        (format!("DELETE FROM {here} WHERE id = 5"), "DELETE FROM plain.t WHERE id = 5"),
        (format!("COPY {default} FROM PROGRAM 'echo 8003'"), "INSERT INTO plain.t VALUES (8003)"),
    ] {
        if statement.starts_with("COPY") {
            client.batch_execute(&format!("COPY {default} (id) FROM PROGRAM 'echo 8003'")).unwrap();
        } else {
            client.batch_execute(&statement).unwrap();
        }
        client.batch_execute(plain).unwrap();
        assert_alike(&mut client, &statement);
    }
    let duplicate = refusal(&mut client, &format!("INSERT INTO {default} VALUES (6, NULL)")).unwrap();
    assert_eq!(duplicate.code, "23505");
}

#[test]
fn truncating_never_reaches_into_what_refers_to_the_rows() {
    let (_db, mut client) = twins();
    let children = "SELECT format('%s %s', (SELECT count(*) FROM parted.cascading), (SELECT count(*) FROM parted.setting WHERE id IS NULL))";
    let before = text(&mut client, children).unwrap();
    let partitions = texts(
        &mut client,
        "SELECT DISTINCT t.tableoid::regclass FROM parted.t JOIN parted.cascading USING (id) ORDER BY 1",
    )
    .unwrap();
    let whole = ["parted.t".to_owned()];
    for table in whole.iter().chain(&partitions) {
        let refused = refusal(&mut client, &format!("TRUNCATE {table}")).unwrap();
        assert_eq!(refused.code, "23503", "{table}: {refused:?}");
        assert_eq!(text(&mut client, children).unwrap(), before, "{table}");
        assert_alike(&mut client, "a refused TRUNCATE");
    }
    client
        .batch_execute("TRUNCATE parted.cascading, parted.setting, parted.restricting, parted.deferring")
        .unwrap();
    client.batch_execute(&format!("TRUNCATE {}", partitions[0])).unwrap();
    assert_keys(&mut client, "parted.t", "parted.t_key", "TRUNCATE of a partition");
    client.batch_execute("TRUNCATE parted.t").unwrap();
    assert_keys(&mut client, "parted.t", "parted.t_key", "TRUNCATE");
    assert_eq!(text(&mut client, "SELECT count(*) FROM parted.t").unwrap(), "0");
    undo(&mut client, "parted.t");
    assert_eq!(text(&mut client, "SELECT count(*) FROM parted.t").unwrap(), "0");
}

#[test]
fn a_writer_needs_no_grant_on_what_keeps_the_keys() {
    let (mut db, mut client) = with(TWINS);
    let writer = quote_ident(&db.role("writer").unwrap());
    client
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA parted TO {writer};
             GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON parted.t, parted.cascading TO {writer}"
        ))
        .unwrap();
    convert(&mut client, "parted.t", "day");
    let mut writing = db.client_as(writer.trim_matches('"')).unwrap();
    writing
        .batch_execute(
            "INSERT INTO parted.t VALUES (9001, NULL); INSERT INTO parted.cascading VALUES (9001);
             UPDATE parted.t SET id = 9002, day = current_date WHERE id = 9001; DELETE FROM parted.t WHERE id = 9002",
        )
        .unwrap();
    assert_keys(&mut client, "parted.t", "parted.t_key", "an unprivileged writer");
    for table in ["parted.t_key", "parted.t_changes", "parted.t_default"] {
        assert_eq!(refusal(&mut writing, &format!("TABLE {table}")).unwrap().code, "42501", "{table}");
    }
    for function in
        ["t_capture", "t_key_insert", "t_key_delete", "t_key_update", "t_key_truncate", "t_key_restore"]
    {
        let may = format!("SELECT has_function_privilege('parted.{function}()', 'EXECUTE')");
        assert_eq!(text(&mut writing, &may).unwrap(), "false", "{function}");
    }
}
