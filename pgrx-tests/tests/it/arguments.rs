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
const WITH_NULL: [(&str, &[&str]); 17] = [
    (
        "SELECT groundskeeper.apply_plan dry_run sections",
        &["groundskeeper.apply_plan(NULL)", "groundskeeper.apply_plan(sections => ARRAY[NULL])"],
    ),
    ("SELECT groundskeeper.cancel_job job_id", &["groundskeeper.cancel_job(NULL)"]),
    ("SELECT groundskeeper.detach_partition partition", &["groundskeeper.detach_partition(NULL)"]),
    (
        "SELECT groundskeeper.fail_migration runs error",
        &["groundskeeper.fail_migration(NULL, 'x')", "groundskeeper.fail_migration('{1}', NULL)"],
    ),
    ("SELECT groundskeeper.look_after_jobs ", &[]),
    ("SELECT groundskeeper.measured_bloat relations", &[]),
    (
        "CALL groundskeeper.migrate_to_staging bet_type batch_size",
        &["groundskeeper.migrate_to_staging(NULL, NULL)"],
    ),
    ("SELECT groundskeeper.migration_step run", &["groundskeeper.migration_step(NULL)"]),
    ("SELECT groundskeeper.relations_locked_by_others ", &[]),
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
    ("SELECT groundskeeper.sizes_without_waiting relations", &[]),
    (
        "SELECT groundskeeper.start_migration bet_type batch_size",
        &["groundskeeper.start_migration('total', NULL)"],
    ),
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
        ("index_observation = -1", "22023"),
        ("max_workers = 3", "55P02"),
        ("job_history = '1d'", "55P02"),
    ] {
        let refused = refusal(&mut client, &format!("SET groundskeeper.{setting}")).unwrap();
        assert_eq!(refused.code, code, "{setting}: {refused:?}");
    }
    for setting in [
        "timezone = 'Europe/Berlin'",
        "lock_timeout = '1s'",
        "inline_build_limit = '1GB'",
        "index_observation = '30d'",
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
