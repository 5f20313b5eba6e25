-- Who waits for whose lock, as a forest: at the roots those who wait for nobody.
CREATE FUNCTION groundskeeper_internal.lock_tree()
RETURNS TABLE (
  pid integer,
  role_name name,
  blocked_by integer[],
  depth integer,
  wait_seconds numeric,
  lock_mode text,
  relation text,
  state text,
  transaction_seconds numeric,
  way_out text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  -- One look: locks come and go.
  locks CONSTANT pg_locks[] := ARRAY(SELECT l FROM pg_locks l);
  waiters integer[];
  blockers integer[];
  level integer[];
  pids integer[];
  depths integer[];
BEGIN
  -- A prepared transaction blocks as number 0.
  SELECT array_agg(w.pid), array_agg(b.pid) INTO waiters, blockers
    FROM (SELECT DISTINCT l.pid
            FROM unnest(locks) l JOIN pg_stat_activity a ON a.pid = l.pid
           WHERE NOT l.granted AND a.datname = current_database()) w
   CROSS JOIN LATERAL (SELECT DISTINCT b FROM unnest(pg_blocking_pids(w.pid)) b) b (pid);
  IF waiters IS NULL THEN
    RETURN;
  END IF;

  level := ARRAY(SELECT DISTINCT b FROM unnest(blockers) b WHERE b <> ALL (waiters));
  pids := level;
  depths := array_fill(0, ARRAY[cardinality(level)]);
  FOR below IN 1 .. cardinality(waiters) LOOP
    level := ARRAY(SELECT DISTINCT e.waiter FROM unnest(waiters, blockers) e (waiter, blocker)
                    WHERE e.blocker = ANY (level) AND e.waiter <> ALL (pids));
    -- Those who wait for each other hang on no root: PostgreSQL is about to end one of them.
    IF level = '{}' THEN
      level := ARRAY(SELECT DISTINCT w FROM unnest(waiters) w WHERE w <> ALL (pids));
    END IF;
    EXIT WHEN level = '{}';
    pids := pids || level;
    depths := depths || array_fill(below, ARRAY[cardinality(level)]);
  END LOOP;

  RETURN QUERY
  WITH lock AS MATERIALIZED (
    SELECT coalesce(l.pid, 0) AS pid, l.virtualtransaction, l.mode, l.granted, l.locktype, l.relation, l.database, l.waitstart,
      l.transactionid,
      ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid,
          l.objsubid)::text AS object
    FROM unnest(locks) l
  ),
  wanted AS (
    SELECT DISTINCT ON (w.pid) w.pid, w.mode, w.object, w.waitstart,
      -- Who waits for a row waits for its transaction, and holds the row's place in the queue meanwhile.
      coalesce(CASE WHEN w.database IN (0, d.oid) THEN w.relation END,
               (SELECT min(r.relation::bigint)::oid FROM lock r
                 WHERE r.pid = w.pid AND r.granted AND r.locktype = 'tuple')) AS relation
    FROM lock w CROSS JOIN (SELECT oid FROM pg_database WHERE datname = current_database()) d
    WHERE NOT w.granted
    ORDER BY w.pid, w.waitstart
  ),
  -- What is in the way of others, once for each who holds it.
  held AS (
    SELECT DISTINCT ON (h.pid, h.virtualtransaction) h.pid, h.virtualtransaction, h.mode, w.relation
    FROM lock h JOIN wanted w ON w.object = h.object AND w.pid <> h.pid
    WHERE h.granted
    ORDER BY h.pid, h.virtualtransaction, w.waitstart
  ),
  found AS (
    SELECT f.pid, f.depth,
      ARRAY(SELECT e.blocker FROM unnest(waiters, blockers) e (waiter, blocker) WHERE e.waiter = f.pid ORDER BY 1) AS blocked_by
    FROM unnest(pids, depths) f (pid, depth)
  ),
  node AS (
    SELECT f.pid, a.usename AS role_name, f.blocked_by, f.depth,
      CASE WHEN f.depth > 0 THEN coalesce(w.waitstart, a.state_change) END AS waits_since,
      coalesce(w.mode, h.mode) AS mode, coalesce(w.relation, h.relation) AS relation,
      coalesce(a.state, a.backend_type) AS state, a.xact_start AS began,
      CASE
        WHEN a.backend_type = 'startup' THEN NULL
        WHEN f.depth > 0 OR a.state IN ('active', 'fastpath function call') OR a.backend_type = 'autovacuum worker'
          THEN format('SELECT pg_catalog.pg_cancel_backend(%s)', f.pid)
        ELSE format('SELECT pg_catalog.pg_terminate_backend(%s)', f.pid)
      END AS way_out
    FROM found f
    JOIN pg_stat_activity a ON a.pid = f.pid
    LEFT JOIN wanted w ON w.pid = f.pid
    LEFT JOIN held h ON h.pid = f.pid
    UNION ALL
    SELECT f.pid, p.owner, f.blocked_by, f.depth, NULL, h.mode, h.relation, 'prepared', p.prepared,
      format('ROLLBACK PREPARED %L', p.gid)
    FROM found f
    JOIN held h ON h.pid = 0 AND f.pid = 0
    -- Its name is known by the lock on its own number.
    JOIN lock o ON o.pid = 0 AND o.locktype = 'transactionid' AND o.granted AND o.virtualtransaction = h.virtualtransaction
    JOIN pg_prepared_xacts p ON p.transaction = o.transactionid
  )
  SELECT n.pid, n.role_name, n.blocked_by, n.depth,
    CASE WHEN n.waits_since IS NOT NULL THEN round(greatest(extract(epoch FROM clock_timestamp() - n.waits_since), 0), 3) END,
    n.mode,
    (SELECT format('%I.%I', s.nspname, c.relname)
       FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = n.relation),
    n.state,
    CASE WHEN n.began IS NOT NULL THEN round(greatest(extract(epoch FROM clock_timestamp() - n.began), 0), 3) END,
    n.way_out
  FROM node n
  ORDER BY n.depth, n.waits_since, n.pid;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.lock_tree() IS 'The rows of monitoring.lock_tree';


CREATE VIEW monitoring.lock_tree WITH (security_invoker) AS
SELECT pid, role_name, blocked_by, depth, wait_seconds, lock_mode, relation, state, transaction_seconds, way_out
FROM groundskeeper_internal.lock_tree();

COMMENT ON VIEW monitoring.lock_tree IS
  'Sessions of the current database that wait for a lock, and whoever is in their way, those first that wait for nobody';
COMMENT ON COLUMN monitoring.lock_tree.pid IS 'The session; 0 for a prepared transaction';
COMMENT ON COLUMN monitoring.lock_tree.role_name IS 'Whose session or prepared transaction it is';
COMMENT ON COLUMN monitoring.lock_tree.blocked_by IS
  'Who holds the lock that it waits for, or waits for it before it; empty for who waits for nobody';
COMMENT ON COLUMN monitoring.lock_tree.depth IS 'How many stand between it and one that waits for nobody: 0 for those themselves';
COMMENT ON COLUMN monitoring.lock_tree.wait_seconds IS 'How long it has waited; NULL for who waits for nobody';
COMMENT ON COLUMN monitoring.lock_tree.lock_mode IS 'The mode that it waits for; of who waits for nobody the one that is in the way';
COMMENT ON COLUMN monitoring.lock_tree.relation IS
  'The relation that this is about; NULL where the lock is on none, as on a transaction';
COMMENT ON COLUMN monitoring.lock_tree.state IS
  'As in pg_stat_activity; prepared for a prepared transaction, the kind of process where it has no state';
COMMENT ON COLUMN monitoring.lock_tree.transaction_seconds IS 'How long its transaction has been open; NULL where it has none';
COMMENT ON COLUMN monitoring.lock_tree.way_out IS
  'The statement that ends it: with depth 0 all who wait for it go on, else it gives up waiting; NULL for the replay of '
  'WAL on a standby, which ends with the primary''s transaction';


-- Who has how many of the connections.
CREATE VIEW monitoring.connections_by_role WITH (security_invoker) AS
SELECT
  a.datname AS database_name,
  a.usename AS role_name,
  count(*) AS connections,
  count(*) FILTER (WHERE a.state IN ('active', 'fastpath function call')) AS active,
  count(*) FILTER (WHERE a.state = 'idle') AS idle,
  count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') AS idle_in_transaction,
  count(*) FILTER (WHERE a.wait_event_type = 'Lock') AS waiting_for_locks,
  round(greatest(extract(epoch FROM clock_timestamp() - min(a.xact_start)), CASE WHEN min(a.xact_start) IS NOT NULL THEN 0 END), 3)
    AS longest_transaction_seconds,
  (sum(count(*)) OVER (PARTITION BY a.datid))::bigint AS database_connections,
  nullif(d.datconnlimit, -1) AS database_limit,
  (sum(count(*)) OVER (PARTITION BY a.usesysid))::bigint AS role_connections,
  nullif(r.rolconnlimit, -1) AS role_limit
FROM pg_catalog.pg_stat_activity a
LEFT JOIN pg_catalog.pg_database d ON d.oid = a.datid
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
WHERE a.backend_type = 'client backend'
GROUP BY a.datid, a.datname, a.usesysid, a.usename, d.datconnlimit, r.rolconnlimit
ORDER BY connections DESC, database_name, role_name;

COMMENT ON VIEW monitoring.connections_by_role IS
  'Client connections of the whole server by database and role, with the limits of each; the reader''s own included';
COMMENT ON COLUMN monitoring.connections_by_role.connections IS
  'Of this role to this database; without pg_read_all_stats only the reader''s own are seen';
COMMENT ON COLUMN monitoring.connections_by_role.active IS 'Those that run a statement';
COMMENT ON COLUMN monitoring.connections_by_role.idle IS 'Those that wait for their client, in no transaction';
COMMENT ON COLUMN monitoring.connections_by_role.idle_in_transaction IS 'Those that wait for their client in a transaction';
COMMENT ON COLUMN monitoring.connections_by_role.waiting_for_locks IS 'Those that wait for a lock: monitoring.lock_tree tells for whose';
COMMENT ON COLUMN monitoring.connections_by_role.longest_transaction_seconds IS 'How long the oldest of their transactions has been open';
COMMENT ON COLUMN monitoring.connections_by_role.database_connections IS 'Connections to this database, whatever the role';
COMMENT ON COLUMN monitoring.connections_by_role.database_limit IS 'How many the database allows; NULL where it sets no limit';
COMMENT ON COLUMN monitoring.connections_by_role.role_connections IS 'Connections of this role, whatever the database';
COMMENT ON COLUMN monitoring.connections_by_role.role_limit IS 'How many the role may have; NULL where it sets no limit';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.lock_tree() TO pg_monitor;
GRANT SELECT ON monitoring.lock_tree, monitoring.connections_by_role TO pg_monitor;
