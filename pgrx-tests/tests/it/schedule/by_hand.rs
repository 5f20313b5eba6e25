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
fn a_call_commits_as_a_statement_of_its_own() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(MIGRATION).unwrap();
    call(&mut client, "schedule_maintenance()");
    back_date(&mut client);
    client.batch_execute("CALL groundskeeper.run_scheduled('migration')").unwrap();
    assert_eq!(status(&mut client, "migration"), "none t t 0");
    let runs = "SELECT format('%s %s %s', state, started_by = current_user, successful) FROM groundskeeper.migration_runs
                 ORDER BY run_id";
    assert_eq!(texts(&mut client, runs).unwrap(), ["completed t 0", "completed t 0", "completed t 70"]);
    let batches = "SELECT count(DISTINCT xmin::text) >= 4 FROM staging.totals";
    assert_eq!(text(&mut client, batches).unwrap(), "true", "committed batch by batch");

    // Why it failed is written down, and others have their turn all the same.
    noting(&mut client, "0 * * * *");
    call(&mut client, "schedule_maintenance()");
    client
        .batch_execute(
            "ALTER TABLE raw_data.totals_raw RENAME over_odds TO over;
             UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '1 day';
             UPDATE groundskeeper.schedule_run SET last_run = last_run - interval '1 day'",
        )
        .unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.run_overdue()").unwrap();
    let why = "the migration does not fit: raw_data.totals_raw.over_odds does not exist (55000)";
    assert_eq!(refused.detail, format!("migration: {why}"));
    assert_eq!(status(&mut client, "migration"), format!("none t t 1 {why}"));
    assert_eq!(count(&mut client), 1);
    // What is no statement is no CALL either.
    let set = "UPDATE groundskeeper.schedule SET command = $1 WHERE job_name = 'note'";
    client.execute(set, &[&"CALL nobody()"]).unwrap();
    client
        .batch_execute("UPDATE groundskeeper.schedule_run SET last_run = last_run - interval '1 day'")
        .unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.run_scheduled('note')").unwrap();
    assert!(refused.detail.ends_with("(42883)"), "{refused:?}");
}

#[test]
fn a_call_runs_once_at_a_time_and_ends_with_who_waits_for_it() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE PROCEDURE public.slow(INOUT said text DEFAULT '') LANGUAGE plpgsql AS
                 $$ BEGIN COMMIT; PERFORM pg_sleep(600); END $$;
             INSERT INTO groundskeeper.schedule (job_name, schedule, command)
             VALUES ('slow', '0 0 1 1 *', 'CALL public.slow()')",
        )
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    client
        .batch_execute("UPDATE groundskeeper.schedule SET scheduled_at = now() - interval '2 years'")
        .unwrap();
    let mut waiting = db.client().unwrap();
    let cancel = waiting.cancel_token();
    let run = std::thread::spawn(move || {
        refusal(&mut waiting, "CALL groundskeeper.run_scheduled('slow')").unwrap()
    });
    let sleeping = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper scheduled call'
                       AND wait_event = 'PgSleep' AND datname = current_database()";
    until("the call", 30, || texts(&mut client, sleeping).unwrap().len() == 1);
    let seen = "SELECT running, consecutive_failures FROM monitoring.maintenance_status WHERE task = 'slow'";
    let row = client.query_one(seen, &[]).unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i32>(1)), (true, 0));
    for again in ["CALL groundskeeper.run_scheduled('slow')", "CALL groundskeeper.run_overdue()"] {
        client.batch_execute(again).unwrap();
    }
    cancel.cancel_query(postgres::NoTls).unwrap();
    let refused = run.join().unwrap();
    assert_eq!(refused.detail, "slow: canceling statement due to user request (57014)");
    until("its end", 30, || texts(&mut client, sleeping).unwrap().is_empty());
    let canceled = "none t f 1 canceling statement due to user request (57014)";
    assert_eq!(status(&mut client, "slow"), canceled);

    // Who waits may be gone: the call goes on, still once at a time, and its end is nobody's success.
    let again = "UPDATE groundskeeper.schedule_run SET last_run = last_run - interval '1 year' WHERE job_name = 'slow'";
    client.batch_execute(again).unwrap();
    let mut waiting = db.client().unwrap();
    let pid: i32 = waiting.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let run = std::thread::spawn(move || waiting.batch_execute("CALL groundskeeper.run_scheduled('slow')"));
    until("the call", 30, || texts(&mut client, sleeping).unwrap().len() == 1);
    client.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    run.join().unwrap().unwrap_err();
    client.batch_execute(again).unwrap();
    client.batch_execute("CALL groundskeeper.run_scheduled('slow')").unwrap();
    assert_eq!(texts(&mut client, sleeping).unwrap().len(), 1);
    assert_eq!(client.query_one(seen, &[]).unwrap().get::<_, i32>(1), 1);
    client.batch_execute(&format!("SELECT pg_terminate_backend(pid) FROM ({sleeping}) s")).unwrap();
    // It is due, too, as its time was put back.
    let lost = "; its run was lost; see the server log";
    until("its end", 30, || {
        let status = status(&mut client, "slow");
        status.starts_with("none t f 2 due since ") && status.ends_with(lost)
    });
}

#[test]
fn a_call_without_a_worker_says_what_is_missing() {
    let (_server, mut client) = betting(&Options::default().set("max_worker_processes", "1"));
    client.batch_execute(MIGRATION).unwrap();
    call(&mut client, "schedule_maintenance()");
    back_date(&mut client);
    let refused = refusal(&mut client, "CALL groundskeeper.run_scheduled('migration')").unwrap();
    let why = "no background worker is free: raise max_worker_processes";
    assert_eq!(refused.detail, format!("migration: {why}"));
    assert_eq!(status(&mut client, "migration"), format!("none t f 1 {why}"));
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
    assert_eq!(status(&mut client, "statistics"), "none t t 1 public.broken: division by zero (22012)");
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
        ("UPDATE groundskeeper.schedule SET command = ''", "22023"),
        ("UPDATE groundskeeper.schedule SET command = ' ; -- nothing'", "22023"),
        ("UPDATE groundskeeper.schedule SET command = 'SELECT 1; CALL x()'", "22023"),
        ("UPDATE groundskeeper.schedule SET command = 'CALL'", "42601"),
        ("UPDATE groundskeeper.schedule SET command = 'SELECT ''unfinished'", "42601"),
        ("UPDATE groundskeeper.schedule SET job_name = repeat('x', 61) WHERE job_name = 'history'", "23514"),
        ("SELECT groundskeeper.schedule_maintenance('Moon/Tranquility')", "22023"),
        ("CALL groundskeeper.run_scheduled('nothing')", "42704"),
        ("SELECT groundskeeper_internal.run_step('leap', 'history')", "22023"),
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
        "SELECT groundskeeper_internal.run_step('begin', 'statistics')",
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
    client.batch_execute(&format!("GRANT EXECUTE ON FUNCTION groundskeeper_internal.run_step, groundskeeper_internal.overdue_runs TO {role}; GRANT EXECUTE ON PROCEDURE groundskeeper_internal.run_one, groundskeeper.run_scheduled, groundskeeper.run_overdue TO {role}")).unwrap();
    for statement in [
        "SELECT groundskeeper.schedule_maintenance()",
        "SELECT groundskeeper.unschedule_maintenance()",
        "CALL groundskeeper.run_scheduled('note')",
        "SELECT groundskeeper_internal.run_step('end', 'note')",
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
    for _ in 0..2 {
        client.batch_execute("CALL groundskeeper.migrate_to_staging()").unwrap();
    }
    client
        .batch_execute(
            "UPDATE groundskeeper.migration_runs SET finished_at = now() - interval '91 days' WHERE run_id <= 3;
             UPDATE groundskeeper.migration_runs SET finished_at = NULL WHERE run_id = 1",
        )
        .unwrap();
    assert_eq!(text(&mut client, "SELECT groundskeeper.prune_history()").unwrap(), "2");
    let left = "SELECT run_id::text FROM groundskeeper.migration_runs ORDER BY run_id";
    assert_eq!(texts(&mut client, left).unwrap(), ["1", "4", "5", "6"]);
    let left = "SELECT relation FROM groundskeeper.maintenance_log WHERE relation IN ('old', 'new')";
    assert_eq!(texts(&mut client, left).unwrap(), ["new"]);
}
