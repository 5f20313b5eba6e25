//! The report as a whole, its targets, and who reads it.

use super::*;
use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use std::time::{Duration, Instant};

const NAMES: &str =
    "SELECT string_agg(format('%s %s %s', kpi, target, status), ', ') FROM groundskeeper.kpi_report()";

#[test]
fn there_are_six_rows_whatever_the_table_of_targets_holds() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let six = "migration_success_rate > 98 unknown, query_latency_p95_ms < 500 unknown, \
               connection_pool_utilization < 60 unknown, index_hit_ratio > 99 unknown, \
               table_bloat_max < 20 unknown, cache_hit_ratio > 95 unknown";
    assert_eq!(text(&mut client, NAMES).unwrap(), six);
    run_sql(
        &mut client,
        "UPDATE groundskeeper.kpi_targets SET target = 97.50 WHERE kpi = 'migration_success_rate'",
    );
    assert_eq!(text(&mut client, NAMES).unwrap(), six.replace("> 98", "> 97.5"));
    run_sql(&mut client, "DELETE FROM groundskeeper.kpi_targets");
    assert_eq!(text(&mut client, NAMES).unwrap(), six, "what is deleted is the plan's again");
    run_sql(
        &mut client,
        "INSERT INTO groundskeeper.kpi_targets VALUES ('table_bloat_max', 30, '<', 2, NULL)",
    );
    assert_eq!(text(&mut client, NAMES).unwrap(), six.replace("max < 20", "max < 30"));
}

#[test]
fn targets_that_make_no_sense_are_refused() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let all = "SELECT t FROM groundskeeper.kpi_targets t ORDER BY kpi";
    let before = texts(&mut client, all).unwrap();
    for (change, code, detail) in [
        ("target = 100.1 WHERE kpi = 'cache_hit_ratio'", "22023", "percentage"),
        ("target = -1 WHERE kpi = 'query_latency_p95_ms'", "22023", "negative"),
        ("target = 'NaN' WHERE kpi = 'query_latency_p95_ms'", "22023", "no number"),
        ("target = 'Infinity' WHERE kpi = 'query_latency_p95_ms'", "22023", "no number"),
        ("comparison = '<' WHERE kpi = 'cache_hit_ratio'", "22023", "comparison is >"),
        ("comparison = '>=' WHERE kpi = 'cache_hit_ratio'", "22023", "> or <"),
        ("min_samples = 0 WHERE kpi = 'cache_hit_ratio'", "22023", "at least 1"),
        ("measured_over = '-1 hour' WHERE kpi = 'cache_hit_ratio'", "22023", "must be positive"),
        ("measured_over = NULL WHERE kpi = 'cache_hit_ratio'", "22023", "must be positive"),
        ("measured_over = '1 hour' WHERE kpi = 'table_bloat_max'", "22023", "measured now"),
        ("kpi = 'happiness' WHERE kpi = 'cache_hit_ratio'", "22023", "migration_success_rate"),
        ("target = NULL", "23502", ""),
        ("min_samples = NULL", "23502", ""),
    ] {
        let refused =
            refusal(&mut client, &format!("UPDATE groundskeeper.kpi_targets SET {change}")).unwrap();
        assert_eq!(refused.code, code, "{change}: {refused:?}");
        assert!(refused.detail.contains(detail), "{change}: {refused:?}");
    }
    assert_eq!(texts(&mut client, all).unwrap(), before);
}

#[test]
fn edited_targets_survive_a_restore() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "UPDATE groundskeeper.kpi_targets SET target = 90, measured_over = '7 days' WHERE kpi = 'cache_hit_ratio'",
    );
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let all = "SELECT t FROM groundskeeper.kpi_targets t ORDER BY kpi";
    assert_eq!(texts(&mut copy.client().unwrap(), all).unwrap(), texts(&mut client, all).unwrap());
}

#[test]
fn a_member_of_pg_monitor_reads_it_and_nobody_else() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let [monitor, stranger] = ["monitor", "stranger"].map(|stem| db.role(stem).unwrap());
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        &format!(
            "GRANT pg_monitor TO {}; REVOKE ALL ON public.pipeline_execution_log FROM PUBLIC",
            quote_ident(&monitor)
        ),
    );
    for _ in 0..5 {
        record(&mut client);
    }
    let mut monitor = db.client_as(&monitor).unwrap();
    assert_eq!(texts(&mut monitor, "SELECT kpi FROM groundskeeper.kpi_report()").unwrap().len(), 6);
    assert_eq!(kpi(&mut monitor, "connection_pool_utilization").status, "pass");
    // What may not be read is said, and is no error.
    let migration = kpi(&mut monitor, "migration_success_rate");
    assert!(migration.detail.contains("may not be read by monitor"), "{migration:?}");
    run_sql(&mut monitor, "TABLE monitoring.idle_transactions; TABLE groundskeeper.kpi_targets");
    assert_eq!(refusal(&mut monitor, "DELETE FROM groundskeeper.kpi_targets").unwrap().code, "42501");
    let mut stranger = db.client_as(&stranger).unwrap();
    for look in [
        "SELECT FROM groundskeeper.kpi_report()",
        "TABLE groundskeeper.kpi_targets",
        "TABLE monitoring.idle_transactions",
    ] {
        assert_eq!(refusal(&mut stranger, look).unwrap().code, "42501", "{look}");
    }
}

#[test]
fn a_lock_delays_one_figure_and_not_the_report() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let (mut client, mut holder) = (db.client().unwrap(), db.client().unwrap());
    run_sql(
        &mut holder,
        "BEGIN; LOCK public.pipeline_execution_log, groundskeeper.metrics, staging.moneylines, raw_data.totals_raw",
    );
    let began = Instant::now();
    let migration = kpi(&mut client, "migration_success_rate");
    // Each of the six waits for 100 ms at most, and the machine may be busy.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(migration.detail.contains("lock timeout"), "{migration:?}");
    let cache = kpi(&mut client, "cache_hit_ratio");
    assert_eq!(cache.status, "unknown");
    assert!(cache.detail.contains("lock timeout"), "{cache:?}");
}

#[test]
fn transactions_that_idle_are_named_with_their_time() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let (mut client, mut idle, mut failed) =
        (db.client().unwrap(), db.client().unwrap(), db.client().unwrap());
    let _at_rest = db.client().unwrap();
    run_sql(&mut idle, "CREATE TABLE t (n integer)");
    run_sql(&mut idle, "BEGIN; INSERT INTO t VALUES (1)");
    run_sql(&mut failed, "BEGIN");
    refusal(&mut failed, "SELECT nonsense").unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    let all =
        "SELECT format('%s %s %s', state, locks_held, idle_seconds >= 1 AND coalesce(transaction_seconds >= idle_seconds, true))
                 FROM monitoring.idle_transactions";
    assert_eq!(
        texts(&mut client, all).unwrap(),
        ["idle in transaction 1 t", "idle in transaction (aborted) 0 t"]
    );
    run_sql(&mut idle, "COMMIT");
    run_sql(&mut failed, "ROLLBACK");
    assert!(texts(&mut client, all).unwrap().is_empty());
}
