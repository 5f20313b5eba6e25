//! What has changed since it was applied, and what is taken back of it.

use groundskeeper_tests::plan::{Outcome, carry_out, plan_states};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};
use postgres::Client;

fn applied() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let client = db.client().unwrap();
    (db, client)
}

fn drifted(client: &mut Client) -> Vec<(String, String)> {
    let states = plan_states(client).unwrap();
    states.into_iter().filter(|(_, s)| s.state == "drifted").map(|(item, s)| (item, s.detail)).collect()
}

fn of<'a>(outcomes: &'a [Outcome], item: &str) -> &'a Outcome {
    outcomes.iter().find(|outcome| outcome.item == item).unwrap()
}

#[test]
fn a_renamed_index_is_followed() {
    let (_db, mut client) = applied();
    client
        .batch_execute("ALTER INDEX raw_data.idx_raw_totals_game_date_source RENAME TO our_totals_idx")
        .unwrap();
    let item = "2.1.raw_data.totals_raw.idx_raw_totals_game_date_source";
    let told = drifted(&mut client);
    assert_eq!(
        told,
        [(item.to_owned(), "idx_raw_totals_game_date_source was renamed to our_totals_idx".to_owned())]
    );
    // and not built again
    let again = carry_out(&mut client, &format!("apply_plan(items => ARRAY['{item}'])")).unwrap();
    assert_eq!((of(&again, item).action.as_str(), of(&again, item).state.as_str()), ("skip", "drifted"));
    for call in ["rollback_plan(true)", "rollback_plan()"] {
        let outcomes = carry_out(&mut client, call).unwrap();
        let outcome = of(&outcomes, item);
        assert_eq!(outcome.action, "revert", "{outcome:?}");
        assert!(outcome.detail.contains("was renamed to our_totals_idx"), "{outcome:?}");
        assert_eq!(outcome.sql, "DROP INDEX raw_data.our_totals_idx;");
    }
    assert_eq!(text(&mut client, "SELECT to_regclass('raw_data.our_totals_idx') IS NULL").unwrap(), "true");
}

#[test]
fn a_column_that_was_widened_further_is_left_alone() {
    let (_db, mut client) = applied();
    client
        .batch_execute(
            "ALTER TABLE staging.totals ALTER COLUMN data_quality_score TYPE numeric(8,3);
             INSERT INTO staging.totals (data_quality_score) VALUES (5.120);
             ALTER TABLE staging.spreads ALTER COLUMN data_quality_score TYPE numeric(7,2)",
        )
        .unwrap();
    let told = drifted(&mut client);
    let said: Vec<&str> = told.iter().map(|(_, detail)| detail.as_str()).collect();
    assert_eq!(
        said,
        [
            "the column was made numeric(5,2) and is numeric(7,2)",
            "the column was made numeric(5,2) and is numeric(8,3)"
        ]
    );
    for call in ["rollback_plan(true)", "rollback_plan()"] {
        let outcomes = carry_out(&mut client, call).unwrap();
        for table in ["totals", "spreads"] {
            let outcome = of(&outcomes, &format!("1.1.staging.{table}.data_quality_score"));
            assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
            assert!(outcome.detail.ends_with("it is left as it is"), "{outcome:?}");
        }
    }
    assert_eq!(text(&mut client, "SELECT data_quality_score FROM staging.totals").unwrap(), "5.120");
}

/// Indexes and CHECKs of a table, and the type of its score.
const BELONGINGS: &str = "
    SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = ':table'::regclass AND NOT indisprimary
    UNION ALL SELECT conname FROM pg_constraint WHERE conrelid = ':table'::regclass AND contype = 'c'
    UNION ALL SELECT format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = ':table'::regclass AND attname = 'data_quality_score' ORDER BY 1";

#[test]
fn a_renamed_table_is_followed_and_what_has_its_name_is_left_alone() {
    let (_db, mut client) = applied();
    client
        .batch_execute(
            "ALTER TABLE staging.spreads RENAME TO spreads_2024;
             CREATE TABLE staging.spreads (LIKE staging.spreads_2024 INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        )
        .unwrap();
    let fresh = texts(&mut client, &BELONGINGS.replace(":table", "staging.spreads")).unwrap();
    assert_eq!(fresh, ["chk_spreads_quality_score", "numeric(5,2)"]);
    let told = drifted(&mut client);
    let items: Vec<&str> = told.iter().map(|(item, _)| item.as_str()).collect();
    let expected = [
        "1.1.staging.spreads.chk_spreads_quality_score",
        "1.1.staging.spreads.data_quality_score",
        "2.1.staging.spreads.idx_staging_spreads_sportsbook_date",
    ];
    for item in expected {
        assert!(items.contains(&item), "{item}: {told:?}");
    }
    let said = "staging.spreads was renamed to staging.spreads_2024, and another relation has its name";
    assert!(told.iter().all(|(_, detail)| detail == said), "{told:?}");
    let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
    for item in expected {
        assert_eq!(
            (of(&outcomes, item).action.as_str(), of(&outcomes, item).detail.as_str()),
            ("revert", said)
        );
    }
    assert_eq!(texts(&mut client, &BELONGINGS.replace(":table", "staging.spreads")).unwrap(), fresh);
    // the user's own index is
    let left = ["numeric(3,2)", "staging.idx_staging_spreads_game_id"];
    assert_eq!(texts(&mut client, &BELONGINGS.replace(":table", "staging.spreads_2024")).unwrap(), left);
}

#[test]
fn a_table_that_was_dropped_and_made_anew_keeps_what_it_has() {
    let (_db, mut client) = applied();
    client
        .batch_execute(
            "CREATE TABLE staging.keep (LIKE staging.spreads INCLUDING ALL);
             DROP TABLE staging.spreads CASCADE;
             ALTER TABLE staging.keep RENAME TO spreads;
             CREATE INDEX idx_staging_spreads_sportsbook_date
                 ON staging.spreads (sportsbook_name, processed_at, data_quality_score)",
        )
        .unwrap();
    let before = texts(&mut client, &BELONGINGS.replace(":table", "staging.spreads")).unwrap();
    let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
    let outcome = of(&outcomes, "2.1.staging.spreads.idx_staging_spreads_sportsbook_date");
    assert_eq!(outcome.action, "revert");
    assert!(outcome.detail.contains("what has its name now is left as it is"), "{outcome:?}");
    assert_eq!(texts(&mut client, &BELONGINGS.replace(":table", "staging.spreads")).unwrap(), before);
}

#[test]
fn an_edited_view_is_told_and_left_alone_and_a_renamed_column_below_it_edits_nothing() {
    let (_db, mut client) = applied();
    client
        .batch_execute(
            "CREATE OR REPLACE VIEW staging.migration_ready_records WITH (security_invoker = true) AS
                 SELECT id, game_external_id, sportsbook_name, home_odds, away_odds, NULL::bigint AS staging_game_id,
                        collected_at, 7 AS base_quality_factor FROM raw_data.moneylines_raw",
        )
        .unwrap_or_else(|_| {
            client
                .batch_execute(
                    "CREATE OR REPLACE VIEW staging.migration_ready_records WITH (security_invoker = true) AS
                         SELECT id, game_external_id, sportsbook_name, home_odds, away_odds, NULL::integer AS staging_game_id,
                                collected_at, 7 AS base_quality_factor FROM raw_data.moneylines_raw",
                )
                .unwrap();
        });
    client.batch_execute("ALTER TABLE staging.moneylines RENAME COLUMN sportsbook_name TO book").unwrap();
    let view = "4.2.staging.migration_ready_records";
    assert_eq!(drifted(&mut client), [(view.to_owned(), "its definition was edited".to_owned())]);
    for call in ["rollback_plan(true)", "rollback_plan()"] {
        let outcomes = carry_out(&mut client, call).unwrap();
        assert_eq!(
            (of(&outcomes, view).action.as_str(), of(&outcomes, view).state.as_str()),
            ("skip", "blocked")
        );
        let other = of(&outcomes, "4.1.staging.daily_game_stats");
        assert_eq!(other.action, "revert", "{other:?}");
    }
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.migration_ready_records").unwrap(), "0");
}

#[test]
fn what_was_rebuilt_is_still_the_plans() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let before = facts(&mut client).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    client.batch_execute("REINDEX TABLE CONCURRENTLY staging.totals").unwrap();
    client
        .batch_execute(
            "DROP INDEX staging.idx_staging_totals_game_sportsbook;
             SELECT * FROM groundskeeper.apply_plan()",
        )
        .unwrap();
    db.settle().unwrap();
    assert_eq!(drifted(&mut client), []);
    for outcome in carry_out(&mut client, "rollback_plan()").unwrap() {
        assert_eq!((outcome.action.as_str(), outcome.detail.as_str()), ("revert", ""), "{}", outcome.item);
    }
    let changed = difference(&before, &facts(&mut client).unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn what_was_made_anew_with_another_definition_has_drifted() {
    let (_db, mut client) = applied();
    client
        .batch_execute(
            "ALTER TABLE staging.games DROP CONSTRAINT chk_games_quality_score,
                 ADD CONSTRAINT chk_games_quality_score CHECK (data_quality_score > 1);
             DROP INDEX staging.idx_staging_totals_game_sportsbook;
             CREATE INDEX idx_staging_totals_game_sportsbook ON staging.totals (processed_at)",
        )
        .unwrap();
    let told = drifted(&mut client);
    let items: Vec<&str> = told.iter().map(|(item, _)| item.as_str()).collect();
    assert_eq!(
        items,
        [
            "1.1.staging.games.chk_games_quality_score",
            "2.1.staging.totals.idx_staging_totals_game_sportsbook"
        ]
    );
    assert!(told.iter().all(|(_, detail)| detail.contains("another definition")), "{told:?}");
    for outcome in carry_out(&mut client, "rollback_plan()").unwrap() {
        let expected = if items.contains(&outcome.item.as_str()) { "skip" } else { "revert" };
        assert_eq!(outcome.action, expected, "{outcome:?}");
    }
}

#[test]
fn a_rehearsal_says_what_the_run_says() {
    let (_db, mut client) = applied();
    client
        .batch_execute(
            "CREATE VIEW staging.mine AS SELECT count(*) FROM staging.migration_ready_records;
             CREATE VIEW staging.also_mine AS SELECT count(*) FROM staging.daily_game_stats;
             INSERT INTO staging.moneylines (data_quality_score) VALUES (55.5)",
        )
        .unwrap();
    let said = |outcomes: Vec<Outcome>| -> Vec<(String, String, String)> {
        outcomes.into_iter().map(|o| (o.item, o.action, o.detail)).collect()
    };
    let rehearsed = said(carry_out(&mut client, "rollback_plan(true)").unwrap());
    let skipped: Vec<&str> = rehearsed
        .iter()
        .filter(|(_, action, _)| action == "skip")
        .map(|(item, _, _)| item.as_str())
        .collect();
    assert!(skipped.contains(&"4.2.staging.migration_ready_records"), "{rehearsed:?}");
    assert!(skipped.contains(&"4.1.staging.daily_game_stats"), "{rehearsed:?}");
    assert!(skipped.contains(&"1.1.staging.moneylines.data_quality_score"), "{rehearsed:?}");
    assert_eq!(said(carry_out(&mut client, "rollback_plan()").unwrap()), rehearsed);
}
