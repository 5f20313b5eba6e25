//! The library is this one and the catalog still that of before, as between the update of a package and that of a database.

use std::sync::mpsc;

use groundskeeper_sandbox::server::SUPERUSER;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::NoTls;

use super::{released, update};

/// What says what to do, and does nothing.
const REFUSED: [&str; 10] = [
    "SELECT * FROM groundskeeper.plan_status()",
    "SELECT * FROM groundskeeper.apply_plan()",
    "SELECT * FROM groundskeeper.partition_preflight('t', 'a')",
    "SELECT groundskeeper.partition_table('t', 'a')",
    "SELECT groundskeeper.set_retention('t', '1 month')",
    "SELECT * FROM create_monthly_partitions()",
    "SELECT * FROM groundskeeper.statement_latency()",
    "SELECT groundskeeper.connection_pool_config()",
    "SELECT * FROM groundskeeper.kpi_report()",
    "CALL groundskeeper.run_scheduled('statistics')",
];

#[test]
fn functions_say_what_to_do() {
    let (_db, mut client) = released("0.1.0");
    client.batch_execute("CREATE TABLE t (a date)").unwrap();
    for call in REFUSED {
        let refused = refusal(&mut client, call).unwrap();
        assert_eq!(refused.code, "55000", "{call}: {refused:?}");
        assert_eq!(
            refused.hint, "ALTER EXTENSION pg_groundskeeper UPDATE; brings both together.",
            "{call}: {refused:?}"
        );
    }
    update(&mut client);
    assert_eq!(
        texts(&mut client, "SELECT DISTINCT state FROM groundskeeper.plan_status() WHERE state = 'drifted'")
            .unwrap(),
        [""; 0]
    );
}

#[test]
fn writers_and_ddl_go_on() {
    let (_db, mut client) = released("0.1.0");
    client
        .batch_execute(
            "CREATE TABLE t (a date) PARTITION BY RANGE (a); CREATE TABLE t1 PARTITION OF t DEFAULT; ALTER TABLE t ADD b integer;
             ALTER TABLE t DETACH PARTITION t1; DROP TABLE t, t1;
             UPDATE groundskeeper.alert_rules SET fire_threshold = 200 WHERE rule = 'heartbeat';
             UPDATE groundskeeper.schedule SET schedule = '1 1 * * *' WHERE job_name = 'partitions';
             UPDATE groundskeeper.quality_rules SET points = 3 WHERE rule = 'missing_sportsbook';
             DELETE FROM groundskeeper.kpi_targets",
        )
        .unwrap();
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.kpi_targets").unwrap(), "6");
    let wrong = refusal(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET comparison = '?' WHERE rule = 'heartbeat'",
    )
    .unwrap();
    assert_eq!(wrong.detail, "Its comparison is > or <.");
}

#[test]
fn who_has_converted_tables_is_warned_that_their_keys_are_not_looked_after() {
    let (db, mut client) = released("0.1.0");
    client
        .batch_execute(
            "CREATE TABLE t (a date) PARTITION BY RANGE (a);
             CREATE FUNCTION t_key_insert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER \"A_groundskeeper_key_insert\" AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION t_key_insert();
             CREATE TABLE other (a date)",
        )
        .unwrap();
    let (say, said) = mpsc::channel();
    let mut config = db.server().config(db.name(), SUPERUSER);
    config.notice_callback(move |notice| {
        say.send(format!("{} {}", notice.code().code(), notice.message())).unwrap_or_default();
    });
    let mut hearing = config.connect(NoTls).unwrap();
    hearing.batch_execute("CREATE TABLE another (a date)").unwrap();
    assert!(said.try_recv().is_err(), "a table that is no partition is none of ours");
    for statement in ["CREATE TABLE t1 PARTITION OF t DEFAULT", "ALTER TABLE t DETACH PARTITION t1"] {
        hearing.batch_execute(statement).unwrap();
        let warning = format!(
            "55000 keys of converted tables are not looked after meanwhile: pg_groundskeeper in database {} is of version \
             0.1.0, its library of 0.2.0",
            db.name()
        );
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [warning], "{statement}");
    }
}
