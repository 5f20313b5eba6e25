//! From ok to firing and back, and who hears of it.

use super::*;
use groundskeeper_tests::sql::{refusal, text, texts};

const RULE: &str = "migration_success_rate";

#[test]
fn it_fires_tells_clears_and_tells_again_once_each() {
    let (db, mut client) = watching_migrations();
    let mut listener = db.client().unwrap();
    run_sql(&mut listener, "LISTEN groundskeeper_alerts");
    assert_eq!(checked(&mut client, RULE), "no_data");
    migrated(&mut client, 99);
    assert_eq!(checked(&mut client, RULE), "ok");
    assert_eq!(told(&mut listener).len(), 0);

    migrated(&mut client, 90);
    for _ in 0..3 {
        assert_eq!(checked(&mut client, RULE), "firing");
    }
    let heard = told(&mut listener);
    assert_eq!(states(&heard), ["firing"]);
    let columns = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
                    WHERE attrelid = 'groundskeeper.alerts'::regclass AND attnum > 0";
    let keys: Vec<_> = heard[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.join(" "), text(&mut client, columns).unwrap());
    assert_eq!((heard[0]["rule"].as_str(), heard[0]["value"].as_f64()), (Some(RULE), Some(90.0)));
    assert_eq!(heard[0]["threshold"].as_f64(), Some(98.0));

    // Missing data is no recovery.
    run_sql(&mut client, "TRUNCATE public.pipeline_execution_log");
    assert_eq!(checked(&mut client, RULE), "firing");
    assert!(detail(&mut client, RULE).starts_with("no data any more, so still firing: no run"));
    migrated(&mut client, 99);
    for _ in 0..3 {
        assert_eq!(checked(&mut client, RULE), "resolved");
    }
    let heard = told(&mut listener);
    assert_eq!(states(&heard), ["resolved"]);
    let history = "SELECT state || ' ' || value FROM groundskeeper.alert_history ORDER BY happened_at";
    assert_eq!(texts(&mut client, history).unwrap(), ["ok 99", "firing 90", "resolved 99"]);
}

#[test]
fn a_value_on_the_target_has_failed_and_comes_back_by_a_margin() {
    let (_db, mut client) = watching_migrations();
    migrated(&mut client, 98);
    assert_eq!(checked(&mut client, RULE), "firing");
    // The margin is a tenth of what is left to 100.
    for (successful, state) in [(981, "firing"), (982, "resolved")] {
        run_sql(
            &mut client,
            &format!(
                "UPDATE public.pipeline_execution_log SET records_successful = {successful}, records_failed = 1000 - {successful}"
            ),
        );
        assert_eq!(checked(&mut client, RULE), state, "{successful}");
    }
}

#[test]
fn an_oscillating_value_does_not_flap() {
    let (db, mut client) = watching_migrations();
    let mut listener = db.client().unwrap();
    run_sql(&mut listener, "LISTEN groundskeeper_alerts");
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET fire_after = '5 minutes', clear_after = '5 minutes'",
    );
    // A minute passes between two checks.
    let minute = "UPDATE groundskeeper.alert_state SET since = since - interval '1 minute', good_since = good_since - interval '1 minute'";
    for n in 0..12 {
        migrated(&mut client, if n % 2 == 0 { 90 } else { 100 });
        let state = checked(&mut client, RULE);
        assert_eq!(state, if n % 2 == 0 { "pending" } else { "ok" });
        run_sql(&mut client, minute);
    }
    assert_eq!(told(&mut listener).len(), 0);
    migrated(&mut client, 90);
    for n in 0..7 {
        assert_eq!(checked(&mut client, RULE), if n < 5 { "pending" } else { "firing" }, "minute {n}");
        run_sql(&mut client, minute);
    }
    for n in 0..12 {
        migrated(&mut client, if n % 2 == 0 { 100 } else { 90 });
        assert_eq!(checked(&mut client, RULE), "firing");
        run_sql(&mut client, minute);
    }
    migrated(&mut client, 100);
    for n in 0..6 {
        assert_eq!(checked(&mut client, RULE), if n < 5 { "firing" } else { "resolved" }, "minute {n}");
        run_sql(&mut client, minute);
    }
    assert_eq!(states(&told(&mut listener)), ["firing", "resolved"]);
}

#[test]
fn what_is_silenced_is_told_when_the_silence_ends() {
    let (db, mut client) = watching_migrations();
    let mut listener = db.client().unwrap();
    run_sql(&mut listener, "LISTEN groundskeeper_alerts");
    run_sql(
        &mut client,
        "SELECT groundskeeper.silence_alert('migration_success_rate', now() + interval '1 hour', 'moving house')",
    );
    migrated(&mut client, 90);
    assert_eq!(checked(&mut client, RULE), "firing");
    assert!(detail(&mut client, RULE).ends_with("by postgres: moving house)"));
    assert_eq!(told(&mut listener).len(), 0);
    run_sql(&mut client, "UPDATE groundskeeper.alert_silences SET until = now()");
    assert_eq!(checked(&mut client, RULE), "firing");
    assert_eq!(states(&told(&mut listener)), ["firing"]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.alert_silences").unwrap(), "0");
    // A rule that is no longer watched fires no longer.
    run_sql(&mut client, "UPDATE groundskeeper.alert_rules SET enabled = false");
    assert!(client.query("SELECT FROM groundskeeper.check_alerts()", &[]).unwrap().is_empty());
    assert_eq!(states(&told(&mut listener)), ["resolved"]);
    for (call, code) in [
        ("'migration_success_rate', now(), 'x'", "22023"),
        ("'migration_success_rate', 'infinity', 'x'", "22023"),
        ("'migration_success_rate', now() + interval '1 hour', ' '", "22023"),
        ("'nothing', now() + interval '1 hour', 'x'", "42704"),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.silence_alert({call})")).unwrap();
        assert_eq!(refused.code, code, "{call}: {refused:?}");
        assert!(!refused.hint.is_empty(), "{refused:?}");
    }
}

#[test]
fn a_check_that_has_stopped_shows_and_is_told_when_it_goes_on() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let state = "SELECT state FROM groundskeeper.alerts WHERE rule = 'heartbeat'";
    assert_eq!(text(&mut client, state).unwrap(), "no_data");
    assert_eq!(checked(&mut client, "heartbeat"), "ok");
    let mut listener = db.client().unwrap();
    run_sql(&mut listener, "LISTEN groundskeeper_alerts");
    run_sql(&mut client, "UPDATE groundskeeper.alert_check SET checked_at = checked_at - interval '1 hour'");
    assert_eq!(text(&mut client, state).unwrap(), "firing", "without anybody's checking");
    assert!(detail(&mut client, "heartbeat").starts_with("check_alerts() has not run since"));
    assert_eq!(checked(&mut client, "heartbeat"), "firing");
    assert_eq!(checked(&mut client, "heartbeat"), "resolved");
    assert_eq!(states(&told(&mut listener)), ["firing", "resolved"]);
}

#[test]
fn of_two_checks_at_once_one_does_it() {
    let (db, mut client) = watching_migrations();
    migrated(&mut client, 90);
    run_sql(&mut client, "BEGIN; SELECT groundskeeper.check_alerts()");
    let mut other = db.client().unwrap();
    assert_eq!(checked(&mut other, RULE), "no_data", "skipped, and not waited for");
    run_sql(&mut client, "COMMIT");
    assert_eq!(checked(&mut other, RULE), "firing");
}

#[test]
fn nothing_is_written_where_nothing_changes() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET enabled = rule NOT IN ('heartbeat', 'connection_pool_utilization')",
    );
    for _ in 0..2 {
        checked(&mut client, "failed_jobs");
    }
    let versions = "SELECT string_agg(xmin::text || rule, ' ' ORDER BY rule) FROM groundskeeper.alert_state";
    let before = text(&mut client, versions).unwrap();
    for _ in 0..20 {
        checked(&mut client, "failed_jobs");
    }
    assert_eq!(text(&mut client, versions).unwrap(), before);
    let size =
        "SELECT pg_relation_size('groundskeeper.alert_check') + pg_relation_size('groundskeeper.alert_state')
                     + pg_relation_size('groundskeeper.alert_history') <= 4 * 8192";
    assert_eq!(text(&mut client, size).unwrap(), "true");
    // The history ends somewhere.
    run_sql(
        &mut client,
        "INSERT INTO groundskeeper.alert_history (happened_at, rule, state) VALUES (now() - interval '91 days', 'x', 'ok')",
    );
    assert_eq!(text(&mut client, "SELECT groundskeeper.prune_history()").unwrap(), "1");
}
