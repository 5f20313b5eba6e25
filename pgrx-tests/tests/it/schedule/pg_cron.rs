//! The real pg_cron.

use super::*;

/// pg_cron, with its jobs in that database; without TCP it needs background workers.
fn with_cron(database: &str) -> Options {
    Options::default()
        .preload("pg_cron")
        .set("cron.database_name", database)
        .set("cron.use_background_workers", "on")
        .set("max_worker_processes", "20")
}

const JOBS: &str = "SELECT format('%s|%s|%s|%s|%s', jobname, schedule, command, database, username) FROM cron.job ORDER BY jobname";

#[test]
fn in_the_same_database_its_jobs_run() {
    if groundskeeper_tests::lacks("pg_cron") {
        return;
    }
    let (server, mut client) = betting(&with_cron(BETTING));
    client
        .batch_execute(
            "CREATE EXTENSION pg_cron; SELECT cron.schedule('groundskeeper''s own', '0 0 1 1 *', 'SELECT 1')",
        )
        .unwrap();
    noting(&mut client, "* * * * *");
    client
        .batch_execute(
            "UPDATE groundskeeper.schedule SET schedule = '* * * * *' WHERE job_name = 'statistics'",
        )
        .unwrap();
    let scheduled = call(&mut client, "schedule_maintenance()");
    assert!(scheduled.iter().all(|row| row.scheduler == "pg_cron"), "{scheduled:#?}");
    let named: Vec<&str> = scheduled.iter().map(|row| row.job_name.as_str()).collect();
    assert_eq!(
        named,
        [
            "groundskeeper betting alerts",
            "groundskeeper betting history",
            "groundskeeper betting metrics",
            "groundskeeper betting note",
            "groundskeeper betting partitions",
            "groundskeeper betting retention",
            "groundskeeper betting statistics",
            "groundskeeper betting make up"
        ]
    );
    let history = &scheduled[1];
    assert_eq!(history.schedule, "17 8-9 * * *", "04:17 in New York, by GMT in summer and winter");
    assert_eq!(history.command, "CALL groundskeeper.run_scheduled('history')");
    let jobs = texts(&mut client, JOBS).unwrap();
    assert_eq!(jobs.len(), 9);
    assert_eq!(call(&mut client, "schedule_maintenance()"), scheduled);
    assert_eq!(texts(&mut client, JOBS).unwrap(), jobs, "repeatable");
    // An entry that is not wanted any more goes with the next call.
    client
        .batch_execute("UPDATE groundskeeper.schedule SET enabled = false WHERE job_name = 'history'")
        .unwrap();
    assert_eq!(call(&mut client, "schedule_maintenance()").len(), 7);
    assert_eq!(texts(&mut client, JOBS).unwrap().len(), 8);

    let runs = "SELECT d.status || ' ' || j.jobname FROM cron.job_run_details d JOIN cron.job j USING (jobid)
                 WHERE j.jobname ~ 'note|statistics' AND d.end_time IS NOT NULL ORDER BY j.jobname, d.runid";
    until("two runs of each", 190, || {
        texts(&mut client, runs).unwrap().len() >= 4 && count(&mut client) >= 2
    });
    let outcomes = texts(&mut client, runs).unwrap();
    assert!(outcomes.iter().all(|run| run.starts_with("succeeded")), "{outcomes:?}\n{}", server.log());
    assert_eq!(status(&mut client, "note"), "pg_cron t t 0");
    assert_eq!(status(&mut client, "statistics"), "pg_cron t t 0");
    let ran =
        "SELECT count(*) > 0 FROM groundskeeper.maintenance_log WHERE relation = 'staging.daily_game_stats'";
    println!("{outcomes:#?} {}", text(&mut client, ran).unwrap());
    let minutes = "SELECT count(*) = count(DISTINCT date_trunc('minute', at)) FROM public.noted";
    assert_eq!(text(&mut client, minutes).unwrap(), "true", "once each");

    // One that fails is seen to in pg_cron's own table, too.
    client
        .batch_execute("UPDATE groundskeeper.schedule SET command = 'SELECT 1/0' WHERE job_name = 'note'")
        .unwrap();
    until("a failure", 70, || status(&mut client, "note").contains("1 division by zero"));
    let failed = "SELECT count(*) FROM cron.job_run_details WHERE status = 'failed' AND return_message ~ 'scheduled maintenance failed'";
    until("its trace", 10, || text(&mut client, failed).unwrap() != "0");

    // the entries; making up for missed runs is none of them
    assert_eq!(call(&mut client, "unschedule_maintenance()").len(), 6);
    let left = texts(&mut client, "SELECT jobname FROM cron.job").unwrap();
    assert_eq!(left, ["groundskeeper's own"]);
}

#[test]
fn in_another_database_a_worker_goes_there_as_the_caller() {
    if groundskeeper_tests::lacks("pg_cron") {
        return;
    }
    let (server, mut client) = betting(&with_cron("postgres"));
    let mut cron = server.connect("postgres", SUPERUSER).unwrap();
    cron.batch_execute("CREATE EXTENSION pg_cron; SELECT cron.schedule('mine', '0 0 1 1 *', 'SELECT 1')")
        .unwrap();
    noting(&mut client, "* * * * *");
    client.batch_execute(MIGRATION).unwrap();
    let scheduled = call(&mut client, "schedule_maintenance()");
    assert!(scheduled.iter().all(|row| row.scheduler == "pg_cron"), "{scheduled:#?}");
    let jobs = texts(&mut cron, JOBS).unwrap();
    assert!(
        jobs.contains(
            &"groundskeeper betting note|* * * * *|CALL groundskeeper.run_scheduled('note')|betting|postgres"
                .to_owned()
        ),
        "{jobs:#?}"
    );
    call(&mut client, "schedule_maintenance()");
    assert_eq!(texts(&mut cron, JOBS).unwrap(), jobs, "repeatable");
    until("a run", 70, || count(&mut client) >= 1);
    until("the migration", 10, || status(&mut client, "migration") == "pg_cron t t 0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.totals").unwrap(), "70");

    // Another role takes the schedule over, and may not go there: it is told what to run there.
    client
        .batch_execute(
            "CREATE ROLE keeper LOGIN;
             GRANT EXECUTE ON FUNCTION groundskeeper.schedule_maintenance, groundskeeper.unschedule_maintenance,
                 groundskeeper_internal.run_step, groundskeeper_internal.overdue_runs TO keeper;
             GRANT EXECUTE ON PROCEDURE groundskeeper_internal.run_one, groundskeeper.run_scheduled, groundskeeper.run_overdue TO keeper",
        )
        .unwrap();
    let mut keeper = server.connect(BETTING, "keeper").unwrap();
    let refused =
        groundskeeper_tests::sql::refusal(&mut keeper, "SELECT groundskeeper.schedule_maintenance()")
            .unwrap();
    assert_eq!(refused.code, "42501", "it is the superuser's: {refused:?}");
    call(&mut client, "unschedule_maintenance()");
    assert_eq!(texts(&mut cron, "SELECT jobname FROM cron.job").unwrap(), ["mine"]);
    let by_hand = call(&mut keeper, "schedule_maintenance()");
    assert!(by_hand.iter().all(|row| row.scheduler == "none"), "{by_hand:#?}");
    for row in &by_hand {
        assert!(row.command.starts_with("SELECT cron.schedule_in_database("), "{row:?}");
        cron.batch_execute(&row.command).unwrap();
    }
    let owners = "SELECT DISTINCT username FROM cron.job WHERE database = 'betting'";
    assert_eq!(texts(&mut cron, owners).unwrap(), ["keeper"]);
    let before = count(&mut client);
    until("a run as that role", 70, || count(&mut client) > before);
    let who = "SELECT who FROM public.noted ORDER BY at DESC LIMIT 1";
    assert_eq!(text(&mut client, who).unwrap(), "keeper keeper");
}

/// Jobs of ours by database.
const OURS: &str = "SELECT coalesce(string_agg(format('%s %s', database, n), ', ' ORDER BY database), '')
                      FROM (SELECT database, count(*) AS n FROM cron.job WHERE jobname ~ '^groundskeeper' GROUP BY 1) j";

#[test]
fn no_job_is_left_of_a_database_role_or_extension_that_is_gone() {
    if groundskeeper_tests::lacks("pg_cron") {
        return;
    }
    let (server, mut client) = betting(&with_cron("cronhome"));
    server.create_database("cronhome", "template0").unwrap();
    let mut cron = server.connect("cronhome", SUPERUSER).unwrap();
    cron.batch_execute("CREATE EXTENSION pg_cron").unwrap();
    call(&mut client, "schedule_maintenance()");
    assert_eq!(text(&mut cron, OURS).unwrap(), "betting 7, cronhome 1");
    // Renamed, and scheduled anew.
    let mut admin = server.connect("postgres", SUPERUSER).unwrap();
    drop(client);
    let rename = |admin: &mut Client, from: &str, to: &str| {
        until("nobody in the database", 60, || {
            admin.batch_execute(&format!("ALTER DATABASE {from} RENAME TO {to}")).is_ok()
        });
    };
    rename(&mut admin, BETTING, "bet2");
    let mut client = server.connect("bet2", SUPERUSER).unwrap();
    call(&mut client, "schedule_maintenance()");
    assert_eq!(text(&mut cron, OURS).unwrap(), "bet2 7, cronhome 1");
    // Another role's jobs go when somebody else takes over, and those of one that is called otherwise.
    client.batch_execute("CREATE ROLE keeper SUPERUSER LOGIN").unwrap();
    call(&mut server.connect("bet2", "keeper").unwrap(), "schedule_maintenance()");
    let whose = "SELECT DISTINCT username FROM cron.job";
    assert_eq!(texts(&mut cron, whose).unwrap(), ["keeper"]);
    client.batch_execute("ALTER ROLE keeper RENAME TO keeper3").unwrap();
    let lost = "SELECT DISTINCT last_error FROM monitoring.maintenance_status";
    let said = texts(&mut client, lost).unwrap();
    assert!(said.len() == 1 && said[0].starts_with("role keeper does not exist any more"), "{said:?}");
    call(&mut server.connect("bet2", "keeper3").unwrap(), "schedule_maintenance()");
    assert_eq!(texts(&mut cron, whose).unwrap(), ["keeper3"]);
    assert_eq!(text(&mut cron, OURS).unwrap(), "bet2 7, cronhome 1");
    // Dropped, but not when that is taken back.
    client.batch_execute("BEGIN; DROP EXTENSION pg_groundskeeper; ROLLBACK").unwrap();
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    until("no job", 30, || text(&mut cron, OURS).unwrap().is_empty());
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    call(&mut client, "schedule_maintenance()");
    call(&mut client, "unschedule_maintenance()");
    assert!(text(&mut cron, OURS).unwrap().is_empty());
    // Nobody of ours is left to do it: what looks on does.
    call(&mut client, "schedule_maintenance()");
    drop(client);
    rename(&mut admin, "bet2", "\"it's bet3\"");
    until("the jobs leave", 190, || text(&mut cron, OURS).unwrap().is_empty());
    let said = server.log();
    assert!(said.contains("takes its jobs for database bet2 off pg_cron"), "{said}");
    let mut client = server.connect("it's bet3", SUPERUSER).unwrap();
    call(&mut client, "schedule_maintenance()");
    assert_eq!(text(&mut cron, OURS).unwrap(), "cronhome 1, it's bet3 7");
    drop(client);
    admin.batch_execute("DROP DATABASE \"it's bet3\" WITH (FORCE)").unwrap();
    admin.batch_execute("CREATE DATABASE \"it's bet3\"").unwrap();
    until("the jobs leave again", 190, || text(&mut cron, OURS).unwrap().is_empty());
}

#[test]
fn in_the_same_database_no_job_outlives_the_extension_or_its_role() {
    if groundskeeper_tests::lacks("pg_cron") {
        return;
    }
    let (server, mut client) = betting(&with_cron(BETTING));
    client.batch_execute("CREATE EXTENSION pg_cron; CREATE ROLE keeper SUPERUSER LOGIN").unwrap();
    call(&mut server.connect(BETTING, "keeper").unwrap(), "schedule_maintenance()");
    assert_eq!(text(&mut client, OURS).unwrap(), "betting 7");
    client.batch_execute("ALTER ROLE keeper RENAME TO keeper3").unwrap();
    call(&mut server.connect(BETTING, "keeper3").unwrap(), "schedule_maintenance()");
    assert_eq!(text(&mut client, OURS).unwrap(), "betting 7");
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    until("no job", 30, || text(&mut client, OURS).unwrap().is_empty());
}
