//! What stands in the plan's place and is no table, and what stands in a view's way.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::{Template, TestDb, difference, facts};

#[test]
fn a_view_or_foreign_table_in_a_tables_place_is_blocked() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "ALTER TABLE staging.totals RENAME TO totals_data;
             CREATE VIEW staging.totals AS TABLE staging.totals_data;
             DROP TABLE curated.betting_analysis CASCADE;
             CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far;
             CREATE FOREIGN TABLE curated.betting_analysis (game_id integer, bet_type text, confidence_score numeric, recommendation text)
                 SERVER far;
             SET groundskeeper.apply_at_install = off; CREATE EXTENSION pg_groundskeeper",
        )
        .unwrap();
    let states = plan_states(&mut client).unwrap();
    for (item, what) in [
        ("1.1.staging.totals.data_quality_score", "staging.totals is a view, a table is needed"),
        ("1.1.staging.totals.chk_totals_quality_score", "staging.totals is a view, a table is needed"),
        (
            "2.1.staging.totals.idx_staging_totals_game_sportsbook",
            "staging.totals is a view, a table is needed",
        ),
        (
            "2.2.curated.betting_analysis.idx_curated_betting_analysis_game_type_confidence",
            "curated.betting_analysis is a foreign table, a table is needed",
        ),
    ] {
        assert_eq!((states[item].state.as_str(), states[item].detail.as_str()), ("blocked", what), "{item}");
    }
    let before = facts(&mut client).unwrap();
    let outcomes = carry_out(&mut client, "apply_plan(sections => '{1.1,2.1,2.2}')").unwrap();
    let failed: Vec<_> =
        outcomes.iter().filter(|o| o.state == "blocked" && !o.detail.contains("a table is needed")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_ne!(before, facts(&mut client).unwrap());
}

#[test]
fn default_privileges_of_the_day_after_do_not_choose_a_role_that_may_not_create() {
    let mut db = TestDb::new(Template::ShapeAWithDependents).unwrap();
    let mut client = db.client().unwrap();
    // a role with USAGE alone, whose turn would come first
    let reader = quote_ident(&db.role("a_reader").unwrap());
    client
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA staging TO {reader};
             CREATE VIEW staging.on_scores AS SELECT data_quality_score FROM staging.moneylines;
             ALTER VIEW staging.on_scores OWNER TO {reader};
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC"
        ))
        .unwrap();
    let (dump, known) = (db.dump_schema().unwrap(), facts(&mut client).unwrap());
    db.install().unwrap();
    db.settle().unwrap();
    let states = plan_states(&mut client).unwrap();
    assert_eq!(states["1.1.staging.moneylines.data_quality_score"].state, "applied", "{states:?}");
    for outcome in carry_out(&mut client, "rollback_plan()").unwrap() {
        assert_eq!(outcome.action, "revert", "{outcome:?}");
    }
    db.settle().unwrap();
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    let changed = difference(&known, &facts(&mut client).unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn what_a_conversion_was_in_the_way_of_is_done_after_it() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "SET groundskeeper.apply_at_install = off; CREATE EXTENSION pg_groundskeeper;
             SELECT groundskeeper.partition_table('staging.moneylines', 'processed_at', accept => '{on_conflict}')",
        )
        .unwrap();
    db.settle().unwrap();
    let item = "1.1.staging.moneylines.data_quality_score";
    let outcome = carry_out(&mut client, &format!("apply_plan(items => '{{{item}}}')")).unwrap().remove(0);
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
    client.batch_execute("SELECT groundskeeper.finalize_partitioning('staging.moneylines')").unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[item].state, "applied");
    // what nobody has asked for is not
    let totals = &plan_states(&mut client).unwrap()["1.1.staging.moneylines.chk_moneylines_quality_score"];
    assert_eq!(totals.state, "pending");
}

#[test]
fn what_a_stranger_asks_for_is_not_done_as_the_tables_owner() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let stranger = db.role("stranger").unwrap();
    client
        .batch_execute(&format!(
            "SET groundskeeper.apply_at_install = off; CREATE EXTENSION pg_groundskeeper;
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA groundskeeper TO {};
             SELECT groundskeeper.partition_table('staging.moneylines', 'processed_at', accept => '{{on_conflict}}')",
            quote_ident(&stranger)
        ))
        .unwrap();
    db.settle().unwrap();
    let item = "1.1.staging.moneylines.data_quality_score";
    let mut asking = db.client_as(&stranger).unwrap();
    let outcome = carry_out(&mut asking, &format!("apply_plan(items => '{{{item}}}')")).unwrap().remove(0);
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
    client.batch_execute("SELECT groundskeeper.finalize_partitioning('staging.moneylines')").unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[item].state, "pending");
}
