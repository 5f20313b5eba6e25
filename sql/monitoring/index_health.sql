-- The columns that the predicate of an index says are not NULL, if it says nothing else; else one that no table has. Read
-- off the stored tree: putting it into words would open the table.
CREATE FUNCTION groundskeeper_internal.not_null_columns(predicate text) RETURNS smallint[]
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN regexp_replace(predicate, '\{NULLTEST :arg \{VAR [^{}]*\} :nulltesttype 1 :argisrow false *\}', '', 'g')
         ~ '^(\{BOOLEXPR :boolop and :args \( *\) *\})?$'
      THEN ARRAY(SELECT (m[1])::smallint FROM regexp_matches(predicate, ':varattno (\d+)', 'g') m)
    ELSE '{0}' END
$$;

COMMENT ON FUNCTION groundskeeper_internal.not_null_columns(text) IS
  'The columns of which the predicate of an index says only that they are not NULL, by number; 0 for one that says more';


-- Indexes that are in each other's way, that do not work, or that are missing. Read from catalogs alone: nothing waits for
-- a lock. A function, as compiling such a query takes longer than running it.
CREATE FUNCTION groundskeeper_internal.index_findings()
RETURNS TABLE (kind text, schemaname name, tablename name, indexname name, detail text, fix_sql text)
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $query$
WITH RECURSIVE
-- What rests on the index of a partition rests on those that it is a part of.
leaned_on (indexrelid) AS (
  SELECT i.indexrelid
  FROM pg_catalog.pg_index i
  WHERE i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid)
  UNION
  SELECT p.inhparent FROM leaned_on l JOIN pg_catalog.pg_inherits p ON p.inhrelid = l.indexrelid
),
listed AS MATERIALIZED (
  SELECT i.indexrelid, i.indrelid, n.nspname, x.relname, x.relkind, x.relam, x.relispartition, t.relname AS tablename,
    format('%I.%I', n.nspname, x.relname) AS quoted,
    i.indisvalid AND i.indisready AND i.indislive AS valid,
    i.indisunique, i.indimmediate, i.indnkeyatts, i.indnatts,
    (i.indkey::smallint[])[0:i.indnkeyatts - 1] AS keys,
    (i.indkey::smallint[])[i.indnkeyatts:i.indnatts - 1] AS included,
    i.indclass::oid[] AS classes, i.indcollation::oid[] AS collations, i.indoption::smallint[] AS options,
    -- Where in its statement a node was written says nothing of what it is.
    regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g') AS expressions,
    regexp_replace(i.indpred::text, ':location -?\d+', '', 'g') AS predicate,
    i.indnullsnotdistinct AS nulls_equal,
    -- Something else rests on it; one that is attached lives and dies with what it is attached to.
    x.relispartition OR EXISTS (SELECT FROM leaned_on o WHERE o.indexrelid = i.indexrelid) AS fixed,
    m.amname
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = x.relam
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'groundskeeper')
    AND x.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indrelid
                       AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
),
-- Of two, the one that can go: nothing rests on it, it enforces nothing, it is the younger.
pair AS (
  SELECT a AS goes, b AS stays,
    a.keys = b.keys AND a.included IS NOT DISTINCT FROM b.included
      AND a.options = b.options AND a.indisunique = b.indisunique AS same
  FROM listed a JOIN listed b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.relam = a.relam
  WHERE a.valid AND b.valid AND NOT a.relispartition
    AND a.predicate IS NOT DISTINCT FROM b.predicate
    AND a.indnkeyatts <= b.indnkeyatts
    AND a.keys = b.keys[1:a.indnkeyatts]
    AND a.classes[0:a.indnkeyatts - 1] = b.classes[0:a.indnkeyatts - 1]
    AND a.collations[0:a.indnkeyatts - 1] = b.collations[0:a.indnkeyatts - 1]
    AND a.options[0:a.indnkeyatts - 1] = b.options[0:a.indnkeyatts - 1]
    AND coalesce(a.included, '{}') <@ (b.keys || coalesce(b.included, '{}'))
    AND a.nulls_equal = b.nulls_equal
    AND CASE WHEN a.indnkeyatts = b.indnkeyatts
      -- alike: the same expressions, and no more enforced than the other does
      THEN a.expressions IS NOT DISTINCT FROM b.expressions
           AND (b.indisunique OR NOT a.indisunique)
           -- A deferrable constraint's index admits for a while what the other refuses at once; neither foreign keys nor
           -- ON CONFLICT nor replica identity may rest on it.
           AND (b.indimmediate OR NOT a.indisunique OR NOT a.indimmediate)
           AND (a.indisunique < b.indisunique OR a.fixed < b.fixed
                OR cardinality(coalesce(a.included, '{}')) < cardinality(coalesce(b.included, '{}'))
                OR a.fixed = b.fixed AND a.indexrelid > b.indexrelid)
           AND (NOT a.fixed OR b.fixed)
      -- a beginning of it: only a B-tree is good for that
      ELSE NOT a.indisunique AND NOT a.fixed AND 0 <> ALL (a.keys)
           AND a.relam = (SELECT oid FROM pg_catalog.pg_am WHERE amname = 'btree')
    END
),
finding AS (
  SELECT DISTINCT ON ((p.goes).indexrelid)
    CASE WHEN p.same THEN 'duplicate' ELSE 'overlapping' END AS kind,
    (p.goes).nspname, (p.goes).tablename, (p.goes).relname,
    CASE
      WHEN (p.goes).fixed THEN format('the same as %s, but something rests on each', (p.stays).quoted)
      WHEN p.same THEN format('the same as %s', (p.stays).quoted)
      WHEN (p.goes).indnkeyatts = (p.stays).indnkeyatts
        THEN format('the keys are those of %s, which does more', (p.stays).quoted)
      ELSE format('the keys are the first of %s', (p.stays).quoted)
    END AS detail,
    CASE WHEN NOT (p.goes).fixed
      THEN format('DROP INDEX %s%s', CASE WHEN (p.goes).relkind = 'i' THEN 'CONCURRENTLY ' END, (p.goes).quoted)
    END AS fix_sql
  FROM pair p
  ORDER BY (p.goes).indexrelid, p.same DESC, (p.stays).indnkeyatts, (p.stays).indexrelid
),
broken AS (
  SELECT 'invalid', l.nspname, l.tablename, l.relname,
    CASE
      WHEN l.relkind = 'I' THEN 'not all partitions have an index attached to it'
      WHEN l.relname ~ '_cc(new|old)\d*$' THEN 'left behind by REINDEX CONCURRENTLY: writes keep it, no query uses it'
      ELSE 'its concurrent build or drop failed: writes keep it, no query uses it'
    END,
    CASE
      WHEN l.relkind = 'I' THEN NULL
      WHEN l.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %s', l.quoted)
      ELSE format('REINDEX INDEX CONCURRENTLY %s', l.quoted)
    END
  FROM listed l
  WHERE NOT l.valid
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
                     WHERE p.datid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
                       AND p.relid = l.indrelid)
),
-- A rebuild of a table leaves those of its TOAST behind as well, which only their owner's name leads to.
broken_toast AS (
  SELECT 'invalid', n.nspname, t.relname, x.relname,
    'left behind by REINDEX CONCURRENTLY on its TOAST: writes keep it, no query uses it',
    format('DROP INDEX CONCURRENTLY pg_toast.%I', x.relname)
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND x.relname ~ '_cc(new|old)\d*$'
  JOIN pg_catalog.pg_class t ON t.reltoastrelid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND x.relnamespace = 'pg_toast'::regnamespace
    AND t.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
                     WHERE p.datid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
                       AND p.relid IN (i.indrelid, t.oid))
),
-- A foreign key of a partitioned table is one of each of its partitions, and looked up there.
fk (root, con, relation, keys) AS (
  SELECT c.oid, c.oid, c.conrelid, c.conkey
  FROM pg_catalog.pg_constraint c
  WHERE c.contype = 'f' AND c.conparentid = 0
  UNION ALL
  SELECT f.root, c.oid, c.conrelid, c.conkey
  FROM fk f JOIN pg_catalog.pg_constraint c ON c.conparentid = f.con
  -- On a partitioned table that is referred to it has others, which are about the same rows.
  WHERE c.contype = 'f' AND c.conrelid <> f.relation
),
-- What a lookup by all columns of the key, none of them NULL, can use.
served AS (
  SELECT f.root, f.relation, f.con = f.root AS is_root,
    EXISTS (
      SELECT FROM listed l
       WHERE l.indrelid = f.relation AND l.valid AND l.expressions IS NULL
         AND (l.predicate IS NULL OR groundskeeper_internal.not_null_columns(l.predicate) <@ f.keys)
         AND CASE l.amname
               WHEN 'btree' THEN cardinality(f.keys) <= l.indnkeyatts AND f.keys <@ l.keys[1:cardinality(f.keys)]
               WHEN 'hash' THEN f.keys = l.keys END) AS is_served,
    -- Since 18 a B-tree can be skipped through where its first columns have few values.
    current_setting('server_version_num')::integer >= 180000
      AND EXISTS (SELECT FROM listed l
                   WHERE l.indrelid = f.relation AND l.valid AND l.amname = 'btree' AND l.predicate IS NULL
                     AND f.keys <@ l.keys) AS is_skipped_to
  FROM fk f
  JOIN pg_catalog.pg_class t ON t.oid = f.relation
  -- What holds rows; a partitioned table without any partition stands for itself.
  WHERE t.relkind = 'r' OR f.con = f.root AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = f.relation)
),
unserved AS (
  SELECT s.root, count(*) FILTER (WHERE NOT s.is_served) AS lacking, count(*) AS parts,
    bool_and(s.is_skipped_to) FILTER (WHERE NOT s.is_served) AS are_skipped_to,
    (array_agg(format('%I.%I', n.nspname, t.relname) ORDER BY t.relname) FILTER (WHERE NOT s.is_served))[1:3] AS names
  FROM served s
  JOIN pg_catalog.pg_class t ON t.oid = s.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  GROUP BY s.root
  HAVING bool_or(NOT s.is_served)
),
missing AS (
  SELECT 'missing_fk_index', n.nspname, t.relname, NULL::name,
    format('no index%s leads with the columns of foreign key %I (%s): a DELETE or a change of the key in %s reads all of '
           'this table%s%s',
           CASE WHEN u.lacking < u.parts THEN format(' of %s of %s partitions', u.lacking, u.parts) END,
           c.conname, k.columns, k.referenced,
           CASE WHEN u.lacking < u.parts THEN format('''s partitions, such as %s', array_to_string(u.names, ', ')) END,
           CASE WHEN u.are_skipped_to
             THEN '; one has them behind others, and may be skipped through where these have few values' END),
    format('CREATE INDEX %sON %I.%I (%s)', CASE WHEN t.relkind = 'r' THEN 'CONCURRENTLY ' END, n.nspname, t.relname,
           k.columns)
  FROM unserved u
  JOIN pg_catalog.pg_constraint c ON c.oid = u.root
  JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  CROSS JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.position) AS columns,
      (SELECT format('%I.%I', rn.nspname, r.relname)
         FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
        WHERE r.oid = c.confrelid) AS referenced
    FROM unnest(c.conkey) WITH ORDINALITY o (attnum, position)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = o.attnum
  ) k
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'groundskeeper')
)
SELECT f.kind, f.nspname AS schemaname, f.tablename, f.relname AS indexname, f.detail, f.fix_sql FROM finding f
UNION ALL
SELECT * FROM broken
UNION ALL
SELECT * FROM broken_toast
UNION ALL
SELECT * FROM missing
ORDER BY 1, 2, 3, 4
$query$;

COMMENT ON FUNCTION groundskeeper_internal.index_findings() IS 'The rows of monitoring.index_health';


CREATE VIEW monitoring.index_health WITH (security_invoker) AS
SELECT kind, schemaname, tablename, indexname, detail, fix_sql FROM groundskeeper_internal.index_findings();

COMMENT ON VIEW monitoring.index_health IS
  'Indexes that repeat others, that are INVALID, or that foreign keys lack; look at a fix before running it';
COMMENT ON COLUMN monitoring.index_health.kind IS
  'duplicate (the same as another), overlapping (another begins with the same keys), invalid, missing_fk_index';
COMMENT ON COLUMN monitoring.index_health.indexname IS 'The index that can go or needs care; NULL for a missing one';
COMMENT ON COLUMN monitoring.index_health.detail IS 'What is the matter with it';
COMMENT ON COLUMN monitoring.index_health.fix_sql IS
  'What mends it; NULL where that takes a decision. CONCURRENTLY cannot run in a transaction block';
