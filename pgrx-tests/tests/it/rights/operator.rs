//! A role that owns nothing does the daily work, and no more than that.

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};

use super::list;

const PAGE: &str = include_str!("../../../../SECURITY.md");

/// The grants that the page names, for a role of another name.
fn grants(role: &str) -> String {
    let block = PAGE.split("```sql").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    block
        .lines()
        .filter(|line| !line.contains("CREATE ROLE"))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("groundskeeper_operator", role)
}

/// What it is for: the guide's daily work.
const DAILY: [&str; 18] = [
    "SELECT component, state, remedy FROM groundskeeper.prerequisites()",
    "SELECT item, state, detail FROM groundskeeper.plan_status()",
    "SELECT job_id, kind, target, state, progress, phase, detail FROM groundskeeper.jobs",
    "SELECT job_id, attempt, state, error FROM groundskeeper.job_history",
    "SELECT change_id, item, applied_at, forward_sql, inverse_sql FROM groundskeeper.change_log",
    "SELECT groundskeeper.rollback_script()",
    "SELECT rule, points, description FROM groundskeeper.quality_rules ORDER BY rule",
    "SELECT state, connection_count, avg_duration_seconds FROM monitoring.connection_stats",
    "SELECT schemaname, tablename, size, bloat_percent, bloat_reason FROM monitoring.table_bloat",
    "SELECT indexname, verdict, evidence FROM monitoring.unused_indexes",
    "SELECT kind, indexname, detail, fix_sql FROM monitoring.index_health",
    "SELECT * FROM monitoring.partition_health",
    "SELECT kpi, value, target, status, detail FROM groundskeeper.kpi_report()",
    "SELECT rule, state, detail FROM groundskeeper.check_alerts() WHERE state IN ('firing', 'pending')",
    "SELECT groundskeeper.record_metrics()",
    "SELECT groundskeeper.connection_pool_config('asyncpg')",
    "SELECT pool_size, reasoning FROM groundskeeper.recommend_pool_size()",
    "CALL groundskeeper.migrate_to_staging()",
];

/// What it may call beyond what everybody and `pg_monitor` may.
const GRANTED: [&str; 7] = [
    "check_alerts",
    "fail_migration",
    "migrate_to_staging",
    "migration_step",
    "record_metrics",
    "silence_alert",
    "start_migration",
];

#[test]
fn a_role_that_owns_nothing_does_the_daily_work_and_no_more() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let operator = db.role("operator").unwrap();
    let mut client = db.client().unwrap();
    // a database that gives nothing to everybody
    client
        .batch_execute(
            "REVOKE ALL ON ALL TABLES IN SCHEMA raw_data, staging, curated, public FROM PUBLIC;
             REVOKE ALL ON SCHEMA raw_data, staging, curated FROM PUBLIC;
             INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, raw_data, game_date, home_team_name, away_team_name)
                 VALUES ('x', 'g1', 'book', -110, 100, '{}', now()::date, 'BOS', 'NYY')",
        )
        .unwrap();
    client.batch_execute(&grants(&operator)).unwrap();
    let mut as_operator = db.client_as(&operator).unwrap();
    for statement in DAILY {
        as_operator.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.moneylines").unwrap(), "1");

    let more = format!(
        "SELECT DISTINCT p.proname FROM pg_proc p
           JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
           JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
          WHERE has_function_privilege('{operator}', p.oid, 'EXECUTE') AND NOT has_function_privilege('pg_monitor', p.oid, 'EXECUTE')
          ORDER BY 1"
    );
    assert_eq!(texts(&mut client, &more).unwrap(), GRANTED);
    let relations = format!(
        "SELECT c.oid::regclass FROM pg_class c
           JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
           JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
          WHERE c.relkind IN ('r', 'v') AND c.relname <> 'migration_notes'
            AND has_table_privilege('{operator}', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
    );
    assert_eq!(list(&mut client, &relations), [""; 0]);
    for statement in [
        "SELECT groundskeeper.apply_plan()",
        "SELECT groundskeeper.apply_plan(true)",
        "SELECT groundskeeper.rollback_plan(true)",
        "SELECT groundskeeper.partition_table('staging.moneylines', 'processed_at')",
        "SELECT groundskeeper.rescore('staging.moneylines')",
        "SELECT groundskeeper.schedule_maintenance()",
        "SELECT groundskeeper.apply_retention(true)",
        "SELECT public.create_monthly_partitions(3)",
        "SELECT public.update_table_statistics(false)",
        "SELECT groundskeeper.create_monthly_partitions(3)",
        "SELECT groundskeeper.update_table_statistics(false)",
        "UPDATE groundskeeper.schedule SET command = 'ALTER ROLE x SUPERUSER'",
        "INSERT INTO groundskeeper.quality_rules VALUES ('x', 1, '')",
        "DELETE FROM staging.moneylines",
        "DELETE FROM raw_data.moneylines_raw",
        "ALTER TABLE staging.moneylines ADD COLUMN x integer",
        "TABLE curated.strategy_results",
    ] {
        assert_eq!(refusal(&mut as_operator, statement).unwrap().code, "42501", "{statement}");
    }
}
