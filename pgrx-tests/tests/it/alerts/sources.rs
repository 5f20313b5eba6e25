//! Each thing that is watched, brought about for real.

use super::*;
use groundskeeper_tests::sql::{refusal, text};

/// All rules at once, without waiting.
fn at_once(template: Template) -> (TestDb, Client) {
    let db = TestDb::installed(template).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET fire_after = '0', clear_after = '0', check_every = '0'",
    );
    (db, client)
}

#[test]
fn a_fresh_installation_fires_nothing() {
    let (_db, mut client) = at_once(Template::ShapeA);
    for _ in 0..2 {
        let fires = "SELECT string_agg(rule || ': ' || detail, '; ') FROM groundskeeper.check_alerts()
                      WHERE state IN ('firing', 'pending')";
        assert_eq!(text(&mut client, fires).unwrap(), "");
    }
    let quiet = "SELECT string_agg(rule, ' ' ORDER BY rule) FROM groundskeeper.alerts WHERE state = 'ok'";
    assert_eq!(
        text(&mut client, quiet).unwrap(),
        "failed_jobs heartbeat idle_in_transaction invalid_indexes partition_health wraparound_distance"
    );
    assert!(detail(&mut client, "maintenance_overdue").contains("schedule_maintenance()"));
}

#[test]
fn an_invalid_index_fires() {
    let (_db, mut client) = at_once(Template::Empty);
    run_sql(&mut client, "CREATE TABLE public.twice AS SELECT 1 AS n FROM generate_series(1, 2)");
    refusal(&mut client, "CREATE UNIQUE INDEX CONCURRENTLY twice_n ON public.twice (n)").unwrap();
    assert_eq!(checked(&mut client, "invalid_indexes"), "firing");
    assert_eq!(detail(&mut client, "invalid_indexes"), "invalid: public.twice_n");
    run_sql(&mut client, "DROP INDEX public.twice_n");
    assert_eq!(checked(&mut client, "invalid_indexes"), "resolved");
}

#[test]
fn a_transaction_that_idles_fires_without_naming_anybody() {
    let (db, mut client) = at_once(Template::Empty);
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET fire_threshold = 0, clear_threshold = 0 WHERE rule = 'idle_in_transaction'",
    );
    let mut idle = db.client().unwrap();
    run_sql(&mut idle, "BEGIN; SELECT 'secret'");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(checked(&mut client, "idle_in_transaction"), "firing");
    let said = detail(&mut client, "idle_in_transaction");
    assert_eq!(said, "1 transactions idle; monitoring.idle_transactions names them");
    run_sql(&mut idle, "COMMIT");
    assert_eq!(checked(&mut client, "idle_in_transaction"), "resolved");
}

#[test]
fn a_failed_job_fires_until_it_is_seen_to_and_its_error_stays_where_it_is() {
    let (db, mut client) = at_once(Template::ShapeA);
    run_sql(
        &mut client,
        "CREATE TABLE public.odds (id integer); INSERT INTO public.odds VALUES (1);
         CREATE INDEX odds_id ON public.odds (id)",
    );
    let job = text(&mut client, "SELECT groundskeeper.reindex('public.odds_id')").unwrap();
    db.settle().unwrap();
    assert_eq!(checked(&mut client, "failed_jobs"), "ok");
    run_sql(
        &mut client,
        &format!(
            "UPDATE groundskeeper.job SET state = 'failed', error = 'Key (id)=(42) is duplicated' WHERE job_id = {job}"
        ),
    );
    assert_eq!(checked(&mut client, "failed_jobs"), "firing");
    let said = detail(&mut client, "failed_jobs");
    assert!(said.contains(&format!("job {job} (reindex ")) && !said.contains("42) is"), "{said}");
    run_sql(&mut client, &format!("SELECT groundskeeper.retry_job({job})"));
    db.settle().unwrap();
    assert_eq!(checked(&mut client, "failed_jobs"), "resolved");
}

#[test]
fn partitions_that_lack_fire_for_the_table_that_is_watched() {
    let (_db, mut client) = at_once(Template::Empty);
    run_sql(
        &mut client,
        "CREATE TABLE public.quote (id bigint, day timestamptz NOT NULL) PARTITION BY RANGE (day);
         SELECT groundskeeper.adopt_partitioned_table('public.quote');
         INSERT INTO groundskeeper.alert_rules (rule, metric, target, comparison, fire_threshold) VALUES
             ('quote', 'unhealthy_partitions', 'public.quote', '>', 0),
             ('other', 'unhealthy_partitions', 'public.other', '>', 0)",
    );
    assert_eq!(checked(&mut client, "partition_health"), "firing");
    assert!(detail(&mut client, "quote").contains("public.quote: "));
    let state = "SELECT string_agg(state, ' ' ORDER BY rule) FROM groundskeeper.alerts WHERE rule IN ('quote', 'other')";
    assert_eq!(text(&mut client, state).unwrap(), "ok firing");
    run_sql(&mut client, "SELECT create_monthly_partitions(); ANALYZE public.quote");
    assert_eq!(checked(&mut client, "partition_health"), "resolved");
}

#[test]
fn maintenance_that_is_late_and_wraparound_that_is_near_fire() {
    let (_db, mut client) = at_once(Template::Empty);
    run_sql(
        &mut client,
        "SET client_min_messages = error; SELECT groundskeeper.schedule_maintenance();
         UPDATE groundskeeper.alert_rules SET fire_threshold = 2147483647, clear_threshold = 2147483647
          WHERE rule = 'wraparound_distance'",
    );
    assert_eq!(checked(&mut client, "maintenance_overdue"), "ok");
    run_sql(&mut client, "UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '3 days'");
    assert_eq!(checked(&mut client, "maintenance_overdue"), "firing");
    assert!(detail(&mut client, "maintenance_overdue").contains("metrics"));
    let distance =
        "SELECT state || ' ' || (value BETWEEN 1000000000 AND 2147483648) FROM groundskeeper.alerts
                     WHERE rule = 'wraparound_distance'";
    assert_eq!(text(&mut client, distance).unwrap(), "firing true");
}

#[test]
fn what_is_dear_is_measured_less_often() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let measured = "SELECT observed_at FROM groundskeeper.alert_state WHERE rule = 'table_bloat_max'";
    checked(&mut client, "table_bloat_max");
    let first = text(&mut client, measured).unwrap();
    checked(&mut client, "table_bloat_max");
    assert_eq!(text(&mut client, measured).unwrap(), first);
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_state SET observed_at = observed_at - interval '2 hours'",
    );
    checked(&mut client, "table_bloat_max");
    assert_ne!(text(&mut client, measured).unwrap(), first);
}
