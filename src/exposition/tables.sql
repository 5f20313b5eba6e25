-- Tables that are managed or that the plan is about ($1 their schemas, $2 their names), by catalogs alone: no relation is
-- opened, so that nothing waits for a lock.
WITH candidate AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind, bool_or(l.is_managed) AS is_managed,
           max(l.timezone) AS timezone
      FROM (SELECT m.name[1] AS schema, m.name[2] AS name, true AS is_managed, m.timezone
              FROM (SELECT parse_ident(t.parent) AS name, t.timezone FROM groundskeeper.managed_tables t) m
            UNION ALL
            SELECT p.schema, p.name, false, NULL FROM unnest($1::text[], $2::text[]) p (schema, name)) l
      JOIN pg_namespace n ON n.nspname = l.schema
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = l.name AND c.relkind IN ('r', 'p', 'm')
     GROUP BY c.oid, n.nspname, c.relname, c.relkind
),
listed AS MATERIALIZED (SELECT * FROM candidate ORDER BY is_managed DESC, name LIMIT 120),
part AS MATERIALIZED (
    SELECT l.name, l.is_managed, c.oid, c.relpages, c.reltuples, c.reltoastrelid, c.relpartbound IS NOT NULL AS is_partition,
           CASE WHEN l.is_managed THEN pg_get_expr(c.relpartbound, 0) END AS bound
      FROM (SELECT t.name, t.is_managed, t.oid AS part FROM listed t WHERE t.relkind <> 'p'
            UNION ALL
            SELECT t.name, t.is_managed, i.inhrelid FROM listed t JOIN pg_inherits i ON i.inhparent = t.oid
             WHERE t.relkind = 'p') l
      JOIN pg_class c ON c.oid = l.part
),
managed AS (
    SELECT l.name, count(p.oid) FILTER (WHERE p.bound <> 'DEFAULT') AS partitions,
           -- The bounds that are moments; a text of digits or of a key is none.
           max(extract(epoch FROM CASE WHEN b.upper ~ ':\d\d(\.\d+)?[+-]\d\d' THEN b.upper::timestamptz
                                       ELSE b.upper::timestamp AT TIME ZONE l.timezone END)) AS horizon,
           sum(greatest(nullif(p.reltuples, -1), pg_stat_get_live_tuples(p.oid))) FILTER (WHERE p.bound = 'DEFAULT') AS default_rows
      FROM listed l LEFT JOIN part p ON p.name = l.name
     CROSS JOIN LATERAL (SELECT substring(p.bound FROM $re$ TO \('(\d{4}-\d\d-\d\d[^']{0,40})'\)$$re$)) b (upper)
     WHERE l.is_managed
     GROUP BY l.name
),
counted AS (
    SELECT p.name,
           sum(greatest(p.relpages, 0)::bigint + greatest(coalesce(t.relpages, 0), 0)) * current_setting('block_size')::bigint AS bytes,
           sum(x.pages) * current_setting('block_size')::bigint AS index_bytes,
           sum(pg_stat_get_live_tuples(p.oid)) AS live, sum(pg_stat_get_dead_tuples(p.oid)) AS dead,
           sum(pg_stat_get_numscans(p.oid)) AS scans, sum(x.scans) AS index_scans
      FROM part p
      LEFT JOIN pg_class t ON t.oid = p.reltoastrelid
     CROSS JOIN LATERAL (SELECT coalesce(sum(greatest(c.relpages, 0)), 0) AS pages,
                                coalesce(sum(pg_stat_get_numscans(c.oid)), 0) AS scans
                           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = p.oid) x
     GROUP BY p.name
)
SELECT v.name, jsonb_build_object('table', m.name), v.value::double precision
  FROM managed m
 CROSS JOIN LATERAL (VALUES ('groundskeeper_table_partitions', m.partitions),
                            ('groundskeeper_partition_horizon_timestamp_seconds', m.horizon),
                            ('groundskeeper_partition_default_rows', m.default_rows)) v (name, value)
 WHERE v.value IS NOT NULL
UNION ALL
SELECT v.name, jsonb_build_object('table', c.name), v.value
  FROM counted c
 CROSS JOIN LATERAL (VALUES ('groundskeeper_table_size_bytes', c.bytes), ('groundskeeper_table_index_size_bytes', c.index_bytes),
                            ('groundskeeper_table_live_rows', c.live), ('groundskeeper_table_dead_rows', c.dead),
                            ('groundskeeper_table_sequential_scans_total', c.scans),
                            ('groundskeeper_table_index_scans_total', c.index_scans)) v (name, value)
 WHERE v.value IS NOT NULL
UNION ALL
SELECT 'groundskeeper_invalid_indexes', NULL, count(*)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE NOT i.indisvalid AND c.relpersistence <> 't'
UNION ALL
SELECT 'groundskeeper_series_dropped', NULL, sum(CASE WHEN l.is_managed THEN 9 ELSE 6 END)
  FROM (SELECT c.is_managed FROM candidate c ORDER BY c.is_managed DESC, c.name OFFSET 120) l
HAVING count(*) > 0
