-- What is different where Citus has spread tables over nodes: their rows are in shards, and the relations by the tables'
-- names hold none. Without Citus nothing is read here but pg_extension. Its catalogs are named in dynamic SQL, as they are
-- not there everywhere, and in pg_catalog, where nobody but a superuser puts anything.

CREATE FUNCTION groundskeeper_internal.cluster_role() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_extension e JOIN pg_roles r ON r.oid = e.extowner AND r.rolsuper WHERE e.extname = 'citus')
     OR to_regclass('pg_catalog.pg_dist_local_group') IS NULL THEN
    RETURN NULL;
  END IF;
  EXECUTE 'SELECT CASE WHEN max(groupid) > 0 THEN ''worker'' ELSE ''coordinator'' END FROM pg_catalog.pg_dist_local_group'
     INTO found;
  RETURN found;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.cluster_role() IS
  'What this database is in a cluster of Citus: coordinator or worker; NULL where there is none';


CREATE FUNCTION groundskeeper_internal.in_shards(relations oid[]) RETURNS SETOF oid
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF groundskeeper_internal.cluster_role() IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT k.oid
       FROM pg_catalog.pg_dist_partition d
       JOIN pg_class c ON c.oid = d.logicalrelid
       LEFT JOIN pg_index t ON t.indrelid = c.reltoastrelid
      CROSS JOIN LATERAL (SELECT unnest(ARRAY[c.oid, c.reltoastrelid, t.indexrelid])
                          UNION SELECT x.indexrelid FROM pg_index x WHERE x.indrelid = c.oid) k (oid)
      WHERE k.oid = ANY ($1) AND k.oid <> 0' USING relations;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.in_shards(oid[]) IS
  'Those of the relations whose content is in shards of Citus: tables that are distributed, reference tables and those that '
  'it has made its own, with indexes and TOAST';


-- What a node is asked runs there with the caller's rights, in a session whose path is not ours, and perhaps where the
-- extension is not: everything in it is named in pg_catalog, operators too, and nothing else is called. Names are the same
-- on every node, OIDs are not. A shard that is locked away is not waited for.
CREATE FUNCTION groundskeeper_internal.nodes_say() RETURNS TABLE (node text, answered boolean, answer text)
LANGUAGE plpgsql VOLATILE
SET citus.node_connection_timeout = '3000'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  question CONSTANT text := $question$
    WITH patience AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '100ms', true) AS set),
    locked AS MATERIALIZED (
      SELECT l.relation FROM pg_catalog.pg_locks l
       WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'
         AND l.pid IS NOT NULL
    ),
    placed AS MATERIALIZED (
      SELECT l.oid, l.relname, l.relkind, l.relnamespace, n.nspname, s.shardid
        FROM pg_catalog.pg_dist_shard s
        JOIN pg_catalog.pg_dist_placement p ON p.shardid OPERATOR(pg_catalog.=) s.shardid
        JOIN pg_catalog.pg_dist_local_group g ON g.groupid OPERATOR(pg_catalog.=) p.groupid
        JOIN pg_catalog.pg_class l ON l.oid OPERATOR(pg_catalog.=) s.logicalrelid::pg_catalog.oid
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) l.relnamespace
    ),
    called AS MATERIALIZED (
      SELECT p.nspname, p.relnamespace, p.relname, pg_catalog.parse_ident(pg_catalog.shard_name(p.oid::pg_catalog.regclass, p.shardid)) AS names
        FROM placed p WHERE p.relkind OPERATOR(pg_catalog.<>) 'p'
      UNION ALL
      SELECT p.nspname, p.relnamespace, x.relname, pg_catalog.parse_ident(pg_catalog.shard_name(x.oid::pg_catalog.regclass, p.shardid))
        FROM placed p
        JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) p.oid
        JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid AND x.relkind OPERATOR(pg_catalog.=) 'i'
    ),
    found AS MATERIALIZED (
      SELECT k.nspname, k.relname, c.oid, c.reltoastrelid
        FROM called k
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) k.relnamespace
             AND c.relname OPERATOR(pg_catalog.=) k.names[pg_catalog.cardinality(k.names)]::pg_catalog.name
    ),
    part AS (
      SELECT f.nspname, f.relname, false AS is_toast, f.oid FROM found f
      UNION ALL
      SELECT f.nspname, f.relname, true, r.oid
        FROM found f
        LEFT JOIN pg_catalog.pg_index x ON x.indrelid OPERATOR(pg_catalog.=) f.reltoastrelid
       CROSS JOIN LATERAL (VALUES (f.reltoastrelid), (x.indexrelid)) r (oid)
       WHERE f.reltoastrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid AND r.oid IS NOT NULL
    )
    SELECT pg_catalog.json_agg(s)
      FROM (SELECT p.nspname, p.relname, p.is_toast, CASE WHEN pg_catalog.bool_and(m.bytes IS NOT NULL) THEN pg_catalog.sum(m.bytes) END AS bytes,
                   pg_catalog.sum(pg_catalog.pg_stat_get_numscans(p.oid)) AS scans
              FROM part p
             CROSS JOIN LATERAL (SELECT CASE WHEN NOT EXISTS (SELECT FROM locked l WHERE l.relation OPERATOR(pg_catalog.=) p.oid)
                                              AND (SELECT a.set FROM patience a) IS NOT NULL
                                        THEN pg_catalog.pg_table_size(p.oid::pg_catalog.regclass) END) m (bytes)
             GROUP BY p.nspname, p.relname, p.is_toast) s $question$;
BEGIN
  IF groundskeeper_internal.cluster_role() IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT coalesce(n.nodename || '':'' || n.nodeport, ''node '' || r.nodeid), r.success, r.result
       FROM pg_catalog.run_command_on_all_nodes($1) r LEFT JOIN pg_catalog.pg_dist_node n ON n.nodeid = r.nodeid'
    USING question;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.nodes_say() IS
  'What each node of a cluster of Citus has of each table and index in shards, as JSON: bytes, null where one cannot be read '
  'now, and scans as PostgreSQL counts them. Asked with the caller''s own rights there; a node that cannot be reached within '
  'three seconds has not answered';


CREATE FUNCTION groundskeeper_internal.on_nodes(relations oid[])
RETURNS TABLE (relation oid, bytes bigint, scans bigint, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  spread CONSTANT oid[] := ARRAY(SELECT groundskeeper_internal.in_shards(relations));
  silent text;
  answers json[];
BEGIN
  IF spread = '{}' THEN
    RETURN;
  END IF;
  BEGIN
    SELECT string_agg(format('%s: %s', a.node, a.answer), '; ' ORDER BY a.node) FILTER (WHERE NOT a.answered),
           array_agg(CASE WHEN a.answered THEN nullif(a.answer, '')::json END)
      INTO silent, answers
      FROM groundskeeper_internal.nodes_say() a;
  EXCEPTION WHEN OTHERS THEN
    silent := SQLERRM;
  END;
  RETURN QUERY
    SELECT s.oid,
           CASE WHEN silent IS NULL THEN CASE WHEN f.oid IS NOT NULL THEN f.bytes WHEN NOT k.must THEN 0 END END,
           CASE WHEN silent IS NULL THEN CASE WHEN f.oid IS NOT NULL THEN f.scans WHEN NOT k.must THEN 0 END END,
           CASE WHEN silent IS NOT NULL THEN 'unknown, as not every node of the cluster has answered: ' || silent
                WHEN f.oid IS NULL AND k.must THEN 'unknown: no node has its shards'
                WHEN f.oid IS NOT NULL AND f.bytes IS NULL THEN 'unknown: a shard cannot be read now' END
      FROM unnest(spread) s (oid)
     -- a partitioned one has nothing itself, and TOAST counts with its table's
     CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                         WHERE c.oid = s.oid AND c.relkind IN ('r', 'i') AND n.nspname <> 'pg_toast')) k (must)
      LEFT JOIN (SELECT w.oid, CASE WHEN bool_and(r.bytes IS NOT NULL) THEN sum(r.bytes)::bigint END, sum(r.scans)::bigint
                   FROM unnest(answers) j (answer)
                  CROSS JOIN LATERAL json_to_recordset(j.answer) r (nspname name, relname name, is_toast boolean, bytes bigint, scans bigint)
                   JOIN pg_namespace n ON n.nspname = r.nspname
                   JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.relname
                  CROSS JOIN LATERAL (SELECT CASE WHEN r.is_toast THEN c.reltoastrelid ELSE c.oid END) w (oid)
                  GROUP BY w.oid) f (oid, bytes, scans) ON f.oid = s.oid;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.on_nodes(oid[]) IS
  'Of those of the relations that are in shards of Citus: bytes and scans, summed over the nodes, or NULL with the reason';

-- Whoever owns a table may have it looked after. PostgreSQL tells everybody names and sizes.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.cluster_role(), groundskeeper_internal.in_shards(oid[]),
  groundskeeper_internal.nodes_say(), groundskeeper_internal.on_nodes(oid[]) TO PUBLIC;
