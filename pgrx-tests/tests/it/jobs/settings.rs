//! `ALTER ROLE SET` and `ALTER DATABASE SET`: what suits the application must not stop maintenance.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};

/// Each of these has stopped or bent something somewhere.
const SETTINGS: [(&str, &str); 14] = [
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("search_path", "evil"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("standard_conforming_strings", "off"),
    ("array_nulls", "off"),
    ("quote_all_identifiers", "on"),
    ("row_security", "off"),
    ("synchronous_commit", "off"),
    ("DateStyle", "SQL, DMY"),
    ("timezone", "Asia/Kathmandu"),
];

/// For a session that the settings would hinder in setting a test up.
const UNHINDERED: &str = "
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET default_transaction_read_only = off; SET search_path = public; SET role = none";

/// An operator and a table by the names of PostgreSQL's own.
const EVIL: &str = "
    CREATE SCHEMA evil;
    GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE TABLE evil.pg_class (oid oid);
    CREATE FUNCTION evil.unequal(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.= (FUNCTION = evil.unequal, LEFTARG = bigint, RIGHTARG = bigint)";

#[test]
fn a_roles_settings_do_not_stop_its_jobs() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let [owner, other] = ["owner", "other"].map(|stem| quote_ident(&db.role(stem).unwrap()));
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    client
        .batch_execute(&format!(
            "{EVIL}; GRANT {other} TO {owner}; ALTER ROLE {owner} SET role = {other};
             ALTER TABLE staging.totals OWNER TO {owner}; GRANT CREATE ON SCHEMA staging TO {owner}"
        ))
        .unwrap();
    for (name, value) in SETTINGS {
        client.batch_execute(&format!("ALTER ROLE {owner} SET {name} = {}", value_of(name, value))).unwrap();
    }
    assert_jobs_succeed(&db);
    let owners =
        texts(&mut client, "SELECT DISTINCT run_as FROM groundskeeper.job WHERE target = 'staging.totals'");
    assert_eq!(owners.unwrap().len(), 1, "as the owner");
}

#[test]
fn a_databases_settings_do_not_stop_its_jobs() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    client.batch_execute(EVIL).unwrap();
    for (name, value) in SETTINGS {
        let set = format!("ALTER DATABASE {} SET {name} = {}", db.name(), value_of(name, value));
        client.batch_execute(&set).unwrap();
    }
    assert_jobs_succeed(&db);
}

fn value_of(name: &str, value: &str) -> String {
    if name == "DateStyle" { value.to_owned() } else { format!("'{value}'") }
}

/// Installs the extension with all work as jobs.
fn assert_jobs_succeed(db: &TestDb) {
    let mut client = db.client().unwrap();
    client.batch_execute(UNHINDERED).unwrap();
    client
        .batch_execute("SET default_transaction_isolation = 'read committed'; LOAD 'pg_groundskeeper'")
        .unwrap();
    client
        .batch_execute("SET groundskeeper.inline_build_limit = 0; CREATE EXTENSION pg_groundskeeper")
        .unwrap();
    super::until("the end of all jobs", || {
        let open = "SELECT job_id FROM groundskeeper.job WHERE state IN ('queued', 'running')";
        texts(&mut client, open).unwrap().is_empty().then_some(())
    });
    let bad = "SELECT format('%s %s: %s', kind, target, error) FROM groundskeeper.job
                WHERE state <> 'succeeded' OR attempts <> 1";
    assert_eq!(texts(&mut client, bad).unwrap(), [""; 0]);
    let count = "SELECT count(*) FROM groundskeeper.job";
    assert!(texts(&mut client, count).unwrap()[0].parse::<u32>().unwrap() > 10);
}
