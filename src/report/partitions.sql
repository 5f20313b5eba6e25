-- Managed tables, and the partitions of some by the month that they begin in, in the table's own zone. No relation is
-- named to pg_get_expr(), which would wait for its lock.
WITH health AS MATERIALIZED (
    SELECT h.*, row_number() OVER (ORDER BY h.status = 'ok', h.parent) AS place FROM monitoring.partition_health h
),
part AS MATERIALIZED (
    SELECT h.parent, c.oid, nullif(c.reltuples, -1)::bigint AS tuples,
           -- A date, and a moment without its zone, are the table's own already.
           date_trunc('month', CASE WHEN b.lower ~ ':\d\d(\.\d+)?[+-]\d\d' THEN b.lower::timestamptz AT TIME ZONE m.timezone
                                    ELSE b.lower::timestamp END) AS month
      FROM health h
      JOIN groundskeeper.managed_tables m ON m.parent = h.parent
     -- by name: to_regclass() raises an error for whom the schema is closed
     CROSS JOIN parse_ident(h.parent) p (name)
      JOIN pg_namespace n ON n.nspname = p.name[1]
      JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = p.name[2]
      JOIN pg_inherits i ON i.inhparent = t.oid
      JOIN pg_class c ON c.oid = i.inhrelid
     CROSS JOIN LATERAL (SELECT substring(pg_get_expr(c.relpartbound, 0)
                                          FROM $re$^FOR VALUES FROM \('(\d{4}-\d\d-\d\d[^']{0,40})'\)$re$)) b (lower)
     WHERE h.place <= 8 AND b.lower IS NOT NULL
),
recent AS MATERIALIZED (
    SELECT p.* FROM part p WHERE p.month >= (SELECT max(l.month) FROM part l WHERE l.parent = p.parent) - interval '48 months'
),
size AS MATERIALIZED (
    SELECT s.relation, s.bytes FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT oid FROM recent LIMIT 1000)) s
),
months AS (
    SELECT r.parent, r.month, sum(r.tuples)::bigint AS rows, sum(s.bytes)::bigint AS bytes
      FROM recent r LEFT JOIN size s ON s.relation = r.oid
     GROUP BY r.parent, r.month
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'parent', h.parent, 'partition_key', h.partition_key, 'covers', coalesce(m."interval", 'period'),
           'partitions', coalesce(h.partitions, 0), 'next_missing', h.next_missing_month, 'default_rows', h.default_rows,
           'status', h.status, 'problem', h.problem, 'remedy', h.remedy,
           'months', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                 'at', to_char(o.month, 'YYYY-MM-DD"T00:00:00+00:00"'), 'rows', o.rows, 'bytes', o.bytes)
                                 ORDER BY o.month), '[]')
                        FROM months o WHERE o.parent = h.parent)) ORDER BY h.place), '[]')::text,
       NULL::text
  FROM health h
  LEFT JOIN groundskeeper.managed_tables m ON m.parent = h.parent
 WHERE h.place <= 60
