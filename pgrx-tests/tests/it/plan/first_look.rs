//! An installation that applies nothing, and single items.

use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};
use postgres::Client;

const TOTALS_INDEX: &str = "2.1.staging.totals.idx_staging_totals_game_sportsbook";
const WIDEN: &str = "1.1.staging.totals.data_quality_score";

/// A database with the extension and nothing of the plan.
fn looked_at() -> (TestDb, Client, String) {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 50).unwrap();
    let before = facts(&mut client).unwrap();
    client
        .batch_execute("SET groundskeeper.apply_at_install = off; CREATE EXTENSION pg_groundskeeper")
        .unwrap();
    (db, client, before)
}

fn assert_untouched(client: &mut Client, before: &str) {
    let changed = difference(before, &facts(client).unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn nothing_is_applied_and_all_of_it_is_shown() {
    let (_db, mut client, before) = looked_at();
    assert_untouched(&mut client, &before);
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.jobs").unwrap(), "0");
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.change_log").unwrap(), "0");
    let told = "SELECT format('%s %s', item, state) FROM groundskeeper.plan_status()
                 WHERE state NOT IN ('pending', 'not_applicable') AND kind <> 'monitoring_view'";
    assert_eq!(texts(&mut client, told).unwrap(), [""; 0]);
    let untold = "SELECT item FROM groundskeeper.plan_status()
                   WHERE state = 'pending' AND kind <> 'role_setting'
                     AND (apply_sql IS NULL OR locks IS NULL OR estimated_bytes IS NULL OR runs_as NOT IN ('inline', 'job'))";
    assert_eq!(texts(&mut client, untold).unwrap(), [""; 0]);
    assert_untouched(&mut client, &before);
}

#[test]
fn what_it_costs_is_told() {
    let (_db, mut client, _) = looked_at();
    let mut told = |item: &str| {
        let of = "SELECT locks, estimated_bytes, runs_as FROM groundskeeper.plan_status() WHERE item = $1";
        let row = client.query_one(of, &[&item]).unwrap();
        (row.get::<_, String>(0), row.get::<_, i64>(1), row.get::<_, String>(2))
    };
    let size = "SELECT pg_relation_size('staging.totals')";
    let (locks, bytes, runs_as) = told(TOTALS_INDEX);
    assert!(locks.starts_with("SHARE on staging.totals while "), "{locks}");
    assert_eq!(runs_as, "inline");
    let (widen, _, _) = told(WIDEN);
    assert!(widen.starts_with("ACCESS EXCLUSIVE on staging.totals for a moment: no row is read"), "{widen}");
    assert_eq!(told("3.1.staging.moneylines.processed_at").2, "job");
    assert_eq!(bytes.to_string(), text(&mut client, size).unwrap());
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    let big = format!(
        "SELECT runs_as || ' ' || locks FROM groundskeeper.plan_status() WHERE item = '{TOTALS_INDEX}'"
    );
    assert!(text(&mut client, &big).unwrap().starts_with("job SHARE UPDATE EXCLUSIVE on staging.totals"));
    // what is applied costs nothing any more
    let applied =
        "SELECT count(*) FROM groundskeeper.plan_status() WHERE state = 'applied' AND locks IS NOT NULL";
    assert_eq!(text(&mut client, applied).unwrap(), "0");
}

#[test]
fn a_database_can_be_set_so() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let before = facts(&mut client).unwrap();
    client
        .batch_execute(&format!("ALTER DATABASE {} SET groundskeeper.apply_at_install = off", db.name()))
        .unwrap();
    db.install().unwrap();
    assert_untouched(&mut client, &before);
}

#[test]
fn a_setting_that_is_none_is_no_leave_to_apply() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let install = "SET groundskeeper.apply_at_install = 'not yet'; CREATE EXTENSION pg_groundskeeper";
    let refused = refusal(&mut client, install).unwrap();
    assert!(matches!(refused.code.as_str(), "22P02" | "22023"), "{refused:?}");
    let there = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_groundskeeper'";
    assert_eq!(text(&mut client, there).unwrap(), "0");
}

#[test]
fn single_items_are_applied_and_taken_back() {
    let (db, mut client, before) = looked_at();
    let call = format!("apply_plan(items => ARRAY['{TOTALS_INDEX}', '{WIDEN}'])");
    let rehearsed = carry_out(&mut client, &call.replace("items", "true, items")).unwrap();
    assert_untouched(&mut client, &before);
    let applied = carry_out(&mut client, &call).unwrap();
    for outcomes in [&rehearsed, &applied] {
        let items: Vec<&str> = outcomes.iter().map(|o| o.item.as_str()).collect();
        assert_eq!(items, [WIDEN, TOTALS_INDEX]);
        assert!(outcomes.iter().all(|o| o.action == "apply"), "{outcomes:?}");
    }
    let states = plan_states(&mut client).unwrap();
    let applied: Vec<&str> = states
        .iter()
        .filter(|(item, s)| s.state == "applied" && !item.starts_with("5.2") && !item.starts_with("6.2"))
        .map(|(item, _)| item.as_str())
        .collect();
    assert_eq!(applied, [WIDEN, TOTALS_INDEX]);
    carry_out(&mut client, "rollback_plan()").unwrap();
    db.settle().unwrap();
    assert_untouched(&mut client, &before);
    let refused = refusal(&mut client, "SELECT groundskeeper.apply_plan(items => '{9.9.nothing}')").unwrap();
    assert_eq!((refused.code.as_str(), refused.hint.contains("plan_status()")), ("22023", true));
    // both restrict
    let none = "apply_plan(false, '{2.2}', ARRAY['1.1.staging.totals.data_quality_score'])";
    assert!(carry_out(&mut client, none).unwrap().is_empty());
}

#[test]
fn a_table_is_partitioned_where_its_item_is_named_and_nothing_must_be_acknowledged() {
    let (db, mut client, before) = looked_at();
    let item = "3.1.staging.moneylines.processed_at";
    let call = format!("apply_plan(items => ARRAY['{item}'])");
    let outcome = carry_out(&mut client, &call).unwrap().remove(0);
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
    assert!(outcome.detail.contains("accept"), "{outcome:?}");
    let accepted = "SELECT groundskeeper.partition_table('staging.moneylines', 'processed_at', accept => '{on_conflict}')";
    client.batch_execute(accepted).unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[item].state, "applied");
    let all = carry_out(&mut client, "apply_plan(sections => '{3.1}')").unwrap();
    assert!(all.iter().all(|outcome| outcome.action == "skip"), "{all:?}");
    carry_out(&mut client, "rollback_plan()").unwrap();
    db.settle().unwrap();
    assert_untouched(&mut client, &before);
}

#[test]
fn what_is_not_wanted_is_declined() {
    let (db, mut client, _) = looked_at();
    client
        .batch_execute(&format!("SELECT groundskeeper.decline('{TOTALS_INDEX}', 'never asked for')"))
        .unwrap();
    let state = |client: &mut Client| plan_states(client).unwrap()[TOTALS_INDEX].clone();
    let standing = state(&mut client);
    assert_eq!((standing.state.as_str(), standing.detail.as_str()), ("declined", "never asked for"));
    for call in ["apply_plan()".to_owned(), format!("apply_plan(items => ARRAY['{TOTALS_INDEX}'])")] {
        let outcomes = carry_out(&mut client, &call).unwrap();
        let outcome = outcomes.iter().find(|o| o.item == TOTALS_INDEX).unwrap();
        assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "declined"));
    }
    db.settle().unwrap();
    let listed =
        format!("SELECT declined_reason FROM groundskeeper.plan_items WHERE item = '{TOTALS_INDEX}'");
    assert_eq!(text(&mut client, &listed).unwrap(), "never asked for");
    // a dump carries it
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    assert_eq!(state(&mut copy.client().unwrap()).state, "declined");

    client.batch_execute(&format!("SELECT groundskeeper.decline('{TOTALS_INDEX}', NULL)")).unwrap();
    assert_eq!(state(&mut client).state, "pending");
    for (call, code) in [
        (format!("SELECT groundskeeper.decline('{WIDEN}', 'too late')"), "55000"),
        ("SELECT groundskeeper.decline('9.9.nothing', 'x')".to_owned(), "22023"),
        (format!("SELECT groundskeeper.decline('{TOTALS_INDEX}', ' ')"), "22023"),
    ] {
        assert_eq!(refusal(&mut client, &call).unwrap().code, code, "{call}");
    }
}
