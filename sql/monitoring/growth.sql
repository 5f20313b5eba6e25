-- How fast tables grow. The sizes are sampled with the metrics, at most once an hour; they tell of this server, so they
-- are not dumped.
CREATE TABLE groundskeeper.relation_size (
  sampled_at timestamptz,
  relation_oid oid,
  bytes bigint NOT NULL,
  PRIMARY KEY (sampled_at, relation_oid)
);

COMMENT ON TABLE groundskeeper.relation_size IS
  'Sizes of tables and materialized views as record_metrics() found them; pruned after groundskeeper.metrics_retention';
COMMENT ON COLUMN groundskeeper.relation_size.sampled_at IS 'When: each hour of the last two days, each day before';
COMMENT ON COLUMN groundskeeper.relation_size.relation_oid IS 'The table or materialized view; a partitioned table for all its partitions';
COMMENT ON COLUMN groundskeeper.relation_size.bytes IS 'Rows, TOAST and indexes';


CREATE FUNCTION groundskeeper_internal.total_sizes()
RETURNS TABLE (relation oid, bytes bigint, exact boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tree (root, relation) AS (
    SELECT c.oid, c.oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'groundskeeper', 'groundskeeper_internal')
    UNION ALL
    SELECT t.root, i.inhrelid
      FROM tree t
      JOIN pg_inherits i ON i.inhparent = t.relation
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
  ),
  part (root, relation) AS (
    SELECT t.root, t.relation FROM tree t JOIN pg_class c ON c.oid = t.relation WHERE c.relkind IN ('r', 'm')
    UNION ALL
    SELECT t.root, x.indexrelid FROM tree t JOIN pg_index x ON x.indrelid = t.relation
      JOIN pg_class c ON c.oid = x.indexrelid AND c.relkind = 'i'
  ),
  measure AS MATERIALIZED (
    SELECT s.* FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT p.relation FROM part p)) s
  )
  SELECT r.oid, CASE WHEN count(p.root) = count(m.bytes) THEN coalesce(sum(m.bytes), 0)::bigint END, count(m.reason) = 0
    FROM (SELECT DISTINCT t.root FROM tree t) r (oid)
    LEFT JOIN part p ON p.root = r.oid
    LEFT JOIN measure m ON m.relation = p.relation
   GROUP BY r.oid
$$;

COMMENT ON FUNCTION groundskeeper_internal.total_sizes() IS
  'Size of each table and materialized view, of a partitioned table with all its partitions, and whether it is exact: '
  'nothing is waited for';


CREATE VIEW monitoring.growth WITH (security_invoker) AS
WITH sample AS (
  -- One that was taken by a clock that was ahead tells nothing.
  SELECT s.relation_oid, count(*) AS samples, min(s.sampled_at) AS first, max(s.sampled_at) AS last
  FROM groundskeeper.relation_size s
  WHERE s.sampled_at <= clock_timestamp()
  GROUP BY s.relation_oid
),
measured AS (
  SELECT n.nspname, c.relname, coalesce(t.bytes, l.bytes) AS bytes,
    CASE WHEN s.samples > 1 THEN f.bytes END AS before,
    CASE WHEN s.samples > 1 THEN CASE WHEN t.bytes IS NULL THEN s.last ELSE clock_timestamp() END - s.first END AS measured_over
  FROM groundskeeper_internal.total_sizes() t
  JOIN pg_catalog.pg_class c ON c.oid = t.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN sample s ON s.relation_oid = t.relation
  LEFT JOIN groundskeeper.relation_size f ON f.relation_oid = t.relation AND f.sampled_at = s.first
  LEFT JOIN groundskeeper.relation_size l ON l.relation_oid = t.relation AND l.sampled_at = s.last
)
SELECT
  m.nspname AS schemaname,
  m.relname AS tablename,
  m.bytes,
  round(r.rate) AS bytes_per_day,
  CASE WHEN r.rate IS NOT NULL THEN round(greatest(m.bytes + 30 * r.rate, 0)) END AS forecast_30d_bytes,
  m.measured_over
FROM measured m
CROSS JOIN LATERAL (
  SELECT (m.bytes - m.before) * 86400.0 / nullif(extract(epoch FROM m.measured_over), 0) AS rate) r
ORDER BY bytes_per_day DESC NULLS LAST, m.bytes DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.growth IS
  'How large each table and materialized view of the current database is, how fast it has grown and what that comes to; a '
  'partitioned table with all its partitions';
COMMENT ON COLUMN monitoring.growth.bytes IS
  'Rows, TOAST and indexes; of a table that cannot be read now as of its last sample or VACUUM, NULL where there is none';
COMMENT ON COLUMN monitoring.growth.bytes_per_day IS 'By how much it has grown since its first sample that is kept; NULL before the second';
COMMENT ON COLUMN monitoring.growth.forecast_30d_bytes IS 'Its size in 30 days if it goes on like that';
COMMENT ON COLUMN monitoring.growth.measured_over IS 'Since when that is: a rate over minutes says little';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.total_sizes() TO pg_monitor;
GRANT SELECT ON groundskeeper.relation_size, monitoring.growth TO pg_monitor;
