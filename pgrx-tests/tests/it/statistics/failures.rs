//! A relation that fails does not stop the others.

use super::*;
use groundskeeper_tests::sql::refusal;
use std::thread;
use std::time::Duration;

#[test]
fn missing_locked_and_broken_relations_stay_alone() {
    let (db, mut client) = looked_after();
    client
        .batch_execute(
            "CREATE TABLE staging.divisor (n integer);
             INSERT INTO staging.divisor VALUES (1);
             CREATE MATERIALIZED VIEW staging.a_broken AS SELECT 1 / n AS q FROM staging.divisor;
             SELECT groundskeeper.maintain('staging.a_broken');
             UPDATE staging.divisor SET n = 0;
             DROP TABLE staging.totals CASCADE;
             SET groundskeeper.lock_timeout = '50ms'",
        )
        .unwrap();
    change(
        &mut client,
        "UPDATE staging.moneylines SET updated_at = now(); UPDATE staging.games SET season = 2025",
    );
    let mut holder = db.client().unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE staging.games IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
    let outcomes = update(&mut client);
    assert_eq!(of(&outcomes, "staging.totals").reason, "it does not exist");
    let locked = of(&outcomes, "staging.games");
    assert_eq!(locked.action, "failed");
    assert!(locked.reason.contains("55P03"), "{locked:?}");
    let broken = of(&outcomes, "staging.a_broken");
    assert_eq!(broken.action, "failed");
    assert!(broken.reason.contains("division by zero"), "{broken:?}");
    for (relation, action) in [
        ("staging.moneylines", "analyzed"),
        ("staging.daily_game_stats", "refreshed"),
        ("staging.sportsbook_quality_metrics", "refreshed"),
    ] {
        assert_eq!(of(&outcomes, relation).action, action, "{outcomes:#?}");
    }
    let logged = "SELECT relation FROM groundskeeper.maintenance_log WHERE action = 'failed' ORDER BY 1";
    assert_eq!(texts(&mut client, logged).unwrap(), ["staging.a_broken", "staging.games"]);
    holder.batch_execute("ROLLBACK").unwrap();
    client.batch_execute("UPDATE staging.divisor SET n = 2").unwrap();
    assert_eq!(touched(&update(&mut client)), ["staging.games analyzed", "staging.a_broken refreshed"]);
}

/// A run that has begun, and waits for the first table.
fn held_up(db: &TestDb) -> (Client, thread::JoinHandle<Vec<Outcome>>) {
    let mut holder = db.client().unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE raw_data.moneylines_raw IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
    let mut runner = db.client().unwrap();
    runner.batch_execute("SELECT groundskeeper.resume(); SET groundskeeper.lock_timeout = '20s'").unwrap();
    let run = thread::spawn(move || call(&mut runner, "update_table_statistics(true)"));
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ 'update_table_statistics'";
    let mut watcher = db.client().unwrap();
    for _ in 0..1000 {
        if text(&mut watcher, waiting).unwrap() == "1" {
            return (holder, run);
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the run does not wait");
}

#[test]
fn a_second_run_skips_and_says_so() {
    let (db, mut client) = looked_after();
    let (mut holder, run) = held_up(&db);
    let second = call(&mut client, "update_table_statistics(true)");
    assert_eq!(second.len(), PLAN.len());
    assert!(second.iter().all(|o| o.action == "skipped" && o.reason.contains("another run")), "{second:#?}");
    holder.batch_execute("ROLLBACK").unwrap();
    assert!(run.join().unwrap().iter().all(|o| o.action != "skipped"));
    // Over with the run: neither an error nor the end of the session leaves the post taken.
    client.batch_execute("BEGIN; SELECT FROM update_table_statistics()").unwrap();
    let refused = refusal(&mut client, "SELECT 1 / 0").unwrap();
    assert_eq!(refused.code, "22012");
    let mut other = db.client().unwrap();
    assert_eq!(of(&update(&mut other), "staging.games").action, "skipped");
    client.batch_execute("ROLLBACK").unwrap();
    assert!(!of(&update(&mut other), "staging.games").reason.contains("another run"));
}

#[test]
fn a_relation_that_is_dropped_in_the_middle_of_a_run_is_skipped() {
    let (db, mut client) = looked_after();
    let (mut holder, run) = held_up(&db);
    client
        .batch_execute("DROP MATERIALIZED VIEW staging.daily_game_stats; DROP TABLE staging.spreads CASCADE")
        .unwrap();
    holder.batch_execute("ROLLBACK").unwrap();
    let outcomes = run.join().unwrap();
    for relation in ["staging.daily_game_stats", "staging.spreads"] {
        assert_eq!(of(&outcomes, relation).reason, "it does not exist any more", "{outcomes:#?}");
    }
    assert_eq!(touched(&outcomes).len(), PLAN.len() - 2, "{outcomes:#?}");
}

#[test]
fn an_empty_database_is_no_error() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let outcomes = update(&mut db.client().unwrap());
    assert_eq!(outcomes.len(), PLAN.len());
    assert!(outcomes.iter().all(|o| o.reason == "it does not exist"), "{outcomes:#?}");
}
