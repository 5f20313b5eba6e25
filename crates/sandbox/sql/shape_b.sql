-- On Shape A: its later variant, also in use. The three staging tables are others, column for column
-- as they are deployed: no foreign keys to the raw tables, a game's id as text, both sides' odds and
-- teams on a spread, timestamps that may be missing, a status of its own. All else is Shape A's, but
-- for the curated tables' foreign keys to these three.

DROP TABLE staging.moneylines, staging.spreads, staging.totals CASCADE;

CREATE TABLE staging.moneylines (
  id bigserial PRIMARY KEY,
  raw_moneylines_id bigint,
  game_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  home_odds integer,
  away_odds integer,
  home_team_normalized varchar(100),
  away_team_normalized varchar(100),
  data_quality_score numeric(3,2) DEFAULT 1.0,
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  validation_errors jsonb,
  processed_at timestamptz DEFAULT now(),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_staging_moneylines_game_id ON staging.moneylines (game_id);
CREATE INDEX idx_staging_moneylines_sportsbook ON staging.moneylines (sportsbook_id);
CREATE INDEX idx_staging_moneylines_processed_at ON staging.moneylines (processed_at);
CREATE INDEX idx_staging_moneylines_validation_status ON staging.moneylines (validation_status);

CREATE TABLE staging.spreads (
  id bigserial PRIMARY KEY,
  raw_spreads_id bigint,
  game_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  line_value numeric(5,2),
  home_odds integer,
  away_odds integer,
  home_team_normalized varchar(100),
  away_team_normalized varchar(100),
  data_quality_score numeric(3,2) DEFAULT 1.0,
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  validation_errors jsonb,
  processed_at timestamptz DEFAULT now(),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_staging_spreads_game_id ON staging.spreads (game_id);
CREATE INDEX idx_staging_spreads_sportsbook ON staging.spreads (sportsbook_id);
CREATE INDEX idx_staging_spreads_line_value ON staging.spreads (line_value);
CREATE INDEX idx_staging_spreads_processed_at ON staging.spreads (processed_at);
CREATE INDEX idx_staging_spreads_validation_status ON staging.spreads (validation_status);

CREATE TABLE staging.totals (
  id bigserial PRIMARY KEY,
  raw_totals_id bigint,
  game_id varchar(255),
  sportsbook_id integer,
  sportsbook_name varchar(100),
  line_value numeric(5,2),
  over_odds integer,
  under_odds integer,
  data_quality_score numeric(3,2) DEFAULT 1.0,
  validation_status varchar(20) DEFAULT 'pending'
    CHECK (validation_status IN ('pending', 'valid', 'invalid', 'warning')),
  validation_errors jsonb,
  processed_at timestamptz DEFAULT now(),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_staging_totals_game_id ON staging.totals (game_id);
CREATE INDEX idx_staging_totals_sportsbook ON staging.totals (sportsbook_id);
CREATE INDEX idx_staging_totals_line_value ON staging.totals (line_value);
CREATE INDEX idx_staging_totals_processed_at ON staging.totals (processed_at);
CREATE INDEX idx_staging_totals_validation_status ON staging.totals (validation_status);

GRANT SELECT, INSERT, UPDATE, DELETE ON staging.moneylines, staging.spreads, staging.totals TO PUBLIC;
