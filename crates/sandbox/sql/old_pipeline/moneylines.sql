-- One batch of moneylines, ids $1 to $2. Returns records seen and records staged.
WITH raw AS (
  SELECT *,
    btrim(coalesce(sportsbook_name, '')) = '' AS no_book,
    btrim(coalesce(game_external_id, '')) = '' AS no_game,
    num_nulls(home_odds, away_odds) AS missing
  FROM raw_data.moneylines_raw
  WHERE id BETWEEN $1 AND $2
), scored AS (
  SELECT raw.*, game.id AS game_id,
    least(9.99, 9.99 - 2.0 * no_book::int - 2.5 * no_game::int - 1.5 * missing + 0.5) AS score
  FROM raw
  LEFT JOIN (
    SELECT external_id, max(id) AS id FROM staging.games GROUP BY external_id
  ) game ON game.external_id = raw.game_external_id
), staged AS (
  INSERT INTO staging.moneylines (
    raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds, home_team_normalized,
    away_team_normalized, data_quality_score, validation_status, processed_at, created_at, updated_at
  )
  SELECT
    id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds, home_team_name, away_team_name, score,
    CASE WHEN score >= 8 THEN 'validated' WHEN score >= 6 THEN 'needs_review' ELSE 'invalid' END,
    created_at + interval '10 minutes', created_at + interval '10 minutes', created_at + interval '10 minutes'
  FROM scored
  ORDER BY id
  RETURNING *
), curated AS (
  INSERT INTO curated.moneylines (
    staging_id, game_id, sportsbook_name, home_odds, away_odds, feature_vector, created_at, updated_at
  )
  SELECT
    id, game_id, sportsbook_name, home_odds, away_odds,
    jsonb_build_object(
      'home_probability',
      CASE WHEN home_odds < 0 THEN -home_odds / (100.0 - home_odds) ELSE 100.0 / (100 + home_odds) END,
      'away_probability',
      CASE WHEN away_odds < 0 THEN -away_odds / (100.0 - away_odds) ELSE 100.0 / (100 + away_odds) END),
    processed_at, processed_at
  FROM staged
  WHERE validation_status = 'validated'
  ORDER BY id
), quoted AS (
  SELECT staged.id, enhanced.id AS game_id, staged.processed_at
  FROM staged
  JOIN curated.enhanced_games enhanced ON enhanced.staging_game_id = staged.game_id
), analyzed AS (
  INSERT INTO curated.betting_analysis (
    game_id, analysis_type, bet_type, recommendation, confidence_score, expected_roi, risk_level, created_at
  )
  SELECT
    game_id, 'line_value', 'moneyline', (ARRAY['pass', 'lean', 'bet', 'strong_bet'])[1 + id % 4],
    (id * 7919 % 100) / 100.0, (id * 104729 % 2000 - 1000) / 10000.0,
    (ARRAY['low', 'medium', 'high'])[1 + id % 3], processed_at
  FROM quoted
  ORDER BY id
), moved AS (
  INSERT INTO curated.movement_analysis (
    game_id, bet_type, movement_pattern, magnitude, velocity, market_impact_score, anomaly_score, created_at
  )
  SELECT
    game_id, 'moneyline', (ARRAY['steam', 'reverse', 'drift', 'stable', 'whipsaw'])[1 + id % 5],
    (id * 7919 % 10000) / 1000.0, (id * 104729 % 1000) / 1000.0, (id * 31 % 100) / 100.0,
    (id * 17 % 100) / 100.0, processed_at
  FROM quoted
  ORDER BY id
), played AS (
  INSERT INTO curated.strategy_results (
    strategy_name, game_id, bet_type, recommendation, confidence_score, stake_percentage, expected_return,
    actual_return, result_status, execution_timestamp, created_at
  )
  SELECT
    (ARRAY['fade_public', 'steam_chase', 'home_underdog', 'late_money', 'value'])[1 + id % 5], game_id,
    'moneyline', 'bet', (id * 7919 % 100) / 100.0, 1 + id % 5, (id * 31 % 200) / 1000.0,
    (id * 17 % 400 - 200) / 100.0, (ARRAY['won', 'lost', 'push'])[1 + id % 3], processed_at, processed_at
  FROM quoted
  ORDER BY id
)
SELECT (SELECT count(*) FROM raw), (SELECT count(*) FROM staged)
