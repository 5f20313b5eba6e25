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
    count(*) FILTER (WHERE backend_type = 'client backend') AS connections,
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
  CASE WHEN s.all_visible THEN round(100.0 * s.connections / nullif(s.usable_slots, 0), 1) END
    AS utilization_percent
FROM pg_catalog.pg_stat_activity a CROSS JOIN server s
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
GROUP BY a.state, s.all_visible, s.connections, s.usable_slots
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
  'Percentage of usable_slots that server_connections take; above 100 when superusers are in the reserved slots; '
  'the same in every row';


CREATE FUNCTION groundskeeper.statement_statistics()
RETURNS TABLE (
  query text,
  calls bigint,
  total_time double precision,
  mean_time double precision,
  rows bigint,
  hit_percent numeric,
  queryid bigint,
  role_name name,
  min_time double precision,
  max_time double precision,
  stddev_time double precision,
  toplevel boolean,
  stats_since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  source text;
  version integer[];
BEGIN
  SELECT format('%I.pg_stat_statements', n.nspname), string_to_array(e.extversion, '.')::integer[]
    INTO source, version
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements';
  IF NOT FOUND THEN
    RETURN;
  END IF;

  -- The columns follow the version of the extension, which may be older than its library.
  RETURN QUERY EXECUTE format($query$
    SELECT s.query, s.calls, s.total_%1$stime, s.mean_%1$stime, s.rows,
           round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 2),
           s.queryid, r.rolname, s.min_%1$stime, s.max_%1$stime, s.stddev_%1$stime,
           %2$s, %3$s
      FROM %4$s s
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.userid
     WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
       AND %2$s IS NOT FALSE
    $query$,
    CASE WHEN version >= '{1,8}' THEN 'exec_' ELSE '' END,
    CASE WHEN version >= '{1,9}' THEN 's.toplevel' ELSE 'NULL::boolean' END,
    CASE WHEN version >= '{1,11}' THEN 's.stats_since' ELSE 'NULL::timestamptz' END,
    source);
EXCEPTION
  -- The library is not preloaded, or the caller may not read it.
  WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
    RETURN;
END
$$;

COMMENT ON FUNCTION groundskeeper.statement_statistics() IS
  'The top-level statements that pg_stat_statements has counted in the current database, whatever its version '
  'and schema; no rows where it is not to be had (see groundskeeper.prerequisites())';


CREATE VIEW monitoring.slow_queries WITH (security_invoker) AS
SELECT
  query, calls, total_time, mean_time, rows, hit_percent,
  queryid, role_name, min_time, max_time, stddev_time, toplevel, stats_since
FROM groundskeeper.statement_statistics()
WHERE mean_time > 1000
ORDER BY mean_time DESC
LIMIT 20;

COMMENT ON VIEW monitoring.slow_queries IS
  'The 20 slowest statements of the current database that take more than a second on average, from '
  'pg_stat_statements: empty without it. Statements that were cancelled or failed are not in there';
COMMENT ON COLUMN monitoring.slow_queries.query IS
  'Normalized text; others'' is hidden from readers without pg_read_all_stats';
COMMENT ON COLUMN monitoring.slow_queries.calls IS 'Executions that completed';
COMMENT ON COLUMN monitoring.slow_queries.total_time IS
  'Milliseconds of execution, planning and commit not included';
COMMENT ON COLUMN monitoring.slow_queries.mean_time IS 'Milliseconds per execution';
COMMENT ON COLUMN monitoring.slow_queries.rows IS 'Rows retrieved or affected, all executions together';
COMMENT ON COLUMN monitoring.slow_queries.hit_percent IS
  'Share of the shared blocks found in shared buffers; NULL when none was needed';
COMMENT ON COLUMN monitoring.slow_queries.queryid IS 'Hash of the normalized statement, as in pg_stat_activity';
COMMENT ON COLUMN monitoring.slow_queries.role_name IS
  'Who ran it: a statement that several roles run has a row for each; NULL for a role that was dropped';
COMMENT ON COLUMN monitoring.slow_queries.toplevel IS
  'NULL where the extension is older than 1.9, which does not tell nested statements apart';
COMMENT ON COLUMN monitoring.slow_queries.stats_since IS
  'Since when the statement is counted; NULL where the extension is older than 1.11, which does not record it';


CREATE FUNCTION groundskeeper.relations_locked_by_others() RETURNS SETOF oid
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

COMMENT ON FUNCTION groundskeeper.relations_locked_by_others() IS
  'The relations that cannot be read now, because another session holds or awaits ACCESS EXCLUSIVE';


CREATE FUNCTION groundskeeper.sizes_without_waiting(relations oid[])
RETURNS TABLE (relation oid, bytes bigint, reason text)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'  -- for a lock that is taken between our look and our use
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper.relations_locked_by_others());
BEGIN
  FOREACH relation IN ARRAY relations LOOP
    bytes := NULL;
    reason := NULL;
    IF relation <> ALL (locked) THEN
      BEGIN
        bytes := pg_table_size(relation);
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

COMMENT ON FUNCTION groundskeeper.sizes_without_waiting(oid[]) IS
  'Size on disk of tables (with TOAST) or indexes, without queueing behind ACCESS EXCLUSIVE: of a relation that '
  'cannot be read now, the figure in the catalog and the reason; reason is NULL for an exact size';


CREATE FUNCTION groundskeeper.measured_bloat(tables oid[])
RETURNS TABLE (relation oid, heap_bytes bigint, wasted_bytes bigint, reason text)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  budget CONSTANT bigint := 128 * 1024 * 1024;  -- what one look at the view may read
  spent bigint := 0;
  locked oid[] := ARRAY(SELECT groundskeeper.relations_locked_by_others());
  in_recovery boolean := pg_is_in_recovery();
  measure text;
  unmeasurable text;
  candidate record;
BEGIN
  SELECT format('SELECT table_len, dead_tuple_len + free_space FROM %I.pgstattuple($1::regclass)', n.nspname),
         CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE')
                OR NOT has_function_privilege(format('%I.pgstattuple(regclass)', n.nspname), 'EXECUTE')
              THEN format('not measured: USAGE on schema %I and the rights of pg_stat_scan_tables are needed',
                          n.nspname) END
    INTO measure, unmeasurable
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pgstattuple';
  IF NOT FOUND THEN
    unmeasurable := 'not measured: pgstattuple is not installed (CREATE EXTENSION pgstattuple)';
  END IF;

  -- The smallest first: that way the budget covers the most tables.
  FOR candidate IN
    SELECT c.oid, c.relpersistence, am.amname,
           (SELECT o.option_value::integer FROM pg_options_to_table(c.reloptions) o
             WHERE o.option_name = 'fillfactor') AS fillfactor
      FROM pg_class c JOIN pg_am am ON am.oid = c.relam
     WHERE c.oid = ANY (tables)
     ORDER BY c.relpages, c.oid
  LOOP
    relation := candidate.oid;
    heap_bytes := NULL;
    wasted_bytes := NULL;
    reason := CASE
      WHEN unmeasurable IS NOT NULL THEN unmeasurable
      WHEN candidate.amname <> 'heap'
        THEN format('not measured: pgstattuple does not read access method %s', candidate.amname)
      WHEN candidate.fillfactor < 100
        THEN format('not measured: fillfactor %s keeps space free on purpose', candidate.fillfactor)
      WHEN in_recovery AND candidate.relpersistence = 'u'
        THEN 'not measured: an unlogged table has no content on a standby'
      WHEN relation = ANY (locked) THEN 'not measured: locked by another session'
    END;
    IF reason IS NULL THEN
      BEGIN
        IF spent + pg_relation_size(relation) > budget THEN
          reason := format('not measured: one look reads no more than %s, smallest tables first',
                           pg_size_pretty(budget));
        ELSE
          EXECUTE measure INTO heap_bytes, wasted_bytes USING relation;
          spent := spent + heap_bytes;
        END IF;
      EXCEPTION
        WHEN lock_not_available THEN
          reason := 'not measured: locked by another session';
        WHEN OTHERS THEN  -- a table dropped meanwhile or damaged costs its own figure, not the others'
          reason := format('not measured: %s', SQLERRM);
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper.measured_bloat(oid[]) IS
  'Dead rows and free space of tables (TOAST not included), read page by page by pgstattuple within a budget of '
  '128 MB; never estimated: what is not measured is NULL with the reason';


CREATE VIEW monitoring.table_bloat WITH (security_invoker) AS
WITH RECURSIVE listed AS (
  SELECT c.oid, c.relkind, n.nspname, c.relname,
    (SELECT format('%I.%I', pn.nspname, p.relname)
       FROM pg_catalog.pg_inherits i
       JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
       JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
      WHERE i.inhrelid = c.oid AND c.relispartition) AS partition_of
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('raw_data', 'staging', 'curated') AND c.relkind IN ('r', 'p')
),
-- pg_partition_tree() would lock every partition.
tree (root, relation, relkind) AS (
  SELECT oid, oid, relkind FROM listed
  UNION ALL
  SELECT t.root, c.oid, c.relkind
  FROM tree t
  JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relation
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  WHERE t.relkind = 'p'
),
heap AS (SELECT root, relation FROM tree WHERE relkind = 'r'),
part (root, relation, is_index) AS (
  SELECT root, relation, false FROM heap
  UNION ALL
  SELECT h.root, x.indexrelid, true FROM heap h JOIN pg_catalog.pg_index x ON x.indrelid = h.relation
),
size AS (
  SELECT p.root,
    -- One unknown part makes the sum unknown.
    CASE WHEN bool_and(p.is_index OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE NOT p.is_index), 0)::bigint END AS table_bytes,
    CASE WHEN bool_and(NOT p.is_index OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.is_index), 0)::bigint END AS index_bytes,
    max(s.reason) AS reason  -- of the two, 'unknown' sorts last
  FROM part p
  JOIN groundskeeper.sizes_without_waiting(ARRAY(SELECT DISTINCT relation FROM part)) s USING (relation)
  GROUP BY p.root
),
bloat AS (
  SELECT h.root, count(*) AS parts, count(b.reason) AS unmeasured, min(b.reason) AS reason,
    sum(b.heap_bytes) AS heap_bytes, sum(b.wasted_bytes) AS wasted_bytes
  FROM heap h
  JOIN groundskeeper.measured_bloat(ARRAY(SELECT DISTINCT relation FROM heap)) b USING (relation)
  GROUP BY h.root
),
judged AS (
  SELECT b.*,
    CASE
      WHEN b.unmeasured > 0 AND b.parts > 1
        THEN format('%s of %s partitions %s', b.unmeasured, b.parts, b.reason)
      WHEN b.unmeasured > 0 THEN b.reason
      WHEN b.heap_bytes < 20 * current_setting('block_size')::integer
        THEN 'too small to judge: under 20 pages, the last of which is rarely full'
    END AS bloat_reason
  FROM bloat b
)
SELECT
  l.nspname AS schemaname,
  l.relname AS tablename,
  pg_size_pretty(f.table_bytes + f.index_bytes) AS size,
  pg_size_pretty(f.table_bytes) AS table_size,
  pg_size_pretty(f.index_bytes) AS index_size,
  f.table_bytes + f.index_bytes AS size_bytes,
  f.table_bytes,
  f.index_bytes,
  CASE WHEN j.bloat_reason IS NULL THEN round(100 * j.wasted_bytes / j.heap_bytes, 1) END AS bloat_percent,
  CASE WHEN j.bloat_reason IS NULL AND j.root IS NOT NULL THEN 'pgstattuple' END AS bloat_method,
  CASE WHEN j.root IS NULL THEN 'holds no rows: partitioned without partitions' ELSE j.bloat_reason END
    AS bloat_reason,
  s.reason AS size_reason,
  l.partition_of
FROM listed l
LEFT JOIN size s ON s.root = l.oid
LEFT JOIN judged j ON j.root = l.oid
-- A partitioned table without partitions has nothing on disk.
CROSS JOIN LATERAL (
  SELECT CASE WHEN s.root IS NULL THEN 0 ELSE s.table_bytes END AS table_bytes,
         CASE WHEN s.root IS NULL THEN 0 ELSE s.index_bytes END AS index_bytes
) f
ORDER BY size_bytes DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.table_bloat IS
  'Size and bloat of the tables of the three schemas; a partitioned table has the sum of its partitions, which '
  'have rows of their own too. Reading it scans up to 128 MB where pgstattuple is installed';
COMMENT ON COLUMN monitoring.table_bloat.size IS 'Table and indexes';
COMMENT ON COLUMN monitoring.table_bloat.table_size IS 'Rows, TOAST and the maps of free space and visibility';
COMMENT ON COLUMN monitoring.table_bloat.index_size IS 'All indexes of the table';
COMMENT ON COLUMN monitoring.table_bloat.size_bytes IS 'The same as size, in bytes';
COMMENT ON COLUMN monitoring.table_bloat.table_bytes IS 'The same as table_size, in bytes';
COMMENT ON COLUMN monitoring.table_bloat.index_bytes IS 'The same as index_size, in bytes';
COMMENT ON COLUMN monitoring.table_bloat.bloat_percent IS
  'Share of the table, TOAST and indexes not included, that is dead rows or free space, the rest of a page that '
  'is too short for another wide row among it; NULL when not measured';
COMMENT ON COLUMN monitoring.table_bloat.bloat_method IS 'What measured bloat_percent';
COMMENT ON COLUMN monitoring.table_bloat.bloat_reason IS 'Why bloat_percent is NULL';
COMMENT ON COLUMN monitoring.table_bloat.size_reason IS
  'Why a size is not exact, or NULL; NULL when all are exact';
COMMENT ON COLUMN monitoring.table_bloat.partition_of IS
  'The partitioned table that this one is a partition of: leave such rows out of totals';


CREATE VIEW monitoring.unused_indexes WITH (security_invoker) AS
WITH RECURSIVE listed AS (
  SELECT x.oid, x.relkind, n.nspname, x.relname, t.relname AS tablename
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
  WHERE NOT x.relispartition  -- a part of a partitioned index lives and dies with it
    AND x.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
),
tree (root, relation) AS (
  SELECT oid, oid FROM listed
  UNION ALL
  SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relation
),
part AS (
  SELECT t.root, t.relation, i.indisvalid,
    -- Known only with track_commit_timestamp; a later change of the index makes it look younger.
    CASE WHEN current_setting('track_commit_timestamp')::boolean
      THEN pg_xact_commit_timestamp(i.xmin) END AS created_at,
    -- What an index is good for without being scanned.
    nullif(concat_ws('; ',
      CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisunique THEN 'enforces uniqueness' END,
      CASE WHEN i.indisexclusion THEN 'enforces an exclusion constraint' END,
      CASE WHEN i.indisreplident THEN 'replica identity' END,
      CASE WHEN i.indisclustered THEN 'its table is clustered on it' END,
      (SELECT string_agg(CASE c.contype WHEN 'f' THEN 'referenced by foreign key ' ELSE 'backs constraint ' END
                         || quote_ident(c.conname), '; ' ORDER BY c.contype = 'f', c.conname)
         FROM pg_catalog.pg_constraint c
        WHERE c.conindid = t.relation),
      (SELECT 'leads with the columns of foreign key '
              || string_agg(quote_ident(c.conname), ', ' ORDER BY c.conname)
         FROM pg_catalog.pg_constraint c
        WHERE c.contype = 'f' AND c.conrelid = i.indrelid
          AND cardinality(c.conkey) <= i.indnkeyatts
          AND c.conkey <@ (i.indkey::smallint[])[0:cardinality(c.conkey) - 1]),
      (SELECT 'belongs to extension ' || min(quote_ident(e.extname))
         FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (t.relation, i.indrelid)
          AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'),
      CASE WHEN i.indexprs IS NOT NULL
        THEN 'the planner uses the statistics of its expression, and that counts as no scan' END
    ), '') AS purpose
  FROM tree t JOIN pg_catalog.pg_index i ON i.indexrelid = t.relation
),
usage AS (
  SELECT p.root,
    coalesce(sum(u.idx_scan), 0)::bigint AS idx_scan,
    coalesce(sum(u.idx_tup_read), 0)::bigint AS idx_tup_read,
    coalesce(sum(u.idx_tup_fetch), 0)::bigint AS idx_tup_fetch,
    CASE WHEN bool_and(s.bytes IS NOT NULL) THEN sum(s.bytes)::bigint END AS index_bytes,
    max(s.reason) AS size_reason,
    bool_and(p.indisvalid) AS valid,
    max(p.created_at) FILTER (WHERE p.relation = p.root) AS created_at,
    coalesce(max(p.purpose) FILTER (WHERE p.relation = p.root), min(p.purpose)) AS purpose
  FROM part p
  JOIN groundskeeper.sizes_without_waiting(ARRAY(SELECT relation FROM tree)) s USING (relation)
  LEFT JOIN pg_catalog.pg_stat_all_indexes u ON u.indexrelid = p.relation
  GROUP BY p.root
),
-- Since when scans are counted. stats_reset of the database is NULL until somebody resets it; but a crash drops
-- every counter and sets the shared ones' stats_reset (the start time of the server stays). A reset of one of
-- those alone moves only that one, hence the oldest.
counting AS (
  SELECT
    greatest(d.stats_reset, least(a.stats_reset, b.stats_reset, w.stats_reset)) AS since,
    -- A bare number is minutes, as for any setting with this unit.
    coalesce(
      regexp_replace(nullif(current_setting('groundskeeper.index_observation', true), ''), '^\d+$', '\& min'),
      '7 days')::interval AS required
  FROM pg_catalog.pg_stat_database d, pg_catalog.pg_stat_archiver a, pg_catalog.pg_stat_bgwriter b,
    pg_catalog.pg_stat_wal w
  WHERE d.datname = current_database()
),
judged AS (
  SELECT u.*, w.observed_since,
    CASE
      WHEN u.idx_scan > 0 OR u.purpose IS NOT NULL THEN 'needed'
      WHEN u.valid AND NOT pg_is_in_recovery() AND current_setting('track_counts')::boolean
        AND w.observed_since <= clock_timestamp() - c.required THEN 'unused'
      ELSE 'too_early'
    END AS verdict,
    concat_ws('; ',
      format('scans since %s: %s', date_trunc('second', w.observed_since), u.idx_scan),
      u.purpose,
      CASE WHEN NOT u.valid THEN 'not valid: its build failed or is under way' END,
      CASE WHEN NOT current_setting('track_counts')::boolean THEN 'track_counts is off' END,
      CASE WHEN pg_is_in_recovery() THEN 'this is a standby: scans on the primary are not counted here' END
    ) AS evidence
  FROM usage u CROSS JOIN counting c
  CROSS JOIN LATERAL (SELECT greatest(c.since, u.created_at) AS observed_since) w
)
SELECT
  l.nspname AS schemaname,
  l.tablename,
  l.relname AS indexname,
  j.idx_tup_read,
  j.idx_tup_fetch,
  pg_size_pretty(j.index_bytes) AS index_size,
  j.verdict,
  CASE WHEN j.verdict = 'unused'
    THEN concat_ws('; ', j.evidence,
      CASE WHEN j.created_at IS NULL THEN 'PostgreSQL did not record whether it is that old' END,
      'scans on standbys are not counted here',
      CASE WHEN l.relkind = 'I' THEN 'a partitioned index cannot be dropped concurrently' END)
    ELSE j.evidence END AS evidence,
  CASE WHEN j.verdict = 'unused'
    THEN format('DROP INDEX %s%I.%I', CASE WHEN l.relkind = 'i' THEN 'CONCURRENTLY ' END, l.nspname, l.relname)
  END AS drop_sql,
  j.idx_scan,
  j.observed_since,
  j.index_bytes,
  j.size_reason
FROM listed l JOIN judged j ON j.root = l.oid
ORDER BY j.verdict = 'unused' DESC, j.index_bytes DESC NULLS LAST, schemaname, indexname;

COMMENT ON VIEW monitoring.unused_indexes IS
  'The indexes of the current database and whether each is needed; a partitioned index with all its partitions '
  'is one row. The verdict rests on scans: an index that is scanned and finds nothing is in use';
COMMENT ON COLUMN monitoring.unused_indexes.idx_tup_read IS 'Entries that scans returned; no measure of use';
COMMENT ON COLUMN monitoring.unused_indexes.idx_tup_fetch IS
  'Rows that plain index scans fetched; no measure of use';
COMMENT ON COLUMN monitoring.unused_indexes.verdict IS
  'One of: unused (not scanned for groundskeeper.index_observation, and good for nothing else); '
  'too_early (not scanned, but that proves nothing yet); needed (scanned, or good for something else)';
COMMENT ON COLUMN monitoring.unused_indexes.evidence IS 'What the verdict rests on';
COMMENT ON COLUMN monitoring.unused_indexes.drop_sql IS 'Only for unused ones';
COMMENT ON COLUMN monitoring.unused_indexes.idx_scan IS 'Scans since observed_since';
COMMENT ON COLUMN monitoring.unused_indexes.observed_since IS
  'Since when scans are counted: the last reset of the statistics, be it by a crash, or the creation of the index '
  'where track_commit_timestamp is on';
COMMENT ON COLUMN monitoring.unused_indexes.index_bytes IS 'The same as index_size, in bytes';
COMMENT ON COLUMN monitoring.unused_indexes.size_reason IS 'Why index_size is not exact, or NULL; NULL when it is';


REVOKE EXECUTE ON FUNCTION
  groundskeeper.statement_statistics(),
  groundskeeper.relations_locked_by_others(),
  groundskeeper.sizes_without_waiting(oid[]),
  groundskeeper.measured_bloat(oid[])
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  groundskeeper.statement_statistics(),
  groundskeeper.relations_locked_by_others(),
  groundskeeper.sizes_without_waiting(oid[]),
  groundskeeper.measured_bloat(oid[])
TO pg_monitor;

GRANT SELECT ON
  monitoring.connection_stats, monitoring.slow_queries, monitoring.table_bloat, monitoring.unused_indexes
TO pg_monitor;

-- On a schema that was there before us a grant from this script would not be dumped: prerequisites() names it.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_depend
              WHERE classid = 'pg_catalog.pg_namespace'::regclass AND deptype = 'e'
                AND objid = 'monitoring'::regnamespace) THEN
    GRANT USAGE ON SCHEMA monitoring TO pg_monitor;
  END IF;
END
$$;
