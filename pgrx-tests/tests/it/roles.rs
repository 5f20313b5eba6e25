//! Who may do what.

mod functions;

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};

use functions::{EXECUTABLE, MUTATORS, REACHABLE, of_role};

#[test]
fn jobs_are_seen_by_whom_they_concern() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let [owner, monitor, stranger] = ["owner", "monitor", "stranger"].map(|stem| db.role(stem).unwrap());
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.totals OWNER TO {}; GRANT CREATE ON SCHEMA staging TO {0}; GRANT pg_monitor TO {};
             SET groundskeeper.inline_build_limit = 0; CREATE EXTENSION pg_groundskeeper",
            quote_ident(&owner),
            quote_ident(&monitor)
        ))
        .unwrap();
    db.settle().unwrap();
    let targets =
        "SELECT DISTINCT j.target FROM groundskeeper.jobs j JOIN groundskeeper.job_history USING (job_id)";
    let all = texts(&mut client, targets).unwrap();
    assert!(all.len() > 5, "{all:?}");
    let seen_by = |role: &str| texts(&mut db.client_as(role).unwrap(), targets).unwrap().len();
    assert_eq!(seen_by(&monitor), all.len());
    assert_eq!(seen_by(&owner), 1);
    assert_eq!(seen_by(&stranger), 0);
}

#[test]
fn a_member_of_pg_monitor_reads_all_and_changes_nothing() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let monitor = db.role("monitor").unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(&format!("GRANT pg_monitor TO {}", quote_ident(&monitor))).unwrap();
    let may = texts(&mut client, &of_role(EXECUTABLE, &monitor)).unwrap();
    for function in ["plan_status", "rollback_script", "prerequisites", "wait_for_job"] {
        assert!(may.iter().any(|name| name == function), "{function}: {may:?}");
    }
    assert!(MUTATORS.iter().all(|name| !may.iter().any(|may| may == name)), "{may:?}");
    assert_eq!(
        texts(&mut client, &of_role(REACHABLE, &monitor)).unwrap(),
        [
            "groundskeeper.alert_history SELECT",
            "groundskeeper.alert_rules SELECT",
            "groundskeeper.alert_silences SELECT",
            "groundskeeper.alerts SELECT",
            "groundskeeper.change_log SELECT",
            "groundskeeper.club_codes SELECT",
            "groundskeeper.club_names SELECT",
            "groundskeeper.column_names SELECT",
            "groundskeeper.failing_relations SELECT",
            "groundskeeper.index_observation SELECT",
            "groundskeeper.job_history SELECT",
            "groundskeeper.jobs SELECT",
            "groundskeeper.kpi_targets SELECT",
            "groundskeeper.latency_mark SELECT",
            "groundskeeper.maintained_relations SELECT",
            "groundskeeper.maintenance_log SELECT",
            "groundskeeper.managed_tables SELECT",
            "groundskeeper.metrics SELECT",
            "groundskeeper.metrics_cost SELECT",
            "groundskeeper.migration_corrections SELECT",
            "groundskeeper.migration_failures SELECT",
            "groundskeeper.migration_notes INSERT",
            "groundskeeper.migration_runs SELECT",
            "groundskeeper.plan_items SELECT",
            "groundskeeper.quality_rules SELECT",
            "groundskeeper.relation_size SELECT",
            "groundskeeper.schedule SELECT",
            "groundskeeper.sportsbook_names SELECT",
            "groundskeeper.wait_sample SELECT",
            "monitoring.connection_stats SELECT",
            "monitoring.connections_by_role SELECT",
            "monitoring.growth SELECT",
            "monitoring.idle_transactions SELECT",
            "monitoring.index_bloat SELECT",
            "monitoring.index_health SELECT",
            "monitoring.lock_tree SELECT",
            "monitoring.maintenance_status SELECT",
            "monitoring.metrics SELECT",
            "monitoring.partition_health SELECT",
            "monitoring.sequences SELECT",
            "monitoring.server_health SELECT",
            "monitoring.slow_queries SELECT",
            "monitoring.table_bloat SELECT",
            "monitoring.unused_indexes SELECT",
            "monitoring.vacuum_health SELECT",
            "monitoring.wait_events SELECT",
        ]
    );
    let mut monitor = db.client_as(&monitor).unwrap();
    for relation in ["change_log", "jobs", "job_history", "prerequisites()", "rollback_script()"] {
        monitor.batch_execute(&format!("SELECT FROM groundskeeper.{relation}")).unwrap();
    }
}

#[test]
fn the_plans_status_is_the_same_for_all_who_may_see_it() {
    let mut db = TestDb::new(Template::HalfApplied).unwrap();
    let monitor = db.role("monitor").unwrap();
    let mut client = db.client().unwrap();
    // A database that keeps its schemas to itself.
    client
        .batch_execute(&format!(
            "GRANT pg_monitor TO {};
             REVOKE ALL ON SCHEMA raw_data, staging, curated FROM PUBLIC;
             REVOKE ALL ON ALL TABLES IN SCHEMA raw_data, staging, curated FROM PUBLIC",
            quote_ident(&monitor)
        ))
        .unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let seen = plan_states(&mut db.client_as(&monitor).unwrap()).unwrap();
    let there = plan_states(&mut client).unwrap();
    for (item, standing) in &there {
        assert_eq!(&seen[item], standing, "{item}");
    }
}

#[test]
fn an_owner_with_the_right_to_apply_applies_to_own_tables_only() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let owner = db.role("owner").unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    carry_out(&mut client, "rollback_plan()").unwrap();
    let rights = format!(
        "ALTER TABLE staging.totals OWNER TO {0}; GRANT CREATE ON SCHEMA staging TO {0};
         GRANT EXECUTE ON FUNCTION groundskeeper.apply_plan, groundskeeper.rollback_plan TO {0}",
        quote_ident(&owner)
    );
    client.batch_execute(&rights).unwrap();
    let before = facts(&mut client).unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();

    for limit in ["64MB", "0"] {
        as_owner.batch_execute(&format!("SET groundskeeper.inline_build_limit = '{limit}'")).unwrap();
        for outcome in carry_out(&mut as_owner, "apply_plan(sections => '{1.1,2.1,beyond}')").unwrap() {
            let own = outcome.item.contains("staging.totals");
            if own {
                assert!(["applied", "queued"].contains(&outcome.state.as_str()), "{outcome:?}");
            } else if outcome.state != "not_applicable" {
                assert_eq!(
                    (outcome.action.as_str(), outcome.state.as_str()),
                    ("skip", "blocked"),
                    "{outcome:?}"
                );
                let reason = &outcome.detail;
                assert!(
                    reason.contains("must be owner") || reason.contains("permission denied"),
                    "{outcome:?}"
                );
            }
        }
        db.settle().unwrap();
        let failed = "SELECT error FROM groundskeeper.jobs WHERE state <> 'succeeded'";
        assert_eq!(texts(&mut client, failed).unwrap(), [""; 0], "limit {limit}");
        let plan = plan_states(&mut client).unwrap();
        assert!(
            plan.iter().all(|(item, s)| !item.contains("staging.totals") || s.state == "applied"),
            "limit {limit}: {plan:?}"
        );
        let by = "SELECT DISTINCT applied_by FROM groundskeeper.change_log WHERE reverted_at IS NULL";
        assert_eq!(texts(&mut client, by).unwrap(), [owner.as_str()]);
        let others = |facts: &str| -> String {
            facts.lines().filter(|l| !l.contains("totals")).flat_map(|l| [l, "\n"]).collect()
        };
        let changed = difference(&others(&before), &others(&facts(&mut client).unwrap()));
        assert!(changed.is_empty(), "limit {limit}: {changed}");
        // The way back rewrites the table, which is for a maintenance window.
        as_owner.batch_execute("SET groundskeeper.inline_build_limit = '64MB'").unwrap();
        carry_out(&mut as_owner, "rollback_plan()").unwrap();
        db.settle().unwrap();
        let changed = difference(&before, &facts(&mut client).unwrap());
        assert!(changed.is_empty(), "limit {limit}: {changed}");
    }
}

#[test]
fn a_job_of_a_role_that_may_not_log_in_is_refused_with_the_remedy() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let owner = quote_ident(&db.role("owner").unwrap());
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    client
        .batch_execute(&format!(
            "ALTER ROLE {owner} NOLOGIN; ALTER TABLE staging.totals OWNER TO {owner};
             SET groundskeeper.inline_build_limit = 0; CREATE EXTENSION pg_groundskeeper"
        ))
        .unwrap();
    db.settle().unwrap();
    let item = "2.1.staging.totals.idx_staging_totals_game_sportsbook";
    let outcomes = carry_out(&mut client, "apply_plan(sections => '{2.1}')").unwrap();
    let outcome = outcomes.iter().find(|outcome| outcome.item == item).unwrap();
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"));
    assert!(outcome.detail.contains("may not log in"), "{}", outcome.detail);
    assert_eq!(plan_states(&mut client).unwrap()[item].state, "pending");
}

#[test]
fn views_belong_to_the_tables_owner_and_show_no_more_than_the_tables() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let [owner, reader, stranger] = ["owner", "reader", "stranger"].map(|stem| db.role(stem).unwrap());
    let mut client = db.client().unwrap();
    let own = format!(
        "ALTER TABLE staging.games OWNER TO {owner}; ALTER TABLE staging.moneylines OWNER TO {owner};
         ALTER TABLE raw_data.moneylines_raw OWNER TO {owner};
         GRANT CREATE ON SCHEMA staging, raw_data TO {owner};
         REVOKE ALL ON ALL TABLES IN SCHEMA staging, raw_data FROM PUBLIC;
         GRANT SELECT ON staging.games, staging.moneylines TO {reader}",
        owner = quote_ident(&owner),
        reader = quote_ident(&reader)
    );
    client.batch_execute(&own).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let views = "SELECT format('%s %s %s', relname, pg_get_userbyid(relowner) = $$:owner$$,
                        EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e'))
                   FROM pg_class c WHERE relkind IN ('v', 'm') AND relnamespace = 'staging'::regnamespace ORDER BY 1";
    assert_eq!(
        texts(&mut client, &views.replace(":owner", &owner)).unwrap(),
        ["daily_game_stats t f", "migration_ready_records t f", "sportsbook_quality_metrics t f"]
    );
    let mut reader = db.client_as(&reader).unwrap();
    reader.batch_execute("TABLE staging.daily_game_stats; TABLE staging.sportsbook_quality_metrics").unwrap();
    // What reads raw_data as well is for those who may read that, too.
    let raw = "TABLE staging.migration_ready_records";
    assert_eq!(refusal(&mut reader, raw).unwrap().code, "42501");
    let mut stranger = db.client_as(&stranger).unwrap();
    for view in ["daily_game_stats", "sportsbook_quality_metrics", "migration_ready_records"] {
        assert_eq!(refusal(&mut stranger, &format!("TABLE staging.{view}")).unwrap().code, "42501", "{view}");
    }
    db.client_as(&owner).unwrap().batch_execute(raw).unwrap();
}

/// Functions and operators by the names that PostgreSQL's own have; each says when it is called.
const TRAPS: &str = r#"
    CREATE SCHEMA trap;
    CREATE SEQUENCE trap.calls;
    GRANT USAGE ON SCHEMA trap TO PUBLIC;
    CREATE FUNCTION trap.called() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''trap.calls''); END';
    CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT trap.called(); SELECT $1';
    CREATE FUNCTION trap.pg_get_viewdef(oid) RETURNS text LANGUAGE sql AS 'SELECT trap.called(); SELECT ''x''::text';
    CREATE FUNCTION trap.quote_ident(text) RETURNS text LANGUAGE sql AS 'SELECT trap.called(); SELECT $1';
    CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT trap.called(); SELECT NULL::timestamptz';
    CREATE FUNCTION trap.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT trap.called(); SELECT ''0''::text';
    CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT trap.called(); SELECT true';
    CREATE OPERATOR trap.= (FUNCTION = trap.equal, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION trap.equal(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT trap.called(); SELECT true';
    CREATE OPERATOR trap.= (FUNCTION = trap.equal, LEFTARG = name, RIGHTARG = name);
    CREATE FUNCTION trap.concat(text, text) RETURNS text LANGUAGE sql AS 'SELECT trap.called(); SELECT ''y''::text';
    CREATE OPERATOR trap.|| (FUNCTION = trap.concat, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION trap.above(numeric, numeric) RETURNS boolean LANGUAGE sql AS 'SELECT trap.called(); SELECT true';
    CREATE OPERATOR trap.>= (FUNCTION = trap.above, LEFTARG = numeric, RIGHTARG = numeric);
    CREATE TYPE trap.text AS (x integer);
    CREATE TABLE trap.pg_class (oid oid);
    SET search_path = trap, pg_catalog;
    CREATE TEMP TABLE pg_index (x integer);
    CREATE TEMP TABLE pg_constraint (x integer);"#;

#[test]
fn a_hostile_search_path_gets_nothing_called_and_nothing_changed() {
    let db = TestDb::new(Template::ShapeAWithDependents).unwrap();
    let mut client = db.client().unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let plan = plan_states(&mut client).unwrap();
    let mut trapped = db.client().unwrap();
    trapped.batch_execute(TRAPS).unwrap();
    let known = facts(&mut client).unwrap();
    trapped.batch_execute("SET groundskeeper.inline_build_limit = '64MB'").unwrap();
    for call in [
        "SELECT FROM groundskeeper.plan_status()",
        "SELECT FROM groundskeeper.rollback_plan()",
        "SELECT FROM groundskeeper.apply_plan(true)",
        "SELECT FROM groundskeeper.apply_plan()",
        "SELECT groundskeeper.rollback_script()",
        "SELECT FROM groundskeeper.prerequisites()",
        "SELECT groundskeeper.connection_pool_config('pgbouncer')",
        "SELECT FROM groundskeeper.recommend_pool_size()",
        "SELECT FROM groundskeeper.pool_utilization()",
        "SELECT FROM monitoring.table_bloat",
        "SELECT FROM public.update_table_statistics(true)",
        "SELECT FROM groundskeeper.schedule_maintenance()",
        "UPDATE groundskeeper.schedule SET scheduled_at = pg_catalog.now() OPERATOR(pg_catalog.-) interval '1 day'",
        "CALL groundskeeper.run_overdue()",
        "CALL groundskeeper.migrate_to_staging('moneyline')",
        "SELECT FROM public.create_monthly_partitions()",
        "SELECT FROM groundskeeper.apply_retention()",
        "SELECT FROM groundskeeper.partition_preflight('raw_data.moneylines_raw', 'game_date')",
        "SELECT FROM monitoring.partition_health",
        "SELECT FROM monitoring.maintenance_status",
        "SELECT FROM groundskeeper.unschedule_maintenance()",
        "SELECT groundskeeper.record_metrics()",
        "SELECT FROM groundskeeper.query_latency()",
        "SELECT FROM groundskeeper.statement_latency()",
        "SELECT FROM groundskeeper.metrics_over()",
        "SELECT FROM groundskeeper.metrics_cost",
        "SELECT FROM groundskeeper.kpi_report()",
        "SELECT FROM groundskeeper.check_alerts()",
        "SELECT FROM groundskeeper.alerts",
        "SELECT FROM monitoring.idle_transactions",
        "SELECT groundskeeper.performance_report()",
        "SELECT groundskeeper.performance_report_html()",
        "SELECT groundskeeper.prometheus_metrics()",
        "SELECT FROM monitoring.metrics",
    ] {
        trapped.batch_execute(call).unwrap_or_else(|error| panic!("{error:?}: {call}"));
    }
    assert_eq!(text(&mut client, "SELECT is_called FROM trap.calls").unwrap(), "false");
    assert_eq!(plan_states(&mut client).unwrap(), plan);
    let changed = difference(&known, &facts(&mut client).unwrap());
    assert!(changed.is_empty(), "{changed}");
}
