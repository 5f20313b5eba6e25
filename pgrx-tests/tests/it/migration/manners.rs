//! How a call behaves: when it is cancelled, when tables do not fit, and under settings of others.

use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb};
use postgres::Client;

use super::{NOTHING, assert_complete, count, installed, last_call, migrate, simulate, waited};

/// Makes the staging of one moneyline wait for whoever holds the advisory lock.
const GATE: &str = "
    CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
    CREATE TRIGGER gate AFTER INSERT ON staging.moneylines
        FOR EACH ROW WHEN (NEW.raw_id = 550) EXECUTE FUNCTION public.gate();
    SELECT pg_advisory_lock(4711)";

/// Both logs, each line with its state and reason.
fn logs(client: &mut Client) -> [Vec<String>; 2] {
    let ours = "SELECT format('%s %s', state, error) FROM groundskeeper.migration_runs ORDER BY run_id";
    let pipelines =
        "SELECT format('%s %s', status, error_message) FROM public.pipeline_execution_log ORDER BY id";
    [ours, pipelines].map(|log| texts(client, log).unwrap())
}

fn assert_written_down(client: &mut Client, reason: &str) {
    for log in logs(client) {
        assert!(!log.is_empty());
        for line in log {
            assert!(line.starts_with("failed ") && line.contains(reason), "{line}");
        }
    }
    let unfinished = "public.pipeline_execution_log WHERE end_time IS NULL";
    assert_eq!(count(client, unfinished), 0);
    assert_eq!(count(client, "groundskeeper.migration_runs WHERE finished_at IS NULL"), 0);
}

/// The next call does what is left, and whatever it says of itself, all calls together staged each row once.
fn assert_goes_on(client: &mut Client) {
    migrate(client);
    assert_complete(client);
    let sums = "SELECT sum(successful) FROM groundskeeper.migration_runs";
    let rows = "SELECT (SELECT count(*) FROM staging.moneylines) + (SELECT count(*) FROM staging.spreads)
                     + (SELECT count(*) FROM staging.totals)";
    assert_eq!(text(client, sums).unwrap(), text(client, rows).unwrap());
    migrate(client);
    assert_eq!(last_call(client), NOTHING);
}

#[test]
fn a_call_that_takes_too_long_is_written_down_before_its_error_is_seen() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 3_000);
    client.batch_execute(GATE).unwrap();
    let mut caller = db.client().unwrap();
    caller.batch_execute("SET statement_timeout = '1500ms'").unwrap();
    let refused = refusal(&mut caller, "CALL groundskeeper.migrate_to_staging(batch_size => 100)").unwrap();
    assert_written_down(&mut client, "statement timeout");
    assert_eq!(refused.code, "57014", "{refused:?}");
    client.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    // The session is as it was.
    assert_eq!(text(&mut caller, "SELECT current_setting('statement_timeout')").unwrap(), "1500ms");
    caller.batch_execute("SET statement_timeout = 0").unwrap();
    assert_goes_on(&mut caller);
}

#[test]
fn a_cancelled_call_is_written_down_before_its_error_is_seen() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 3_000);
    client.batch_execute(GATE).unwrap();
    let mut caller = db.client().unwrap();
    let pid: i32 = caller.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut seen = db.client().unwrap();
    let run = spawn(move || {
        let refused = refusal(&mut caller, "CALL groundskeeper.migrate_to_staging(batch_size => 100)");
        // At once, in the thread that has seen the error.
        let logs = logs(&mut seen);
        (refused.unwrap(), logs, caller)
    });
    let waiting =
        format!("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = {pid}");
    let deadline = Instant::now() + PATIENCE;
    while text(&mut client, &waiting).unwrap() == "0" {
        assert!(Instant::now() < deadline, "the gate was not come to");
        sleep(Duration::from_millis(5));
    }
    client.batch_execute(&format!("SELECT pg_cancel_backend({pid})")).unwrap();
    let (refused, logs, mut caller) = run.join().unwrap();
    assert_eq!(refused.code, "57014", "{refused:?}");
    for line in logs.iter().flatten() {
        assert!(line.starts_with("failed ") && line.contains("user request"), "{line}");
    }
    assert_written_down(&mut client, "user request");
    client.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    assert_goes_on(&mut caller);
}

#[test]
fn no_moment_of_a_timeout_leaves_a_run_behind() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 4_000);
    client
        .batch_execute(
            "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$;
             CREATE TRIGGER slow BEFORE INSERT ON staging.moneylines FOR EACH ROW EXECUTE FUNCTION public.slow()",
        )
        .unwrap();
    for n in 1..=25 {
        client.batch_execute(&format!("SET statement_timeout = '{}ms'", n * 11)).unwrap();
        let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging(batch_size => 7)");
        client.batch_execute("SET statement_timeout = 0").unwrap();
        let Ok(refused) = refused else { break };
        assert_eq!(refused.code, "57014", "{refused:?}");
        for log in logs(&mut client) {
            let odd: Vec<&String> = log
                .iter()
                .filter(|line| !line.starts_with("completed") && !line.contains("statement timeout"))
                .collect();
            assert!(odd.is_empty(), "{n}: {odd:?}");
        }
    }
    assert!(count(&mut client, "groundskeeper.migration_runs WHERE state = 'failed'") > 0);
    client.batch_execute("DROP TRIGGER slow ON staging.moneylines").unwrap();
    assert_goes_on(&mut client);
}

/// What does not fit, of two markets.
const UNFIT: [&str; 3] = [
    "raw_data.spreads_raw.spread_odds",
    "raw_data.totals_raw.collected_at",
    "staging.totals.validation_errors",
];

#[test]
fn an_unfit_market_does_not_keep_the_others_from_running() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 1_000);
    client
        .batch_execute(
            "ALTER TABLE raw_data.spreads_raw ALTER spread_odds TYPE text;
             ALTER TABLE raw_data.totals_raw RENAME collected_at TO taken_at;
             ALTER TABLE staging.totals DROP validation_errors",
        )
        .unwrap();
    // Once the others have run, the error of the call names all of it.
    let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging(batch_size => 1000)").unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    assert!(UNFIT.iter().all(|column| refused.detail.contains(column)), "{refused:?}");
    assert_eq!(count(&mut client, "staging.moneylines"), count(&mut client, "raw_data.moneylines_raw"));
    for staged in ["staging.spreads", "staging.totals"] {
        assert_eq!(count(&mut client, staged), 0, "{staged}");
    }
    let runs = "SELECT format('%s %s', bet_type, state) FROM groundskeeper.migration_runs ORDER BY bet_type";
    assert_eq!(texts(&mut client, runs).unwrap(), ["moneyline completed", "spread failed", "total failed"]);
    for (market, column) in [("spread", UNFIT[0]), ("total", UNFIT[1]), ("total", UNFIT[2])] {
        let error = format!(
            "groundskeeper.migration_runs WHERE bet_type = '{market}' AND error LIKE '%{column}%' AND finished_at IS NOT NULL"
        );
        assert_eq!(count(&mut client, &error), 1, "{market}: {column}");
    }
    let logged = "SELECT string_agg(status, ' ' ORDER BY source_table) FROM public.pipeline_execution_log";
    assert_eq!(text(&mut client, logged).unwrap(), "completed failed failed");

    // Where nothing of what was asked for can be done, it is an error.
    for (market, columns) in [("spread", &UNFIT[..1]), ("total", &UNFIT[1..])] {
        let call = format!("CALL groundskeeper.migrate_to_staging('{market}')");
        let refused = refusal(&mut client, &call).unwrap();
        assert_eq!(refused.code, "55000", "{refused:?}");
        let whole = [refused.message, refused.detail, refused.hint].concat();
        assert!(columns.iter().all(|column| whole.contains(column)), "{whole}");
    }
    client
        .batch_execute(
            "ALTER TABLE raw_data.spreads_raw ALTER spread_odds TYPE integer USING spread_odds::integer;
             ALTER TABLE raw_data.totals_raw RENAME taken_at TO collected_at;
             ALTER TABLE staging.totals ADD validation_errors jsonb",
        )
        .unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
}

#[test]
fn without_any_fit_market_it_is_an_error_that_names_everything() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 300);
    client
        .batch_execute(
            "ALTER TABLE raw_data.moneylines_raw RENAME sportsbook_name TO book;
             ALTER TABLE raw_data.spreads_raw RENAME source TO origin;
             ALTER TABLE raw_data.totals_raw RENAME game_external_id TO game",
        )
        .unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging()").unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    let whole = [refused.message, refused.detail, refused.hint].concat();
    for column in ["moneylines_raw.sportsbook_name", "spreads_raw.source", "totals_raw.game_external_id"] {
        assert!(whole.contains(column), "{whole}");
    }
    for table in ["staging.games", "staging.moneylines"] {
        assert_eq!(count(&mut client, table), 0, "{table}");
    }
}

#[test]
fn quoted_identifiers_are_no_others() {
    for everywhere in [false, true] {
        let db = TestDb::new(Template::ShapeA).unwrap();
        if everywhere {
            let set = format!("ALTER DATABASE {} SET quote_all_identifiers = on", db.name());
            db.client().unwrap().batch_execute(&set).unwrap();
        }
        db.install().unwrap();
        db.settle().unwrap();
        let mut client = db.client().unwrap();
        simulate(&mut client, 1_000);
        client.batch_execute("SET quote_all_identifiers = on").unwrap();
        migrate(&mut client);
        assert_complete(&mut client);
        assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
        client
            .batch_execute("UPDATE groundskeeper.quality_rules SET points = 90 WHERE rule = 'start'")
            .unwrap();
        for table in ["moneylines", "spreads", "totals", "games"] {
            let rescore = format!("SELECT groundskeeper.rescore('staging.{table}')");
            let job = text(&mut client, &rescore).unwrap();
            assert_eq!(waited(&mut client, &job), "succeeded", "{table}");
        }
        let best = "SELECT max(data_quality_score) FROM staging.games";
        assert_eq!(text(&mut client, best).unwrap(), "90.00");
        client.batch_execute("UPDATE raw_data.totals_raw SET over_odds = -133 WHERE id = 3").unwrap();
        migrate(&mut client);
        assert_eq!(last_call(&mut client)[2], "total 1/1");
    }
}
