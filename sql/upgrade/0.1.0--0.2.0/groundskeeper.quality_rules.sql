DROP TRIGGER set_quality_rule ON groundskeeper.quality_rules;
DROP TRIGGER reset_quality_rules ON groundskeeper.quality_rules;
ALTER TABLE groundskeeper.quality_rules DROP CONSTRAINT quality_rules_valid;
ALTER TABLE groundskeeper.quality_rules
    ADD CONSTRAINT quality_rules_valid CHECK (groundskeeper_internal.check_quality_rules(jsonb_build_object(rule, points)));
