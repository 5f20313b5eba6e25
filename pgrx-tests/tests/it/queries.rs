//! The plan's queries: that they use its indexes, and that its views say what is so.

use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// Each index of the plan, and a query that it is there for.
const QUERIES: [(&str, &str); 15] = [
    (
        "idx_staging_games_external_validation",
        "SELECT validation_status, data_quality_score FROM staging.games WHERE external_id = 'game 7'",
    ),
    (
        "idx_staging_moneylines_game_quality_date",
        "SELECT avg(data_quality_score), max(processed_at) FROM staging.moneylines
          WHERE game_id BETWEEN 7 AND 27 AND validation_status = 'validated'",
    ),
    (
        "idx_staging_spreads_sportsbook_date",
        "SELECT * FROM staging.spreads WHERE sportsbook_name = 'book 3' AND processed_at >= now() - interval '1 day'",
    ),
    (
        "idx_staging_totals_game_sportsbook",
        "SELECT * FROM staging.totals
          WHERE game_id = 7 AND sportsbook_name = 'book 3' AND validation_status = 'validated'",
    ),
    (
        "idx_raw_moneylines_game_external_collected",
        "SELECT * FROM raw_data.moneylines_raw WHERE game_external_id = 'game 7' ORDER BY collected_at DESC LIMIT 1",
    ),
    (
        "idx_raw_spreads_game_sportsbook",
        "SELECT * FROM raw_data.spreads_raw WHERE game_external_id = 'game 7' AND sportsbook_name = 'book 3'",
    ),
    (
        "idx_raw_totals_game_date_source",
        "SELECT * FROM raw_data.totals_raw WHERE game_external_id = 'game 7' AND game_date >= current_date - 90",
    ),
    (
        "idx_curated_feature_vectors_game_type_version",
        "SELECT features FROM curated.feature_vectors
          WHERE game_id = 7 AND bet_type = 'spread' AND feature_set_version = 'v3'",
    ),
    (
        "idx_curated_betting_analysis_game_type_confidence",
        "SELECT * FROM curated.betting_analysis
          WHERE game_id = 7 AND bet_type = 'spread' AND recommendation IN ('bet', 'strong_bet')
          ORDER BY confidence_score DESC LIMIT 3",
    ),
    (
        "idx_curated_strategy_results_strategy_period",
        "SELECT * FROM curated.strategy_results
          WHERE strategy_name = 'strategy 3' AND execution_timestamp >= now() - interval '1 hour'",
    ),
    (
        "idx_curated_movement_analysis_pattern_magnitude",
        "SELECT * FROM curated.movement_analysis WHERE movement_pattern = 'pattern 3'
          ORDER BY magnitude DESC, market_impact_score DESC LIMIT 10",
    ),
    // The view has the index's very expression, so the planner answers it from the index.
    (
        "idx_migration_ready_quality",
        "SELECT id FROM staging.migration_ready_records
          WHERE base_quality_factor = 1 AND collected_at >= now() - interval '1 hour'",
    ),
    (
        "idx_migration_ready_quality",
        "SELECT id FROM staging.migration_ready_records WHERE base_quality_factor = 0",
    ),
    // A delete of a referenced row looks for rows that refer to it.
    ("idx_staging_moneylines_raw", "SELECT FROM staging.moneylines WHERE raw_id = 7 FOR KEY SHARE"),
    ("idx_staging_games_external_validation", "SELECT id FROM staging.games WHERE external_id = 'game 7'"),
];

fn installed() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let client = db.client().unwrap();
    (db, client)
}

fn explain(client: &mut Client, query: &str) -> String {
    let rows = client.query(&format!("EXPLAIN {query}"), &[]).unwrap();
    rows.iter().map(|row| format!("{}\n", row.get::<_, String>(0))).collect()
}

#[test]
fn the_plans_queries_use_the_plans_indexes() {
    let (_db, mut client) = installed();
    fill(&mut client, 20_000).unwrap();
    client.batch_execute("VACUUM ANALYZE").unwrap();
    for (index, query) in QUERIES {
        let plan = explain(&mut client, query);
        assert!(plan.contains(index), "{query} does not use {index}:\n{plan}");
    }
    // Each subquery of the view finds its game by index, too.
    let plan = explain(&mut client, "SELECT staging_game_id FROM staging.migration_ready_records");
    assert!(!plan.contains("Seq Scan on games"), "{plan}");
}

#[test]
fn there_is_one_ready_record_per_raw_record() {
    let (_db, mut client) = installed();
    client
        .batch_execute(
            "INSERT INTO staging.games (external_id) VALUES ('twice'), ('twice'), ('twice'), ('once');
             INSERT INTO raw_data.moneylines_raw
                 (source, game_external_id, sportsbook_name, home_odds, away_odds, collected_at)
             VALUES ('s', 'twice', 'b', -110, 100, now()), ('s', 'twice', NULL, -110, 100, now()),
                    ('s', 'once', 'b', NULL, 100, now()), ('s', 'unknown', 'b', -110, 100, now()),
                    ('s', NULL, 'b', -110, 100, now()), ('s', 'twice', 'b', -110, 100, now() - interval '9 days')",
        )
        .unwrap();
    let rows = "SELECT format('%s %s %s %s', id, game_external_id, staging_game_id, base_quality_factor)
                  FROM staging.migration_ready_records ORDER BY id";
    assert_eq!(
        texts(&mut client, rows).unwrap(),
        ["1 twice 1 1", "2 twice 1 0", "3 once 4 0", "4 unknown  1"]
    );
    let columns = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
                    WHERE attrelid = 'staging.migration_ready_records'::regclass AND attnum > 0";
    assert_eq!(
        text(&mut client, columns).unwrap(),
        "id game_external_id sportsbook_name home_odds away_odds staging_game_id collected_at base_quality_factor"
    );
}

#[test]
fn daily_game_stats_counts_games_once_and_records_from_the_join() {
    let (_db, mut client) = installed();
    client
        .batch_execute(
            "INSERT INTO staging.games (game_date, data_quality_score, validation_status)
             VALUES (current_date, 99, 'invalid'), (current_date, 99, 'invalid'), (current_date - 1, 99, 'invalid'),
                    (current_date - 31, 99, 'invalid');
             INSERT INTO staging.moneylines (game_id, sportsbook_name, data_quality_score, validation_status)
             VALUES (1, 'a', 90, 'validated'), (1, 'b', 70, 'needs_review'), (1, 'b', 50, 'invalid'),
                    (2, 'a', 30, 'validated'), (4, 'a', 30, 'validated');
             REFRESH MATERIALIZED VIEW staging.daily_game_stats",
        )
        .unwrap();
    let rows = "SELECT format('%s: %s games, %s books, score %s, %s validated, %s to review, %s invalid',
                              current_date - game_date, total_games, active_sportsbooks, round(avg_quality_score, 2),
                              validated_records, review_needed, invalid_records)
                  FROM staging.daily_game_stats ORDER BY game_date DESC";
    assert_eq!(
        texts(&mut client, rows).unwrap(),
        [
            "0: 2 games, 2 books, score 60.00, 2 validated, 1 to review, 1 invalid",
            "1: 1 games, 0 books, score , 0 validated, 0 to review, 0 invalid",
        ]
    );
}

#[test]
fn a_concurrent_refresh_of_unchanged_rows_changes_none() {
    let (_db, mut client) = installed();
    client
        .batch_execute(
            "INSERT INTO staging.games (game_date) SELECT current_date - i FROM generate_series(0, 5) i;
             INSERT INTO staging.games (game_date) VALUES (NULL);
             INSERT INTO staging.moneylines (game_id, sportsbook_name, validation_status)
             SELECT 1 + i % 6, CASE WHEN i % 3 > 0 THEN 'book ' || i % 3 END, 'validated' FROM generate_series(1, 60) i;
             REFRESH MATERIALIZED VIEW CONCURRENTLY staging.daily_game_stats;
             REFRESH MATERIALIZED VIEW CONCURRENTLY staging.sportsbook_quality_metrics",
        )
        .unwrap();
    let names =
        "SELECT sportsbook_name || ' ' || total_records FROM staging.sportsbook_quality_metrics ORDER BY 1";
    assert_eq!(texts(&mut client, names).unwrap(), ["(none) 20", "book 1 20", "book 2 20"]);
    for view in ["daily_game_stats", "sportsbook_quality_metrics"] {
        let rows = format!("SELECT format('%s %s %s', ctid, xmin, v) FROM staging.{view} v ORDER BY ctid");
        let before = texts(&mut client, &rows).unwrap();
        assert!(!before.is_empty());
        client.batch_execute(&format!("REFRESH MATERIALIZED VIEW CONCURRENTLY staging.{view}")).unwrap();
        assert_eq!(texts(&mut client, &rows).unwrap(), before, "{view}");
    }
}
