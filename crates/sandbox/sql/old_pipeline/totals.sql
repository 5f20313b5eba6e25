-- One batch of totals, ids $1 to $2. Returns records seen and records staged: a total of a game that
-- no moneyline mentions finds no game and is lost here.
WITH raw AS (
  SELECT *, btrim(coalesce(sportsbook_name, '')) = '' AS no_book
  FROM raw_data.totals_raw
  WHERE id BETWEEN $1 AND $2
), scored AS (
  SELECT raw.*, game.id AS game_id,
    least(9.99, 9.99 - 2.0 * no_book::int - 2.5 * num_nulls(total_points)
      - 1.5 * (num_nulls(over_odds, under_odds) = 2)::int + 0.5) AS score
  FROM raw
  JOIN (
    SELECT external_id, max(id) AS id FROM staging.games GROUP BY external_id
  ) game ON game.external_id = raw.game_external_id
), staged AS (
  INSERT INTO staging.totals (
    raw_id, game_id, sportsbook_id, sportsbook_name, total_points, over_odds, under_odds,
    data_quality_score, validation_status, processed_at, created_at, updated_at
  )
  SELECT
    id, game_id, sportsbook_id, sportsbook_name, total_points, over_odds, under_odds, score,
    CASE WHEN score >= 8 THEN 'validated' WHEN score >= 6 THEN 'needs_review' ELSE 'invalid' END,
    created_at + interval '10 minutes', created_at + interval '10 minutes', created_at + interval '10 minutes'
  FROM scored
  ORDER BY id
  RETURNING *
), curated AS (
  INSERT INTO curated.totals (staging_id, game_id, sportsbook_name, total_points, created_at, updated_at)
  SELECT id, game_id, sportsbook_name, total_points, processed_at, processed_at
  FROM staged
  WHERE validation_status = 'validated'
  ORDER BY id
), analyzed AS (
  INSERT INTO curated.betting_analysis (
    game_id, analysis_type, bet_type, recommendation, confidence_score, expected_roi, risk_level, created_at
  )
  SELECT
    enhanced.id, 'line_value', 'total', (ARRAY['pass', 'lean', 'bet', 'strong_bet'])[1 + staged.id % 4],
    (staged.id * 7919 % 100) / 100.0, (staged.id * 104729 % 2000 - 1000) / 10000.0,
    (ARRAY['low', 'medium', 'high'])[1 + staged.id % 3], processed_at
  FROM staged
  JOIN curated.enhanced_games enhanced ON enhanced.staging_game_id = staged.game_id
  ORDER BY staged.id
)
SELECT (SELECT count(*) FROM raw), (SELECT count(*) FROM staged)
