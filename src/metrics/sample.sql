-- One row of groundskeeper.metrics, with the histograms and since when they were counted, and when sampling began.
INSERT INTO groundskeeper.metrics (
    sampled_at, since, latency, statement_latency,
    connections, busy_connections, database_connections, database_busy_connections, usable_slots,
    heap_blks_hit, heap_blks_read, idx_blks_hit, idx_blks_read,
    xact_commit, xact_rollback, deadlocks, temp_bytes, stats_reset, cost_ms,
    wal_bytes, checkpoints_timed, checkpoints_requested, archive_failures)
SELECT clock_timestamp(), to_timestamp($1::double precision / 1000000), $2, $3,
       a.connections, a.busy, a.here, a.busy_here,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
         - coalesce(current_setting('reserved_connections', true)::integer, 0),
       t.heap_blks_hit, t.heap_blks_read, t.idx_blks_hit, t.idx_blks_read,
       d.xact_commit, d.xact_rollback, d.deadlocks, d.temp_bytes, d.stats_reset,
       extract(epoch FROM clock_timestamp() - $4) * 1000,
       c.wal_bytes, c.checkpoints_timed, c.checkpoints_requested, c.archive_failures
  FROM (SELECT count(*)::integer AS connections,
               (count(*) FILTER (WHERE state <> 'idle'))::integer AS busy,
               (count(*) FILTER (WHERE datname = current_database()))::integer AS here,
               (count(*) FILTER (WHERE datname = current_database() AND state <> 'idle'))::integer AS busy_here
          FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) a
 -- Our own tables do not tell of the user's.
 CROSS JOIN (SELECT coalesce(sum(heap_blks_hit), 0)::bigint AS heap_blks_hit,
                    coalesce(sum(heap_blks_read), 0)::bigint AS heap_blks_read,
                    coalesce(sum(idx_blks_hit), 0)::bigint AS idx_blks_hit,
                    coalesce(sum(idx_blks_read), 0)::bigint AS idx_blks_read
               FROM pg_statio_user_tables WHERE schemaname <> 'groundskeeper') t
 CROSS JOIN (SELECT * FROM pg_stat_database WHERE datname = current_database()) d
 CROSS JOIN groundskeeper_internal.server_counters() c
RETURNING sampled_at
