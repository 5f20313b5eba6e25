DROP TRIGGER set_alert_rule ON groundskeeper.alert_rules;
ALTER TABLE groundskeeper.alert_rules DROP CONSTRAINT alert_rules_valid;
ALTER TABLE groundskeeper.alert_rules ADD COLUMN measured_over interval;
-- What stands as the plan had it is as the plan has it now; each value that somebody has edited stays.
UPDATE groundskeeper.alert_rules SET measured_over = '2 hours' WHERE rule = 'migration_success_rate' AND metric = rule;
UPDATE groundskeeper.alert_rules SET measured_over = '4 minutes'
 WHERE rule IN ('query_latency_p95_ms', 'index_hit_ratio', 'cache_hit_ratio') AND metric = rule;
UPDATE groundskeeper.alert_rules SET fire_after = '0', clear_after = '1 minute'
 WHERE rule = 'maintenance_overdue' AND (fire_after, clear_after) = ('5 minutes', '0');
UPDATE groundskeeper.alert_rules SET fire_threshold = 120, clear_threshold = 90
 WHERE rule = 'heartbeat' AND (fire_threshold, clear_threshold) = (300, 120);
ALTER TABLE groundskeeper.alert_rules
    ADD CONSTRAINT alert_rules_valid CHECK (groundskeeper_internal.check_alert_rule(
        metric, target, comparison, fire_threshold, clear_threshold, fire_after, clear_after, min_samples, check_every, measured_over));
