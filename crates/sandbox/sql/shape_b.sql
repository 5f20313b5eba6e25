-- Shape B: a later variant of the betting database, also in use. Other names and types in staging,
-- a status of its own, and the analysis tables of the plan absent.

CREATE SCHEMA raw_data;
CREATE SCHEMA staging;
CREATE SCHEMA curated;

-- RAW: as in Shape A.

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
  home_team_name varchar(100),
  away_team_name varchar(100),
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
  home_team_name varchar(100),
  away_team_name varchar(100),
  raw_data jsonb,
  collected_at timestamptz NOT NULL DEFAULT now(),
  game_date date,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_totals_raw_source_collected ON raw_data.totals_raw (source, collected_at);

-- STAGING

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
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_games_game_date ON staging.games (game_date);

CREATE TABLE staging.moneylines (
  id bigserial PRIMARY KEY,
  raw_moneylines_id bigint REFERENCES raw_data.moneylines_raw (id),
  game_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  line_value numeric(4,1),
  home_odds integer,
  away_odds integer,
  home_team_normalized varchar(100),
  away_team_normalized varchar(100),
  data_quality_score numeric(3,2),
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  validation_errors jsonb,
  processed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_moneylines_game_id ON staging.moneylines (game_id);

CREATE TABLE staging.spreads (
  id bigserial PRIMARY KEY,
  raw_spreads_id bigint REFERENCES raw_data.spreads_raw (id),
  game_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  line_value numeric(4,1),
  spread_odds integer,
  favorite_team_normalized varchar(100),
  underdog_team_normalized varchar(100),
  data_quality_score numeric(4,3),
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  validation_errors jsonb,
  processed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_spreads_game_id ON staging.spreads (game_id);

CREATE TABLE staging.totals (
  id bigserial PRIMARY KEY,
  raw_totals_id bigint REFERENCES raw_data.totals_raw (id),
  game_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  line_value numeric(4,1),
  over_odds integer,
  under_odds integer,
  home_team_normalized varchar(100),
  away_team_normalized varchar(100),
  data_quality_score numeric(3,2),
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  validation_errors jsonb,
  processed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_staging_totals_game_id ON staging.totals (game_id);

-- CURATED: the plan's four analysis tables are absent.

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
CREATE INDEX idx_curated_enhanced_games_datetime ON curated.enhanced_games (game_datetime);

CREATE TABLE public.pipeline_execution_log (
  id bigserial PRIMARY KEY,
  execution_id uuid DEFAULT gen_random_uuid(),
  pipeline_stage varchar(20) NOT NULL CHECK (pipeline_stage IN ('raw', 'staging', 'curated')),
  source_table varchar(100),
  target_table varchar(100),
  records_processed integer DEFAULT 0,
  records_successful integer DEFAULT 0,
  records_failed integer DEFAULT 0,
  start_time timestamptz NOT NULL,
  end_time timestamptz,
  status varchar(20) DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed')),
  error_message text,
  metadata jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_pipeline_log_execution ON public.pipeline_execution_log (execution_id, pipeline_stage);
CREATE INDEX idx_pipeline_log_start ON public.pipeline_execution_log (start_time);

GRANT USAGE ON SCHEMA raw_data, staging, curated TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raw_data, staging, curated TO PUBLIC;
