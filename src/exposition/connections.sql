-- Client connections, the reader's own among them; what is hidden from the caller is not guessed.
WITH client AS MATERIALIZED (
    SELECT a.datname = current_database() AS is_here, a.state, a.state_change, a.pid
      FROM pg_stat_activity a WHERE a.backend_type = 'client backend'
)
SELECT 'groundskeeper_client_connections', jsonb_build_object('state', c.state), count(*)::double precision
  FROM client c WHERE c.is_here AND c.state IS NOT NULL GROUP BY c.state
UNION ALL
SELECT v.name, NULL, v.value
  FROM (SELECT count(*) AS server,
               count(*) FILTER (WHERE is_here AND state <> 'idle' AND pid <> pg_backend_pid()) AS busy,
               max(greatest(extract(epoch FROM clock_timestamp() - state_change), 0))
                   FILTER (WHERE is_here AND state LIKE 'idle in transaction%') AS idle
          FROM client) c
 CROSS JOIN LATERAL (VALUES
       ('groundskeeper_server_connections', CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN c.server END),
       ('groundskeeper_busy_connections', CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN c.busy END),
       ('groundskeeper_longest_idle_transaction_seconds',
        CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN coalesce(c.idle, 0) END),
       ('groundskeeper_usable_connections', current_setting('max_connections')::integer
            - current_setting('superuser_reserved_connections')::integer
            - coalesce(current_setting('reserved_connections', true)::integer, 0)),
       ('groundskeeper_pool_connections',
        nullif(substring(current_setting('groundskeeper.pool_size', true) FROM '^\d{1,6}$')::integer, 0))) v (name, value)
 WHERE v.value IS NOT NULL
