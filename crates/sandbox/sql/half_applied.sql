-- On Shape A: the plan half applied by hand. The precision fixes with the plan's three checks, some
-- of the indexes under the plan's names and some under others, and both materialized views.

ALTER TABLE staging.moneylines ALTER COLUMN data_quality_score TYPE numeric(5,2);
ALTER TABLE staging.spreads ALTER COLUMN data_quality_score TYPE numeric(5,2);
ALTER TABLE staging.totals ALTER COLUMN data_quality_score TYPE numeric(5,2);
ALTER TABLE staging.games ALTER COLUMN data_quality_score TYPE numeric(5,2);

ALTER TABLE staging.moneylines ADD CONSTRAINT chk_moneylines_quality_score
  CHECK (data_quality_score >= 0.00 AND data_quality_score <= 99.99);
ALTER TABLE staging.spreads ADD CONSTRAINT chk_spreads_quality_score
  CHECK (data_quality_score >= 0.00 AND data_quality_score <= 99.99);
ALTER TABLE staging.totals ADD CONSTRAINT chk_totals_quality_score
  CHECK (data_quality_score >= 0.00 AND data_quality_score <= 99.99);

-- Under the plan's names.
CREATE INDEX idx_staging_games_external_validation
  ON staging.games (external_id, validation_status, data_quality_score);
CREATE INDEX idx_staging_moneylines_game_quality_date
  ON staging.moneylines (game_id, data_quality_score, processed_at)
  WHERE validation_status = 'validated';
CREATE INDEX idx_raw_moneylines_game_external_collected
  ON raw_data.moneylines_raw (game_external_id, collected_at)
  WHERE game_external_id IS NOT NULL;
CREATE INDEX idx_curated_feature_vectors_game_type_version
  ON curated.feature_vectors (game_id, bet_type, feature_set_version);

-- Under other names.
CREATE INDEX spreads_by_book
  ON staging.spreads (sportsbook_name, processed_at, data_quality_score);
CREATE INDEX totals_raw_lookup
  ON raw_data.totals_raw (game_external_id, game_date, source);

CREATE MATERIALIZED VIEW staging.daily_game_stats AS
SELECT
  g.game_date,
  COUNT(DISTINCT g.id) AS total_games,
  COUNT(DISTINCT m.sportsbook_name) AS active_sportsbooks,
  AVG(m.data_quality_score) AS avg_quality_score,
  COUNT(CASE WHEN m.validation_status = 'validated' THEN 1 END) AS validated_records,
  COUNT(CASE WHEN m.validation_status = 'needs_review' THEN 1 END) AS review_needed,
  COUNT(CASE WHEN m.validation_status = 'invalid' THEN 1 END) AS invalid_records
FROM staging.games g
LEFT JOIN staging.moneylines m ON g.id = m.game_id
WHERE g.game_date >= CURRENT_DATE - INTERVAL '30 days'
GROUP BY g.game_date
ORDER BY g.game_date DESC;
CREATE UNIQUE INDEX idx_daily_game_stats_date ON staging.daily_game_stats (game_date);

CREATE MATERIALIZED VIEW staging.sportsbook_quality_metrics AS
SELECT
  sportsbook_name,
  COUNT(*) AS total_records,
  AVG(data_quality_score) AS avg_quality_score,
  COUNT(CASE WHEN validation_status = 'validated' THEN 1 END)::float / COUNT(*) AS validation_rate,
  MIN(processed_at) AS first_processed,
  MAX(processed_at) AS last_processed
FROM staging.moneylines
WHERE processed_at >= CURRENT_DATE - INTERVAL '7 days'
GROUP BY sportsbook_name
HAVING COUNT(*) >= 10;
CREATE UNIQUE INDEX idx_sportsbook_metrics_name ON staging.sportsbook_quality_metrics (sportsbook_name);
