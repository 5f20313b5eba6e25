-- What ran between $1 and $2, the newest first, and what is scheduled.
WITH run AS MATERIALIZED (
    SELECT 'job' AS source, j.kind, j.target, h.state, h.started_at, h.finished_at, h.error
      FROM groundskeeper.job_history h JOIN groundskeeper.jobs j USING (job_id)
     WHERE h.started_at <= $2 AND coalesce(h.finished_at, h.started_at) >= $1
    UNION ALL
    SELECT 'maintenance', l.action, l.relation, CASE WHEN l.action = 'failed' THEN 'failed' ELSE 'succeeded' END,
           l.started_at, l.started_at + make_interval(secs => l.duration_ms / 1000), CASE WHEN l.action = 'failed' THEN l.reason END
      FROM groundskeeper.maintenance_log l
     WHERE l.started_at <= $2 AND l.started_at >= $1
)
SELECT jsonb_build_object(
           'runs', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.started_at DESC), '[]')
                      FROM (SELECT * FROM run ORDER BY started_at DESC LIMIT 500) r),
           'left_out', (SELECT greatest(count(*) - 500, 0) FROM run),
           'tasks', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                'task', s.task, 'scheduler', s.scheduler, 'last_run', s.last_run, 'last_success', s.last_success,
                                'next_run', s.next_run, 'consecutive_failures', s.consecutive_failures,
                                'last_error', s.last_error) ORDER BY s.consecutive_failures DESC, s.task), '[]')
                       FROM (SELECT * FROM monitoring.maintenance_status LIMIT 100) s))::text,
       NULL::text
