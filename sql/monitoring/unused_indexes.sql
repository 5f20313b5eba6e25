-- A verdict on each index from its scans over the observed time, with the evidence.
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
