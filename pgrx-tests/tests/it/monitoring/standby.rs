//! What reads only runs where nothing can be written.

use super::*;
use groundskeeper_tests::sql::refusal;
use groundskeeper_tests::standby_of;

#[test]
fn reports_run_on_a_hot_standby() {
    if groundskeeper_tests::lacks("pg_stat_statements") {
        return;
    }
    let server = Options::default().preload("pg_stat_statements").start().unwrap();
    let mut db = TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap();
    db.install().unwrap();
    let reader = monitor(&mut db);
    run_sql(
        &mut db.client().unwrap(),
        "CREATE EXTENSION pg_stat_statements;
         CREATE TABLE staging.game AS SELECT n FROM generate_series(1, 10000) n;
         CREATE UNLOGGED TABLE staging.scratch AS SELECT n FROM generate_series(1, 10000) n;
         CREATE INDEX game_n ON staging.game (n)",
    );
    let standby = standby_of(&server).unwrap();

    let mut client = standby.connect(db.name(), &reader).unwrap();
    assert_eq!(value(&mut client, "SELECT pg_is_in_recovery()"), "true");
    for report in REPORTS {
        client
            .query(&format!("SELECT * FROM {report}"), &[])
            .unwrap_or_else(|error| panic!("{report}: {error}"));
    }
    for report in [
        "plan_status()",
        "change_log",
        "jobs",
        "job_history",
        "rollback_script()",
        "pool_utilization()",
        "recommend_pool_size()",
        "connection_pool_config()",
        "schedule",
        "query_latency()",
        "statement_latency()",
        "metrics_over()",
        "metrics_cost",
    ] {
        run_sql(&mut client, &format!("SELECT FROM groundskeeper.{report}"));
    }
    let reasons =
        "SELECT count(*) FROM groundskeeper.kpi_report() WHERE detail LIKE 'a standby keeps no history%'";
    assert_eq!(value(&mut client, reasons), "3");
    let mut superuser = standby.connect(db.name(), SUPERUSER).unwrap();
    for writes in [
        "SELECT groundskeeper.check_alerts()",
        "SELECT groundskeeper.schedule_maintenance()",
        "SELECT groundskeeper.unschedule_maintenance()",
        "CALL groundskeeper.run_scheduled('alerts')",
        "CALL groundskeeper.run_overdue()",
        "SELECT groundskeeper.resume()",
        "SELECT groundskeeper.prune_history()",
        "SELECT groundskeeper.silence_alert('heartbeat', now() + interval '1 hour', 'x')",
    ] {
        let refused = refusal(&mut superuser, writes).unwrap();
        assert_eq!(refused.code, "25006", "{writes}: {refused:?}");
        assert!(
            refused.message.ends_with(" during recovery") && refused.hint.contains("primary"),
            "{refused:?}"
        );
    }
    let unseen = "SELECT item FROM groundskeeper.plan_status() WHERE state NOT IN ('applied', 'pending', 'not_applicable')";
    assert!(column(&mut client, unseen).is_empty());
    run_sql(&mut client, "SET groundskeeper.index_observation = '0'");
    let verdict = "SELECT verdict FROM monitoring.unused_indexes WHERE indexname = 'game_n'";
    assert_eq!(value(&mut client, verdict), "too_early", "the primary may be using it");
    drop((client, superuser));
    standby.destroy();
}
