-- Samples between $1 and $2, put together in steps of $3 seconds; a step without samples is there without figures.
WITH step AS (
    SELECT n, $1 + n * make_interval(secs => $3) AS at
      FROM generate_series(0, greatest(ceil(extract(epoch FROM $2 - $1) / $3)::integer, 1) - 1) n
),
counted AS (
    SELECT m.connections, m.database_busy_connections, m.usable_slots, m.heap_blks_hit, m.heap_blks_read, m.idx_blks_hit,
           m.idx_blks_read, m.xact_commit, floor(extract(epoch FROM m.sampled_at - $1) / $3)::integer AS n,
           extract(epoch FROM m.sampled_at - lag(m.sampled_at) OVER w) AS seconds,
           -- As in groundskeeper.metrics_over(): the reset of one table's counters is none.
           m.stats_reset IS DISTINCT FROM lag(m.stats_reset) OVER w
             AND (m.xact_commit < lag(m.xact_commit) OVER w OR m.xact_rollback < lag(m.xact_rollback) OVER w
                  OR m.deadlocks < lag(m.deadlocks) OVER w OR m.temp_bytes < lag(m.temp_bytes) OVER w) AS reset,
           lag(m.heap_blks_hit) OVER w AS heap_hit_before, lag(m.heap_blks_read) OVER w AS heap_read_before,
           lag(m.idx_blks_hit) OVER w AS idx_hit_before, lag(m.idx_blks_read) OVER w AS idx_read_before,
           lag(m.xact_commit) OVER w AS commits_before
      FROM groundskeeper.metrics m
     WHERE m.sampled_at >= $1 AND m.sampled_at <= $2
    WINDOW w AS (ORDER BY m.sampled_at)
),
summed AS (
    SELECT n, max(connections) AS connections, max(database_busy_connections) AS busy, max(usable_slots) AS usable_slots,
           sum(CASE WHEN reset THEN heap_blks_hit ELSE greatest(heap_blks_hit - heap_hit_before, 0) END)
               FILTER (WHERE seconds IS NOT NULL) AS heap_hit,
           sum(CASE WHEN reset THEN heap_blks_read ELSE greatest(heap_blks_read - heap_read_before, 0) END)
               FILTER (WHERE seconds IS NOT NULL) AS heap_read,
           sum(CASE WHEN reset THEN idx_blks_hit ELSE greatest(idx_blks_hit - idx_hit_before, 0) END)
               FILTER (WHERE seconds IS NOT NULL) AS idx_hit,
           sum(CASE WHEN reset THEN idx_blks_read ELSE greatest(idx_blks_read - idx_read_before, 0) END)
               FILTER (WHERE seconds IS NOT NULL) AS idx_read,
           sum(greatest(xact_commit - commits_before, 0)) FILTER (WHERE NOT reset) AS commits,
           sum(seconds) FILTER (WHERE NOT reset) AS seconds
      FROM counted GROUP BY n
),
staged AS (
    SELECT floor(extract(epoch FROM coalesce(r.finished_at, r.started_at) - $1) / $3)::integer AS n,
           sum(r.successful) AS successful, sum(r.processed) AS processed
      FROM groundskeeper.migration_runs r
     WHERE r.state <> 'running' AND coalesce(r.finished_at, r.started_at) >= $1 AND coalesce(r.finished_at, r.started_at) < $2
     GROUP BY 1
)
SELECT jsonb_agg(jsonb_build_object(
           'at', step.at,
           'connections', s.connections,
           'busy', s.busy,
           'usable_slots', s.usable_slots,
           'cache_hit', round(100.0 * s.heap_hit / nullif(s.heap_hit + s.heap_read, 0), 3),
           'index_hit', round(100.0 * s.idx_hit / nullif(s.idx_hit + s.idx_read, 0), 3),
           'commits_per_second', round(s.commits / nullif(s.seconds, 0), 3),
           'migration_success', round(100.0 * g.successful / nullif(g.processed, 0), 3)) ORDER BY step.n)::text,
       NULL::text
  FROM step
  LEFT JOIN summed s ON s.n = step.n
  LEFT JOIN staged g ON g.n = step.n
