-- What the six KPIs are to be, for the operator to edit; and who keeps transactions open.

CREATE TABLE groundskeeper.kpi_targets (
    kpi text PRIMARY KEY,
    target numeric NOT NULL,
    comparison text NOT NULL,
    min_samples bigint NOT NULL,
    measured_over interval,
    CONSTRAINT kpi_targets_valid
        CHECK (groundskeeper_internal.check_kpi_target(kpi, target, comparison, min_samples, measured_over))
);
COMMENT ON TABLE groundskeeper.kpi_targets IS
    'What the KPIs are to be; UPDATE one to change it, DELETE it to get the plan''s target back';
COMMENT ON COLUMN groundskeeper.kpi_targets.kpi IS 'One of the six';
COMMENT ON COLUMN groundskeeper.kpi_targets.target IS 'What its value must lie beyond';
COMMENT ON COLUMN groundskeeper.kpi_targets.comparison IS 'On which side: > or <';
COMMENT ON COLUMN groundskeeper.kpi_targets.min_samples IS 'With fewer samples the KPI is unknown';
COMMENT ON COLUMN groundskeeper.kpi_targets.measured_over IS 'The time that it is measured over; NULL for what is measured now';
COMMENT ON CONSTRAINT kpi_targets_valid ON groundskeeper.kpi_targets IS
    'The KPI exists and can have that target; raises an error that says what is wrong';

CALL groundskeeper_internal.keep_defaults('groundskeeper.kpi_targets', 'kpi');

CREATE VIEW monitoring.idle_transactions WITH (security_invoker) AS
SELECT a.pid,
       a.usename AS role_name,
       a.application_name,
       a.client_addr AS client_address,
       a.state,
       round(greatest(extract(epoch FROM clock_timestamp() - a.state_change), 0), 3) AS idle_seconds,
       CASE WHEN a.xact_start IS NOT NULL
            THEN round(greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0), 3) END AS transaction_seconds,
       age(a.backend_xmin) AS xmin_age,
       (SELECT count(*) FROM pg_catalog.pg_locks l
         WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock') AS locks_held
  FROM pg_catalog.pg_stat_activity a
 WHERE a.datname = current_database() AND a.backend_type = 'client backend'
   AND a.state IN ('idle in transaction', 'idle in transaction (aborted)')
 ORDER BY a.state_change;
COMMENT ON VIEW monitoring.idle_transactions IS
    'Clients of the current database that keep a transaction open and do nothing, the longest first';
COMMENT ON COLUMN monitoring.idle_transactions.pid IS 'For pg_terminate_backend()';
COMMENT ON COLUMN monitoring.idle_transactions.idle_seconds IS 'How long it has done nothing';
COMMENT ON COLUMN monitoring.idle_transactions.transaction_seconds IS 'How long its transaction has been open; NULL where that has failed';
COMMENT ON COLUMN monitoring.idle_transactions.xmin_age IS
    'How many transactions back VACUUM must keep dead rows for it; NULL where it has no snapshot';
COMMENT ON COLUMN monitoring.idle_transactions.locks_held IS 'Locks on relations that it holds, other than to read';

REVOKE ALL ON groundskeeper.kpi_targets FROM PUBLIC;
-- It only computes.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.check_kpi_target(text, numeric, text, bigint, interval) TO PUBLIC;
GRANT SELECT ON groundskeeper.kpi_targets, monitoring.idle_transactions TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.kpi_report() TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.kpi_report() IS
    'The six KPIs against their targets: pass, fail, or unknown with the reason in detail; percentages run from 0 to 100';
COMMENT ON FUNCTION groundskeeper_internal.check_kpi_target(text, numeric, text, bigint, interval) IS
    'True for a target that a KPI can have; raises an error that says what is wrong otherwise';
