//! The way back: `rollback_plan()`, and what it leaves.

use std::collections::BTreeMap;

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{Outcome, carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};
use postgres::Client;

const WIDEN_MONEYLINES: &str = "1.1.staging.moneylines.data_quality_score";
const TOTALS_INDEX: &str = "2.1.staging.totals.idx_staging_totals_game_sportsbook";
const READY: &str = "4.2.staging.migration_ready_records";

/// Installs, takes everything back and drops the extension: the schema must be what it was, to the byte in a
/// dump and to the last fact in the catalogs.
fn there_and_back(db: &TestDb) {
    let mut client = db.client().unwrap();
    let (dump, known) = (db.dump_schema().unwrap(), facts(&mut client).unwrap());
    db.install().unwrap();
    db.settle().unwrap();
    assert_ne!(known, facts(&mut client).unwrap(), "nothing was applied");
    take_back(db, &mut client);
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    assert_same(&known, &facts(&mut client).unwrap());
    assert_same(&dump, &db.dump_schema().unwrap());
}

fn take_back(db: &TestDb, client: &mut Client) {
    for outcome in carry_out(client, "rollback_plan()").unwrap() {
        assert_eq!((outcome.action.as_str(), outcome.detail.as_str()), ("revert", ""), "{}", outcome.item);
    }
    db.settle().unwrap();
}

fn assert_same(before: &str, after: &str) {
    let changed = difference(before, after);
    assert!(changed.is_empty(), "{changed}");
}

fn by_item(outcomes: Vec<Outcome>) -> BTreeMap<String, Outcome> {
    outcomes.into_iter().map(|outcome| (outcome.item.clone(), outcome)).collect()
}

fn score_type(client: &mut Client, table: &str) -> String {
    let column = format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
          WHERE attrelid = '{table}'::regclass AND attname = 'data_quality_score'"
    );
    text(client, &column).unwrap()
}

#[test]
fn the_assumed_tables_come_back_as_they_were() {
    there_and_back(&TestDb::new(Template::ShapeA).unwrap());
}

#[test]
fn rows_and_filled_views_come_back_with_them() {
    let db = TestDb::new(Template::ShapeAWithDependents).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 200).unwrap();
    client.batch_execute("REFRESH MATERIALIZED VIEW staging.totals_quality").unwrap();
    let rows = "SELECT md5(string_agg(t::text, ' ' ORDER BY t)) FROM staging.totals_quality t";
    let before = text(&mut client, rows).unwrap();
    there_and_back(&db);
    assert_eq!(text(&mut client, rows).unwrap(), before);
}

#[test]
fn views_on_the_columns_come_back_as_they_were() {
    there_and_back(&TestDb::new(Template::ShapeAWithDependents).unwrap());
}

#[test]
fn what_was_done_by_hand_stays_done() {
    there_and_back(&TestDb::new(Template::HalfApplied).unwrap());
}

#[test]
fn the_later_variant_comes_back_as_it_was() {
    there_and_back(&TestDb::new(Template::ShapeB).unwrap());
}

#[test]
fn default_privileges_get_into_nothing() {
    let mut db = TestDb::new(Template::ShapeAWithDependents).unwrap();
    let reader = quote_ident(&db.role("reader").unwrap());
    let defaults = format!(
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader};
         ALTER DEFAULT PRIVILEGES IN SCHEMA staging GRANT INSERT ON TABLES TO PUBLIC;
         ALTER DEFAULT PRIVILEGES FOR ROLE sandbox_analyst REVOKE ALL ON TABLES FROM sandbox_analyst"
    );
    db.client().unwrap().batch_execute(&defaults).unwrap();
    there_and_back(&db);
}

#[test]
fn hostile_names_are_only_names() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let role = quote_ident(&db.role("o\"w'ner; DROP TABLE staging.totals; --").unwrap());
    let hostile = format!(
        r#"GRANT ALL ON SCHEMA staging TO {role};
           GRANT SELECT ON staging.moneylines TO {role};
           CREATE VIEW staging."v'; DROP TABLE staging.totals; --" AS
               SELECT data_quality_score AS "c""; --", '$$;''' AS "$1 %I %s" FROM staging.moneylines;
           ALTER VIEW staging."v'; DROP TABLE staging.totals; --" OWNER TO {role};
           GRANT SELECT ("c""; --"), UPDATE ("$1 %I %s") ON staging."v'; DROP TABLE staging.totals; --" TO PUBLIC;
           COMMENT ON VIEW staging."v'; DROP TABLE staging.totals; --" IS E'a \'quoted\' \\ comment; $$';
           COMMENT ON COLUMN staging."v'; DROP TABLE staging.totals; --"."c""; --" IS '%s %I ''';
           CREATE MATERIALIZED VIEW staging."m.v" AS SELECT * FROM staging."v'; DROP TABLE staging.totals; --";
           CREATE INDEX "i""; --" ON staging."m.v" ("c""; --") WHERE "$1 %I %s" <> ''';';
           ALTER TABLE staging.moneylines ADD CONSTRAINT "c'; --" CHECK (data_quality_score < 10)"#
    );
    db.client().unwrap().batch_execute(&hostile).unwrap();
    there_and_back(&db);
}

#[test]
fn a_constraint_that_nobody_had_validated_becomes_so_again() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    db.client()
        .unwrap()
        .batch_execute(
            "ALTER TABLE staging.moneylines ADD CONSTRAINT chk_moneylines_quality_score
                 CHECK (data_quality_score >= 0.00 AND data_quality_score <= 99.99) NOT VALID;
             COMMENT ON CONSTRAINT chk_moneylines_quality_score ON staging.moneylines IS 'some day';
             ALTER TABLE staging.totals ADD CONSTRAINT score_range
                 CHECK (data_quality_score >= 0.00 AND data_quality_score <= 99.99) NOT VALID;
             ALTER TABLE staging.spreads ADD CONSTRAINT positive CHECK (data_quality_score > -5) NOT VALID;
             ALTER TABLE staging.spreads ADD CONSTRAINT not_seven CHECK (data_quality_score <> 7);
             COMMENT ON CONSTRAINT not_seven ON staging.spreads IS 'It''s unlucky'",
        )
        .unwrap();
    there_and_back(&db);
}

#[test]
fn a_score_that_the_old_type_cannot_hold_stops_its_column_only() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "INSERT INTO staging.moneylines (data_quality_score) VALUES (9.99), (10), (55.5), (NULL)",
        )
        .unwrap();
    let outcomes = by_item(carry_out(&mut client, "rollback_plan()").unwrap());
    let refused = &outcomes[WIDEN_MONEYLINES];
    assert_eq!((refused.action.as_str(), refused.state.as_str()), ("skip", "blocked"));
    assert!(refused.detail.contains("2 rows of staging.moneylines"), "{}", refused.detail);
    assert_eq!(score_type(&mut client, "staging.moneylines"), "numeric(5,2)");
    for table in ["staging.spreads", "staging.totals", "staging.games"] {
        assert_eq!(score_type(&mut client, table), "numeric(3,2)", "{table}");
    }
    // With the rows mended the rest of the way is free.
    client
        .batch_execute("UPDATE staging.moneylines SET data_quality_score = 5 WHERE data_quality_score >= 10")
        .unwrap();
    take_back(&db, &mut client);
    assert_eq!(score_type(&mut client, "staging.moneylines"), "numeric(3,2)");
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_it_would() {
    let db = TestDb::installed(Template::ShapeAWithDependents).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let before = db.dump().unwrap();
    let rehearsed = carry_out(&mut client, "rollback_plan(true)").unwrap();
    assert_same(&before, &db.dump().unwrap());
    let done = carry_out(&mut client, "rollback_plan()").unwrap();
    let said = |outcomes: &[Outcome]| -> Vec<_> {
        outcomes.iter().map(|o| (o.item.clone(), o.action.clone())).collect()
    };
    assert_eq!(said(&rehearsed), said(&done));
    assert!(rehearsed.iter().all(|o| !o.sql.is_empty()), "{rehearsed:?}");
}

#[test]
fn only_the_named_items_are_taken_back() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let call = format!("rollback_plan(items => '{{{TOTALS_INDEX}}}')");
    let outcomes = carry_out(&mut client, &call).unwrap();
    assert_eq!(outcomes.iter().map(|o| o.item.as_str()).collect::<Vec<_>>(), [TOTALS_INDEX]);
    let pending: Vec<String> = plan_states(&mut client)
        .unwrap()
        .into_iter()
        .filter(|(item, s)| s.state == "pending" && !item.starts_with("3.1") && !item.starts_with("5.1"))
        .map(|(item, _)| item)
        .collect();
    assert_eq!(pending, [TOTALS_INDEX]);
    assert!(carry_out(&mut client, "rollback_plan(items => '{}')").unwrap().is_empty());
    let refused =
        refusal(&mut client, "SELECT groundskeeper.rollback_plan(items => '{9.9.nothing}')").unwrap();
    assert_eq!(refused.code, "22023");
    assert!(refused.hint.contains("plan_status()"), "{}", refused.hint);
}

#[test]
fn a_view_of_the_users_on_a_view_of_the_plans_stops_its_drop() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let own = "CREATE VIEW staging.mine AS SELECT count(*) FROM staging.migration_ready_records";
    client.batch_execute(own).unwrap();
    let outcomes = by_item(carry_out(&mut client, "rollback_plan()").unwrap());
    let refused = &outcomes[READY];
    assert_eq!((refused.action.as_str(), refused.state.as_str()), ("skip", "blocked"));
    assert!(refused.detail.contains("view staging.mine"), "{}", refused.detail);
    assert_eq!(text(&mut client, "TABLE staging.mine").unwrap(), "0");
    assert!(outcomes.values().filter(|o| o.action == "skip").all(|o| o.item == READY), "{outcomes:?}");
}

#[test]
fn applied_taken_back_and_applied_again_is_applied() {
    let db = TestDb::new(Template::ShapeAWithDependents).unwrap();
    let mut client = db.client().unwrap();
    let dump = db.dump_schema().unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let (plan, known) = (plan_states(&mut client).unwrap(), facts(&mut client).unwrap());
    take_back(&db, &mut client);
    carry_out(&mut client, "apply_plan()").unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap(), plan);
    assert_same(&known, &facts(&mut client).unwrap());
    take_back(&db, &mut client);
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    assert_same(&dump, &db.dump_schema().unwrap());
}

#[test]
fn what_the_user_dropped_meanwhile_is_gone_and_no_more() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "DROP INDEX staging.idx_staging_totals_game_sportsbook;
             ALTER TABLE staging.games DROP CONSTRAINT chk_games_quality_score;
             DROP VIEW staging.migration_ready_records;
             DROP MATERIALIZED VIEW staging.daily_game_stats;
             DROP TABLE curated.betting_analysis;
             ALTER TABLE staging.spreads ALTER COLUMN data_quality_score TYPE numeric(3,2)",
        )
        .unwrap();
    let outcomes = by_item(carry_out(&mut client, "rollback_plan()").unwrap());
    for item in [
        TOTALS_INDEX,
        READY,
        "1.1.staging.games.chk_games_quality_score",
        "1.1.staging.spreads.data_quality_score",
        "4.1.staging.daily_game_stats",
        "2.2.curated.betting_analysis.idx_curated_betting_analysis_game_type_confidence",
    ] {
        let Outcome { action, detail, .. } = &outcomes[item];
        assert!(action == "revert" && !detail.is_empty(), "{item} {action}: {detail}");
    }
    let standing = "SELECT item FROM groundskeeper.change_log WHERE reverted_at IS NULL";
    assert_eq!(texts(&mut client, standing).unwrap(), [""; 0]);
    assert!(carry_out(&mut client, "rollback_plan()").unwrap().is_empty());
}

#[test]
fn what_the_user_made_anew_under_our_name_is_left_alone() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "DROP INDEX staging.idx_staging_totals_game_sportsbook;
             CREATE INDEX idx_staging_totals_game_sportsbook ON staging.totals (processed_at);
             DROP VIEW staging.migration_ready_records;
             CREATE VIEW staging.migration_ready_records AS SELECT 1 AS mine;
             DROP MATERIALIZED VIEW staging.daily_game_stats;
             CREATE TABLE staging.daily_game_stats (mine integer);
             ALTER TABLE staging.games DROP CONSTRAINT chk_games_quality_score;
             ALTER TABLE staging.games ADD CONSTRAINT chk_games_quality_score CHECK (data_quality_score > 1)",
        )
        .unwrap();
    let outcomes = by_item(carry_out(&mut client, "rollback_plan()").unwrap());
    for item in
        [TOTALS_INDEX, READY, "4.1.staging.daily_game_stats", "1.1.staging.games.chk_games_quality_score"]
    {
        let Outcome { action, detail, .. } = &outcomes[item];
        assert!(action == "skip" && detail.contains("left as it is"), "{item} {action}: {detail}");
    }
    let mine = "SELECT count(*) FROM pg_class WHERE oid IN (to_regclass('staging.migration_ready_records'),
                   to_regclass('staging.idx_staging_totals_game_sportsbook'), to_regclass('staging.daily_game_stats'))";
    assert_eq!(text(&mut client, mine).unwrap(), "3");
}

#[test]
fn an_index_that_a_job_built_on_a_view_elsewhere_is_written_down_and_taken_back() {
    let db = TestDb::new(Template::HalfApplied).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE SCHEMA reports;
             ALTER MATERIALIZED VIEW staging.daily_game_stats SET SCHEMA reports;
             DROP INDEX reports.idx_daily_game_stats_date;
             SET groundskeeper.inline_build_limit = 0;
             CREATE EXTENSION pg_groundskeeper",
        )
        .unwrap();
    db.settle().unwrap();
    let index = "SELECT to_regclass('reports.idx_daily_game_stats_date')";
    assert_eq!(text(&mut client, index).unwrap(), "reports.idx_daily_game_stats_date");
    let standing = "SELECT inverse_sql FROM groundskeeper.change_log
                     WHERE item LIKE '4.1%idx_daily_game_stats_date' AND reverted_at IS NULL";
    assert_eq!(texts(&mut client, standing).unwrap(), ["DROP INDEX reports.idx_daily_game_stats_date;"]);
    carry_out(&mut client, "rollback_plan()").unwrap();
    db.settle().unwrap();
    assert_eq!(text(&mut client, &format!("SELECT ({index}) IS NULL")).unwrap(), "true");
    assert!(texts(&mut client, standing).unwrap().is_empty());
}

#[test]
fn a_column_that_somebody_has_given_more_decimals_loses_none() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "ALTER TABLE staging.totals ALTER data_quality_score TYPE numeric(8,3);
             INSERT INTO staging.totals (data_quality_score) VALUES (5.126), (9.99)",
        )
        .unwrap();
    let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
    let item = "1.1.staging.totals.data_quality_score";
    let outcome = outcomes.iter().find(|outcome| outcome.item == item).unwrap();
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
    assert!(outcome.detail.starts_with("1 row of staging.totals hold"), "{outcome:?}");
    let scores = "SELECT string_agg(data_quality_score::text, ' ' ORDER BY id) FROM staging.totals";
    assert_eq!(text(&mut client, scores).unwrap(), "5.126 9.990");
}
