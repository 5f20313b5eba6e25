-- The statements that took the most time, with what we have counted of them over $1.
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'queryid', s.queryid::text, 'query', nullif(s.query, '<insufficient privilege>'), 'role_name', s.role_name,
           'calls', s.calls, 'total_ms', s.total_time, 'mean_ms', s.mean_time, 'p95_ms', s.p95_ms,
           'share', round((100 * s.total_time / nullif(s.all_ms, 0))::numeric, 2), 'hit_percent', s.hit_percent)
           ORDER BY s.total_time DESC), '[]')::text,
       CASE WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')
            THEN 'pg_stat_statements is not installed (CREATE EXTENSION pg_stat_statements)' END
  FROM (SELECT t.*, sum(t.total_time) OVER () AS all_ms
          FROM groundskeeper_internal.statement_statistics(current_database(), false, $1) t
         ORDER BY t.total_time DESC NULLS LAST LIMIT 20) s
