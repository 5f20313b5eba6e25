-- What the samples between $1 and $2 come to; as in groundskeeper.metrics_over().
WITH counted AS (
    SELECT m.sampled_at, m.database_busy_connections, m.connections, c.name, c.value,
           lag(c.value) OVER w AS before,
           m.stats_reset IS DISTINCT FROM lag(m.stats_reset) OVER w AS reset
      FROM groundskeeper.metrics m
     CROSS JOIN LATERAL (VALUES
           ('heap_hit', m.heap_blks_hit), ('heap_read', m.heap_blks_read),
           ('idx_hit', m.idx_blks_hit), ('idx_read', m.idx_blks_read),
           ('commits', m.xact_commit), ('rollbacks', m.xact_rollback),
           ('deadlocks', m.deadlocks), ('temp_bytes', m.temp_bytes)) c (name, value)
     WHERE m.sampled_at >= $1 AND m.sampled_at <= $2
    WINDOW w AS (PARTITION BY c.name ORDER BY m.sampled_at)
),
increase AS (
    SELECT name, sum(CASE WHEN reset THEN value ELSE greatest(value - before, 0) END) AS value
      FROM counted WHERE before IS NOT NULL GROUP BY name
),
total AS (
    SELECT max(value) FILTER (WHERE name = 'heap_hit') AS heap_hit, max(value) FILTER (WHERE name = 'heap_read') AS heap_read,
           max(value) FILTER (WHERE name = 'idx_hit') AS idx_hit, max(value) FILTER (WHERE name = 'idx_read') AS idx_read,
           max(value) FILTER (WHERE name = 'commits') AS commits, max(value) FILTER (WHERE name = 'rollbacks') AS rollbacks,
           max(value) FILTER (WHERE name = 'deadlocks') AS deadlocks, max(value) FILTER (WHERE name = 'temp_bytes') AS temp_bytes
      FROM increase
),
peak AS (
    SELECT max(connections) AS connections, max(database_busy_connections) AS busy FROM counted
),
staged AS (
    SELECT sum(r.successful) AS successful, sum(r.processed) AS processed
      FROM groundskeeper.migration_runs r
     WHERE r.state <> 'running' AND coalesce(r.finished_at, r.started_at) > $1 AND coalesce(r.finished_at, r.started_at) <= $2
)
SELECT jsonb_build_array(
           jsonb_build_object('name', 'Transactions committed', 'unit', 'count', 'value', t.commits, 'better', NULL),
           jsonb_build_object('name', 'Transactions rolled back', 'unit', 'count', 'value', t.rollbacks, 'better', 'less'),
           jsonb_build_object('name', 'Deadlocks', 'unit', 'count', 'value', t.deadlocks, 'better', 'less'),
           jsonb_build_object('name', 'Bytes in temporary files', 'unit', 'bytes', 'value', t.temp_bytes, 'better', 'less'),
           jsonb_build_object('name', 'Table blocks found in the buffer cache', 'unit', 'percent',
                              'value', round(100.0 * t.heap_hit / nullif(t.heap_hit + t.heap_read, 0), 2), 'better', 'more'),
           jsonb_build_object('name', 'Index blocks found in the buffer cache', 'unit', 'percent',
                              'value', round(100.0 * t.idx_hit / nullif(t.idx_hit + t.idx_read, 0), 2), 'better', 'more'),
           jsonb_build_object('name', 'Connections, at most', 'unit', 'count', 'value', p.connections, 'better', NULL),
           jsonb_build_object('name', 'Busy connections, at most', 'unit', 'count', 'value', p.busy, 'better', 'less'),
           jsonb_build_object('name', 'Records migrated', 'unit', 'count', 'value', s.processed, 'better', NULL),
           jsonb_build_object('name', 'Migration success', 'unit', 'percent',
                              'value', round(100.0 * s.successful / nullif(s.processed, 0), 2), 'better', 'more'))::text,
       NULL::text
  FROM total t CROSS JOIN peak p CROSS JOIN staged s
