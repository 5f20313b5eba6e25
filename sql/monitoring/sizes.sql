-- Sizes on disk that nothing waits for: a relation locked away gets the figure in the catalog.
CREATE FUNCTION groundskeeper_internal.relations_locked_by_others() RETURNS SETOF oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT l.relation
    FROM pg_locks l
   WHERE l.locktype = 'relation'
     AND l.mode = 'AccessExclusiveLock'  -- granted or not: even a waiting one makes us queue
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     AND l.pid IS DISTINCT FROM pg_backend_pid()  -- a prepared transaction has no pid
$$;

COMMENT ON FUNCTION groundskeeper_internal.relations_locked_by_others() IS
  'The relations that cannot be read now, because another session holds or awaits ACCESS EXCLUSIVE';


CREATE FUNCTION groundskeeper_internal.sizes_without_waiting(relations oid[])
RETURNS TABLE (relation oid, bytes bigint, reason text, main_bytes bigint, in_shards boolean)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'  -- for a lock that is taken between our look and our use
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
  elsewhere oid[] := '{}';
BEGIN
  in_shards := true;
  FOR relation, bytes, reason IN SELECT n.relation, n.bytes, n.reason FROM groundskeeper_internal.on_nodes(relations) n LOOP
    elsewhere := elsewhere || relation;
    RETURN NEXT;
  END LOOP;
  in_shards := false;
  FOREACH relation IN ARRAY relations LOOP
    CONTINUE WHEN relation = ANY (elsewhere);
    bytes := NULL;
    main_bytes := NULL;
    reason := NULL;
    IF relation <> ALL (locked) THEN
      BEGIN
        bytes := pg_table_size(relation);
        main_bytes := pg_relation_size(relation);
        reason := CASE WHEN bytes IS NULL THEN 'unknown: dropped meanwhile' END;
        RETURN NEXT;
        CONTINUE;
      EXCEPTION WHEN lock_not_available THEN
        NULL;
      END;
    END IF;

    -- relpages means nothing before the first VACUUM or ANALYZE; reltuples is -1 until then. ANALYZE leaves
    -- TOAST out.
    SELECT CASE WHEN c.reltuples >= 0
                THEN (c.relpages::bigint + coalesce(t.relpages, 0)) * current_setting('block_size')::integer END,
           CASE WHEN c.reltuples >= 0
                THEN 'as of the last VACUUM or ANALYZE'
                     || CASE WHEN t.reltuples < 0 THEN ', without TOAST' ELSE '' END
                ELSE 'unknown, for want of a VACUUM or ANALYZE' END || ': locked by another session'
      INTO bytes, reason
      FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.oid = relation;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.sizes_without_waiting(oid[]) IS
  'Size on disk of tables (with TOAST) or indexes, without queueing behind ACCESS EXCLUSIVE: of a relation that '
  'cannot be read now, the figure in the catalog and the reason; reason is NULL for an exact size. main_bytes is what rows or entries '
  'are in, without maps and TOAST; NULL for a relation that cannot be read now, or is in shards of Citus: of that bytes are those of all nodes';
