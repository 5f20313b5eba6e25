//! Rows for Shape A, enough of each kind to count on.

use anyhow::Result;
use postgres::Client;

/// Twenty records a game, nine books, scores that the old type holds.
const RECORDS: &str = "
    INSERT INTO raw_data.moneylines_raw
        (source, game_external_id, sportsbook_name, home_odds, away_odds, collected_at, game_date)
    SELECT 'source ' || i % 3, CASE WHEN i % 50 > 0 THEN 'game ' || i / 20 END, 'book ' || i % 9,
           -110 - i % 40, CASE WHEN i % 10 > 0 THEN 100 + i % 40 END, now() - i % 30 * interval '1 day',
           current_date - i % 60
      FROM generate_series(1, :records) i;
    INSERT INTO raw_data.spreads_raw
        (source, game_external_id, sportsbook_name, spread_value, spread_odds, collected_at, game_date)
    SELECT source, game_external_id, sportsbook_name, 1.5, home_odds, collected_at, game_date
      FROM raw_data.moneylines_raw;
    INSERT INTO raw_data.totals_raw
        (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, collected_at, game_date)
    SELECT source, game_external_id, sportsbook_name, 8.5, home_odds, away_odds, collected_at, game_date
      FROM raw_data.moneylines_raw;
    INSERT INTO staging.games (external_id, game_date, data_quality_score, validation_status)
    SELECT 'game ' || i, current_date - i % 60, i % 1000 / 100.0, 'validated'
      FROM generate_series(0, :records / 20) i;
    INSERT INTO staging.moneylines
        (raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at)
    SELECT r.id, g.id, r.sportsbook_name, r.id % 1000 / 100.0,
           (ARRAY['validated', 'needs_review', 'invalid', 'pending'])[1 + r.id % 4], r.collected_at
      FROM raw_data.moneylines_raw r JOIN staging.games g ON g.external_id = r.game_external_id;
    INSERT INTO staging.spreads (raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at)
    SELECT raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at
      FROM staging.moneylines;
    INSERT INTO staging.totals (raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at)
    SELECT raw_id, game_id, sportsbook_name, data_quality_score, validation_status, processed_at
      FROM staging.moneylines;
    INSERT INTO curated.enhanced_games (staging_game_id, game_datetime) SELECT id, game_date FROM staging.games;
    INSERT INTO curated.feature_vectors (game_id, bet_type, feature_set_version, features)
    SELECT g.id, t.bet_type, 'v' || v, '{}'
      FROM curated.enhanced_games g, unnest(ARRAY['moneyline', 'spread', 'total']) t (bet_type),
           generate_series(1, 7) v;
    INSERT INTO curated.betting_analysis (game_id, bet_type, recommendation, confidence_score)
    SELECT game_id, bet_type, (ARRAY['bet', 'strong_bet', 'pass'])[1 + id % 3], id % 100 / 100.0
      FROM curated.feature_vectors;
    INSERT INTO curated.movement_analysis (game_id, movement_pattern, magnitude, market_impact_score)
    SELECT game_id, 'pattern ' || id % 20, id % 1000, id % 100 / 100.0 FROM curated.feature_vectors;
    INSERT INTO curated.strategy_results (strategy_name, game_id, execution_timestamp, result_status)
    SELECT 'strategy ' || id % 20, game_id, now() - id * interval '1 minute', 'won' FROM curated.feature_vectors;";

/// Fills every table that the plan is about; `records` is the number of each raw table's.
pub fn fill(client: &mut Client, records: u32) -> Result<()> {
    Ok(client.batch_execute(&RECORDS.replace(":records", &records.to_string()))?)
}
