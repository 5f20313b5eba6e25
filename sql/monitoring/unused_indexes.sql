-- Since when PostgreSQL counts. stats_reset of the database is NULL until somebody resets it; but a crash drops every
-- counter and sets the shared ones' stats_reset (the start time of the server stays). A reset of one of those alone
-- moves only that one, hence the oldest.
CREATE FUNCTION groundskeeper_internal.counting_since() RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT greatest(d.stats_reset, least(a.stats_reset, b.stats_reset, w.stats_reset))
    FROM pg_stat_database d, pg_stat_archiver a, pg_stat_bgwriter b, pg_stat_wal w
   WHERE d.datname = current_database();
END;

COMMENT ON FUNCTION groundskeeper_internal.counting_since() IS
  'When the counters of this database last began anew, by a reset or a crash; NULL where that is not known';


-- What record_metrics() saw of indexes. It tells of this server, so it is not dumped.
CREATE TABLE groundskeeper.index_observation (
  indexrelid oid PRIMARY KEY,
  first_seen timestamptz NOT NULL,
  idx_scan bigint NOT NULL,
  scans bigint NOT NULL,
  last_scan timestamptz
);

COMMENT ON TABLE groundskeeper.index_observation IS
  'Since when each index is observed without a gap, and what is known of its scans; kept by record_metrics()';
COMMENT ON COLUMN groundskeeper.index_observation.indexrelid IS 'The index';
COMMENT ON COLUMN groundskeeper.index_observation.first_seen IS
  'When it was first seen; later where counters began anew and nobody had looked for a while';
COMMENT ON COLUMN groundskeeper.index_observation.idx_scan IS 'PostgreSQL''s counter as it last stood';
COMMENT ON COLUMN groundskeeper.index_observation.scans IS 'All scans that are known of, resets of the counter taken into account';
COMMENT ON COLUMN groundskeeper.index_observation.last_scan IS
  'When it was last seen to have been scanned, or first_seen for scans before; NULL where it never was';


CREATE FUNCTION groundskeeper_internal.definitions_without_waiting(indexes oid[]) RETURNS TABLE (relation oid, definition text)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
BEGIN
  -- PostgreSQL opens the table to put its columns' names into words.
  FOR relation IN
    SELECT i.indexrelid FROM pg_index i
     WHERE i.indexrelid = ANY (indexes) AND i.indexrelid <> ALL (locked) AND i.indrelid <> ALL (locked)
  LOOP
    BEGIN
      definition := pg_get_indexdef(relation);
      RETURN NEXT;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.definitions_without_waiting(oid[]) IS
  'CREATE INDEX of indexes, those left out whose table cannot be read now';


-- A verdict on each index from its scans over the observed time, with the evidence.


-- A verdict on each index from its scans over the observed time, with the evidence. A function, as compiling such a
-- query takes longer than running it.
CREATE FUNCTION groundskeeper_internal.index_usage()
RETURNS TABLE (
  schemaname name,
  tablename name,
  indexname name,
  idx_tup_read bigint,
  idx_tup_fetch bigint,
  index_size text,
  verdict text,
  evidence text,
  drop_sql text,
  idx_scan bigint,
  observed_since timestamptz,
  index_bytes bigint,
  size_reason text,
  create_sql text,
  last_scan timestamptz
)
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $query$
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
-- No index of the catalog's leads here.
backed AS MATERIALIZED (
  SELECT c.conindid,
    string_agg(CASE c.contype WHEN 'f' THEN 'referenced by foreign key ' ELSE 'backs constraint ' END
               || quote_ident(c.conname), '; ' ORDER BY c.contype = 'f', c.conname) AS constraints
  FROM pg_catalog.pg_constraint c
  WHERE c.conindid <> 0
  GROUP BY c.conindid
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
      b.constraints,
      (SELECT 'leads with the columns of foreign key '
              || string_agg(quote_ident(c.conname), ', ' ORDER BY c.conname)
         FROM pg_catalog.pg_constraint c
        WHERE c.contype = 'f' AND c.conrelid = i.indrelid
          AND cardinality(c.conkey) <= i.indnkeyatts
          AND c.conkey <@ (i.indkey::smallint[])[0:cardinality(c.conkey) - 1]),
      -- Since 18 a B-tree can be skipped through where its first columns have few values, for want of a better one.
      (SELECT 'has the columns of foreign key ' || string_agg(quote_ident(c.conname), ', ' ORDER BY c.conname)
              || ' behind others, and no index leads with them'
         FROM pg_catalog.pg_constraint c
        WHERE current_setting('server_version_num')::integer >= 180000
          AND c.contype = 'f' AND c.conrelid = i.indrelid
          AND c.conkey <@ (i.indkey::smallint[])[0:i.indnkeyatts - 1]
          AND EXISTS (SELECT FROM pg_catalog.pg_class x JOIN pg_catalog.pg_am a ON a.oid = x.relam
                       WHERE x.oid = t.relation AND a.amname = 'btree')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_index o
                           WHERE o.indrelid = i.indrelid AND o.indisvalid AND cardinality(c.conkey) <= o.indnkeyatts
                             AND c.conkey <@ (o.indkey::smallint[])[0:cardinality(c.conkey) - 1])),
      (SELECT 'belongs to extension ' || min(quote_ident(e.extname))
         FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (t.relation, i.indrelid)
          AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'),
      CASE WHEN i.indexprs IS NOT NULL
        THEN 'the planner uses the statistics of its expression, and that counts as no scan' END
    ), '') AS purpose
  FROM tree t
  JOIN pg_catalog.pg_index i ON i.indexrelid = t.relation
  LEFT JOIN backed b ON b.conindid = t.relation
),
usage AS (
  SELECT p.root,
    coalesce(sum(o.scans + CASE WHEN n.scans >= o.idx_scan THEN n.scans - o.idx_scan ELSE n.scans END), 0)::bigint
      + coalesce(sum(n.scans) FILTER (WHERE o.indexrelid IS NULL), 0)::bigint AS idx_scan,
    coalesce(sum(u.idx_tup_read), 0)::bigint AS idx_tup_read,
    coalesce(sum(u.idx_tup_fetch), 0)::bigint AS idx_tup_fetch,
    CASE WHEN bool_and(s.bytes IS NOT NULL) THEN sum(s.bytes)::bigint END AS index_bytes,
    max(s.reason) AS size_reason,
    bool_and(p.indisvalid) AS valid,
    min(d.reason) FILTER (WHERE d.scans IS NULL) AS unknown,
    max(p.created_at) FILTER (WHERE p.relation = p.root) AS created_at,
    max(o.first_seen) FILTER (WHERE p.relation = p.root) AS first_seen,
    -- A counter that differs from what it was at the last look has moved since, or was reset and moved.
    max(CASE WHEN o.indexrelid IS NULL THEN CASE WHEN n.scans > 0 THEN now() END
             WHEN n.scans <> o.idx_scan AND n.scans > 0 THEN now()
             ELSE o.last_scan END) AS last_scan,
    coalesce(max(p.purpose) FILTER (WHERE p.relation = p.root), min(p.purpose)) AS purpose
  FROM part p
  JOIN groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT relation FROM tree)) s USING (relation)
  LEFT JOIN pg_catalog.pg_stat_all_indexes u ON u.indexrelid = p.relation
  LEFT JOIN groundskeeper.index_observation o ON o.indexrelid = p.relation
  -- What is in shards is scanned on the nodes.
  LEFT JOIN groundskeeper_internal.on_nodes(ARRAY(SELECT relation FROM tree)) d ON d.relation = p.relation
  CROSS JOIN LATERAL (SELECT CASE WHEN d.relation IS NULL THEN coalesce(u.idx_scan, 0) ELSE coalesce(d.scans, o.idx_scan, 0) END AS scans) n
  GROUP BY p.root
),
counting AS (
  SELECT c.since, r.required,
    -- Reports of a month read an index that seldom.
    greatest(r.required, interval '31 days') AS remembered,
    -- What was counted between the last look and a reset is lost: a short while is not much.
    c.since > l.last_look + interval '15 minutes' OR l.last_look IS NULL AS gap
  FROM (SELECT groundskeeper_internal.counting_since() AS since) c,
    (SELECT max(m.sampled_at) AS last_look FROM groundskeeper.metrics m
      WHERE m.sampled_at BETWEEN now() - interval '2 days' AND clock_timestamp()) l,
    -- A bare number is minutes, as for any setting with this unit.
    (SELECT coalesce(
       regexp_replace(nullif(current_setting('groundskeeper.index_observation', true), ''), '^\d+$', '\& min'),
       '7 days')::interval AS required) r
),
judged AS (
  SELECT u.*, w.observed_since,
    CASE
      WHEN u.purpose IS NOT NULL OR u.last_scan > now() - c.remembered THEN 'needed'
      WHEN u.valid AND u.unknown IS NULL AND NOT pg_is_in_recovery() AND current_setting('track_counts')::boolean
        AND coalesce(w.observed_since, now()) <= now() - c.required THEN 'unused'
      ELSE 'too_early'
    END AS verdict,
    concat_ws('; ',
      format('scans: %s, %s', u.idx_scan,
        CASE WHEN w.observed_since IS NULL THEN 'not observed yet: record_metrics() begins'
             ELSE 'observed since ' || date_trunc('second', w.observed_since) END),
      CASE WHEN u.idx_scan > 0 THEN 'the last at or before ' || date_trunc('second', u.last_scan) END,
      u.purpose,
      'its scans are ' || u.unknown,
      CASE WHEN NOT u.valid THEN 'not valid: its build failed or is under way' END,
      CASE WHEN NOT current_setting('track_counts')::boolean THEN 'track_counts is off' END,
      CASE WHEN pg_is_in_recovery() THEN 'this is a standby: scans on the primary are not counted here' END
    ) AS evidence
  FROM usage u CROSS JOIN counting c
  -- We know since when an index is there if we have seen it, or PostgreSQL recorded when it was created.
  CROSS JOIN LATERAL (
    SELECT least(CASE WHEN c.gap THEN greatest(u.first_seen, c.since) ELSE u.first_seen END,
                 CASE WHEN u.created_at IS NOT NULL THEN greatest(c.since, u.created_at) END) AS observed_since) w
),
defined AS MATERIALIZED (
  SELECT d.* FROM groundskeeper_internal.definitions_without_waiting(
    ARRAY(SELECT j.root FROM judged j WHERE j.verdict = 'unused')) d
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
      'scans on standbys are not counted here'
        || (SELECT CASE WHEN count(*) > 0 THEN format(' (%s connected)', count(*)) ELSE '' END
              FROM pg_catalog.pg_stat_replication),
      CASE WHEN l.relkind = 'I' THEN 'a partitioned index cannot be dropped concurrently' END)
    ELSE j.evidence END AS evidence,
  CASE WHEN j.verdict = 'unused'
    THEN format('DROP INDEX %s%I.%I', CASE WHEN l.relkind = 'i' THEN 'CONCURRENTLY ' END, l.nspname, l.relname)
  END AS drop_sql,
  j.idx_scan,
  j.observed_since,
  j.index_bytes,
  j.size_reason,
  d.definition AS create_sql,
  j.last_scan
FROM listed l JOIN judged j ON j.root = l.oid LEFT JOIN defined d ON d.relation = l.oid
ORDER BY j.verdict = 'unused' DESC, j.index_bytes DESC NULLS LAST, schemaname, indexname
$query$;

COMMENT ON FUNCTION groundskeeper_internal.index_usage() IS 'The rows of monitoring.unused_indexes';


CREATE VIEW monitoring.unused_indexes WITH (security_invoker) AS
SELECT schemaname, tablename, indexname, idx_tup_read, idx_tup_fetch, index_size,
  verdict, evidence, drop_sql, idx_scan, observed_since, index_bytes,
  size_reason, create_sql, last_scan
FROM groundskeeper_internal.index_usage();

COMMENT ON VIEW monitoring.unused_indexes IS
  'The indexes of the current database and whether each is needed; a partitioned index with all its partitions '
  'is one row. The verdict rests on scans: an index that is scanned and finds nothing is in use';
COMMENT ON COLUMN monitoring.unused_indexes.idx_tup_read IS 'Entries that scans returned; no measure of use';
COMMENT ON COLUMN monitoring.unused_indexes.idx_tup_fetch IS
  'Rows that plain index scans fetched; no measure of use';
COMMENT ON COLUMN monitoring.unused_indexes.verdict IS
  'One of: unused (not scanned while observed for groundskeeper.index_observation, and good for nothing else); '
  'too_early (not scanned, but that proves nothing yet); needed (scanned, or good for something else)';
COMMENT ON COLUMN monitoring.unused_indexes.evidence IS 'What the verdict rests on';
COMMENT ON COLUMN monitoring.unused_indexes.drop_sql IS 'Only for unused ones';
COMMENT ON COLUMN monitoring.unused_indexes.idx_scan IS
  'All scans that are known of, those before observed_since among them';
COMMENT ON COLUMN monitoring.unused_indexes.observed_since IS
  'Since when its scans are known: since record_metrics() first saw it, or since it was created where '
  'track_commit_timestamp is on; NULL where neither is known';
COMMENT ON COLUMN monitoring.unused_indexes.create_sql IS
  'What builds it again; only for unused ones whose table can be read now';
COMMENT ON COLUMN monitoring.unused_indexes.last_scan IS
  'When it was last seen to have been scanned, at the latest; scans are forgotten after 31 days, or '
  'groundskeeper.index_observation if that is longer';
COMMENT ON COLUMN monitoring.unused_indexes.index_bytes IS 'The same as index_size, in bytes';
COMMENT ON COLUMN monitoring.unused_indexes.size_reason IS 'Why index_size is not exact, or NULL; NULL when it is';
