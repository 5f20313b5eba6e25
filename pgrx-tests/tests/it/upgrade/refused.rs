//! What stands in the way of an update is said before anything is changed.

use groundskeeper_tests::sql::{refusal, text};
use postgres::Client;

use super::{released, update};
use groundskeeper_tests::PATIENCE;

const UPDATE: &str = "ALTER EXTENSION pg_groundskeeper UPDATE";

fn version(client: &mut Client) -> String {
    text(client, "SELECT extversion FROM pg_extension WHERE extname = 'pg_groundskeeper'").unwrap()
}

#[test]
fn views_on_functions_that_go_are_named() {
    let (_db, mut client) = released("0.1.0");
    client
        .batch_execute(
            "CREATE VIEW on_status AS SELECT item, state FROM groundskeeper.plan_status();
             CREATE VIEW on_odds AS SELECT groundskeeper.american_to_decimal(-110) AS price;
             CREATE VIEW on_slow AS SELECT query, calls FROM monitoring.slow_queries;
             CREATE FUNCTION on_default() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM groundskeeper.default_kpi_targets())",
        )
        .unwrap();
    let refused = refusal(&mut client, UPDATE).unwrap();
    assert_eq!(refused.code, "2BP01");
    let named = "function public.on_default() uses groundskeeper.default_kpi_targets()\nview public.on_status uses groundskeeper.plan_status()";
    assert_eq!(refused.detail, named);
    assert_eq!(version(&mut client), "0.1.0");
    client.batch_execute("DROP VIEW on_status; DROP FUNCTION on_default()").unwrap();
    update(&mut client);
    // What stands on others is as it was.
    assert_eq!(text(&mut client, "SELECT round(price, 4) FROM on_odds").unwrap(), "1.9091");
    client.batch_execute("TABLE on_slow").unwrap();
}

#[test]
fn names_that_are_taken_are_named() {
    let (_db, mut client) = released("0.1.0");
    client
        .batch_execute("CREATE VIEW monitoring.growth AS SELECT 1; CREATE SCHEMA groundskeeper_internal")
        .unwrap();
    let refused = refusal(&mut client, UPDATE).unwrap();
    assert_eq!(refused.code, "42710");
    assert_eq!(
        refused.detail,
        "Not made by this extension: schema groundskeeper_internal, view monitoring.growth."
    );
    client.batch_execute(refused.hint.trim_start_matches("Rename them, then update again: ")).unwrap();
    update(&mut client);
}

#[test]
fn a_library_of_before_is_told_to_go() {
    let (_db, mut client) = released("0.1.0");
    // As where the session has loaded one that has no such symbol.
    let script = "SELECT pg_read_file(setting || '/extension/pg_groundskeeper--0.1.0--0.2.0.sql') FROM pg_config WHERE name = 'SHAREDIR'";
    let script = text(&mut client, script).unwrap();
    let look = script.split("DO $$").nth(1).unwrap();
    let look = look.split("$$;").next().unwrap();
    let look = format!("DO $${look}$$")
        .replace("MODULE_PATHNAME", "pg_groundskeeper")
        .replace("'library_version_wrapper'", "'nobody_knows'");
    let refused = refusal(&mut client, &look).unwrap();
    assert_eq!(refused.code, "55000");
    assert!(
        refused.hint.starts_with("Connect anew, ") || refused.hint.contains("restart the server"),
        "{refused:?}"
    );
}

#[test]
fn tables_in_use_are_waited_for_and_no_table_is_left_locked() {
    let (db, mut client) = released("0.1.0");
    let mut holder = db.client().unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE groundskeeper.conversion IN ROW EXCLUSIVE MODE").unwrap();
    let updating = std::thread::spawn(move || client.batch_execute(UPDATE).map(|()| client));
    // While it waits for one of the tables, others go on with those that it has locked by then: none of them is held for long.
    let mut other = db.client().unwrap();
    let locked = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                   WHERE a.query ~ '^ALTER EXTENSION pg_groundskeeper' AND a.datname = current_database()
                     AND l.relation = 'groundskeeper.alert_check'::regclass AND l.mode = 'AccessExclusiveLock' AND l.granted";
    let seen = |other: &mut postgres::Client, wanted: &str| {
        let until = std::time::Instant::now() + PATIENCE;
        while text(other, locked).unwrap() != wanted {
            assert!(std::time::Instant::now() < until, "the lock is never held {wanted} times");
        }
    };
    seen(&mut other, "1");
    seen(&mut other, "0");
    holder.batch_execute("COMMIT").unwrap();
    let mut client = updating.join().unwrap().unwrap();
    assert_eq!(version(&mut client), "0.2.0");
}

#[test]
fn triggers_that_were_planted_on_our_tables_are_not_run() {
    let (mut db, mut client) = released("0.1.0");
    let mallory = db.role("mallory").unwrap();
    client
        .batch_execute(&format!(
            "CREATE SCHEMA planted AUTHORIZATION {mallory}; GRANT TRIGGER ON groundskeeper.alert_rules TO {mallory};
             GRANT USAGE ON SCHEMA groundskeeper TO {mallory}"
        ))
        .unwrap();
    db.client_as(&mallory)
        .unwrap()
        .batch_execute(
            "CREATE FUNCTION planted.rise() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'run as %', CURRENT_USER; END $$;
             CREATE TRIGGER rise BEFORE UPDATE ON groundskeeper.alert_rules EXECUTE FUNCTION planted.rise()",
        )
        .unwrap();
    let refused = refusal(&mut client, UPDATE).unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.detail.as_str()),
        ("55000", "rise on groundskeeper.alert_rules")
    );
    client.batch_execute("ALTER TABLE groundskeeper.alert_rules DISABLE TRIGGER rise").unwrap();
    update(&mut client);
}

#[test]
fn another_superuser_is_told_to_be_the_owner() {
    let (mut db, mut client) = released("0.1.0");
    let other = db.role("other").unwrap();
    client.batch_execute(&format!("ALTER ROLE {other} SUPERUSER")).unwrap();
    let mut session = db.client_as(&other).unwrap();
    let refused = refusal(&mut session, UPDATE).unwrap();
    assert_eq!(refused.code, "42501");
    session.batch_execute(&refused.hint).unwrap();
    assert_eq!(version(&mut client), "0.2.0");
}
