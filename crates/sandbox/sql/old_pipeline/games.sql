-- Games as the old pipeline knows them: those that moneylines mention, one row per id *and* date, so a
-- game that was put off appears twice.
INSERT INTO staging.games (
  external_id, home_team_normalized, away_team_normalized, game_date, game_time, game_datetime,
  season, venue, data_quality_score, validation_status, created_at, updated_at
)
SELECT
  game_external_id, min(home_team_name), min(away_team_name), game_date,
  (min(start) AT TIME ZONE 'America/New_York')::time, min(start),
  extract(year FROM game_date), min(venue), 9.99, 'validated', max(created_at), max(created_at)
FROM raw_data.moneylines_raw
CROSS JOIN LATERAL (
  SELECT (raw_data ->> 'start_time')::timestamptz AS start, raw_data ->> 'venue' AS venue
) payload
WHERE btrim(game_external_id) <> '' AND game_date IS NOT NULL
GROUP BY game_external_id, game_date
ORDER BY game_date, game_external_id;

INSERT INTO curated.enhanced_games (
  staging_game_id, home_team, away_team, game_datetime, season, venue, market_features, created_at, updated_at
)
SELECT
  id, home_team_normalized, away_team_normalized, game_datetime, season, venue,
  jsonb_build_object('external_id', external_id), created_at, updated_at
FROM staging.games
ORDER BY id;

INSERT INTO curated.feature_vectors (
  game_id, bet_type, feature_set_version, features, target_variable, created_at
)
SELECT
  id, bet_type, 'v' || version, jsonb_build_object('form', id % 10, 'version', version),
  (id * 37 % 1000) / 1000.0, created_at
FROM curated.enhanced_games
CROSS JOIN unnest(ARRAY['moneyline', 'spread', 'total']) AS bet_type
CROSS JOIN generate_series(1, 4) AS version
ORDER BY id, bet_type, version;

ANALYZE staging.games, curated.enhanced_games;
