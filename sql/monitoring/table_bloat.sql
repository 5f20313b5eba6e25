-- Bloat of tables: measured by pgstattuple_approx within a budget, else estimated from statistics, else NULL with the
-- reason.
CREATE FUNCTION groundskeeper_internal.measured_bloat(relations oid[], bytes bigint[])
RETURNS TABLE (relation oid, bloat_percent double precision, reason text)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- What one look at the view may read and how long that may take. Pages that are all visible are not read.
  budget CONSTANT bigint := 128 * 1024 * 1024;
  deadline CONSTANT timestamptz := clock_timestamp() + interval '300 ms';
  spent bigint := 0;
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
  measure text;
  unmeasurable text;
  candidate record;
BEGIN
  SELECT format('SELECT 100 * greatest(dead_tuple_len + approx_free_space - table_len * (100 - $2) / 100.0, 0)
                          / nullif(table_len, 0)
                   FROM %I.pgstattuple_approx($1::regclass)', n.nspname),
         CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') OR f.oid IS NULL
                OR NOT has_function_privilege(f.oid, 'EXECUTE')
              THEN format('not measured: USAGE on schema %I and the rights of pg_stat_scan_tables are needed',
                          n.nspname) END
    INTO measure, unmeasurable
    FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace
    LEFT JOIN pg_proc f ON f.pronamespace = n.oid AND f.proname = 'pgstattuple_approx'
   WHERE e.extname = 'pgstattuple';
  IF NOT FOUND THEN
    unmeasurable := 'not measured: pgstattuple is not installed (CREATE EXTENSION pgstattuple)';
  END IF;

  -- The cheapest first: that way the budget covers the most tables.
  FOR candidate IN
    SELECT c.oid, am.amname, c.relpersistence,
           greatest(a.bytes - c.relallvisible::bigint * current_setting('block_size')::integer, 0) AS unseen,
           coalesce((SELECT o.option_value::integer FROM pg_options_to_table(c.reloptions) o
                      WHERE o.option_name = 'fillfactor'), 100) AS fillfactor
      FROM unnest(relations, bytes) a (relation, bytes)
      JOIN pg_class c ON c.oid = a.relation
      JOIN pg_am am ON am.oid = c.relam
     ORDER BY unseen, c.oid
  LOOP
    relation := candidate.oid;
    bloat_percent := NULL;
    reason := CASE
      WHEN unmeasurable IS NOT NULL THEN unmeasurable
      WHEN candidate.amname <> 'heap'
        THEN format('not measured: pgstattuple does not read access method %s', candidate.amname)
      WHEN candidate.relpersistence = 'u' AND pg_is_in_recovery()
        THEN 'not measured: an unlogged table has no content on a standby'
      WHEN spent + candidate.unseen > budget
        THEN format('not measured: one look reads no more than %s', pg_size_pretty(budget))
      WHEN clock_timestamp() > deadline THEN 'not measured: one look measures no longer than 300 ms'
      WHEN relation = ANY (locked) THEN 'not measured: locked by another session'
    END;
    IF reason IS NULL THEN
      BEGIN
        EXECUTE measure INTO bloat_percent USING relation, candidate.fillfactor;
        spent := spent + candidate.unseen;
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

COMMENT ON FUNCTION groundskeeper_internal.measured_bloat(oid[], bigint[]) IS
  'Dead rows and free space of tables with so many bytes (TOAST not included), as pgstattuple_approx finds them within '
  'a budget of 128 MB and 300 ms; what fillfactor keeps free is left out. What is not measured is NULL with the reason';
COMMENT ON FUNCTION groundskeeper_internal.estimated_bloat(oid[], bigint[]) IS
  'The same from statistics alone: what rows of the average width, padded as alignment has it, would not need. What '
  'cannot be trusted is NULL with the reason';


-- What the schemas that are not watched have, so that nobody takes silence for health.
CREATE FUNCTION groundskeeper_internal.unwatched_tables() RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(*)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
     AND n.nspname <> ALL ((SELECT groundskeeper_internal.watched_schemas())::text[])
     AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'groundskeeper', 'groundskeeper_internal')
$$;

COMMENT ON FUNCTION groundskeeper_internal.unwatched_tables() IS
  'How many tables and materialized views are in schemas that groundskeeper.watched_schemas leaves out, partitions not counted';


CREATE VIEW monitoring.table_bloat WITH (security_invoker) AS
WITH RECURSIVE listed AS (
  SELECT c.oid, c.relkind, n.nspname, c.relname,
    (SELECT format('%I.%I', pn.nspname, p.relname)
       FROM pg_catalog.pg_inherits i
       JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
       JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
      WHERE i.inhrelid = c.oid AND c.relispartition) AS partition_of
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ((SELECT groundskeeper_internal.watched_schemas())::text[]) AND c.relkind IN ('r', 'p', 'm')
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
heap AS (
  SELECT t.root, t.relation, c.reltoastrelid AS toast
  FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relation
  WHERE t.relkind IN ('r', 'm')
),
part (root, relation, kind) AS (
  SELECT root, relation, 'rows' FROM heap
  UNION ALL
  SELECT h.root, x.indexrelid, 'index' FROM heap h JOIN pg_catalog.pg_index x ON x.indrelid = h.relation
  UNION ALL
  -- with its index: a part of what PostgreSQL calls the table's size
  SELECT h.root, r.oid, 'toast'
  FROM heap h
  LEFT JOIN pg_catalog.pg_index x ON x.indrelid = h.toast
  CROSS JOIN LATERAL (VALUES (h.toast), (x.indexrelid)) r (oid)
  WHERE h.toast <> 0 AND r.oid IS NOT NULL
),
measure AS MATERIALIZED (
  SELECT s.* FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT DISTINCT relation FROM part)) s
),
size AS (
  SELECT p.root,
    -- One unknown part makes the sum unknown.
    CASE WHEN bool_and(p.kind <> 'rows' OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.kind = 'rows'), 0)::bigint END AS table_bytes,
    CASE WHEN bool_and(p.kind <> 'index' OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.kind = 'index'), 0)::bigint END AS index_bytes,
    CASE WHEN bool_and(p.kind <> 'toast' OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.kind = 'toast'), 0)::bigint END AS toast_bytes,
    max(s.reason) FILTER (WHERE p.kind <> 'toast') AS reason  -- of the two, 'unknown' sorts last
  FROM part p JOIN measure s USING (relation)
  GROUP BY p.root
),
-- Small tables are not judged: their last page is rarely full.
judgeable AS MATERIALIZED (
  SELECT array_agg(s.relation) AS relations, array_agg(s.main_bytes) AS bytes
  FROM measure s
  WHERE s.relation IN (SELECT relation FROM heap UNION SELECT toast FROM heap)
    AND s.main_bytes >= 20 * current_setting('block_size')::integer
),
measured AS MATERIALIZED (
  SELECT m.* FROM judgeable j, groundskeeper_internal.measured_bloat(j.relations, j.bytes) m
  WHERE j.relations IS NOT NULL
),
-- Of TOAST there are no statistics.
unmeasured AS MATERIALIZED (
  SELECT array_agg(s.relation) AS relations, array_agg(s.main_bytes) AS bytes
  FROM measured m JOIN measure s USING (relation)
  WHERE m.reason IS NOT NULL AND s.relation IN (SELECT relation FROM heap)
),
estimated AS MATERIALIZED (
  SELECT e.* FROM unmeasured u, groundskeeper_internal.estimated_bloat(u.relations, u.bytes) e
  WHERE u.relations IS NOT NULL
),
figure AS (
  SELECT s.relation, s.main_bytes,
    coalesce(m.bloat_percent, e.bloat_percent) AS percent,
    CASE WHEN m.bloat_percent IS NOT NULL THEN 'pgstattuple_approx'
         WHEN e.bloat_percent IS NOT NULL THEN 'estimate' END AS method,
    CASE WHEN s.in_shards THEN 'not judged: its rows are in shards, which each node judges'
         WHEN s.main_bytes IS NULL THEN 'not judged: locked by another session'
         WHEN m.bloat_percent IS NULL AND e.bloat_percent IS NULL
           THEN nullif(concat_ws('; ', e.reason, m.reason), '') END AS reason
  FROM measure s
  LEFT JOIN measured m USING (relation)
  LEFT JOIN estimated e USING (relation)
),
judged AS (
  SELECT p.root, p.kind, count(*) AS parts, count(f.reason) AS unknown, count(f.percent) AS known,
    sum(f.percent * f.main_bytes) / nullif(sum(f.main_bytes) FILTER (WHERE f.percent IS NOT NULL), 0) AS percent,
    string_agg(DISTINCT f.method, ', ') AS method,
    coalesce(min(f.reason) FILTER (WHERE f.main_bytes IS NULL), min(f.reason)) AS reason
  FROM (SELECT root, relation, 'rows' AS kind FROM heap
        UNION ALL SELECT root, toast, 'toast' FROM heap WHERE toast <> 0) p
  JOIN figure f USING (relation)
  GROUP BY p.root, p.kind
),
verdict AS (
  SELECT j.root, j.kind, j.percent, j.method,
    CASE
      WHEN j.unknown > 0 AND j.parts > 1
        THEN format('%s of %s partitions are not known, such as: %s', j.unknown, j.parts, j.reason)
      WHEN j.unknown > 0 THEN j.reason
      WHEN j.known = 0 THEN 'too small to judge: under 20 pages, the last of which is rarely full'
    END AS reason
  FROM judged j
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
  CASE WHEN j.reason IS NULL THEN round(j.percent::numeric, 1) END AS bloat_percent,
  CASE WHEN j.reason IS NULL THEN j.method END AS bloat_method,
  CASE WHEN j.root IS NULL THEN 'holds no rows: partitioned without partitions' ELSE j.reason END AS bloat_reason,
  s.reason AS size_reason,
  l.partition_of,
  f.toast_bytes,
  CASE WHEN t.reason IS NULL THEN round(t.percent::numeric, 1) END AS toast_bloat_percent,
  CASE WHEN t.root IS NULL THEN 'there is no TOAST' ELSE t.reason END AS toast_bloat_reason
FROM listed l
LEFT JOIN size s ON s.root = l.oid
LEFT JOIN verdict j ON j.root = l.oid AND j.kind = 'rows'
LEFT JOIN verdict t ON t.root = l.oid AND t.kind = 'toast'
-- A partitioned table without partitions has nothing on disk.
CROSS JOIN LATERAL (
  SELECT CASE WHEN s.root IS NULL THEN 0 ELSE s.table_bytes END AS table_bytes,
         CASE WHEN s.root IS NULL THEN 0 ELSE s.index_bytes END AS index_bytes,
         CASE WHEN s.root IS NULL THEN 0 ELSE s.toast_bytes END AS toast_bytes
) f
ORDER BY size_bytes DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.table_bloat IS
  'Size and bloat of the tables and materialized views of the watched schemas; a partitioned table has the sum of its '
  'partitions, which have rows of their own too. Where pgstattuple is installed, reading it scans up to 128 MB';
COMMENT ON COLUMN monitoring.table_bloat.size IS 'Table and indexes';
COMMENT ON COLUMN monitoring.table_bloat.table_size IS 'Rows, TOAST and the maps of free space and visibility';
COMMENT ON COLUMN monitoring.table_bloat.index_size IS 'All indexes of the table';
COMMENT ON COLUMN monitoring.table_bloat.size_bytes IS 'The same as size, in bytes';
COMMENT ON COLUMN monitoring.table_bloat.table_bytes IS 'The same as table_size, in bytes';
COMMENT ON COLUMN monitoring.table_bloat.index_bytes IS 'The same as index_size, in bytes';
COMMENT ON COLUMN monitoring.table_bloat.bloat_percent IS
  'Share of the table, TOAST and indexes not included, that is dead rows or free space, the rest of a page that '
  'is too short for another wide row among it, what fillfactor keeps free not; small partitions are left out; NULL '
  'where it cannot be trusted';
COMMENT ON COLUMN monitoring.table_bloat.bloat_method IS
  'pgstattuple_approx where it was measured, estimate where it comes from statistics';
COMMENT ON COLUMN monitoring.table_bloat.bloat_reason IS 'Why bloat_percent is NULL';
COMMENT ON COLUMN monitoring.table_bloat.size_reason IS
  'Why a size is not exact, or NULL; NULL when all are exact';
COMMENT ON COLUMN monitoring.table_bloat.partition_of IS
  'The partitioned table that this one is a partition of: leave such rows out of totals';
COMMENT ON COLUMN monitoring.table_bloat.toast_bytes IS
  'The part of table_bytes that is TOAST, its index included; NULL where it is not known';
COMMENT ON COLUMN monitoring.table_bloat.toast_bloat_percent IS
  'Share of TOAST, its index not included, that is dead or free space; measured by pgstattuple only, as there are no '
  'statistics of TOAST';
COMMENT ON COLUMN monitoring.table_bloat.toast_bloat_reason IS 'Why toast_bloat_percent is NULL';
