//! Without pg_cron the launcher runs the same entries.

use super::*;
use std::process::Command;

fn preloaded() -> Options {
    Options::default().preload("pg_groundskeeper")
}

#[test]
fn entries_run_at_their_times_as_the_role_that_scheduled_them() {
    let (server, mut client) = betting(&preloaded());
    client
        .batch_execute(
            "CREATE ROLE keeper LOGIN; ALTER ROLE keeper SET statement_timeout = '1ms'; CREATE SCHEMA own AUTHORIZATION keeper;
             GRANT EXECUTE ON FUNCTION groundskeeper.schedule_maintenance, groundskeeper.unschedule_maintenance,
                 groundskeeper_internal.run_step, groundskeeper_internal.overdue_runs, groundskeeper.update_table_statistics, groundskeeper.prune_history,
                 groundskeeper.record_metrics, groundskeeper.check_alerts TO keeper; GRANT pg_monitor TO keeper;
             GRANT EXECUTE ON PROCEDURE groundskeeper_internal.run_one, groundskeeper.run_scheduled, groundskeeper.run_overdue TO keeper",
        )
        .unwrap();
    noting(&mut client, "* * * * *");
    let mut keeper = server.connect(BETTING, "keeper").unwrap();
    keeper.batch_execute("SET statement_timeout = 0").unwrap();
    let scheduled = call(&mut keeper, "schedule_maintenance('Europe/Berlin')");
    assert_eq!(scheduled.len(), 7);
    assert!(scheduled.iter().all(|row| row.scheduler == "launcher"), "{scheduled:?}");
    assert_eq!(call(&mut keeper, "schedule_maintenance('Europe/Berlin')"), scheduled, "repeatable");
    assert_eq!(count(&mut client), 0, "not before its time");
    until("the second of two runs", 130, || count(&mut client) >= 2);
    let runs = "SELECT DISTINCT who || ' ' || settings FROM public.noted";
    assert_eq!(texts(&mut client, runs).unwrap(), ["keeper keeper 0 Europe/Berlin"]);
    let minutes = "SELECT count(*) = count(DISTINCT date_trunc('minute', at)) AND bool_and(extract(second FROM at) < 30) FROM public.noted";
    assert_eq!(text(&mut client, minutes).unwrap(), "true", "once each, soon after the minute began");
    for task in ["note", "metrics", "alerts"] {
        assert_eq!(status(&mut client, task), "launcher t t 0");
    }
    let next = "SELECT next_run > last_run AND next_run <= now() + interval '61 s' FROM monitoring.maintenance_status WHERE task = 'note'";
    assert_eq!(text(&mut client, next).unwrap(), "true");

    let gone = call(&mut keeper, "unschedule_maintenance()");
    assert_eq!(gone.len(), 7);
    let runs = count(&mut client);
    sleep(Duration::from_secs(62));
    assert_eq!(count(&mut client), runs);
    assert!(call(&mut keeper, "unschedule_maintenance()").is_empty());
}

#[test]
fn an_outage_is_made_up_once_and_databases_without_a_schedule_are_left_alone() {
    let (server, mut client) = betting(&preloaded());
    server.create_database("other", "template0").unwrap();
    noting(&mut client, "0 * * * *");
    call(&mut client, "schedule_maintenance()");
    until("no worker but the launcher", 30, || workers(&server) == ["pg_groundskeeper launcher "]);
    client
        .batch_execute("UPDATE groundskeeper.schedule SET enabled = false WHERE job_name = 'statistics'")
        .unwrap();
    back_date(&mut client);
    server.stop(groundskeeper_sandbox::server::StopMode::Fast).unwrap();
    server.up().unwrap();
    let mut client = server.connect(BETTING, SUPERUSER).unwrap();
    until("the run that was missed", 30, || count(&mut client) == 1);
    sleep(Duration::from_secs(5));
    // Unless the hour has just begun.
    assert!(count(&mut client) <= 2);
    assert_eq!(
        status(&mut client, "statistics"),
        "none f f 0".replace("none", "launcher"),
        "not enabled, not run"
    );
    // What has a connection stands in the way of these.
    until("nobody in the database", 20, || workers(&server) == ["pg_groundskeeper launcher "]);
    drop(client);
    server.connect("postgres", SUPERUSER).unwrap().batch_execute("DROP DATABASE betting").unwrap();
    sleep(Duration::from_secs(2));
    assert_eq!(workers(&server), ["pg_groundskeeper launcher "]);
}

#[test]
fn a_call_runs_as_the_role_that_scheduled_it() {
    let (server, mut client) = betting(&preloaded());
    client.batch_execute(MIGRATION).unwrap();
    client
        .batch_execute(
            "UPDATE groundskeeper.schedule SET enabled = false WHERE job_name <> 'migration';
             CREATE ROLE loader LOGIN; ALTER ROLE loader SET default_transaction_isolation = 'serializable';
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA staging, public TO loader;
             GRANT SELECT, INSERT, UPDATE ON public.pipeline_execution_log TO loader;
             GRANT EXECUTE ON ROUTINE groundskeeper.schedule_maintenance, groundskeeper_internal.run_step, groundskeeper_internal.overdue_runs,
                 groundskeeper_internal.run_one, groundskeeper.run_scheduled, groundskeeper.run_overdue,
                 groundskeeper.migrate_to_staging, groundskeeper_internal.start_migration, groundskeeper_internal.migration_step,
                 groundskeeper_internal.fail_migration TO loader",
        )
        .unwrap();
    let scheduled = call(&mut server.connect(BETTING, "loader").unwrap(), "schedule_maintenance()");
    assert_eq!(scheduled.len(), 1, "{scheduled:?}");
    back_date(&mut client);
    call(&mut server.connect(BETTING, "loader").unwrap(), "schedule_maintenance()");
    until("the migration", 60, || status(&mut client, "migration") == "launcher t t 0");
    let staged = "SELECT count(*) FROM staging.totals";
    assert_eq!(text(&mut client, staged).unwrap(), "70", "{}", server.log());
    let by = "SELECT DISTINCT started_by || state FROM groundskeeper.migration_runs";
    assert_eq!(texts(&mut client, by).unwrap(), ["loadercompleted"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM public.pipeline_execution_log").unwrap(), "3");
}

#[test]
fn failures_are_counted_and_repeated_after_a_pause() {
    let (server, mut client) = betting(&preloaded());
    client
        .batch_execute(
            "CREATE SEQUENCE public.tries;
             CREATE FUNCTION public.try() RETURNS void LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('public.tries') < 2 THEN RAISE EXCEPTION 'not yet'; END IF;
             END $$;
             INSERT INTO groundskeeper.schedule (job_name, schedule, command)
             VALUES ('fails', '0 0 1 1 *', 'SELECT public.try()'),
                    ('broken', '0 0 1 1 *', 'SELECT FROM nowhere')",
        )
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    client
        .batch_execute("UPDATE groundskeeper.schedule SET scheduled_at = now() - interval '2 years'")
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    until("the first failure", 30, || status(&mut client, "fails").contains("t f 1 not yet (P0001)"));
    until("the other", 30, || status(&mut client, "broken").contains("42P01"));
    let next = "SELECT next_run - last_run = interval '1 minute' FROM monitoring.maintenance_status WHERE task = 'fails'";
    assert_eq!(text(&mut client, next).unwrap(), "true");
    sleep(Duration::from_secs(10));
    assert_eq!(text(&mut client, "SELECT last_value FROM public.tries").unwrap(), "1", "no storm");
    until("success at last", 90, || status(&mut client, "fails") == "launcher t t 0");
    assert_eq!(text(&mut client, "SELECT last_value FROM public.tries").unwrap(), "2");
    until("the broken one again", 60, || status(&mut client, "broken").starts_with("launcher t f 2"));
    drop(server);
}

#[test]
fn a_run_that_is_killed_counts_as_failed_and_is_made_up() {
    let (server, mut client) = betting(&preloaded());
    noting(&mut client, "0 0 1 1 *");
    client
        .batch_execute(
            "CREATE TABLE public.slow (yes boolean); INSERT INTO public.slow VALUES (true);
             UPDATE groundskeeper.schedule
                SET command = 'DO $$ BEGIN WHILE (SELECT yes FROM public.slow) LOOP PERFORM pg_sleep(0.1); END LOOP; END $$'
              WHERE job_name = 'note'",
        )
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    client
        .batch_execute("UPDATE groundskeeper.schedule SET scheduled_at = now() - interval '2 years'")
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    let seen = "SELECT running || ' ' || consecutive_failures FROM monitoring.maintenance_status WHERE task = 'note'";
    until("the run", 30, || text(&mut client, seen).unwrap() == "true 0");
    let running = "SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid)
                    WHERE backend_type = 'pg_groundskeeper scheduled run' AND locktype = 'userlock'";
    // While it runs, it is not started a second time, whoever asks.
    client.batch_execute("CALL groundskeeper.run_scheduled('note')").unwrap();
    let pid = texts(&mut client, running).unwrap().remove(0);
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    // Connections are let in until the server has noticed.
    until("the end of all sessions", 60, || client.batch_execute("SELECT").is_err());
    until("the server up again", 60, || {
        server.connect(BETTING, SUPERUSER).is_ok_and(|back| {
            client = back;
            true
        })
    });
    // On a busy machine the run that makes up for it may have begun by now.
    let lost = status(&mut client, "note");
    assert!(lost.starts_with("launcher t f 1"), "{lost}");
    let again = text(&mut client, seen).unwrap() == "true 1";
    assert!(again || lost.ends_with("its run was lost; see the server log"), "{lost}");
    client.batch_execute("UPDATE public.slow SET yes = false").unwrap();
    until("the run made up for", 120, || status(&mut client, "note") == "launcher t t 0");
}

#[test]
fn a_lost_role_is_a_failure_that_shows() {
    let (server, mut client) = betting(&preloaded());
    client.batch_execute("CREATE ROLE boss SUPERUSER LOGIN").unwrap();
    noting(&mut client, "0 0 1 1 *");
    let mut boss = server.connect(BETTING, "boss").unwrap();
    call(&mut boss, "schedule_maintenance()");
    client
        .batch_execute("ALTER ROLE boss NOLOGIN; UPDATE groundskeeper.schedule SET scheduled_at = now() - interval '2 years'")
        .unwrap();
    call(&mut boss, "unschedule_maintenance()");
    let refused =
        groundskeeper_tests::sql::refusal(&mut boss, "SELECT groundskeeper.schedule_maintenance()").unwrap();
    assert_eq!(refused.code, "28000", "{refused:?}");
    assert!(refused.hint.contains("ALTER ROLE boss LOGIN"), "{refused:?}");
    client.batch_execute("ALTER ROLE boss LOGIN").unwrap();
    call(&mut boss, "schedule_maintenance()");
    client
        .batch_execute("ALTER ROLE boss NOLOGIN; UPDATE groundskeeper.schedule SET scheduled_at = now() - interval '2 years'")
        .unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    until("the failure", 30, || status(&mut client, "note").contains("t f 1 role boss may not log in"));
    assert_eq!(count(&mut client), 0);
    client.batch_execute("ALTER ROLE boss LOGIN").unwrap();
    until("the repetition", 90, || count(&mut client) == 1);
}

#[test]
fn a_copy_is_quiet_until_it_is_resumed() {
    let (server, mut client) = betting(&preloaded());
    noting(&mut client, "0 * * * *");
    client
        .batch_execute("UPDATE groundskeeper.schedule SET schedule = '30 4 * * *', enabled = false WHERE job_name = 'history'")
        .unwrap();
    call(&mut client, "schedule_maintenance()");
    until("a look", 30, || workers(&server) == ["pg_groundskeeper launcher "]);
    back_date(&mut client);
    let dump = server.dump(BETTING, &[]).unwrap();
    server.create_database("copy", "template0").unwrap();
    server.restore("copy", &dump).unwrap();
    let mut copy = server.connect("copy", SUPERUSER).unwrap();
    let asleep = "SELECT DISTINCT concat_ws(' ', scheduler, next_run, last_error, overdue) FROM monitoring.maintenance_status
                   WHERE task <> 'history'";
    let quiet = "launcher this database is a copy, which runs nothing until groundskeeper.resume() f";
    assert_eq!(texts(&mut copy, asleep).unwrap(), [quiet]);
    let why =
        "SELECT state || ' ' || detail FROM groundskeeper.check_alerts() WHERE rule = 'maintenance_overdue'";
    let no_data = "no_data this database is a copy, which runs nothing until groundskeeper.resume()";
    assert_eq!(text(&mut copy, why).unwrap(), no_data);
    let entries = "SELECT s FROM groundskeeper.schedule s ORDER BY job_name";
    assert_eq!(texts(&mut copy, entries).unwrap(), texts(&mut client, entries).unwrap());
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    until("the original's run", 30, || count(&mut client) == 1);
    copy.batch_execute("CALL groundskeeper.run_overdue()").unwrap();
    copy.batch_execute("CALL groundskeeper.run_scheduled('note')").unwrap();
    assert_eq!(count(&mut copy), 0);
    copy.batch_execute("SELECT groundskeeper.resume()").unwrap();
    let awake = "SELECT bool_and(next_run > now() AND last_error IS NULL) FROM monitoring.maintenance_status
                  WHERE task <> 'history'";
    assert_eq!(text(&mut copy, awake).unwrap(), "true");
    copy.batch_execute("UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '1 day'")
        .unwrap();
    copy.batch_execute("SELECT pg_reload_conf()").unwrap();
    until("the copy's run", 30, || count(&mut copy) == 1);
}

const LAUNCHER: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper launcher'";
const ALERTS: &str = "SELECT string_agg(rule || ' ' || state, ', ' ORDER BY rule) FROM groundskeeper.alerts
                       WHERE rule IN ('heartbeat', 'maintenance_overdue')";

#[test]
fn whatever_is_told_to_end_comes_back() {
    let (server, mut client) = betting(&preloaded());
    noting(&mut client, "* * * * *");
    call(&mut client, "schedule_maintenance()");
    until("a run", 80, || count(&mut client) >= 1);
    // A job that waits for a lock, so that there are a dispatcher and a worker, too.
    client
        .batch_execute("CREATE TABLE public.busy (n integer); CREATE INDEX busy_n ON public.busy (n)")
        .unwrap();
    let mut holder = server.connect(BETTING, SUPERUSER).unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE public.busy IN ROW EXCLUSIVE MODE").unwrap();
    client.batch_execute("SELECT groundskeeper.reindex('public.busy_n')").unwrap();
    let kinds = "SELECT DISTINCT backend_type FROM pg_stat_activity WHERE backend_type ~ 'groundskeeper (job|dispatcher|launcher)' ORDER BY 1";
    until("the job", 30, || texts(&mut client, kinds).unwrap().len() == 3);
    let old = text(&mut client, LAUNCHER).unwrap();
    // As before a deployment.
    client
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        .unwrap();
    until("the launcher's end", 10, || texts(&mut client, LAUNCHER).unwrap() != [old.clone()]);
    if texts(&mut client, LAUNCHER).unwrap().is_empty() {
        // One that is not running: it may be told to end later than the launcher is.
        let said = "SELECT last_error FROM monitoring.maintenance_status WHERE task = 'history'";
        let said = text(&mut client, said).unwrap();
        let back = !texts(&mut client, LAUNCHER).unwrap().is_empty();
        assert!(back || said.starts_with("the launcher of pg_groundskeeper does not run"), "{said}");
        let part = "SELECT state FROM groundskeeper.prerequisites() WHERE component = 'pg_groundskeeper'";
        let part = text(&mut client, part).unwrap();
        assert!(part == "partial" || !texts(&mut client, LAUNCHER).unwrap().is_empty());
    }
    until("another launcher", 30, || !texts(&mut client, LAUNCHER).unwrap().is_empty());
    let runs = count(&mut client);
    until("runs go on", 90, || count(&mut client) > runs);
    // Not the whole server was started anew, and the job goes on by itself.
    client.batch_execute("SELECT 1").unwrap();
    let done = "SELECT state FROM groundskeeper.jobs WHERE target = 'public.busy'";
    until("the job's end", 120, || text(&mut client, done).unwrap() == "succeeded");
    until("all well", 130, || status(&mut client, "alerts") == "launcher t t 0");
}

#[test]
fn long_runs_take_turns_and_what_watches_waits_for_none() {
    let (server, mut client) = betting(&preloaded().set("max_worker_processes", "8"));
    let mut others: Vec<Client> = (1..=4)
        .map(|n| {
            let name = format!("other{n}");
            server.create_database(&name, "template0").unwrap();
            let mut other = server.connect(&name, SUPERUSER).unwrap();
            other
                .batch_execute(
                    "CREATE EXTENSION pg_groundskeeper;
                     CREATE TABLE public.patience (seconds integer); INSERT INTO public.patience VALUES (600);
                     CREATE PROCEDURE public.slow() LANGUAGE plpgsql AS
                         $$ BEGIN COMMIT; PERFORM pg_sleep(seconds) FROM public.patience; END $$;
                     INSERT INTO groundskeeper.schedule (job_name, schedule, command)
                     VALUES ('slow', '* * * * *', 'CALL public.slow()')",
                )
                .unwrap();
            call(&mut other, "schedule_maintenance()");
            back_date(&mut other);
            other
        })
        .collect();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let calls =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper scheduled call'";
    until("two of the long ones", 60, || text(&mut client, calls).unwrap() == "2");
    // Who comes late is served all the same, and so are those whose long run waits.
    call(&mut client, "schedule_maintenance()");
    let started = Instant::now();
    let served = "SELECT count(*) = 2 FROM monitoring.maintenance_status
                   WHERE task IN ('alerts', 'metrics') AND last_success > now() - interval '75 seconds'";
    until("metrics of the late one", 180, || text(&mut client, served).unwrap() == "true");
    for other in &mut others {
        until("metrics of the others", 180 - started.elapsed().as_secs().min(170), || {
            text(other, served).unwrap() == "true"
        });
    }
    assert_eq!(text(&mut client, calls).unwrap(), "2", "no more than there is room for");
    assert!(text(&mut client, ALERTS).unwrap().ends_with("maintenance_overdue ok"));
    // The long ones are let go one after the other, and each has its turn.
    for other in &mut others {
        other.batch_execute("UPDATE public.patience SET seconds = 1").unwrap();
    }
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper scheduled call'";
    client.batch_execute(end).unwrap();
    for other in &mut others {
        until("a turn", 240, || status(other, "slow").starts_with("launcher t t 0"));
    }
}

#[test]
fn without_a_free_worker_the_status_and_the_alerts_say_so() {
    // The two launchers, and one for a scheduler that finds none for its runs.
    let (_server, mut client) = betting(&preloaded().set("max_worker_processes", "3"));
    call(&mut client, "schedule_maintenance()");
    back_date(&mut client);
    let said = "SELECT bool_and(overdue AND last_error ~ 'no background worker is free for it; max_worker_processes is 3$')
                  FROM monitoring.maintenance_status";
    // A worker that began before the others were there ends first.
    until("the reason", 60, || text(&mut client, said).unwrap() == "true");
    assert_eq!(text(&mut client, ALERTS).unwrap(), "heartbeat firing, maintenance_overdue firing");
}
