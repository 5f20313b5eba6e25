-- What the extension's own tables say: a name, labels, a value.
SELECT 'groundskeeper_last_sample_timestamp_seconds', NULL::jsonb, extract(epoch FROM max(m.sampled_at))::double precision
  FROM groundskeeper.metrics m
HAVING max(m.sampled_at) IS NOT NULL
UNION ALL
SELECT 'groundskeeper_last_alert_check_timestamp_seconds', NULL, extract(epoch FROM c.checked_at) FROM groundskeeper.alert_check c
UNION ALL
SELECT 'groundskeeper_standing_changes', NULL, count(*) FROM groundskeeper.change c WHERE c.reverted_at IS NULL
UNION ALL
SELECT 'groundskeeper_managed_tables', NULL, count(*) FROM groundskeeper.managed_tables
UNION ALL
SELECT n.name, jsonb_build_object('rule', r.rule), n.value
  FROM (SELECT rule, state FROM groundskeeper.alerts ORDER BY state = 'firing' DESC, rule LIMIT 100) r
 CROSS JOIN LATERAL (VALUES ('groundskeeper_alert_firing', (r.state = 'firing')::integer),
                            ('groundskeeper_alert_without_data', (r.state = 'no_data')::integer)) n (name, value)
UNION ALL
SELECT m.name, jsonb_build_object('market', r.bet_type), m.value
  FROM (SELECT bet_type, sum(processed) AS processed, sum(failed) AS failed, count(*) FILTER (WHERE state <> 'running') AS runs,
               count(*) FILTER (WHERE state = 'failed') AS failed_runs,
               extract(epoch FROM max(finished_at) FILTER (WHERE state = 'completed')) AS succeeded
          FROM groundskeeper.migration_runs GROUP BY bet_type) r
 CROSS JOIN LATERAL (VALUES ('groundskeeper_migration_records_total', r.processed),
                            ('groundskeeper_migration_records_failed_total', r.failed),
                            ('groundskeeper_migration_runs_total', r.runs),
                            ('groundskeeper_migration_runs_failed_total', r.failed_runs),
                            ('groundskeeper_migration_last_success_timestamp_seconds', r.succeeded)) m (name, value)
 WHERE m.value IS NOT NULL
UNION ALL
SELECT 'groundskeeper_migration_standing_failures', jsonb_build_object('table', f.raw_table), count(*)
  FROM groundskeeper.migration_failures f GROUP BY f.raw_table
UNION ALL
SELECT 'groundskeeper_open_jobs', jsonb_build_object('kind', j.kind, 'state', j.state), count(*)
  FROM groundskeeper.job j WHERE j.state IN ('queued', 'running', 'failed') GROUP BY j.kind, j.state
UNION ALL
SELECT 'groundskeeper_oldest_queued_job_timestamp_seconds', NULL, extract(epoch FROM min(greatest(j.queued_at, j.not_before)))
  FROM groundskeeper.job j WHERE j.state = 'queued' AND j.not_before <= now()
HAVING count(*) > 0
