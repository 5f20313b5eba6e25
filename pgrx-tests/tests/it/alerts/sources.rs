//! Each thing that is watched, brought about for real.

use super::*;
use groundskeeper_sandbox::server::quote_ident;
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
        "connection_pool_utilization failed_jobs failing_views heartbeat idle_in_transaction invalid_indexes \
         maintenance_incomplete partition_health table_bloat_max wraparound_distance"
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
fn what_a_concurrent_build_left_on_toast_is_named_by_its_table() {
    let (db, mut client) = at_once(Template::Empty);
    run_sql(
        &mut client,
        "CREATE TABLE public.wide (filler text);
         INSERT INTO groundskeeper.alert_rules (rule, metric, target, comparison, fire_threshold)
         VALUES ('wide', 'invalid_indexes', 'public.wide', '>', 0)",
    );
    // A snapshot of before keeps the build waiting until it is cancelled.
    let mut reader = db.client().unwrap();
    run_sql(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM public.wide");
    run_sql(&mut client, "SET statement_timeout = '2s'");
    refusal(&mut client, "REINDEX TABLE CONCURRENTLY public.wide").unwrap();
    run_sql(&mut client, "RESET statement_timeout");
    run_sql(&mut reader, "COMMIT");
    assert_eq!(checked(&mut client, "wide"), "firing");
    let said = detail(&mut client, "invalid_indexes");
    assert!(said.contains("_ccnew (TOAST of public.wide)"), "{said}");
    let drop = "SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid";
    let drop = text(&mut client, drop).unwrap();
    run_sql(&mut client, &drop);
    assert_eq!(checked(&mut client, "wide"), "resolved");
}

/// A view of the operator's that divides by what is in a table.
const INVERSE: &str = "
    CREATE SCHEMA curated;
    CREATE TABLE curated.numbers (a integer); INSERT INTO curated.numbers VALUES (1);
    CREATE MATERIALIZED VIEW curated.inverse AS SELECT a, 1 / a AS inverse FROM curated.numbers;
    CREATE UNIQUE INDEX ON curated.inverse (a);
    SELECT groundskeeper.maintain('curated.inverse');
    SELECT FROM update_table_statistics(true);
    INSERT INTO curated.numbers VALUES (0)";

#[test]
fn a_view_that_is_not_refreshed_twice_fires_though_its_task_succeeds() {
    let (mut db, mut client) = at_once(Template::Empty);
    run_sql(&mut client, INVERSE);
    run_sql(&mut client, "SELECT FROM update_table_statistics(true)");
    assert_eq!(checked(&mut client, "failing_views"), "ok", "once");
    assert_eq!(checked(&mut client, "maintenance_incomplete"), "firing");
    run_sql(&mut client, "SELECT FROM update_table_statistics(true)");
    assert_eq!(checked(&mut client, "failing_views"), "firing");
    let said = detail(&mut client, "failing_views");
    assert_eq!(
        said,
        "not refreshed: curated.inverse (2 times in a row); groundskeeper.maintenance_log has the errors"
    );
    let status = "SELECT consecutive_failures || ' ' || last_error FROM monitoring.maintenance_status WHERE task = 'statistics'";
    let why = "2 curated.inverse: division by zero (22012)";
    assert_eq!(text(&mut client, status).unwrap(), why);
    // Nor must who only watches be able to look into the schema.
    let watcher = db.role("watcher").unwrap();
    run_sql(&mut client, &format!("GRANT pg_monitor TO {}", quote_ident(&watcher)));
    assert_eq!(text(&mut db.client_as(&watcher).unwrap(), status).unwrap(), why);
    run_sql(
        &mut client,
        "DELETE FROM curated.numbers WHERE a = 0; SELECT FROM update_table_statistics(true)",
    );
    for rule in ["failing_views", "maintenance_incomplete"] {
        assert_eq!(checked(&mut client, rule), "resolved");
    }
    // What nobody looks after any more fails no more.
    run_sql(&mut client, "INSERT INTO curated.numbers VALUES (0); SELECT FROM update_table_statistics(true)");
    assert_eq!(checked(&mut client, "maintenance_incomplete"), "firing");
    run_sql(&mut client, "SELECT groundskeeper.stop_maintaining('curated.inverse')");
    assert_eq!(checked(&mut client, "maintenance_incomplete"), "resolved");
}

#[test]
fn runs_of_the_migration_that_fail_without_a_record_fire() {
    let (db, mut client) = at_once(Template::ShapeA);
    assert_eq!(checked(&mut client, "migration_runs_failed"), "no_data");
    run_sql(&mut client, "CALL groundskeeper.migrate_to_staging()");
    assert_eq!(checked(&mut client, "migration_runs_failed"), "ok");
    run_sql(&mut client, "ALTER TABLE raw_data.totals_raw RENAME over_odds TO over");
    let mut other = db.client().unwrap();
    let _ = other.batch_execute("CALL groundskeeper.migrate_to_staging()");
    assert_eq!(checked(&mut client, "migration_runs_failed"), "firing");
    let said = detail(&mut client, "migration_runs_failed");
    assert!(said.starts_with("the last run failed: total (0 records)"), "{said}");
    run_sql(&mut client, "ALTER TABLE raw_data.totals_raw RENAME over TO over_odds");
    run_sql(&mut client, "CALL groundskeeper.migrate_to_staging()");
    assert_eq!(checked(&mut client, "migration_runs_failed"), "resolved");
}

#[test]
fn a_peak_is_told_with_its_time_and_fires_only_while_it_lasts() {
    let (db, mut client) = at_once(Template::Empty);
    run_sql(
        &mut client,
        &format!(
            "ALTER DATABASE {} SET groundskeeper.pool_size = 10",
            groundskeeper_sandbox::server::quote_ident(db.name())
        ),
    );
    let mut client = db.client().unwrap();
    const RULE: &str = "connection_pool_utilization";
    for _ in 0..5 {
        run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    }
    assert_eq!(checked(&mut client, RULE), "ok");
    let mut busy: Vec<Client> = (0..9).map(|_| db.client().unwrap()).collect();
    busy.iter_mut().for_each(|client| run_sql(client, "BEGIN"));
    run_sql(&mut client, "SELECT groundskeeper.record_metrics()");
    assert_eq!(checked(&mut client, RULE), "firing");
    assert_eq!(detail(&mut client, RULE), "9 of 10 pooled connections busy");
    busy.iter_mut().for_each(|client| run_sql(client, "COMMIT"));
    assert_eq!(checked(&mut client, RULE), "resolved");
    // The report looks at the day, and says when it was.
    let report = "SELECT status || ' ' || detail FROM groundskeeper.kpi_report() WHERE kpi = 'connection_pool_utilization'";
    let said = text(&mut client, report).unwrap();
    let at = "SELECT date_trunc('second', max(sampled_at))::text FROM groundskeeper.metrics";
    let at = text(&mut client, at).unwrap();
    assert_eq!(said, format!("fail at most 9 of 10 pooled connections busy at {at}, now 0"));
}

#[test]
fn bloat_fires_from_so_much_of_it_on_as_matters() {
    if groundskeeper_tests::lacks("pgstattuple") {
        return;
    }
    let (_db, mut client) = at_once(Template::Empty);
    run_sql(
        &mut client,
        "CREATE EXTENSION pgstattuple; CREATE SCHEMA staging;
         CREATE TABLE staging.small WITH (autovacuum_enabled = off) AS
             SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 2000) n;
         DELETE FROM staging.small WHERE n % 10 > 0",
    );
    run_sql(&mut client, "VACUUM ANALYZE staging.small");
    let report = "SELECT status FROM groundskeeper.kpi_report() WHERE kpi = 'table_bloat_max'";
    assert_eq!(text(&mut client, report).unwrap(), "fail");
    assert_eq!(checked(&mut client, "table_bloat_max"), "ok");
    assert_eq!(detail(&mut client, "table_bloat_max"), "none of 1 tables wastes 10 MB");
    run_sql(&mut client, "SET groundskeeper.bloat_floor = '100kB'");
    assert_eq!(checked(&mut client, "table_bloat_max"), "firing");
    let said = detail(&mut client, "table_bloat_max");
    assert!(said.starts_with("worst: staging.small (") && said.contains(" kB)"), "{said}");
    run_sql(&mut client, "VACUUM FULL ANALYZE staging.small");
    assert_eq!(checked(&mut client, "table_bloat_max"), "resolved");
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
         CREATE TABLE public.other (id bigint, day timestamptz NOT NULL) PARTITION BY RANGE (day);
         SELECT groundskeeper.adopt_partitioned_table('public.other');
         SELECT create_monthly_partitions(); ANALYZE public.other;
         DROP TABLE public.quote; CREATE TABLE public.quote (id bigint, day timestamptz NOT NULL) PARTITION BY RANGE (day);
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
    // Nobody is left to check: both say so by themselves.
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET enabled = rule IN ('heartbeat', 'maintenance_overdue');
                          TRUNCATE groundskeeper.alert_state, groundskeeper.alert_check",
    );
    let state = "SELECT string_agg(concat_ws(' ', rule, state, value > threshold, since < now()), ', ' ORDER BY rule) FROM groundskeeper.alerts";
    assert_eq!(text(&mut client, state).unwrap(), "heartbeat firing t t, maintenance_overdue firing t t");
    assert!(
        detail(&mut client, "heartbeat").starts_with("check_alerts() has never run, and is scheduled since ")
    );
    let said = detail(&mut client, "maintenance_overdue");
    assert!(
        said.contains("metrics (due since ")
            && said.contains("nobody has called groundskeeper.run_overdue()"),
        "{said}"
    );
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
