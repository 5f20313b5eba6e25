-- Runs that ended between $1 and $2, and what stands failed.
SELECT jsonb_build_object(
           'markets', (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.bet_type), '[]')
                         FROM (SELECT r.bet_type, count(*) AS runs, count(*) FILTER (WHERE r.state = 'failed') AS failed_runs,
                                      coalesce(sum(r.processed), 0)::bigint AS processed,
                                      coalesce(sum(r.successful), 0)::bigint AS successful,
                                      max(r.finished_at) AS last_finished,
                                      (array_agg(r.error ORDER BY r.run_id DESC) FILTER (WHERE r.state = 'failed'))[1] AS last_error
                                 FROM groundskeeper.migration_runs r
                                WHERE r.state <> 'running' AND coalesce(r.finished_at, r.started_at) > $1
                                  AND coalesce(r.finished_at, r.started_at) <= $2
                                GROUP BY r.bet_type) m),
           'failures', (SELECT coalesce(jsonb_agg(to_jsonb(f) ORDER BY f.records DESC, f.raw_table, f.reason), '[]')
                          FROM (SELECT m.raw_table, m.reason, count(*) AS records, max(m.failed_at) AS last_tried
                                  FROM groundskeeper.migration_failures m
                                 GROUP BY m.raw_table, m.reason ORDER BY 3 DESC LIMIT 30) f))::text,
       NULL::text
