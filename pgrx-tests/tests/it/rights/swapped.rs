//! A job works on the relation that it was queued for, and on no other by that name.

use std::thread::spawn;

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::text;
use postgres::Client;

use super::{counted, ended, installed, number, until};

/// The superuser's table in somebody else's schema, and what that role puts in its place: all of it springs a trap.
const OWN: &str = "
    CREATE TABLE app.events (id bigint PRIMARY KEY, at date NOT NULL);
    INSERT INTO app.events SELECT g, now()::date FROM generate_series(1, 1000) g;
    CREATE TABLE app.parted (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE app.parted_default PARTITION OF app.parted DEFAULT;
    INSERT INTO app.parted SELECT g, now()::date FROM generate_series(1, 1000) g;
    SELECT groundskeeper.adopt_partitioned_table('app.parted');";
const TRAP: &str = "
    CREATE SEQUENCE app.sprung;
    CREATE FUNCTION app.evil(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
            PERFORM pg_catalog.nextval('app.sprung');
        END IF;
        RETURN $1;
    END $$;
    GRANT USAGE ON SEQUENCE app.sprung TO PUBLIC;";
const INSTEAD: [(&str, &str); 2] = [
    (
        "events",
        "CREATE TABLE app.events (id bigint PRIMARY KEY CHECK (app.evil(id) = id), at date NOT NULL);
         CREATE INDEX ON app.events ((id + app.evil(1)));
         INSERT INTO app.events SELECT g, now()::date FROM generate_series(1, 10) g",
    ),
    (
        "parted",
        "CREATE TABLE app.parted (id bigint CHECK (app.evil(id) = id), at date NOT NULL) PARTITION BY RANGE (at);
         CREATE TABLE app.parted_default PARTITION OF app.parted DEFAULT;
         CREATE INDEX ON app.parted_default ((id + app.evil(1)));
         INSERT INTO app.parted SELECT g, now()::date FROM generate_series(1, 10) g",
    ),
];
const JOBS: [(&str, &str); 2] = [
    ("events", "groundskeeper.partition_table('app.events', 'at', accept => '{on_conflict}')"),
    ("parted", "groundskeeper.drain_default('app.parted')"),
];

fn prepared() -> (TestDb, Client, Client) {
    let (mut db, mut client) = installed();
    let attacker = db.role("attacker").unwrap();
    client.batch_execute(&format!("CREATE SCHEMA app AUTHORIZATION {attacker}")).unwrap();
    let mut as_attacker = db.client_as(&attacker).unwrap();
    as_attacker.batch_execute(TRAP).unwrap();
    client.batch_execute(OWN).unwrap();
    (db, client, as_attacker)
}

fn instead(table: &str) -> &'static str {
    INSTEAD.iter().find(|(name, _)| *name == table).map(|(_, script)| *script).unwrap()
}

#[test]
fn a_table_that_was_replaced_while_its_job_was_queued_is_left_alone() {
    for (table, call) in JOBS {
        let (db, mut client, mut as_attacker) = prepared();
        client.batch_execute("BEGIN").unwrap();
        let job = number(&mut client, call);
        // The dispatcher waits for the transaction, and the swap for the dispatcher's first look.
        let swap = format!("DROP TABLE app.{table} CASCADE; {}", instead(table));
        client.batch_execute("COMMIT").unwrap();
        let mut blocker = db.client().unwrap();
        drop(blocker.batch_execute("SELECT 1"));
        let swapped = as_attacker.batch_execute(&swap);
        let how = ended(&mut client, job);
        assert_eq!(counted(&mut client, "app.sprung"), 0, "{call}: {how} {swapped:?}");
    }
}

#[test]
fn a_table_that_is_replaced_while_its_job_waits_is_left_alone() {
    for (table, call) in JOBS {
        for way in ["drop", "schema"] {
            let (db, mut client, mut as_attacker) = prepared();
            // a reader keeps the job from its strong locks
            let mut reader = db.client().unwrap();
            reader.batch_execute(&format!("BEGIN; SELECT count(*) FROM app.{table}")).unwrap();
            client
                .batch_execute("SET groundskeeper.lock_timeout = '10s'; SET SESSION AUTHORIZATION DEFAULT")
                .unwrap();
            let job = number(&mut client, call);
            let waits = "SELECT count(*) > 0 FROM pg_stat_activity
                          WHERE backend_type = 'pg_groundskeeper job' AND wait_event_type = 'Lock'";
            until(&mut client, waits, "true");
            let swap = "ALTER SCHEMA app RENAME TO gone; CREATE SCHEMA app AUTHORIZATION CURRENT_USER; SET search_path = gone;
                     ALTER FUNCTION gone.evil(bigint) SET SCHEMA app; ALTER SEQUENCE gone.sprung SET SCHEMA app;";
            let database = db.name().to_owned();
            client.batch_execute(&format!("GRANT CREATE ON DATABASE {database} TO PUBLIC")).unwrap();
            if way == "schema" {
                as_attacker.batch_execute(swap).unwrap();
                as_attacker.batch_execute(instead(table)).unwrap();
                reader.batch_execute("COMMIT").unwrap();
            } else {
                reader.batch_execute("COMMIT").unwrap();
                let _ =
                    as_attacker.batch_execute(&format!("DROP TABLE app.{table} CASCADE; {}", instead(table)));
            }
            let how = ended(&mut client, job);
            assert_eq!(counted(&mut client, "app.sprung"), 0, "{call} {way}: {how}");
            if way == "schema" {
                assert!(how.starts_with("failed"), "{call} {way}: {how}");
                let rows = text(&mut client, &format!("SELECT count(*) FROM gone.{table}")).unwrap();
                assert_eq!(rows, "1000", "{call}");
            }
        }
    }
}

#[test]
fn a_table_that_was_given_to_another_role_is_left_alone() {
    let (mut db, mut client) = installed();
    let other = db.role("other").unwrap();
    client.batch_execute("CREATE SCHEMA app").unwrap();
    client.batch_execute(OWN).unwrap();
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM app.parted").unwrap();
    let job = number(&mut client, JOBS[1].1);
    let waits = format!("SELECT state FROM groundskeeper.jobs WHERE job_id = {job}");
    until(&mut client, &waits, "waiting");
    reader
        .batch_execute(&format!(
            "ALTER TABLE app.parted OWNER TO {other}; GRANT CREATE ON SCHEMA app TO {other}; COMMIT"
        ))
        .unwrap();
    let how = ended(&mut client, job);
    assert!(how.contains("belongs to another role now"), "{how}");
}

#[test]
fn a_table_that_is_replaced_while_it_is_to_be_read_is_left_alone() {
    let (db, mut client, mut as_attacker) = prepared();
    let columns = "pipeline_stage text, status text, records_processed integer, records_successful integer, records_failed integer,
                   start_time timestamptz, end_time timestamptz";
    let attacker = text(&mut as_attacker, "SELECT quote_ident(current_user)").unwrap();
    client
        .batch_execute(&format!(
            "CREATE TABLE public.pipeline_execution_log ({columns}); ALTER SCHEMA public OWNER TO {attacker}"
        ))
        .unwrap();
    // The schema's owner may drop what is in it, and what comes in its place asks who reads it.
    as_attacker
        .batch_execute(
            "BEGIN; DROP TABLE public.pipeline_execution_log;
             CREATE VIEW public.pipeline_execution_log AS
                 SELECT 'staging' AS pipeline_stage, 'completed' AS status, app.evil(1)::integer AS records_processed,
                        1 AS records_successful, 0 AS records_failed, now() AS start_time, now() AS end_time",
        )
        .unwrap();
    let mut reader = db.client().unwrap();
    let read = spawn(move || {
        text(
            &mut reader,
            "SELECT detail FROM groundskeeper.kpi_report() WHERE kpi = 'migration_success_rate'",
        )
    });
    until(
        &mut client,
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'public.pipeline_execution_log'::regclass",
        "1",
    );
    as_attacker.batch_execute("COMMIT").unwrap();
    let detail = read.join().unwrap().unwrap();
    assert_eq!(counted(&mut client, "app.sprung"), 0, "{detail}");
    assert!(detail.contains("public.pipeline_execution_log was replaced"), "{detail}");
}
