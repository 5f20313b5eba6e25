-- The weights and thresholds that migration and rescoring apply, for the operator to edit.

CREATE TABLE groundskeeper.quality_rules (
  rule text PRIMARY KEY,
  points numeric NOT NULL,
  description text NOT NULL,
  CONSTRAINT quality_rules_valid CHECK (groundskeeper_internal.check_quality_rules(jsonb_build_object(rule, points)))
);

INSERT INTO groundskeeper.quality_rules SELECT * FROM groundskeeper.default_quality_rules();

-- An INSERT sets the rule that is already there. A dump is restored through COPY, which knows no ON CONFLICT, into
-- a table that CREATE EXTENSION has just filled with the defaults.
CREATE FUNCTION groundskeeper_internal.set_quality_rule() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE groundskeeper.quality_rules
     SET points = NEW.points, description = coalesce(NEW.description, description)
   WHERE rule = NEW.rule;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER set_quality_rule BEFORE INSERT ON groundskeeper.quality_rules
  FOR EACH ROW EXECUTE FUNCTION groundskeeper_internal.set_quality_rule();

-- A restore may run with triggers off for replicas; it needs this one all the same.
ALTER TABLE groundskeeper.quality_rules ENABLE ALWAYS TRIGGER set_quality_rule;

-- A deleted rule comes back with its default, so that the table always says what is in force.
CREATE FUNCTION groundskeeper_internal.reset_quality_rules() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO groundskeeper.quality_rules
  SELECT * FROM groundskeeper.default_quality_rules() AS d
   WHERE NOT EXISTS (SELECT FROM groundskeeper.quality_rules AS r WHERE r.rule = d.rule);
  RETURN NULL;
END $$;

CREATE TRIGGER reset_quality_rules AFTER DELETE OR TRUNCATE ON groundskeeper.quality_rules
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.reset_quality_rules();

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.quality_rules', '');

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
  groundskeeper_internal.check_quality_rules
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
COMMENT ON TRIGGER set_quality_rule ON groundskeeper.quality_rules IS
  'Turns the INSERT of a rule that is there into an UPDATE, so that a dump restores over the defaults';
COMMENT ON TRIGGER reset_quality_rules ON groundskeeper.quality_rules IS
  'Puts the default of a deleted rule back';
COMMENT ON FUNCTION groundskeeper_internal.set_quality_rule() IS 'Trigger: sets the rule that is already there';
COMMENT ON FUNCTION groundskeeper_internal.reset_quality_rules() IS 'Trigger: puts the defaults of deleted rules back';

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
  '1 where both odds and a sportsbook name are there, else 0: the expression of staging.migration_ready_records';
COMMENT ON FUNCTION groundskeeper.game_quality_score IS
  'Quality score of a game by how many sportsbooks offer it and how many records tell of it, 0.00 to 99.99';
COMMENT ON FUNCTION groundskeeper.game_validation_status IS
  'low_coverage where too few sportsbooks offer the game, else validated, needs_review or invalid by its score';
COMMENT ON FUNCTION groundskeeper.default_quality_rules IS
  'The built-in quality rules, which hold for NULL rules and for keys that a set of rules lacks';
COMMENT ON FUNCTION groundskeeper_internal.check_quality_rules IS
  'True for rules that a score would accept; raises an error that says what is wrong otherwise';
