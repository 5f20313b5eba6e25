-- What runs of the migration came to.
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
(SELECT 'groundskeeper_migration_standing_failures', jsonb_build_object('table', f.raw_table), count(*)
   FROM groundskeeper.migration_failures f GROUP BY f.raw_table ORDER BY count(*) DESC, f.raw_table LIMIT 100)
UNION ALL
SELECT 'groundskeeper_series_dropped', NULL, greatest(count(DISTINCT f.raw_table) - 100, 0) FROM groundskeeper.migration_failures f
