-- What is measured of connections. Everything runs with the rights of whoever asks: where sessions of others are
-- hidden, a figure is NULL.

-- The connections that are at work now. Idle ones wait in a pool; the one that asks is no part of the load.
CREATE FUNCTION groundskeeper_internal.busy_connections() RETURNS integer
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  -- Without pg_read_all_stats the kind of others' sessions is hidden, and so is the count.
  SELECT CASE WHEN bool_and(backend_type IS NOT NULL) THEN
           count(*) FILTER (WHERE backend_type = 'client backend' AND datname = current_database()
                              AND state IS DISTINCT FROM 'idle' AND pid <> pg_backend_pid())::integer
         END
    FROM pg_stat_activity;
END;

-- The most that were busy at once: now, or in a sample. What a standby finds in the history is the primary's.
CREATE FUNCTION groundskeeper_internal.peak_busy(since interval DEFAULT '24 hours') RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  busy integer := groundskeeper_internal.busy_connections();
BEGIN
  IF busy IS NULL OR pg_is_in_recovery() OR NOT has_table_privilege('groundskeeper.metrics', 'SELECT') THEN
    RETURN busy;
  END IF;
  RETURN greatest(busy, (SELECT max(m.database_busy_connections) FROM groundskeeper.metrics m
                          WHERE m.sampled_at BETWEEN now() - peak_busy.since AND clock_timestamp()));
END
$$;

-- Slots that the pools of other databases may take: as many as they are configured for, or use now.
CREATE FUNCTION groundskeeper_internal.slots_of_other_databases() RETURNS integer
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT coalesce(sum(greatest(p.size, c.connections)), 0)::integer
    FROM pg_database d
   CROSS JOIN LATERAL (
           SELECT count(*) AS connections FROM pg_stat_activity a
            WHERE a.datid = d.oid AND coalesce(a.backend_type, 'client backend') = 'client backend') c
   CROSS JOIN LATERAL (
           SELECT max(substring(s FROM '^groundskeeper\.pool_size=(\d{1,6})$')::integer) AS size
             FROM pg_db_role_setting r CROSS JOIN unnest(r.setconfig) s
            WHERE r.setdatabase = d.oid AND r.setrole = 0) p
   WHERE d.datname <> current_database();
END;

-- What the KPI, the alerts and monitoring.connection_stats mean by utilization. In a pool, what is busy counts:
-- an idle connection is what a pool is for. Without one every connection takes a slot, idle or not.
CREATE FUNCTION groundskeeper.pool_utilization(since interval DEFAULT '24 hours')
RETURNS TABLE (measured_against text, capacity integer, used integer, peak_used integer,
               utilization_percent numeric, peak_utilization_percent numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  capacity := nullif(substring(current_setting('groundskeeper.pool_size', true) FROM '^\d{1,6}$')::integer, 0);
  IF capacity IS NOT NULL THEN
    measured_against := 'pool';
    used := groundskeeper_internal.busy_connections();
    peak_used := groundskeeper_internal.peak_busy(since);
  ELSE
    measured_against := 'slots';
    capacity := current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
                  -- since PostgreSQL 16
                  - coalesce(current_setting('reserved_connections', true)::integer, 0);
    used := CASE WHEN bool_and(a.backend_type IS NOT NULL)
              THEN count(*) FILTER (WHERE a.backend_type = 'client backend') END FROM pg_stat_activity a;
    peak_used := used;
    IF used IS NOT NULL AND NOT pg_is_in_recovery() AND has_table_privilege('groundskeeper.metrics', 'SELECT') THEN
      peak_used := greatest(used, (SELECT max(m.connections) FROM groundskeeper.metrics m
                                    WHERE m.sampled_at BETWEEN now() - pool_utilization.since AND clock_timestamp()));
    END IF;
  END IF;
  utilization_percent := round(100.0 * used / nullif(capacity, 0), 1);
  peak_utilization_percent := round(100.0 * peak_used / nullif(capacity, 0), 1);
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.busy_connections() IS
  'Connections of clients to this database that are not idle now, the caller''s own left out; NULL without pg_read_all_stats';
COMMENT ON FUNCTION groundskeeper_internal.peak_busy(interval) IS
  'The most connections to this database that were seen busy at once since then';
COMMENT ON FUNCTION groundskeeper_internal.slots_of_other_databases() IS
  'Slots that other databases may take: the groundskeeper.pool_size that ALTER DATABASE gave each, or its connections now if more';
COMMENT ON FUNCTION groundskeeper.pool_utilization(interval) IS
  'How full the pool is, now and at its peak: busy connections against groundskeeper.pool_size where that is set, else '
  'all clients'' connections against the usable slots of the server';
COMMENT ON FUNCTION groundskeeper.connection_pool_config(text, integer, text) IS
  'The plan''s pool settings, corrected, as json, sqlalchemy, sqlalchemy+psycopg2, sqlalchemy+asyncpg, asyncpg, psycopg_pool, '
  'django, node-postgres, hikaricp, pgx, pgbouncer (a whole pgbouncer.ini) or env; pool_size is the maximum, by default '
  'groundskeeper.pool_size, else the plan''s 25; pooler is pgbouncer where that stands before the server';
COMMENT ON FUNCTION groundskeeper.recommend_pool_size() IS
  'How many connections the pools of this database should have together, with the arithmetic; an error where the '
  'server has not as many slots';
COMMENT ON FUNCTION groundskeeper.apply_server_settings(regrole) IS
  'Gives a role the plan''s server settings in this database, for its new sessions; recorded, and taken back by rollback_plan()';

GRANT EXECUTE ON FUNCTION
  groundskeeper_internal.busy_connections(), groundskeeper_internal.peak_busy(interval), groundskeeper_internal.slots_of_other_databases(),
  groundskeeper.pool_utilization(interval), groundskeeper.connection_pool_config(text, integer, text),
  groundskeeper.recommend_pool_size()
TO pg_monitor;
