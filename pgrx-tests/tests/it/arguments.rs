//! Arguments and settings that make no sense.

use groundskeeper_tests::plan::carry_out;
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

/// Every function and procedure that changes something, without its arguments' names and defaults.
const MUTATORS: &str = "
    SELECT format('%s %s %s', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.oid::regproc,
                  array_to_string(CASE WHEN pronargs > 0 THEN proargnames[1:pronargs] END, ' '))
      FROM pg_proc p
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
     WHERE provolatile = 'v' AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
       AND proname NOT IN ('plan_status')
     ORDER BY 1";

/// Each argument of each of these that must not be NULL; a new function must find its way in here.
const WITH_NULL: &[(&str, &[&str])] = &[
    (
        "SELECT groundskeeper.apply_plan dry_run sections items",
        &[
            "groundskeeper.apply_plan(NULL)",
            "groundskeeper.apply_plan(sections => ARRAY[NULL])",
            "groundskeeper.apply_plan(items => ARRAY[NULL])",
        ],
    ),
    ("SELECT groundskeeper.add_plan_item item", &["groundskeeper.add_plan_item(NULL)"]),
    ("SELECT groundskeeper.drop_plan_item item", &["groundskeeper.drop_plan_item(NULL)"]),
    (
        "SELECT groundskeeper.import_plan plan dry_run",
        &["groundskeeper.import_plan(NULL)", "groundskeeper.import_plan('', NULL)"],
    ),
    // without a reason it is declined no more
    ("SELECT groundskeeper.decline item reason", &["groundskeeper.decline(NULL, 'x')"]),
    (
        "SELECT groundskeeper.alter_column_type relation column_name type",
        &[
            "groundskeeper.alter_column_type(NULL, 'id', 'bigint')",
            "groundskeeper.alter_column_type('staging.games', NULL, 'bigint')",
            "groundskeeper.alter_column_type('staging.games', 'id', NULL)",
        ],
    ),
    (
        "SELECT groundskeeper.adopt_partitioned_table relation interval timezone premake",
        &[
            "groundskeeper.adopt_partitioned_table(NULL)",
            "groundskeeper.adopt_partitioned_table('raw_data.moneylines_raw', NULL)",
            "groundskeeper.adopt_partitioned_table('raw_data.moneylines_raw', premake => NULL)",
        ],
    ),
    ("SELECT groundskeeper.apply_retention dry_run", &["groundskeeper.apply_retention(NULL)"]),
    ("SELECT groundskeeper.apply_server_settings role", &["groundskeeper.apply_server_settings(NULL)"]),
    ("SELECT groundskeeper.cancel_job job_id", &["groundskeeper.cancel_job(NULL)"]),
    (
        "SELECT create_monthly_partitions months_ahead dry_run",
        &["create_monthly_partitions(NULL)", "create_monthly_partitions(dry_run => NULL)"],
    ),
    (
        "SELECT groundskeeper.create_monthly_partitions months_ahead dry_run",
        &[
            "groundskeeper.create_monthly_partitions(NULL)",
            "groundskeeper.create_monthly_partitions(dry_run => NULL)",
        ],
    ),
    (
        "SELECT groundskeeper.drain_default relation batch_size",
        &[
            "groundskeeper.drain_default(NULL)",
            "groundskeeper.drain_default('raw_data.moneylines_raw', NULL)",
        ],
    ),
    ("SELECT groundskeeper.rebuild_keys relation", &["groundskeeper.rebuild_keys(NULL)"]),
    ("SELECT groundskeeper.drop_partition partition", &["groundskeeper.drop_partition(NULL)"]),
    ("SELECT groundskeeper_internal.fail_migration ", &[]),
    ("SELECT groundskeeper.finalize_partitioning relation", &["groundskeeper.finalize_partitioning(NULL)"]),
    (
        "CALL groundskeeper.migrate_to_staging bet_type batch_size sweep",
        &["groundskeeper.migrate_to_staging(NULL, NULL)"],
    ),
    (
        "SELECT groundskeeper_internal.migration_step run tries",
        &["groundskeeper_internal.migration_step(NULL, 0)"],
    ),
    (
        "SELECT groundskeeper.partition_preflight relation partition_key interval timezone premake key_format default",
        &[
            "groundskeeper.partition_preflight(NULL, 'id')",
            "groundskeeper.partition_preflight('staging.games', NULL)",
            "groundskeeper.partition_preflight('staging.games', 'id', NULL)",
            "groundskeeper.partition_preflight('staging.games', 'id', premake => NULL)",
        ],
    ),
    (
        "SELECT groundskeeper.partition_table relation partition_key interval timezone premake accept key_format default",
        &[
            "groundskeeper.partition_table(NULL, 'game_date')",
            "groundskeeper.partition_table('staging.games', NULL)",
            "groundskeeper.partition_table('staging.games', 'game_date', NULL)",
            "groundskeeper.partition_table('staging.games', 'game_date', premake => NULL)",
            "groundskeeper.partition_table('staging.games', 'game_date', accept => NULL)",
            "groundskeeper.partition_table('staging.games', 'game_date', accept => ARRAY[NULL])",
        ],
    ),
    (
        "SELECT groundskeeper.attach_partition parent table",
        &[
            "groundskeeper.attach_partition(NULL, 'staging.games')",
            "groundskeeper.attach_partition('staging.games', NULL)",
        ],
    ),
    ("SELECT groundskeeper_internal.managed_table_became was now", &[]),
    ("SELECT groundskeeper.stop_managing parent", &["groundskeeper.stop_managing(NULL)"]),
    ("SELECT groundskeeper.check_alerts ", &[]),
    ("SELECT groundskeeper.detach_partition partition", &["groundskeeper.detach_partition(NULL)"]),
    ("SELECT groundskeeper.kpi_report ", &[]),
    ("SELECT groundskeeper.drop_unused_indexes dry_run", &["groundskeeper.drop_unused_indexes(NULL)"]),
    ("SELECT groundskeeper_internal.look_after_jobs ", &[]),
    ("SELECT groundskeeper.maintain relation", &["groundskeeper.maintain(NULL)"]),
    ("SELECT groundskeeper_internal.measured_bloat relations", &[]),
    ("SELECT groundskeeper_internal.metrics name", &[]),
    (
        "SELECT groundskeeper.performance_report since compared_with",
        &["groundskeeper.performance_report(NULL)"],
    ),
    (
        "SELECT groundskeeper_internal.performance_report since compared_with",
        &["groundskeeper_internal.performance_report(NULL, NULL)"],
    ),
    (
        "SELECT groundskeeper.performance_report_html since compared_with",
        &["groundskeeper.performance_report_html(NULL)"],
    ),
    ("SELECT groundskeeper.prometheus_metrics ", &[]),
    ("SELECT groundskeeper.prune_history ", &[]),
    ("SELECT groundskeeper.query_latency since", &["groundskeeper.query_latency(NULL)"]),
    ("SELECT groundskeeper.record_metrics ", &[]),
    ("SELECT groundskeeper_internal.nodes_say ", &[]),
    ("SELECT groundskeeper_internal.record_as_worker ", &[]),
    ("SELECT groundskeeper_internal.relations_locked_by_others ", &[]),
    ("SELECT groundskeeper.reindex index", &["groundskeeper.reindex(NULL)"]),
    ("SELECT groundskeeper.rescore relation", &["groundskeeper.rescore(NULL)"]),
    ("SELECT groundskeeper.resume ", &[]),
    ("SELECT groundskeeper.retry_job job_id", &["groundskeeper.retry_job(NULL)"]),
    (
        "SELECT groundskeeper.rollback_plan dry_run items",
        &[
            "groundskeeper.rollback_plan(NULL)",
            "groundskeeper.rollback_plan(items => ARRAY['x', NULL])",
            "groundskeeper.rollback_plan(true, ARRAY[NULL])",
        ],
    ),
    ("CALL groundskeeper_internal.run_one job_name problem", &["groundskeeper_internal.run_one(NULL, NULL)"]),
    ("CALL groundskeeper.run_overdue ", &[]),
    ("CALL groundskeeper.run_scheduled job_name", &["groundskeeper.run_scheduled(NULL)"]),
    (
        "SELECT groundskeeper_internal.run_step step job_name argument",
        &[
            "groundskeeper_internal.run_step(NULL, 'history')",
            "groundskeeper_internal.run_step('begin', NULL)",
        ],
    ),
    // No zone is the plan's.
    ("SELECT groundskeeper.schedule_maintenance timezone", &[]),
    (
        "SELECT groundskeeper.set_retention relation keep action before",
        &[
            "groundskeeper.set_retention(NULL, '1 year')",
            "groundskeeper.set_retention('raw_data.moneylines_raw', '1 year', NULL)",
        ],
    ),
    (
        "SELECT groundskeeper.silence_alert rule until reason",
        &[
            "groundskeeper.silence_alert(NULL, now(), 'x')",
            "groundskeeper.silence_alert('heartbeat', NULL, 'x')",
            "groundskeeper.silence_alert('heartbeat', now() + interval '1 hour', NULL)",
        ],
    ),
    ("SELECT groundskeeper_internal.sizes_without_waiting relations", &[]),
    (
        "SELECT groundskeeper_internal.start_migration bet_type batch_size sweep",
        &["groundskeeper_internal.start_migration(NULL, NULL, false)"],
    ),
    ("SELECT groundskeeper.stop_maintaining relation", &["groundskeeper.stop_maintaining(NULL)"]),
    ("SELECT groundskeeper.undo_partitioning relation", &["groundskeeper.undo_partitioning(NULL)"]),
    ("SELECT groundskeeper.unschedule_maintenance ", &[]),
    ("SELECT groundskeeper_internal.unschedule_if_dropped ", &[]),
    ("SELECT update_table_statistics force", &["update_table_statistics(NULL)"]),
    ("SELECT groundskeeper.update_table_statistics force", &["groundskeeper.update_table_statistics(NULL)"]),
    ("SELECT groundskeeper.statement_latency since", &["groundskeeper.statement_latency(NULL)"]),
    (
        "CALL groundskeeper.wait_for_job job_id timeout state",
        &["groundskeeper.wait_for_job(NULL)", "groundskeeper.wait_for_job(1, NULL)"],
    ),
];

fn installed() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let client = db.client().unwrap();
    (db, client)
}

/// Every function that takes a relation, called with one; what else it must be given is given.
const WITH_RELATION: &str = "
    SELECT format('%s %s(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.oid::regproc,
                  (SELECT string_agg(CASE t WHEN 'regclass'::regtype THEN ':relation' WHEN 'interval'::regtype THEN '''1 day'''
                                            ELSE '''id''' END, ', ' ORDER BY n)
                     FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a (t, n) WHERE n <= pronargs - pronargdefaults))
      FROM pg_proc p
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
     WHERE 'regclass'::regtype = ANY (p.proargtypes::oid[]) ORDER BY 1";

#[test]
fn a_relation_that_is_not_there_is_an_undefined_table() {
    let (db, mut client) = installed();
    let before = db.dump().unwrap();
    let calls = texts(&mut client, WITH_RELATION).unwrap();
    assert!(calls.len() >= 13, "{calls:?}");
    for call in calls {
        for oid in ["0", "4000000000"] {
            let call = call.replace(":relation", &format!("{oid}::oid::regclass"));
            let refused = refusal(&mut client, &call).unwrap();
            assert_eq!(refused.code, "42P01", "{call}: {refused:?}");
            assert_eq!(refused.message, format!("relation with OID {oid} does not exist"), "{call}");
        }
    }
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn null_is_refused_wherever_a_value_is_needed() {
    let (db, mut client) = installed();
    let before = db.dump().unwrap();
    for function in texts(&mut client, MUTATORS).unwrap() {
        let known = WITH_NULL.iter().find(|(name, _)| *name == function);
        let (name, calls) = known.unwrap_or_else(|| panic!("{function:?} is not tested with NULLs"));
        let verb = name.split(' ').next().unwrap();
        for call in *calls {
            let refused = refusal(&mut client, &format!("{verb} {call}")).unwrap();
            assert_eq!(refused.code, "22004", "{call}: {refused:?}");
            assert!(refused.message.contains("must not be null"), "{call}: {refused:?}");
        }
    }
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn null_means_all_where_it_is_the_default() {
    let (_db, mut client) = installed();
    let all = carry_out(&mut client, "apply_plan(true, NULL)").unwrap();
    assert_eq!(
        all.len().to_string(),
        text(&mut client, "SELECT count(*) FROM groundskeeper.plan_status()").unwrap()
    );
    assert!(!carry_out(&mut client, "rollback_plan(true, NULL)").unwrap().is_empty());
    assert!(carry_out(&mut client, "apply_plan(true, '{}')").unwrap().is_empty());
}

#[test]
fn sections_are_named_whole_or_by_their_first_part() {
    let (_db, mut client) = installed();
    let mut items = |sections: &str| -> Vec<String> {
        let outcomes = carry_out(&mut client, &format!("apply_plan(true, '{sections}')")).unwrap();
        let mut items: Vec<String> = outcomes.into_iter().map(|outcome| outcome.item).collect();
        items.sort();
        items
    };
    let four = items("{4}");
    assert!(
        four.iter().any(|item| item.starts_with("4.1.")) && four.iter().any(|item| item.starts_with("4.2."))
    );
    assert!(four.iter().all(|item| item.starts_with("4.")), "{four:?}");
    assert_eq!(items("{4.1,4.2}"), four);
    assert_eq!(items("{4.2,4,4.1}"), four);
    for unknown in ["{7}", "{4.}", "{4.10}", "{\"\"}", "{beyond,Beyond}", "{4,nothing}"] {
        let refused =
            refusal(&mut client, &format!("SELECT groundskeeper.apply_plan(true, '{unknown}')")).unwrap();
        assert_eq!(refused.code, "22023", "{unknown}");
        assert!(refused.detail.contains("beyond"), "{unknown}: {refused:?}");
    }
}

#[test]
fn an_unknown_job_is_said_to_be_unknown() {
    let (_db, mut client) = installed();
    for call in [
        "SELECT groundskeeper.cancel_job(4711)",
        "SELECT groundskeeper.retry_job(4711)",
        "CALL groundskeeper.wait_for_job(4711)",
        "SELECT groundskeeper.cancel_job(-1)",
        "SELECT groundskeeper.retry_job(9223372036854775807)",
    ] {
        let refused = refusal(&mut client, call).unwrap();
        assert_eq!(refused.code, "42704", "{call}: {refused:?}");
        assert!(refused.hint.contains("groundskeeper.jobs"), "{call}: {refused:?}");
    }
}

#[test]
fn waiting_in_a_transaction_block_is_refused_at_once() {
    let (_db, mut client) = installed();
    for call in ["CALL groundskeeper.wait_for_job(4711)", "CALL groundskeeper.wait_for_job(NULL)"] {
        client.batch_execute("BEGIN").unwrap();
        let refused = refusal(&mut client, call).unwrap();
        assert_eq!(refused.code, "2D000", "{call}: {refused:?}");
        client.batch_execute("ROLLBACK").unwrap();
    }
}

#[test]
fn jobs_are_waited_for_cancelled_and_tried_again() {
    let (db, mut client) = installed();
    fill(&mut client, 40).unwrap();
    client.batch_execute("DROP INDEX staging.idx_staging_totals_game_sportsbook").unwrap();
    let mut holder = db.client().unwrap();
    holder.batch_execute("BEGIN; INSERT INTO staging.totals (game_id) VALUES (1)").unwrap();
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    carry_out(&mut client, "apply_plan(sections => '{2.1}')").unwrap();
    let job = text(&mut client, "SELECT max(job_id) FROM groundskeeper.jobs").unwrap();
    let state = |client: &mut Client, timeout: &str| -> String {
        let wait = format!("CALL groundskeeper.wait_for_job({job}, '{timeout}')");
        client.query_one(&wait, &[]).unwrap().get(0)
    };
    // The time is up: whatever it is doing now.
    assert_eq!(state(&mut client, "2 s"), "waiting");
    client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).unwrap();
    assert_eq!(state(&mut client, "20 s"), "cancelled");
    assert_eq!(text(&mut client, &format!("SELECT groundskeeper.cancel_job({job})")).unwrap(), "cancelled");
    holder.batch_execute("COMMIT").unwrap();
    assert_eq!(text(&mut client, &format!("SELECT groundskeeper.retry_job({job})")).unwrap(), "queued");
    assert_eq!(state(&mut client, "20 s"), "succeeded");
    let refused = refusal(&mut client, &format!("SELECT groundskeeper.retry_job({job})")).unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    let history = "SELECT string_agg(state, ' ' ORDER BY started_at) FROM groundskeeper.job_history";
    assert_eq!(text(&mut client, history).unwrap(), "cancelled succeeded");
}

#[test]
fn settings_are_checked() {
    let (_db, mut client) = installed();
    // Any function of ours loads the library, which knows its settings.
    client.batch_execute("SELECT FROM groundskeeper.plan_status()").unwrap();
    for (setting, code) in [
        ("nonsense = 1", "42602"),
        ("timezone = 'Moon/Tranquility'", "22023"),
        ("timezone = ''", "22023"),
        ("lock_timeout = 0", "22023"),
        ("lock_timeout = '2min'", "22023"),
        ("inline_build_limit = -1", "22023"),
        ("apply_at_install = perhaps", "22023"),
        ("index_observation = -1", "22023"),
        ("max_gap_partitions = -1", "22023"),
        ("watched_schemas = 'a b'", "22023"),
        ("bloat_floor = -1", "22023"),
        ("max_workers = 3", "55P02"),
        ("job_history = '1d'", "55P02"),
        ("metrics_retention = '1d'", "55P02"),
    ] {
        let refused = refusal(&mut client, &format!("SET groundskeeper.{setting}")).unwrap();
        assert_eq!(refused.code, code, "{setting}: {refused:?}");
    }
    for setting in [
        "timezone = 'Europe/Berlin'",
        "lock_timeout = '1s'",
        "inline_build_limit = '1GB'",
        "index_observation = '30d'",
        "watched_schemas = app, staging",
        "watched_schemas = 'app, \"Another one\"'",
    ] {
        client.batch_execute(&format!("SET groundskeeper.{setting}")).unwrap();
    }
    let defaults = "SELECT string_agg(name || '=' || boot_val, ' ' ORDER BY name) FROM pg_settings
                     WHERE name IN ('groundskeeper.lock_timeout', 'groundskeeper.inline_build_limit',
                                    'groundskeeper.max_workers', 'groundskeeper.timezone')";
    assert_eq!(
        text(&mut client, defaults).unwrap(),
        "groundskeeper.inline_build_limit=65536 groundskeeper.lock_timeout=300 groundskeeper.max_workers=2 \
         groundskeeper.timezone=America/New_York"
    );
}
