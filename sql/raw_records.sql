-- What judges raw records, called once for each of very many rows. The arguments' places are those that
-- src/api/quality/raw_record.rs reads. NULL is a value like any other, so none of them is STRICT.

CREATE FUNCTION groundskeeper.moneyline_quality_score(
  sportsbook_name text, game_external_id text, home_odds integer, away_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS numeric LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'moneyline_quality_score_wrapper';

CREATE FUNCTION groundskeeper.spread_quality_score(
  sportsbook_name text, game_external_id text, spread_value numeric, spread_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS numeric LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spread_quality_score_wrapper';

CREATE FUNCTION groundskeeper.total_quality_score(
  sportsbook_name text, game_external_id text, total_points numeric, over_odds integer, under_odds integer,
  source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS numeric LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'total_quality_score_wrapper';

CREATE FUNCTION groundskeeper.moneyline_quality_issues(
  sportsbook_name text, game_external_id text, home_odds integer, away_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'moneyline_quality_issues_wrapper';

CREATE FUNCTION groundskeeper.spread_quality_issues(
  sportsbook_name text, game_external_id text, spread_value numeric, spread_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spread_quality_issues_wrapper';

CREATE FUNCTION groundskeeper.total_quality_issues(
  sportsbook_name text, game_external_id text, total_points numeric, over_odds integer, under_odds integer,
  source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'total_quality_issues_wrapper';

CREATE FUNCTION groundskeeper_internal.moneyline_verdict(
  sportsbook_name text, game_external_id text, home_odds integer, away_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb)
RETURNS groundskeeper_internal.verdict LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'moneyline_verdict_wrapper';

CREATE FUNCTION groundskeeper_internal.spread_verdict(
  sportsbook_name text, game_external_id text, spread_value numeric, spread_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb)
RETURNS groundskeeper_internal.verdict LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spread_verdict_wrapper';

CREATE FUNCTION groundskeeper_internal.total_verdict(
  sportsbook_name text, game_external_id text, total_points numeric, over_odds integer, under_odds integer,
  source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb)
RETURNS groundskeeper_internal.verdict LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'total_verdict_wrapper';
