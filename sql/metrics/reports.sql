-- What the history says of a stretch of time.

CREATE FUNCTION groundskeeper.metrics_over(since interval DEFAULT '1 hour')
RETURNS TABLE (
    samples bigint,
    measured_over interval,
    heap_blks_hit numeric,
    heap_blks_read numeric,
    idx_blks_hit numeric,
    idx_blks_read numeric,
    xact_commit numeric,
    xact_rollback numeric,
    deadlocks numeric,
    temp_bytes numeric,
    peak_connections integer,
    peak_busy_connections integer,
    peak_database_connections integer,
    peak_database_busy_connections integer,
    usable_slots integer
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH sample AS (
        SELECT m.*, now() - sampled_at <= metrics_over.since AS inside,
               -- The reset of one table's counters moves the time of the database's, which go on: only where one of
               -- these is less than it was have all begun anew.
               m.stats_reset IS DISTINCT FROM lag(m.stats_reset) OVER w
                 AND (m.xact_commit < lag(m.xact_commit) OVER w OR m.xact_rollback < lag(m.xact_rollback) OVER w
                      OR m.deadlocks < lag(m.deadlocks) OVER w OR m.temp_bytes < lag(m.temp_bytes) OVER w) AS reset
          FROM groundskeeper.metrics m
         -- The one before the first may be missing, or long before it. One of a clock that was ahead is of no time.
         WHERE sampled_at >= now() - metrics_over.since - interval '10 minutes' AND sampled_at <= clock_timestamp()
        WINDOW w AS (ORDER BY m.sampled_at)
    ),
    counter AS (
        SELECT s.sampled_at, s.inside, s.reset, c.name, c.value,
               lag(c.value) OVER w AS before,
               lag(s.sampled_at) OVER w AS sampled_before
          FROM sample s
         CROSS JOIN LATERAL (VALUES
               ('heap_blks_hit', s.heap_blks_hit), ('heap_blks_read', s.heap_blks_read),
               ('idx_blks_hit', s.idx_blks_hit), ('idx_blks_read', s.idx_blks_read),
               ('xact_commit', s.xact_commit), ('xact_rollback', s.xact_rollback),
               ('deadlocks', s.deadlocks), ('temp_bytes', s.temp_bytes)) c (name, value)
        WINDOW w AS (PARTITION BY c.name ORDER BY s.sampled_at)
    ),
    increase AS (
        SELECT name, min(sampled_before) AS began,
               -- After a reset all of it is new. Without one a sum is less where a relation was dropped, or its
               -- counters alone were reset, and what was added meanwhile is not known.
               sum(CASE WHEN reset THEN value ELSE greatest(value - before, 0) END) AS value
          FROM counter
         WHERE inside AND before IS NOT NULL
         GROUP BY name
    )
    SELECT s.samples, now() - i.began, i.heap_blks_hit, i.heap_blks_read, i.idx_blks_hit, i.idx_blks_read,
           i.xact_commit, i.xact_rollback, i.deadlocks, i.temp_bytes, s.connections, s.busy_connections,
           s.database_connections, s.database_busy_connections, s.usable_slots
      FROM (SELECT count(*) AS samples, max(connections) AS connections, max(busy_connections) AS busy_connections,
                   max(database_connections) AS database_connections,
                   max(database_busy_connections) AS database_busy_connections,
                   (array_agg(usable_slots ORDER BY sampled_at DESC))[1] AS usable_slots
              FROM sample WHERE inside) s
     CROSS JOIN (SELECT min(began) AS began,
                        min(value) FILTER (WHERE name = 'heap_blks_hit') AS heap_blks_hit,
                        min(value) FILTER (WHERE name = 'heap_blks_read') AS heap_blks_read,
                        min(value) FILTER (WHERE name = 'idx_blks_hit') AS idx_blks_hit,
                        min(value) FILTER (WHERE name = 'idx_blks_read') AS idx_blks_read,
                        min(value) FILTER (WHERE name = 'xact_commit') AS xact_commit,
                        min(value) FILTER (WHERE name = 'xact_rollback') AS xact_rollback,
                        min(value) FILTER (WHERE name = 'deadlocks') AS deadlocks,
                        min(value) FILTER (WHERE name = 'temp_bytes') AS temp_bytes
                   FROM increase) i;
END;
COMMENT ON FUNCTION groundskeeper.metrics_over(interval) IS
  'One row of what the samples in groundskeeper.metrics say of the time since: increases of counters, resets taken '
  'into account, and peaks of sampled connections; increases and measured_over are NULL where there are no two samples';

CREATE VIEW groundskeeper.metrics_cost WITH (security_invoker) AS
SELECT count(m.sampled_at) AS samples,
       min(m.sampled_at) AS oldest,
       max(m.sampled_at) AS newest,
       round(avg(m.cost_ms)::numeric, 3) AS mean_cost_ms,
       round(max(m.cost_ms)::numeric, 3) AS max_cost_ms,
       round(avg(pg_catalog.pg_column_size(m))::numeric) AS mean_row_bytes,
       (SELECT sum(s.bytes)::bigint
          FROM groundskeeper_internal.sizes_without_waiting(ARRAY(
                   SELECT i.inhrelid FROM pg_catalog.pg_inherits i
                    WHERE i.inhparent = 'groundskeeper.metrics'::pg_catalog.regclass
                   UNION ALL SELECT 'groundskeeper.latency_mark'::pg_catalog.regclass)) s) AS bytes
  FROM groundskeeper.metrics m;
COMMENT ON VIEW groundskeeper.metrics_cost IS 'What the history of metrics itself costs: time per sample, and space';
COMMENT ON COLUMN groundskeeper.metrics_cost.mean_cost_ms IS 'How long taking a sample takes on average, of those that are kept';
COMMENT ON COLUMN groundskeeper.metrics_cost.bytes IS 'Size of all partitions and of the marks, on disk';

GRANT SELECT ON groundskeeper.metrics, groundskeeper.latency_mark, groundskeeper.metrics_cost TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.metrics_over(interval) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.record_metrics() IS 'Takes one sample for groundskeeper.metrics and returns its time; to be called once a minute';

-- The coordinator of a cluster asks every node, itself among them.
CREATE FUNCTION groundskeeper_internal.record_as_worker() RETURNS timestamptz
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN groundskeeper_internal.cluster_role() = 'worker' THEN groundskeeper.record_metrics() END
$$;
COMMENT ON FUNCTION groundskeeper_internal.record_as_worker() IS
  'Takes one sample on a worker of a cluster of Citus, whose coordinator asks for it with its own; elsewhere none';
