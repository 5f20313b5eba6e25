//! `monitoring.vacuum_health`.

use super::*;

fn row(client: &mut Client, columns: &str, table: &str) -> String {
    value(
        client,
        &format!(
            "SELECT concat_ws('|', {columns}) FROM monitoring.vacuum_health WHERE tablename = '{table}'"
        ),
    )
}

#[test]
fn dead_rows_are_told_with_what_keeps_them_and_what_helps() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        r#"CREATE TABLE "full" (n integer) WITH (autovacuum_enabled = off, autovacuum_freeze_max_age = 150000);
           CREATE TABLE "x""; DROP ROLE y; --" WITH (autovacuum_enabled = off) AS SELECT n FROM generate_series(1, 4000) n;
           INSERT INTO "full" SELECT generate_series(1, 5000)"#,
    );
    let mut reader = db.client_as(&monitor).unwrap();
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    run_sql(&mut client, r#"VACUUM ANALYZE "full""#);
    run_sql(&mut client, r#"DELETE FROM "full" WHERE n % 2 = 0; SELECT pg_stat_force_next_flush()"#);
    run_sql(
        &mut client,
        r#"DELETE FROM "x""; DROP ROLE y; --" WHERE n % 2 = 0; SELECT pg_stat_force_next_flush()"#,
    );
    assert_eq!(row(&mut reader, "dead_rows, dead_percent, horizon_held_by", "full"), "2500|50.0");
    assert_eq!(
        row(
            &mut reader,
            "last_vacuum IS NOT NULL, last_autovacuum IS NULL, last_analyze IS NOT NULL",
            "full"
        ),
        "t|t|t"
    );
    let distance = "xid_age BETWEEN 0 AND 100000, freeze_distance = 150000 - xid_age";
    assert_eq!(row(&mut reader, distance, "full"), "t|t");
    let advice = row(&mut reader, "advice", "full");
    assert_eq!(advice, r#"ALTER TABLE public."full" RESET (autovacuum_enabled); -- nobody vacuums it"#);
    // Whatever it is called, what is advised does that and nothing else.
    for advice in
        column(&mut client, "SELECT advice FROM monitoring.vacuum_health WHERE advice LIKE 'ALTER TABLE%'")
    {
        run_sql(&mut client, &advice.unwrap());
    }
    run_sql(&mut client, r#"SELECT FROM "x""; DROP ROLE y; --" LIMIT 0"#);

    // A transaction that may still see them; a thousand others have come and gone since.
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    let pid = holder.query_one("SELECT pg_backend_pid()", &[]).unwrap().get::<_, i32>(0);
    run_sql(
        &mut client,
        "CREATE PROCEDURE burn() LANGUAGE plpgsql AS $$
         BEGIN FOR i IN 1 .. 1001 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
    );
    run_sql(&mut client, "CALL burn()");
    let held = row(&mut reader, "horizon_held_by", "full");
    assert!(held.starts_with(&format!("transaction of process {pid} (idle in transaction, role")), "{held}");
    // It has not gone on for long, so nobody is told to end it.
    let advice = row(&mut reader, "advice", "full");
    assert_eq!(advice, r#"VACUUM public."full"; -- what holds the horizon back comes first"#);
    run_sql(&mut holder, "COMMIT");
    let advice = row(&mut reader, "advice", "full");
    assert_eq!(advice, r#"VACUUM (ANALYZE) public."full"; -- many of its rows are dead"#);
    run_sql(&mut client, advice.split(" --").next().unwrap());
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    assert_eq!(row(&mut reader, "dead_rows, advice", "full"), "0");
}

#[test]
fn a_table_that_is_overdue_for_freezing_is_told_by_its_toast_too() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE old (n integer, t text) WITH (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000);
         CREATE MATERIALIZED VIEW report AS SELECT 1 AS one;
         UPDATE pg_class SET relfrozenxid = (pg_current_xact_id()::text::bigint % 4294967296 - 200)::text::xid
          WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'old'::regclass)",
    );
    assert_eq!(
        row(&mut client, "xid_age >= 200, xid_age < 5000, freeze_distance = 100000 - xid_age", "old"),
        "t|t|t"
    );
    assert_eq!(row(&mut client, "freeze_distance > 0", "report"), "t");
}

#[test]
fn a_slot_of_logical_replication_holds_catalogs_back() {
    let (_server, db) = private(Options::default().set("wal_level", "logical"));
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE bet (n integer)");
    run_sql(&mut client, "SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')");
    run_sql(&mut client, "CREATE TABLE another (n integer)");
    let held = row(&mut client, "horizon_held_by", "bet");
    assert_eq!(held, "of system catalogs only: replication slot left_behind, which nobody uses");
    let slot =
        "SELECT concat_ws('|', value > 0, unit, status, detail ~ '^left_behind: .*, used by nobody$', remedy)
                  FROM monitoring.server_health WHERE component = 'slot_retained_wal'";
    run_sql(&mut client, "INSERT INTO bet SELECT generate_series(1, 10000)");
    let slot = value(&mut client, slot);
    assert_eq!(
        slot,
        "t|bytes|warning|t|SELECT pg_catalog.pg_drop_replication_slot('left_behind') -- if nobody comes back for it"
    );
    run_sql(&mut client, "SELECT pg_drop_replication_slot('left_behind')");
    assert_eq!(row(&mut client, "horizon_held_by", "bet"), "");
}
