-- Bloat as pgstattuple measures it within a budget, else NULL with the reason.
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
