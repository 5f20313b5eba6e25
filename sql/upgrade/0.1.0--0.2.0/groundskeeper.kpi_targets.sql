DROP TRIGGER set_kpi_target ON groundskeeper.kpi_targets;
DROP TRIGGER reset_kpi_targets ON groundskeeper.kpi_targets;
ALTER TABLE groundskeeper.kpi_targets DROP CONSTRAINT kpi_targets_valid;
ALTER TABLE groundskeeper.kpi_targets
    ADD CONSTRAINT kpi_targets_valid
        CHECK (groundskeeper_internal.check_kpi_target(kpi, target, comparison, min_samples, measured_over));
