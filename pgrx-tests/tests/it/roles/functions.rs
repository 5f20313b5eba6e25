//! Which functions everybody may call, and which change something.

use groundskeeper_tests::sql::{refusal, texts};
use groundskeeper_tests::{Template, TestDb};

/// The extension's functions that a role may execute.
pub const EXECUTABLE: &str = "
    SELECT DISTINCT p.proname
      FROM pg_proc p
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
     WHERE has_function_privilege(:role, p.oid, 'EXECUTE')
     ORDER BY 1";

/// Its relations that a role may do something with, and what.
pub const REACHABLE: &str = "
    SELECT c.oid::regclass || ' ' || string_agg(privilege, ' ')
      FROM pg_class c
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege
     WHERE c.relkind IN ('r', 'p', 'v') AND has_table_privilege(:role, c.oid, privilege)
        OR c.relkind = 'S' AND privilege IN ('SELECT', 'UPDATE') AND has_sequence_privilege(:role, c.oid, privilege)
     GROUP BY c.oid ORDER BY 1";

/// What only computes.
const PURE: &[&str] = &[
    "american_to_decimal",
    "american_to_probability",
    "base_quality_factor",
    "check_alert_rule",
    "check_column_name",
    "check_kpi_target",
    "check_naming",
    "check_quality_rules",
    "club_code",
    "cluster_role",
    "decimal_to_american",
    "default_quality_rules",
    "defaults",
    "error_shown",
    "game_quality_score",
    "game_validation_status",
    "in_shards",
    "is_known_team",
    "local_time_of",
    "market_hold",
    "moment_of",
    "moneyline_quality_issues",
    "moneyline_quality_score",
    "moneyline_verdict",
    "no_vig_probability",
    "nodes_say",
    "normalized_team",
    "on_nodes",
    "one_line",
    "probability_to_american",
    "require_top_level",
    "sportsbook",
    "spread_quality_issues",
    "spread_quality_score",
    "spread_verdict",
    "total_quality_issues",
    "total_quality_score",
    "total_verdict",
    "validation_status",
    "watched_schemas",
];

/// What changes something.
pub const MUTATORS: &[&str] = &[
    "add_plan_item",
    "alter_column_type",
    "apply_plan",
    "apply_retention",
    "apply_server_settings",
    "attach_partition",
    "cancel_job",
    "check_alerts",
    "create_monthly_partitions",
    "decline",
    "drain_default",
    "drop_partition",
    "drop_plan_item",
    "drop_unused_indexes",
    "finalize_partitioning",
    "import_plan",
    "maintain",
    "migrate_to_staging",
    "partition_table",
    "prune_history",
    "rebuild_keys",
    "record_metrics",
    "rescore",
    "resume",
    "retry_job",
    "rollback_plan",
    "run_step",
    "schedule_maintenance",
    "silence_alert",
    "stop_maintaining",
    "stop_managing",
    "undo_partitioning",
    "update_table_statistics",
];

pub fn of_role(query: &str, role: &str) -> String {
    query.replace(":role", &format!("'{}'", role.replace('\'', "''")))
}

#[test]
fn everybody_may_compute_and_nothing_else() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let stranger = db.role("stranger").unwrap();
    let mut client = db.client().unwrap();
    assert_eq!(texts(&mut client, &of_role(EXECUTABLE, &stranger)).unwrap(), PURE);
    // The first two show everybody their own, the third what the catalogs tell everybody.
    let shown = [
        "groundskeeper.job_history SELECT",
        "groundskeeper.jobs SELECT",
        "groundskeeper.managed_tables SELECT",
        // which a policy leaves to the owners of the tables that are noted
        "groundskeeper.migration_notes INSERT",
    ];
    assert_eq!(texts(&mut client, &of_role(REACHABLE, &stranger)).unwrap(), shown);

    let mut stranger = db.client_as(&stranger).unwrap();
    for call in [
        "SELECT groundskeeper.apply_plan(true)",
        "SELECT groundskeeper.rollback_plan(true)",
        "SELECT groundskeeper.plan_status()",
        "TABLE groundskeeper.plan_items",
        "SELECT groundskeeper.export_plan()",
        "INSERT INTO groundskeeper.plan_item VALUES ('x', '{}', 'postgres', 10, '')",
        "INSERT INTO groundskeeper.plan_decline VALUES ('x', 'y', 'z')",
        "SELECT groundskeeper.rollback_script()",
        "SELECT groundskeeper.cancel_job(1)",
        "SELECT groundskeeper.retry_job(1)",
        "SELECT groundskeeper.resume()",
        "SELECT groundskeeper.apply_server_settings(current_user::regrole)",
        "SELECT groundskeeper.connection_pool_config()",
        "CALL groundskeeper.wait_for_job(1)",
        "SELECT groundskeeper.record_metrics()",
        "SELECT FROM groundskeeper.query_latency()",
        "SELECT FROM groundskeeper.statement_latency()",
        "TABLE groundskeeper.metrics",
        "TABLE groundskeeper.change",
        "INSERT INTO groundskeeper.migration_notes (subject, relation, ids) VALUES ('games', 'pg_class'::regclass, '{(,)}')",
        "INSERT INTO groundskeeper.job_attempt VALUES (1, 1, now(), NULL, 'running', NULL, 0, 0)",
        "UPDATE groundskeeper.job SET run_as = 'postgres'",
        "CREATE TABLE groundskeeper.mine (id integer)",
        "CREATE TABLE monitoring.mine (id integer)",
    ] {
        assert_eq!(refusal(&mut stranger, call).unwrap().code, "42501", "{call}");
    }
}
