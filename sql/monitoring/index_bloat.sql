-- How much smaller each B-tree would be if it were built anew; of other access methods that cannot be told.
COMMENT ON FUNCTION groundskeeper_internal.estimated_index_bloat(oid[], bigint[]) IS
  'What building B-trees with so many bytes anew would give back, from statistics alone; what cannot be trusted is '
  'NULL with the reason';

CREATE VIEW monitoring.index_bloat WITH (security_invoker) AS
WITH listed AS MATERIALIZED (
  SELECT n.nspname, t.relname AS tablename, c.oid, c.relname, a.amname
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
  JOIN pg_catalog.pg_am a ON a.oid = c.relam
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid AND t.relkind IN ('r', 'm')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ((SELECT groundskeeper_internal.watched_schemas())::text[]) AND i.indisvalid
),
measure AS MATERIALIZED (
  SELECT s.* FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT oid FROM listed)) s
),
judgeable AS MATERIALIZED (
  SELECT array_agg(s.relation) AS relations, array_agg(s.main_bytes) AS bytes
  FROM measure s JOIN listed l ON l.oid = s.relation AND l.amname = 'btree'
  WHERE s.main_bytes >= 20 * current_setting('block_size')::integer
),
estimated AS MATERIALIZED (
  SELECT e.* FROM judgeable j, groundskeeper_internal.estimated_index_bloat(j.relations, j.bytes) e
  WHERE j.relations IS NOT NULL
)
SELECT
  l.nspname AS schemaname,
  l.tablename,
  l.relname AS indexname,
  pg_size_pretty(s.bytes) AS index_size,
  s.bytes AS index_bytes,
  round(e.bloat_percent::numeric, 1) AS bloat_percent,
  CASE WHEN e.bloat_percent IS NOT NULL THEN 'estimate' END AS bloat_method,
  CASE WHEN s.in_shards THEN 'not judged: its entries are in shards, which each node judges'
       WHEN s.main_bytes IS NULL THEN 'not judged: locked by another session'
       WHEN l.amname <> 'btree' THEN 'not judged: ' || CASE l.amname
         WHEN 'hash' THEN 'a hash index adds buckets ahead of its rows, and no statistics tell how full they are'
         WHEN 'gin' THEN 'how well a GIN index compresses its lists of rows is in no statistics'
         WHEN 'brin' THEN 'a BRIN index summarizes ranges of blocks, however many rows they hold'
         ELSE format('how access method %I fills its pages is in no statistics', l.amname) END
       WHEN e.relation IS NULL THEN 'too small to judge: under 20 pages, the last of which is rarely full'
       ELSE e.reason END COLLATE "default" AS bloat_reason,
  s.reason AS size_reason
FROM listed l
JOIN measure s ON s.relation = l.oid
LEFT JOIN estimated e ON e.relation = l.oid
ORDER BY index_bytes DESC NULLS LAST, schemaname, indexname;

COMMENT ON VIEW monitoring.index_bloat IS
  'Size and bloat of the valid indexes of the watched schemas, estimated from statistics where they are B-trees';
COMMENT ON COLUMN monitoring.index_bloat.index_bytes IS 'The same as index_size, in bytes';
COMMENT ON COLUMN monitoring.index_bloat.bloat_percent IS
  'How much smaller the index would be if it were built anew; NULL where that cannot be trusted';
COMMENT ON COLUMN monitoring.index_bloat.bloat_method IS 'What bloat_percent comes from';
COMMENT ON COLUMN monitoring.index_bloat.bloat_reason IS 'Why bloat_percent is NULL';
COMMENT ON COLUMN monitoring.index_bloat.size_reason IS 'Why index_size is not exact, or NULL; NULL when it is';
