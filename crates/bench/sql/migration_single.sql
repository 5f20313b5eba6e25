-- One statement, with the scorer in SQL and all else that the procedure does for a moneyline but its failures. Team
-- names pass as they are: SQL has no table of clubs. Scores are in integer hundredths, the cheapest there is.
INSERT INTO staging.moneylines (
  raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds, home_team_normalized, away_team_normalized,
  data_quality_score, validation_status, validation_errors, updated_at
)
SELECT
  id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds, home_team_name, away_team_name, score / 100.0,
  CASE WHEN score >= 8000 AND NOT (no_book OR no_game OR home_missing OR away_missing) THEN 'validated'
       WHEN score >= 6000 THEN 'needs_review' ELSE 'invalid' END,
  CASE WHEN no_book OR no_game OR home_missing OR away_missing OR late THEN to_jsonb(array_remove(ARRAY[
    CASE WHEN no_book THEN 'missing_sportsbook' END,
    CASE WHEN no_game THEN 'missing_game_reference' END,
    CASE WHEN home_missing THEN CASE WHEN home_odds IS NULL THEN 'missing_home_odds' ELSE 'invalid_home_odds' END END,
    CASE WHEN away_missing THEN CASE WHEN away_odds IS NULL THEN 'missing_away_odds' ELSE 'invalid_away_odds' END END,
    CASE WHEN late THEN 'collected_after_created' END], NULL)) END,
  updated_at
FROM (
  SELECT r.*, g.id AS game_id,
    greatest(0, least(9999, least(9999, 9999 - 2000 * no_book::integer - 2500 * no_game::integer
      - 1500 * home_missing::integer - 1500 * away_missing::integer - 500 * late::integer
      + CASE WHEN btrim(r.source) <> '' AND r.source <> 'UNKNOWN' THEN 500 ELSE 0 END)
      + CASE WHEN jsonb_typeof(r.raw_data) = 'object' THEN 300 ELSE 0 END)) AS score
  FROM (
    SELECT r.*,
      btrim(coalesce(sportsbook_name, '')) = '' AS no_book,
      btrim(coalesce(game_external_id, '')) = '' AS no_game,
      (home_odds <= -100 OR home_odds >= 100) IS NOT TRUE AS home_missing,
      (away_odds <= -100 OR away_odds >= 100) IS NOT TRUE AS away_missing,
      collected_at > created_at AS late
    FROM raw_data.moneylines_raw r
    WHERE NOT EXISTS (SELECT FROM staging.moneylines s WHERE s.raw_id = r.id)
    OFFSET 0
  ) r
  LEFT JOIN (
    SELECT external_id, min(id) AS id FROM staging.games GROUP BY external_id
  ) g ON g.external_id = r.game_external_id
  OFFSET 0
) scored
