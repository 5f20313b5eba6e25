//! Killed at any moment and run again; two runs at once.

use std::thread::{sleep, spawn};
use std::time::Duration;

use groundskeeper_sandbox::server::Options;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};

use super::{assert_complete, count, installed, migrate, simulate};

const CALL: &str = "CALL groundskeeper.migrate_to_staging(batch_size => 200)";

#[test]
fn killed_at_any_moment_and_run_again_leaves_no_gap_and_no_duplicate() {
    let server = Options::default().start().unwrap();
    let base = server.base().to_owned();
    let db =
        TestDb::on(groundskeeper_sandbox::server::Server::attach(&base).unwrap(), Template::ShapeA).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    simulate(&mut db.client().unwrap(), 20_000);
    for pause in [5, 40, 150, 300, 20, 500, 90, 700] {
        let mut worker = db.client().unwrap();
        let call = spawn(move || worker.batch_execute(CALL));
        sleep(Duration::from_millis(pause));
        server.kill_9().unwrap();
        server.up().unwrap();
        let _ = call.join().unwrap();
    }
    let mut client = db.client().unwrap();
    let staged = count(&mut client, "staging.moneylines");
    assert!(staged > 0, "the kills left nothing to resume from");
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    // All that any run did is accounted for, the killed ones' batches too.
    let sums = "SELECT format('%s %s', sum(successful), (SELECT count(*) FROM staging.moneylines))
                  FROM groundskeeper.migration_runs WHERE bet_type = 'moneyline'";
    let sums = text(&mut client, sums).unwrap();
    let (processed, staged) = sums.split_once(' ').unwrap();
    assert_eq!(processed, staged);
    let open =
        "public.pipeline_execution_log WHERE status = 'running' OR records_processed <> records_successful";
    assert_eq!(count(&mut client, open), 0);
    let interrupted = "groundskeeper.migration_runs WHERE error = 'interrupted'";
    assert!(count(&mut client, interrupted) > 0);
}

#[test]
fn a_terminated_or_cancelled_run_does_not_hold_up_the_next() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 20_000);
    for stop in ["pg_cancel_backend", "pg_terminate_backend"] {
        let mut worker = db.client().unwrap();
        let pid = text(&mut worker, "SELECT pg_backend_pid()").unwrap();
        // The session lives on after the cancel.
        let call = spawn(move || (worker.batch_execute(CALL).is_err(), worker));
        sleep(Duration::from_millis(300));
        client.batch_execute(&format!("SELECT {stop}({pid})")).unwrap();
        let (stopped, _worker) = call.join().unwrap();
        assert!(stopped, "{stop} came too late");
        assert_eq!(count(&mut client, "groundskeeper.migration_runs WHERE state = 'running'"), 3);
        let mut other = db.client().unwrap();
        other.batch_execute("CALL groundskeeper.migrate_to_staging('spread')").unwrap();
        assert_eq!(
            count(
                &mut client,
                "groundskeeper.migration_runs WHERE state = 'running' AND bet_type = 'spread'"
            ),
            0
        );
    }
    migrate(&mut client);
    assert_complete(&mut client);
}

#[test]
fn a_second_run_at_the_same_time_skips() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 20_000);
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let mut worker = db.client().unwrap();
            spawn(move || worker.batch_execute(CALL))
        })
        .collect();
    for call in calls {
        call.join().unwrap().unwrap();
    }
    migrate(&mut client);
    assert_complete(&mut client);
    let sums = "SELECT format('%s %s', sum(processed), (SELECT count(*) FROM staging.totals))
                  FROM groundskeeper.migration_runs WHERE bet_type = 'total'";
    let sums = text(&mut client, sums).unwrap();
    assert_eq!(sums.split_once(' ').map(|(processed, staged)| processed == staged), Some(true), "{sums}");
    let failed = "SELECT error FROM groundskeeper.migration_runs WHERE state <> 'completed'";
    assert_eq!(texts(&mut client, failed).unwrap(), [""; 0]);
}

#[test]
fn records_that_are_written_meanwhile_are_not_lost() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 2_000);
    let mut writer = db.client().unwrap();
    let collecting = spawn(move || {
        for n in 0..300 {
            let insert = format!(
                "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points)
                 VALUES ('FEED', 'live {}', 'book', 8.5)",
                n % 20
            );
            writer.batch_execute(&insert).unwrap();
            let touch = "UPDATE raw_data.moneylines_raw SET home_odds = home_odds + 1, updated_at = now() WHERE id = $1";
            writer.execute(touch, &[&i64::from(n)]).unwrap();
        }
    });
    while !collecting.is_finished() {
        migrate(&mut client);
    }
    collecting.join().unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    let stale = "staging.moneylines s JOIN raw_data.moneylines_raw r ON r.id = s.raw_id
                  WHERE s.home_odds IS DISTINCT FROM r.home_odds";
    assert_eq!(count(&mut client, stale), 0);
}
