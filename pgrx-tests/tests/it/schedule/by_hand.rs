//! No scheduler at all, wrong input, and what a stranger may do.

use super::*;
use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::refusal;
use groundskeeper_tests::{Template, TestDb};

#[test]
fn without_a_scheduler_a_system_cron_is_enough() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let psql = |sql: &str| {
        let output = db.server().client_program("psql", db.name()).args(["-X", "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = psql("SELECT * FROM groundskeeper.schedule_maintenance()");
    for part in ["WARNING", "shared_preload_libraries", "prerequisites()", "* * * * * psql", "run_overdue()"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut client = db.client().unwrap();
    noting(&mut client, "0 * * * *");
    assert!(call(&mut client, "schedule_maintenance()").iter().all(|row| row.scheduler == "none"));
    client.batch_execute("CALL groundskeeper.run_overdue()").unwrap();
    assert_eq!(count(&mut client), 0, "not before its time");
    back_date(&mut client);
    for _ in 0..3 {
        client.batch_execute("CALL groundskeeper.run_overdue()").unwrap();
    }
    assert_eq!(count(&mut client), 1, "a day that was missed is made up once");
    assert_eq!(status(&mut client, "statistics"), "none t t 0");
    // One that fails keeps no other from its turn, and is reported.
    client
        .batch_execute(
            "UPDATE groundskeeper.schedule SET command = 'SELECT 1 / 0' WHERE job_name = 'history'",
        )
        .unwrap();
    client
        .batch_execute("UPDATE groundskeeper.schedule_run SET last_run = last_run - interval '2 days'")
        .unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.run_overdue()").unwrap();
    assert_eq!(refused.detail, "history: division by zero (22012)");
    assert_eq!(count(&mut client), 2);
    let refused = refusal(&mut client, "BEGIN; CALL groundskeeper.run_overdue()").unwrap();
    assert_eq!(refused.code, "2D000");
}

#[test]
fn relations_that_fail_show_in_the_status() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE public.divisor AS SELECT 1 AS n;
             CREATE MATERIALIZED VIEW public.broken AS SELECT 1 / n AS q FROM public.divisor;
             UPDATE public.divisor SET n = 0;
             SELECT groundskeeper.maintain('public.broken')",
        )
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    back_date(&mut client);
    client.batch_execute("CALL groundskeeper.run_scheduled('statistics')").unwrap();
    assert_eq!(status(&mut client, "statistics"), "none t t 0 public.broken: division by zero (22012)");
}

#[test]
fn what_cannot_be_scheduled_is_refused() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    for (statement, code) in [
        ("UPDATE groundskeeper.schedule SET schedule = '61 * * * *'", "22023"),
        ("UPDATE groundskeeper.schedule SET schedule = '0 0 30 2 *'", "22023"),
        ("UPDATE groundskeeper.schedule SET schedule = '@daily'", "22023"),
        ("UPDATE groundskeeper.schedule SET schedule = NULL", "23502"),
        ("UPDATE groundskeeper.schedule SET command = NULL", "23502"),
        ("UPDATE groundskeeper.schedule SET job_name = repeat('x', 61) WHERE job_name = 'history'", "23514"),
        ("SELECT groundskeeper.schedule_maintenance('Moon/Tranquility')", "22023"),
        ("CALL groundskeeper.run_scheduled('nothing')", "42704"),
        ("SELECT groundskeeper.run_step('leap', 'history')", "22023"),
    ] {
        let refused = refusal(&mut client, statement).unwrap();
        assert_eq!(refused.code, code, "{statement}: {refused:?}");
    }
    client.batch_execute("CALL groundskeeper.run_scheduled('history')").unwrap();
    assert_eq!(status(&mut client, "history"), "none f f 0", "not scheduled, not run");
}

#[test]
fn a_stranger_reaches_nothing_and_no_role_runs_anothers_entries() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let stranger = db.role("stranger").unwrap();
    let mut client = db.client().unwrap();
    let mut there = db.client_as(&stranger).unwrap();
    for statement in [
        "SELECT groundskeeper.schedule_maintenance()",
        "SELECT groundskeeper.unschedule_maintenance()",
        "CALL groundskeeper.run_scheduled('statistics')",
        "CALL groundskeeper.run_overdue()",
        "SELECT groundskeeper.run_step('begin', 'statistics')",
        "SELECT groundskeeper.prune_history()",
        "TABLE groundskeeper.schedule",
        "UPDATE groundskeeper.schedule SET command = 'DROP TABLE staging.games'",
        "TABLE groundskeeper.schedule_run",
        "TABLE monitoring.maintenance_status",
    ] {
        assert_eq!(refusal(&mut there, statement).unwrap().code, "42501", "{statement}");
    }
    noting(&mut client, "0 * * * *");
    call(&mut client, "schedule_maintenance()");
    back_date(&mut client);
    let role = quote_ident(&stranger);
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON FUNCTION groundskeeper.schedule_maintenance, groundskeeper.unschedule_maintenance TO {role}"
        ))
        .unwrap();
    client.batch_execute(&format!("GRANT EXECUTE ON FUNCTION groundskeeper.run_step, groundskeeper.overdue_runs TO {role}; GRANT EXECUTE ON PROCEDURE groundskeeper.run_one, groundskeeper.run_scheduled, groundskeeper.run_overdue TO {role}")).unwrap();
    for statement in [
        "SELECT groundskeeper.schedule_maintenance()",
        "SELECT groundskeeper.unschedule_maintenance()",
        "CALL groundskeeper.run_scheduled('note')",
        "SELECT groundskeeper.run_step('end', 'note')",
    ] {
        assert_eq!(refusal(&mut there, statement).unwrap().code, "42501", "{statement}");
    }
    there.batch_execute("CALL groundskeeper.run_overdue()").unwrap();
    assert_eq!(count(&mut client), 0);
}

#[test]
fn histories_are_pruned() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "SELECT FROM update_table_statistics();
             INSERT INTO groundskeeper.maintenance_log VALUES
                 ('old', 'failed', 'x', now() - interval '91 days', 1), ('new', 'failed', 'x', now() - interval '89 days', 1)",
        )
        .unwrap();
    assert_eq!(text(&mut client, "SELECT groundskeeper.prune_history()").unwrap(), "1");
    let left = "SELECT relation FROM groundskeeper.maintenance_log WHERE relation IN ('old', 'new')";
    assert_eq!(texts(&mut client, left).unwrap(), ["new"]);
}
