-- How scheduled tasks stand.
WITH task AS (
    SELECT s.job_name, s.last_success, s.failures, t.next_run,
           CASE WHEN t.next_run IS NOT NULL THEN
               groundskeeper_internal.next_run(s.schedule, s.timezone, t.next_run, t.next_run, 0) END AS after_next
      FROM groundskeeper.schedule_state s
     CROSS JOIN LATERAL (SELECT CASE WHEN s.active THEN
           groundskeeper_internal.next_run(s.schedule, s.timezone, s.scheduled_at, s.last_run, s.failures) END) t (next_run)
     ORDER BY s.job_name LIMIT 60
)
SELECT m.name, jsonb_build_object('task', t.job_name), m.value
  FROM task t
 CROSS JOIN LATERAL (VALUES
       ('groundskeeper_maintenance_last_success_timestamp_seconds', extract(epoch FROM t.last_success)::double precision),
       ('groundskeeper_maintenance_next_run_timestamp_seconds', extract(epoch FROM t.next_run)),
       ('groundskeeper_maintenance_period_seconds', extract(epoch FROM t.after_next - t.next_run)),
       ('groundskeeper_maintenance_failures', t.failures)) m (name, value)
 WHERE m.value IS NOT NULL
UNION ALL
SELECT 'groundskeeper_series_dropped', NULL, greatest(count(*) - 60, 0) * 4 FROM groundskeeper.schedule_state
