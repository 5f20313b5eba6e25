-- What the samples between $1 and $2 come to; as in groundskeeper.metrics_over().
WITH counted AS (
    SELECT m.database_busy_connections, m.connections, m.heap_blks_hit, m.heap_blks_read, m.idx_blks_hit, m.idx_blks_read,
           m.xact_commit, m.xact_rollback, m.deadlocks, m.temp_bytes,
           lag(m.heap_blks_hit) OVER w AS heap_hit_before, lag(m.heap_blks_read) OVER w AS heap_read_before,
           lag(m.idx_blks_hit) OVER w AS idx_hit_before, lag(m.idx_blks_read) OVER w AS idx_read_before,
           lag(m.xact_commit) OVER w AS commits_before, lag(m.xact_rollback) OVER w AS rollbacks_before,
           lag(m.deadlocks) OVER w AS deadlocks_before, lag(m.temp_bytes) OVER w AS temp_bytes_before,
           m.stats_reset IS DISTINCT FROM lag(m.stats_reset) OVER w
             AND (m.xact_commit < lag(m.xact_commit) OVER w OR m.xact_rollback < lag(m.xact_rollback) OVER w
                  OR m.deadlocks < lag(m.deadlocks) OVER w OR m.temp_bytes < lag(m.temp_bytes) OVER w) AS reset
      FROM groundskeeper.metrics m
     WHERE m.sampled_at >= $1 AND m.sampled_at <= $2
    WINDOW w AS (ORDER BY m.sampled_at)
),
-- Of the first one nothing is known before it.
total AS (
    SELECT sum(CASE WHEN reset THEN heap_blks_hit ELSE greatest(heap_blks_hit - heap_hit_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS heap_hit,
           sum(CASE WHEN reset THEN heap_blks_read ELSE greatest(heap_blks_read - heap_read_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS heap_read,
           sum(CASE WHEN reset THEN idx_blks_hit ELSE greatest(idx_blks_hit - idx_hit_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS idx_hit,
           sum(CASE WHEN reset THEN idx_blks_read ELSE greatest(idx_blks_read - idx_read_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS idx_read,
           sum(CASE WHEN reset THEN xact_commit ELSE greatest(xact_commit - commits_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS commits,
           sum(CASE WHEN reset THEN xact_rollback ELSE greatest(xact_rollback - rollbacks_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS rollbacks,
           sum(CASE WHEN reset THEN deadlocks ELSE greatest(deadlocks - deadlocks_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS deadlocks,
           sum(CASE WHEN reset THEN temp_bytes ELSE greatest(temp_bytes - temp_bytes_before, 0) END)
               FILTER (WHERE heap_hit_before IS NOT NULL) AS temp_bytes
      FROM counted
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
