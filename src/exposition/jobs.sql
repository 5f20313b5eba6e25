-- Jobs, what has been changed, and what is looked after.
SELECT 'groundskeeper_open_jobs', jsonb_build_object('kind', j.kind, 'state', j.state), count(*)::double precision
  FROM groundskeeper.job j WHERE j.state IN ('queued', 'running', 'failed') GROUP BY j.kind, j.state
UNION ALL
SELECT 'groundskeeper_oldest_queued_job_timestamp_seconds', NULL, extract(epoch FROM min(greatest(j.queued_at, j.not_before)))
  FROM groundskeeper.job j WHERE j.state = 'queued' AND j.not_before <= now()
HAVING count(*) > 0
UNION ALL
SELECT 'groundskeeper_standing_changes', NULL, count(*) FROM groundskeeper.change c WHERE c.reverted_at IS NULL
UNION ALL
SELECT 'groundskeeper_managed_tables', NULL, count(*) FROM groundskeeper.managed_tables
