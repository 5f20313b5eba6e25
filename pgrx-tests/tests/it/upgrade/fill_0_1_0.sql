-- A row in every table of 0.1.0, and edits of its defaults. A job of long ago would be pruned by the next dispatcher.
INSERT INTO groundskeeper.change (item, applied_by, forward_sql, inverse_sql, prior_definition, undo, reverted_at)
VALUES ('2.1.staging.totals.idx', 'postgres', 'CREATE INDEX idx ON t (a)', 'DROP INDEX idx', NULL, '{}', NULL),
       ('1.1.staging.games.score', 'postgres', 'ALTER', 'ALTER BACK', 'numeric(3,2)', '{"type": "numeric(3,2)"}', '2026-01-02');
INSERT INTO groundskeeper.job (kind, target, item, task, run_as, requested_by, home, state, error, attempts, finished_at)
VALUES ('refresh_view', 'public.v', NULL, '{"kind": "refresh_view", "view": {"schema": "public", "name": "v"}}', 'postgres',
        'postgres', 'elsewhere/1', 'queued', NULL, 0, NULL),
       ('reindex', 'public.i', NULL, '{"kind": "reindex", "index": {"schema": "public", "name": "i"}, "before": 1}', 'postgres',
        'postgres', 'elsewhere/1', 'failed', 'it was refused', 3, now());
INSERT INTO groundskeeper.job_attempt (job_id, attempt, started_at, finished_at, state, error, lock_waits, rows_done)
VALUES (2, 1, '2026-01-01', '2026-01-02', 'failed', 'it was refused', 4, 5);
INSERT INTO groundskeeper.maintained_relations (relation) VALUES ('public.mine');
INSERT INTO groundskeeper.relation_seen VALUES (1, 2, '{"a": 1}');
INSERT INTO groundskeeper.maintenance_log VALUES ('public.mine', 'analyzed', 'it had changed', '2026-01-01', 12.5, 'postgres');
INSERT INTO groundskeeper.managed_tables (parent, partition_key, "interval", timezone, premake, retention, retention_action, key_table)
VALUES ('public.adopted', 'at', 'month', 'America/New_York', 3, '2 years', 'archive', NULL);
INSERT INTO groundskeeper.conversion (relation, schema_name, table_name, partition_key, "interval", timezone, premake, stage,
                                      key_columns, key_table, indexes, copied_to, rows_copied, rows_expected, later)
VALUES ('public.halfway', 'public', 'halfway', 'at', 'month', 'UTC', 3, 'captured', '{id}', true, '[]', '{17}', 17, 100, '[]');
CREATE TABLE groundskeeper.metrics_of_a_day PARTITION OF groundskeeper.metrics FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
ALTER EXTENSION pg_groundskeeper ADD TABLE groundskeeper.metrics_of_a_day;
INSERT INTO groundskeeper.metrics
VALUES ('2026-01-01 12:00', NULL, '\x00', NULL, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, '2025-01-01', 1.5);
INSERT INTO groundskeeper.latency_mark VALUES (NULL, 1, '2026-01-01', '\x00');
INSERT INTO groundskeeper.index_observation VALUES (1, '2026-01-01', 2, 3, '2026-01-01');
INSERT INTO groundskeeper.migration_failures VALUES ('raw_data.moneylines_raw', 1, 'constraint', 'it was refused', '2026-01-01');
INSERT INTO groundskeeper.migration_runs (execution_id, bet_type, raw_table, staging_table, state, processed, successful, failed,
                                          batch_size, phase, after_id, cursor_id, next_moved_since, writers, started_by, pid,
                                          backend_start, home, files)
VALUES ('00000000-0000-0000-0000-000000000001', 'moneyline', 'raw_data.moneylines_raw', 'staging.moneylines', 'completed', 3, 2, 1,
        100, 'new', 0, 3, '2026-01-01', '{}', 'postgres', 1, '2026-01-01', 'elsewhere/1', '1 2');
INSERT INTO groundskeeper.migration_progress VALUES ('raw_data.moneylines_raw', 'elsewhere/1', '1 2', 3, 3, 3, '{}', '2026-01-01', '2026-01-01');
INSERT INTO groundskeeper.schedule_run (job_name, last_run, failures, last_error) VALUES ('statistics', '2026-01-01', 1, 'it was refused');
INSERT INTO groundskeeper.alert_state VALUES ('failed_jobs', NULL, 'firing', '2026-01-01', NULL, true, 1, 0, 'it was refused', NULL);
INSERT INTO groundskeeper.alert_check VALUES ('2026-01-01');
INSERT INTO groundskeeper.alert_history VALUES ('2026-01-01', 'failed_jobs', NULL, 'firing', 1, 0, 'it was refused');
INSERT INTO groundskeeper.alert_silences VALUES ('failed_jobs', '2100-01-01', 'known', 'postgres', '2026-01-01');

UPDATE groundskeeper.schedule SET schedule = '30 4 * * *', timezone = 'UTC' WHERE job_name = 'partitions';
UPDATE groundskeeper.schedule SET command = 'SELECT 1', enabled = false WHERE job_name = 'statistics';
INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES ('mine', '0 0 * * *', 'SELECT 2');
DELETE FROM groundskeeper.schedule WHERE job_name = 'retention';
UPDATE groundskeeper.quality_rules SET points = 17 WHERE rule = 'missing_sportsbook';
UPDATE groundskeeper.kpi_targets SET target = 250 WHERE kpi = 'query_latency_p95_ms';
UPDATE groundskeeper.alert_rules SET fire_threshold = 900 WHERE rule = 'heartbeat';
INSERT INTO groundskeeper.alert_rules (rule, metric, comparison, fire_threshold, clear_threshold) VALUES ('mine', 'failed_jobs', '>', 5, 5);
DELETE FROM groundskeeper.alert_rules WHERE rule = 'invalid_indexes';
