-- The monitoring views of the plan (sections 5.2 and 6.2).
--
-- They read catalogs and statistics only. Whatever depends on another extension goes through a function with
-- dynamic SQL, so that no view of ours stands in the way of ALTER EXTENSION ... UPDATE of that extension.
-- Everything runs with the rights of whoever reads it: a view shows nobody more than PostgreSQL itself would.

CREATE VIEW monitoring.connection_stats WITH (security_invoker) AS
WITH server AS (
  SELECT
    current_setting('max_connections')::integer
      - current_setting('superuser_reserved_connections')::integer
      -- since PostgreSQL 16
      - coalesce(current_setting('reserved_connections', true)::integer, 0) AS usable_slots,
    -- as groundskeeper.pool_utilization() has it, which readers of this view need no right to call
    nullif(substring(current_setting('groundskeeper.pool_size', true) FROM '^\d{1,6}$')::integer, 0) AS pool_size,
    count(*) FILTER (WHERE backend_type = 'client backend') AS connections,
    count(*) FILTER (WHERE backend_type = 'client backend' AND datname = current_database()
                       AND state IS DISTINCT FROM 'idle' AND pid <> pg_backend_pid()) AS busy,
    -- Without pg_read_all_stats the kind of others' sessions is hidden, and so is the sum.
    bool_and(backend_type IS NOT NULL) AS all_visible
  FROM pg_catalog.pg_stat_activity
)
SELECT
  a.state,
  count(*) AS connection_count,
  -- Another session may have changed state after our clock was read.
  round(avg(greatest(extract(epoch FROM clock_timestamp() - a.state_change), 0)), 3) AS avg_duration_seconds,
  round(max(greatest(extract(epoch FROM clock_timestamp() - a.state_change), 0)), 3) AS max_duration_seconds,
  CASE WHEN s.all_visible THEN s.connections END AS server_connections,
  s.usable_slots,
  CASE WHEN s.all_visible AND s.pool_size IS NOT NULL THEN round(100.0 * s.busy / s.pool_size, 1)
       WHEN s.all_visible THEN round(100.0 * s.connections / nullif(s.usable_slots, 0), 1) END
    AS utilization_percent,
  CASE WHEN s.all_visible THEN s.busy END AS busy_connections,
  s.pool_size
FROM pg_catalog.pg_stat_activity a CROSS JOIN server s
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
GROUP BY a.state, s.all_visible, s.connections, s.busy, s.usable_slots, s.pool_size
ORDER BY connection_count DESC, a.state;

COMMENT ON VIEW monitoring.connection_stats IS
  'Client connections to the current database by state, the reader''s own included, and how full the server is';
COMMENT ON COLUMN monitoring.connection_stats.state IS 'As in pg_stat_activity';
COMMENT ON COLUMN monitoring.connection_stats.connection_count IS
  'Client backends in this state; without pg_read_all_stats only the reader''s own are seen';
COMMENT ON COLUMN monitoring.connection_stats.avg_duration_seconds IS
  'How long they have been in this state, on average';
COMMENT ON COLUMN monitoring.connection_stats.max_duration_seconds IS
  'How long the longest has been in this state';
COMMENT ON COLUMN monitoring.connection_stats.server_connections IS
  'Client backends of the whole server, all databases; the same in every row; NULL without pg_read_all_stats';
COMMENT ON COLUMN monitoring.connection_stats.usable_slots IS
  'Connections that max_connections allows, less the reserved ones; the same in every row';
COMMENT ON COLUMN monitoring.connection_stats.utilization_percent IS
  'Percentage of pool_size that busy_connections take; where no pool is configured, of usable_slots that '
  'server_connections take, above 100 when superusers are in the reserved slots; the same in every row';
COMMENT ON COLUMN monitoring.connection_stats.busy_connections IS
  'Client backends of the current database that are not idle, the reader''s own left out; the same in every row; NULL '
  'without pg_read_all_stats';
COMMENT ON COLUMN monitoring.connection_stats.pool_size IS
  'The setting groundskeeper.pool_size: how many connections the pools to this database have at most, together; NULL '
  'where it is not set';
