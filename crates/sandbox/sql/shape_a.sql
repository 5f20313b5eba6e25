-- Shape A: the betting database that the plan assumes, column for column as it is deployed. Only a
-- moneyline names the teams: a spread has a favorite and an underdog, a total neither.

CREATE SCHEMA raw_data;
CREATE SCHEMA staging;
CREATE SCHEMA curated;

-- RAW: what was collected, as it came.

CREATE TABLE raw_data.moneylines_raw (
  id bigserial PRIMARY KEY,
  external_id varchar(255),
  source varchar(50) NOT NULL,
  game_external_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  home_odds integer,
  away_odds integer,
  home_team_name varchar(100),
  away_team_name varchar(100),
  raw_data jsonb,
  collected_at timestamptz NOT NULL DEFAULT now(),
  game_date date,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_moneylines_raw_source_collected ON raw_data.moneylines_raw (source, collected_at);

CREATE TABLE raw_data.spreads_raw (
  id bigserial PRIMARY KEY,
  external_id varchar(255),
  source varchar(50) NOT NULL,
  game_external_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  spread_value numeric(4,1),
  spread_odds integer,
  favorite_team varchar(100),
  underdog_team varchar(100),
  raw_data jsonb,
  collected_at timestamptz NOT NULL DEFAULT now(),
  game_date date,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_spreads_raw_source_collected ON raw_data.spreads_raw (source, collected_at);

CREATE TABLE raw_data.totals_raw (
  id bigserial PRIMARY KEY,
  external_id varchar(255),
  source varchar(50) NOT NULL,
  game_external_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  total_points numeric(4,1),
  over_odds integer,
  under_odds integer,
  raw_data jsonb,
  collected_at timestamptz NOT NULL DEFAULT now(),
  game_date date,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_totals_raw_source_collected ON raw_data.totals_raw (source, collected_at);

-- STAGING: cleaned and scored.

CREATE TABLE staging.games (
  id bigserial PRIMARY KEY,
  external_id varchar(255),
  home_team_normalized varchar(100),
  away_team_normalized varchar(100),
  game_date date,
  game_time time,
  game_datetime timestamptz,
  season integer,
  week integer,
  venue varchar(200),
  weather_conditions jsonb,
  data_quality_score numeric(3,2),
  validation_status varchar(20) DEFAULT 'pending',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_games_date ON staging.games (game_date);

CREATE TABLE staging.moneylines (
  id bigserial PRIMARY KEY,
  raw_id bigint REFERENCES raw_data.moneylines_raw (id),
  game_id integer,
  sportsbook_id integer,
  sportsbook_name varchar(100),
  home_odds integer,
  away_odds integer,
  home_team_normalized varchar(100),
  away_team_normalized varchar(100),
  data_quality_score numeric(3,2),
  validation_status varchar(20) DEFAULT 'pending',
  validation_errors jsonb,
  processed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_moneylines_game_id ON staging.moneylines (game_id);

CREATE TABLE staging.spreads (
  id bigserial PRIMARY KEY,
  raw_id bigint REFERENCES raw_data.spreads_raw (id),
  game_id integer,
  sportsbook_id integer,
  sportsbook_name varchar(100),
  spread_value numeric(4,1),
  spread_odds integer,
  favorite_team_normalized varchar(100),
  underdog_team_normalized varchar(100),
  data_quality_score numeric(3,2),
  validation_status varchar(20) DEFAULT 'pending',
  validation_errors jsonb,
  processed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_spreads_game_id ON staging.spreads (game_id);

CREATE TABLE staging.totals (
  id bigserial PRIMARY KEY,
  raw_id bigint REFERENCES raw_data.totals_raw (id),
  game_id integer,
  sportsbook_id integer,
  sportsbook_name varchar(100),
  total_points numeric(4,1),
  over_odds integer,
  under_odds integer,
  data_quality_score numeric(3,2),
  validation_status varchar(20) DEFAULT 'pending',
  validation_errors jsonb,
  processed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_totals_game_id ON staging.totals (game_id);

CREATE TABLE staging.betting_splits (
  id bigserial PRIMARY KEY,
  game_id integer REFERENCES staging.games (id),
  sportsbook_name varchar(100),
  bet_type varchar(50),
  total_bets integer,
  processed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE staging.data_quality_metrics (
  id bigserial PRIMARY KEY,
  table_name varchar(100),
  record_id bigint,
  quality_score numeric(3,2),
  completeness_score numeric(3,2),
  accuracy_score numeric(3,2),
  consistency_score numeric(3,2),
  quality_issues jsonb,
  evaluated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE staging.validation_results (
  id bigserial PRIMARY KEY,
  source_table varchar(100),
  source_record_id bigint,
  validation_type varchar(100),
  status varchar(20),
  error_message text,
  validation_data jsonb,
  validated_at timestamptz NOT NULL DEFAULT now()
);

-- CURATED: ready for analysis.

CREATE TABLE curated.moneylines (
  id bigserial PRIMARY KEY,
  staging_id bigint REFERENCES staging.moneylines (id),
  game_id integer,
  sportsbook_name varchar(100),
  home_odds integer,
  away_odds integer,
  feature_vector jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_curated_moneylines_game_id ON curated.moneylines (game_id);

CREATE TABLE curated.spreads (
  id bigserial PRIMARY KEY,
  staging_id bigint REFERENCES staging.spreads (id),
  game_id integer,
  sportsbook_name varchar(100),
  spread_value numeric(4,1),
  spread_odds integer,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE curated.totals (
  id bigserial PRIMARY KEY,
  staging_id bigint REFERENCES staging.totals (id),
  game_id integer,
  sportsbook_name varchar(100),
  total_points numeric(4,1),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE curated.enhanced_games (
  id bigserial PRIMARY KEY,
  staging_game_id integer REFERENCES staging.games (id),
  home_team varchar(100),
  away_team varchar(100),
  game_datetime timestamptz,
  season integer,
  venue varchar(200),
  market_features jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_enhanced_games_datetime ON curated.enhanced_games (game_datetime);

CREATE TABLE curated.feature_vectors (
  id bigserial PRIMARY KEY,
  game_id integer REFERENCES curated.enhanced_games (id),
  bet_type varchar(50),
  feature_set_version varchar(20),
  features jsonb NOT NULL,
  target_variable numeric(10,6),
  feature_importance jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_feature_vectors_game_bet_type ON curated.feature_vectors (game_id, bet_type);

CREATE TABLE curated.betting_analysis (
  id bigserial PRIMARY KEY,
  game_id integer REFERENCES curated.enhanced_games (id),
  analysis_type varchar(100),
  bet_type varchar(50),
  recommendation varchar(20),
  confidence_score numeric(3,2),
  expected_roi numeric(8,4),
  risk_level varchar(20),
  key_factors jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE curated.movement_analysis (
  id bigserial PRIMARY KEY,
  game_id integer REFERENCES curated.enhanced_games (id),
  bet_type varchar(50),
  movement_pattern varchar(100),
  magnitude numeric(8,4),
  velocity numeric(8,4),
  acceleration numeric(8,4),
  market_impact_score numeric(3,2),
  sharp_money_indicator numeric(3,2),
  public_money_indicator numeric(3,2),
  anomaly_score numeric(3,2),
  time_series_features jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE curated.strategy_results (
  id bigserial PRIMARY KEY,
  strategy_name varchar(100),
  game_id integer REFERENCES curated.enhanced_games (id),
  bet_type varchar(50),
  recommendation varchar(20),
  confidence_score numeric(3,2),
  stake_percentage numeric(5,2),
  expected_return numeric(8,4),
  actual_return numeric(8,4),
  result_status varchar(20),
  strategy_parameters jsonb,
  execution_timestamp timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_strategy_results_strategy_game ON curated.strategy_results (strategy_name, game_id);

CREATE TABLE public.pipeline_execution_log (
  id bigserial PRIMARY KEY,
  execution_id uuid DEFAULT gen_random_uuid(),
  pipeline_stage varchar(20) NOT NULL,
  source_table varchar(100),
  target_table varchar(100),
  records_processed integer DEFAULT 0,
  records_successful integer DEFAULT 0,
  records_failed integer DEFAULT 0,
  start_time timestamptz NOT NULL,
  end_time timestamptz,
  status varchar(20) DEFAULT 'running',
  error_message text,
  metadata jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

GRANT USAGE ON SCHEMA raw_data, staging, curated TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raw_data, staging, curated TO PUBLIC;
