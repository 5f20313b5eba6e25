//! Runs that die, and runs that meet.

use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_sandbox::raw::Market;
use groundskeeper_sandbox::server::{Options, SUPERUSER, Server};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb};
use postgres::Client;

use super::{assert_complete, count, installed, listening, migrate, simulate};

/// Batches so small that there are many of them.
const CALL: &str = "CALL groundskeeper.migrate_to_staging(batch_size => 100)";

/// Makes the writing of one row wait for whoever holds the advisory lock.
const GATES: &str = "
    CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(4711);
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate AFTER INSERT ON staging.games EXECUTE FUNCTION public.gate();
    CREATE TRIGGER gate_first AFTER INSERT ON staging.moneylines
        FOR EACH ROW WHEN (NEW.raw_id = 1) EXECUTE FUNCTION public.gate();
    CREATE TRIGGER gate_middle AFTER INSERT ON staging.moneylines
        FOR EACH ROW WHEN (NEW.raw_id = 550) EXECUTE FUNCTION public.gate();
    CREATE TRIGGER gate AFTER INSERT ON staging.spreads
        FOR EACH ROW WHEN (NEW.raw_id = 120) EXECUTE FUNCTION public.gate();
    CREATE TRIGGER gate AFTER INSERT ON staging.totals
        FOR EACH ROW WHEN (NEW.raw_id = 733) EXECUTE FUNCTION public.gate()";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Calls the migration in a session of its own; its process id, and whether it ended well.
fn call(db: &TestDb) -> (i32, JoinHandle<bool>) {
    let mut client = db.client().unwrap();
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    (pid, spawn(move || client.batch_execute(CALL).is_ok()))
}

/// Waits until a session stands at a gate; false where it has gone through all of them.
fn at_gate<T>(client: &mut Client, pid: i32, run: &JoinHandle<T>) -> bool {
    let waits =
        format!("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = {pid}");
    let mut waiting = false;
    until("the gate or the end", || {
        waiting = text(client, &waits).unwrap() == "1";
        waiting || run.is_finished()
    });
    waiting
}

fn raw_rows(client: &mut Client) -> i64 {
    Market::ALL.iter().map(|market| count(client, &market.raw_table())).sum()
}

/// Nothing is lost or there twice, and the runs, the dead ones too, say neither less nor more than was staged.
fn assert_staged_once(client: &mut Client) {
    assert_complete(client);
    let rows = raw_rows(client);
    assert_eq!(count(client, "groundskeeper.migration_failures"), 0);
    let sums = "SELECT format('%s %s %s', sum(processed), sum(successful), sum(failed)) FROM groundskeeper.migration_runs";
    assert_eq!(text(client, sums).unwrap(), format!("{rows} {rows} 0"));
    let logged = "SELECT format('%s %s', count(*), count(*) FILTER (WHERE status = 'running')) FROM public.pipeline_execution_log";
    let runs = count(client, "groundskeeper.migration_runs");
    assert_eq!(text(client, logged).unwrap(), format!("{runs} 0"));
}

/// Kills a run at each gate it comes to, opens that gate, and calls again.
fn die_at_each_gate(db: &TestDb, mut kill: impl FnMut(i32)) -> Client {
    let mut client = db.client().unwrap();
    client.batch_execute(GATES).unwrap();
    let gates = ["staging.games gate", "staging.moneylines gate_first", "staging.moneylines gate_middle"]
        .into_iter()
        .chain(["staging.spreads gate", "staging.totals gate"]);
    for gate in gates {
        client.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
        let (pid, run) = call(db);
        assert!(at_gate(&mut client, pid, &run), "{gate} was not come to");
        kill(pid);
        assert!(!run.join().unwrap(), "{gate}: the run survived");
        until("the server", || db.client().is_ok());
        client = db.client().unwrap();
        let gone = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND backend_type = 'client backend'"
        );
        until("the end of the session", || text(&mut client, &gone).unwrap() == "0");
        let (table, trigger) = gate.split_once(' ').unwrap();
        client.batch_execute(&format!("DROP TRIGGER {trigger} ON {table}")).unwrap();
    }
    client.batch_execute(CALL).unwrap();
    client
}

#[test]
fn a_terminated_run_goes_on_with_the_next_call() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    let mut client = die_at_each_gate(&db, |pid| {
        client.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    });
    assert_staged_once(&mut client);
    let interrupted = "groundskeeper.migration_runs WHERE state = 'failed' AND error = 'interrupted'";
    // The markets that were done stay done: each call begins all three.
    assert_eq!(count(&mut client, interrupted), 3 + 3 + 3 + 2 + 1);
}

#[test]
fn a_run_goes_on_after_the_whole_server_was_killed() {
    let server = Options::default().start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    simulate(&mut db.client().unwrap(), 5_000);
    let mut client = die_at_each_gate(&db, |_| {
        server.kill_9().unwrap();
        server.up().unwrap();
    });
    assert_staged_once(&mut client);
}

#[test]
fn the_server_may_be_killed_at_any_moment() {
    let server = Options::default().start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::ShapeA).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    simulate(&mut db.client().unwrap(), 20_000);
    let mut deaths = 0;
    for pause in [5, 40, 150, 300, 20, 500, 90, 700] {
        let (_, run) = call(&db);
        sleep(Duration::from_millis(pause));
        server.kill_9().unwrap();
        server.up().unwrap();
        deaths += i32::from(!run.join().unwrap());
    }
    assert!(deaths > 2, "only {deaths} runs died");
    let mut client = db.client().unwrap();
    migrate(&mut client);
    assert_staged_once(&mut client);
}

#[test]
fn the_session_may_be_terminated_at_any_moment() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    let mut deaths = 0;
    for moment in (1..40).map(|n| Duration::from_millis(n * 7)) {
        let (pid, run) = call(&db);
        sleep(moment);
        client.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
        deaths += i32::from(!run.join().unwrap());
    }
    assert!(deaths > 5, "only {deaths} runs died");
    migrate(&mut client);
    assert_staged_once(&mut client);
}

#[test]
fn a_cancelled_run_whose_session_lives_does_not_hold_up_the_next() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    client.batch_execute(GATES).unwrap();
    client.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let mut worker = db.client().unwrap();
    let pid = worker.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let run = spawn(move || (worker.batch_execute(CALL).is_ok(), worker));
    assert!(at_gate(&mut client, pid, &run));
    client.execute("SELECT pg_cancel_backend($1)", &[&pid]).unwrap();
    let (ended_well, worker) = run.join().unwrap();
    assert!(!ended_well);
    client.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    for (log, state, error) in [
        ("groundskeeper.migration_runs", "state", "error"),
        ("public.pipeline_execution_log", "status", "error_message"),
    ] {
        let ended =
            format!("{log} WHERE {state} = 'failed' AND {error} = 'canceling statement due to user request'");
        assert_eq!(count(&mut client, &ended), 3, "{log}");
    }
    client.batch_execute("CALL groundskeeper.migrate_to_staging('spread')").unwrap();
    migrate(&mut client);
    assert_staged_once(&mut client);
    drop(worker);
}

#[test]
fn a_second_run_skips_what_the_first_is_migrating() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    client.batch_execute(GATES).unwrap();
    client.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let (pid, first) = call(&db);
    assert!(at_gate(&mut client, pid, &first));

    let (mut second, notices) = listening(&db, SUPERUSER);
    second.batch_execute(CALL).unwrap();
    let notices: Vec<String> = notices.try_iter().collect();
    let skipped =
        Market::ALL.map(|market| format!("skipping {}: another session is migrating them", market.table()));
    assert_eq!(notices, skipped);
    assert_eq!(count(&mut client, "groundskeeper.migration_runs"), 3);

    client.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    assert!(first.join().unwrap(), "the first run failed");
    assert_staged_once(&mut client);
}

#[test]
fn a_scheduled_run_is_skipped_like_any_other() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    client.batch_execute(GATES).unwrap();
    client
        .batch_execute(
            "INSERT INTO groundskeeper.schedule (job_name, schedule, command)
             VALUES ('migration', '0 * * * *', 'CALL groundskeeper.migrate_to_staging(batch_size => 100)');
             SELECT groundskeeper.schedule_maintenance();
             UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '1 day';
             SELECT pg_advisory_lock(4711)",
        )
        .unwrap();
    let mut waiting = db.client().unwrap();
    let run = spawn(move || waiting.batch_execute("CALL groundskeeper.run_scheduled('migration')").is_ok());
    let worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper scheduled call'
                     AND datname = current_database()";
    let mut pid = Vec::new();
    until("the worker", || {
        pid = texts(&mut client, worker).unwrap();
        !pid.is_empty()
    });
    assert!(at_gate(&mut client, pid[0].parse().unwrap(), &run));
    // Between two batches nothing is locked: that it lives is seen otherwise.
    let (mut second, notices) = listening(&db, SUPERUSER);
    client.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    second.batch_execute("CALL groundskeeper.migrate_to_staging('total')").unwrap();
    let notices: Vec<String> = notices.try_iter().collect();
    assert_eq!(notices, ["skipping totals: another session is migrating them"]);
    assert!(run.join().unwrap(), "the scheduled run failed");
    assert_staged_once(&mut client);
}

#[test]
fn runs_at_once_beside_a_collector_stage_each_row_once() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    let mut collector = db.client().unwrap();
    let collecting = spawn(move || {
        for n in 0..200 {
            let one = format!(
                "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds,
                                                  under_odds, raw_data)
                 VALUES ('FEED', 'late {}', 'book', 8.5, -110, -110, '{{}}')",
                n / 3
            );
            collector.batch_execute(&one).unwrap();
            let touch = "UPDATE raw_data.moneylines_raw SET home_odds = home_odds + 1, updated_at = now() WHERE id = $1";
            collector.execute(touch, &[&i64::from(n)]).unwrap();
        }
    });
    let runs: Vec<JoinHandle<bool>> = (0..4)
        .map(|_| {
            let mut client = db.client().unwrap();
            spawn(move || (0..5).all(|_| client.batch_execute(CALL).is_ok()))
        })
        .collect();
    for run in runs {
        assert!(run.join().unwrap(), "a run failed beside others");
    }
    collecting.join().unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    for (market, column) in [("moneylines", "home_odds"), ("totals", "total_points")] {
        let stale = format!(
            "staging.{market} s JOIN raw_data.{market}_raw r ON r.id = s.raw_id WHERE s.{column} IS DISTINCT FROM r.{column}"
        );
        assert_eq!(count(&mut client, &stale), 0, "{market}");
    }
    let totals =
        "SELECT sum(processed) = (SELECT count(*) FROM staging.totals) FROM groundskeeper.migration_runs
                   WHERE bet_type = 'total'";
    assert_eq!(text(&mut client, totals).unwrap(), "true", "none was staged by two of them");
    let ended = "SELECT DISTINCT state FROM groundskeeper.migration_runs";
    assert_eq!(texts(&mut client, ended).unwrap(), ["completed"]);
}
