//! Rules as data, and who may do what with them.

use super::*;
use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};

#[test]
fn rules_that_make_no_sense_are_refused() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let all = "SELECT r FROM groundskeeper.alert_rules r ORDER BY rule";
    let before = texts(&mut client, all).unwrap();
    assert_eq!(before.len(), 16);
    for (change, code, said) in [
        ("metric = 'joy' WHERE rule = 'failed_jobs'", "22023", "failed_jobs"),
        ("comparison = '=' WHERE rule = 'failed_jobs'", "22023", "> or <"),
        ("comparison = '>' WHERE rule = 'cache_hit_ratio'", "22023", "comparison <"),
        (
            "fire_threshold = NULL, clear_threshold = NULL WHERE rule = 'failed_jobs'",
            "22023",
            "Only the rule",
        ),
        ("fire_threshold = 'NaN' WHERE rule = 'failed_jobs'", "22023", "fire_threshold"),
        ("clear_threshold = 400 WHERE rule = 'idle_in_transaction'", "22023", "clear_threshold"),
        ("clear_threshold = 1 WHERE rule = 'wraparound_distance'", "22023", "clear_threshold"),
        ("target = 'x' WHERE rule = 'heartbeat'", "22023", "no targets"),
        ("fire_after = '-1 second' WHERE rule = 'heartbeat'", "22023", "fire_after"),
        ("clear_after = '31 days' WHERE rule = 'heartbeat'", "22023", "clear_after"),
        ("min_samples = -1 WHERE rule = 'heartbeat'", "22023", "min_samples"),
        ("measured_over = '1 hour' WHERE rule = 'table_bloat_max'", "22023", "measured now"),
        ("measured_over = '0' WHERE rule = 'cache_hit_ratio'", "22023", "measured_over"),
        (
            "target = 'public.nothing' WHERE rule = 'invalid_indexes'",
            "42704",
            "There is no table public.nothing.",
        ),
        ("enabled = NULL", "23502", ""),
        ("metric = NULL", "23502", ""),
        ("rule = repeat('x', 61) WHERE rule = 'heartbeat'", "23514", ""),
    ] {
        let refused =
            refusal(&mut client, &format!("UPDATE groundskeeper.alert_rules SET {change}")).unwrap();
        assert_eq!(refused.code, code, "{change}: {refused:?}");
        assert!(refused.detail.contains(said), "{change}: {refused:?}");
    }
    assert_eq!(texts(&mut client, all).unwrap(), before);
}

#[test]
fn rules_survive_a_restore_and_what_happened_does_not() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE public.games (n integer);
         UPDATE groundskeeper.alert_rules SET fire_threshold = 7, enabled = false WHERE rule = 'failed_jobs';
         INSERT INTO groundskeeper.alert_rules (rule, metric, target, comparison, fire_threshold)
             VALUES ('<script>\"ours\"', 'invalid_indexes', 'public.games', '>', 3);
         SELECT groundskeeper.check_alerts()",
    );
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let mut there = copy.client().unwrap();
    let all = "SELECT r FROM groundskeeper.alert_rules r ORDER BY rule";
    assert_eq!(texts(&mut there, all).unwrap(), texts(&mut client, all).unwrap());
    let state = "SELECT DISTINCT state FROM groundskeeper.alerts";
    assert_eq!(texts(&mut there, state).unwrap(), ["no_data"]);
    assert_eq!(checked(&mut there, "<script>\"ours\""), "ok");
}

#[test]
fn a_rule_on_what_does_not_exist_is_refused_and_one_whose_target_is_gone_has_no_data() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let role = db.role("somebody").unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE public.\"Odd one\" (n integer); CREATE MATERIALIZED VIEW public.seen AS SELECT 1 AS n",
    );
    let insert = |metric: &str, target: &str| {
        format!(
            "INSERT INTO groundskeeper.alert_rules (rule, metric, target, comparison, fire_threshold)
             VALUES ('mine', '{metric}', '{target}', '>', 0)"
        )
    };
    for (metric, wrong, right) in [
        ("unhealthy_partitions", "public.\"Odd one\"", None),
        ("failed_jobs", "public.odd", Some("public.\"Odd one\"".to_owned())),
        ("invalid_indexes", "public.Odd one", Some("public.\"Odd one\"".to_owned())),
        ("invalid_indexes", "seen", Some("public.seen".to_owned())),
        ("wraparound_distance", "nowhere", Some(db.name().to_owned())),
        ("idle_in_transaction_seconds", "nobody", Some(role.clone())),
        ("overdue_maintenance", "nothing", Some("history".to_owned())),
        ("failing_views", "public.\"Odd one\"", Some("public.seen".to_owned())),
        ("failing_relations", "public.odd", Some("public.seen".to_owned())),
        ("failed_migration_runs", "horses", Some("spread".to_owned())),
    ] {
        let refused = refusal(&mut client, &insert(metric, wrong)).unwrap();
        assert_eq!(refused.code, "42704", "{metric}: {refused:?}");
        assert!(
            refused.detail.starts_with("There is no ") || refused.detail.contains("no entry"),
            "{refused:?}"
        );
        let Some(right) = right else { continue };
        run_sql(
            &mut client,
            &format!("{}; DELETE FROM groundskeeper.alert_rules WHERE rule = 'mine'", insert(metric, &right)),
        );
    }
    run_sql(&mut client, &insert("invalid_indexes", "public.\"Odd one\""));
    assert_eq!(checked(&mut client, "mine"), "ok");
    run_sql(&mut client, "ALTER TABLE public.\"Odd one\" RENAME TO plain");
    assert_eq!(checked(&mut client, "mine"), "no_data");
    assert_eq!(detail(&mut client, "mine"), "there is no table public.\"Odd one\"");
    // What it watches may be away for a while: the rest of the rule can be edited.
    run_sql(&mut client, "UPDATE groundskeeper.alert_rules SET fire_threshold = 1 WHERE rule = 'mine'");
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    assert_eq!(checked(&mut copy.client().unwrap(), "mine"), "no_data");
}

#[test]
fn a_member_of_pg_monitor_reads_a_stranger_does_not_and_a_keeper_needs_both_rights() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let [monitor, stranger, keeper] = ["monitor", "stranger", "keeper"].map(|stem| db.role(stem).unwrap());
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        &format!(
            "GRANT pg_monitor TO {}; GRANT EXECUTE ON FUNCTION groundskeeper.check_alerts TO {};
             SELECT groundskeeper.check_alerts()",
            quote_ident(&monitor),
            quote_ident(&keeper)
        ),
    );
    let [mut monitor, mut stranger, mut as_keeper] =
        [&monitor, &stranger, &keeper].map(|role| db.client_as(role).unwrap());
    assert_eq!(text(&mut monitor, "SELECT count(*) FROM groundskeeper.alerts").unwrap(), "16");
    run_sql(
        &mut monitor,
        "TABLE groundskeeper.alert_rules; TABLE groundskeeper.alert_history; TABLE groundskeeper.alert_silences",
    );
    for change in [
        "SELECT groundskeeper.check_alerts()",
        "SELECT groundskeeper.silence_alert('heartbeat', now() + interval '1 hour', 'x')",
        "UPDATE groundskeeper.alert_rules SET enabled = false",
        "TABLE groundskeeper.alert_state",
    ] {
        assert_eq!(refusal(&mut monitor, change).unwrap().code, "42501", "{change}");
        assert_eq!(refusal(&mut stranger, change).unwrap().code, "42501", "{change}");
    }
    for look in ["alerts", "alert_rules", "alert_history", "alert_silences"] {
        assert_eq!(
            refusal(&mut stranger, &format!("TABLE groundskeeper.{look}")).unwrap().code,
            "42501",
            "{look}"
        );
    }
    // Who sees only part would call the rest well.
    let refused = refusal(&mut as_keeper, "SELECT groundskeeper.check_alerts()").unwrap();
    assert_eq!(refused.code, "42501");
    run_sql(&mut client, refused.hint.trim_end_matches(';'));
    run_sql(&mut as_keeper, "SELECT groundskeeper.check_alerts()");
}
