-- The weights and thresholds that migration and rescoring apply, for the operator to edit.

CREATE TABLE groundskeeper.quality_rules (
  rule text PRIMARY KEY,
  points numeric NOT NULL,
  description text NOT NULL,
  CONSTRAINT quality_rules_valid CHECK (groundskeeper_internal.check_quality_rules(jsonb_build_object(rule, points)))
);

CALL groundskeeper_internal.keep_defaults('groundskeeper.quality_rules', 'rule');

REVOKE ALL ON groundskeeper.quality_rules FROM PUBLIC;
GRANT SELECT ON groundskeeper.quality_rules TO pg_monitor;
-- These only compute.
GRANT EXECUTE ON FUNCTION
  groundskeeper.moneyline_quality_score,
  groundskeeper.spread_quality_score,
  groundskeeper.total_quality_score,
  groundskeeper.moneyline_quality_issues,
  groundskeeper.spread_quality_issues,
  groundskeeper.total_quality_issues,
  groundskeeper.validation_status,
  groundskeeper.base_quality_factor,
  groundskeeper.game_quality_score,
  groundskeeper.game_validation_status,
  groundskeeper.default_quality_rules,
  groundskeeper_internal.check_quality_rules,
  groundskeeper_internal.moneyline_verdict,
  groundskeeper_internal.spread_verdict,
  groundskeeper_internal.total_verdict
TO PUBLIC;

COMMENT ON TABLE groundskeeper.quality_rules IS
  'Weights and thresholds of the quality score; UPDATE points to change one, DELETE a row to get its default back; '
  'migration and rescoring pass them on as (SELECT jsonb_object_agg(rule, points) FROM groundskeeper.quality_rules)';
COMMENT ON COLUMN groundskeeper.quality_rules.rule IS 'Name of the rule, one of groundskeeper.default_quality_rules()';
COMMENT ON COLUMN groundskeeper.quality_rules.points IS
  'Points taken off or added, score from which a status applies, count, or percent; never negative, at most two decimals';
COMMENT ON COLUMN groundskeeper.quality_rules.description IS 'What the number does';
COMMENT ON CONSTRAINT quality_rules_valid ON groundskeeper.quality_rules IS
  'The rule exists and takes the number; raises an error that says what is wrong';

COMMENT ON FUNCTION groundskeeper.moneyline_quality_score IS
  'Quality score of a moneyline, 0.00 to 99.99; NULL rules mean the built-in ones, missing keys their defaults';
COMMENT ON FUNCTION groundskeeper.spread_quality_score IS
  'Quality score of a spread, 0.00 to 99.99; NULL rules mean the built-in ones, missing keys their defaults';
COMMENT ON FUNCTION groundskeeper.total_quality_score IS
  'Quality score of a total, 0.00 to 99.99; NULL rules mean the built-in ones, missing keys their defaults';
COMMENT ON FUNCTION groundskeeper.moneyline_quality_issues IS
  'Codes of what is missing, impossible, implausible or out of order in a moneyline; an empty array where nothing is';
COMMENT ON FUNCTION groundskeeper.spread_quality_issues IS
  'Codes of what is missing, impossible or out of order in a spread; an empty array where nothing is';
COMMENT ON FUNCTION groundskeeper.total_quality_issues IS
  'Codes of what is missing, impossible, implausible or out of order in a total; an empty array where nothing is';
COMMENT ON FUNCTION groundskeeper.validation_status IS
  'One of validated, needs_review or invalid, by score and thresholds; at best needs_review with a missing_ or invalid_ issue, '
  'implausible_market, line_rounded, conflicting_teams or swapped_sides';
COMMENT ON FUNCTION groundskeeper.base_quality_factor IS
  '1 where both odds and a sportsbook name are there, else 0: the plan''s factor';
COMMENT ON FUNCTION groundskeeper.game_quality_score IS
  'Quality score of a game by how many sportsbooks offer it and how many records tell of it, 0.00 to 99.99';
COMMENT ON FUNCTION groundskeeper.game_validation_status IS
  'low_coverage where too few sportsbooks offer the game, else validated, needs_review or invalid by its score';
COMMENT ON FUNCTION groundskeeper.default_quality_rules IS
  'The built-in quality rules, which hold for NULL rules and for keys that a set of rules lacks';
COMMENT ON FUNCTION groundskeeper_internal.check_quality_rules IS
  'True for rules that a score would accept; raises an error that says what is wrong otherwise';
COMMENT ON FUNCTION groundskeeper_internal.moneyline_verdict IS 'Score, issues and status of a moneyline, as the migration wants them';
COMMENT ON FUNCTION groundskeeper_internal.spread_verdict IS 'Score, issues and status of a spread, as the migration wants them';
COMMENT ON FUNCTION groundskeeper_internal.total_verdict IS 'Score, issues and status of a total, as the migration wants them';
