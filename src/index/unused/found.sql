-- The unused indexes, the largest first, with what brings each back: its statement, what else belongs to it, and the same
-- of the indexes of its partitions, the deepest first. One is without its statement whose table, or that of a part of it,
-- cannot be read now.
WITH RECURSIVE unused AS MATERIALIZED (
  SELECT u.*, c.oid, c.relkind, n.oid AS schema
    FROM monitoring.unused_indexes u
    JOIN pg_namespace n ON n.nspname = u.schemaname
    JOIN pg_class c ON c.relname = u.indexname AND c.relnamespace = n.oid
   WHERE u.verdict = 'unused'
),
part (root, oid, depth) AS (
  SELECT u.oid, i.inhrelid, 1 FROM unused u JOIN pg_inherits i ON i.inhparent = u.oid
  UNION ALL
  SELECT p.root, i.inhrelid, p.depth + 1 FROM part p JOIN pg_inherits i ON i.inhparent = p.oid
),
defined AS MATERIALIZED (
  SELECT d.* FROM groundskeeper_internal.definitions_without_waiting(ARRAY(SELECT p.oid FROM part p)) d
),
-- The partitioned index takes over those of partitions that are there.
described AS MATERIALIZED (
  SELECT a.oid, tn.nspname AS schema, t.relname AS table,
         CASE WHEN starts_with(w.definition, q.create || 'ONLY ') THEN q.create || substr(w.definition, length(q.create) + 6)
              ELSE w.definition END AS statement,
         to_json(array_remove(ARRAY[
           'COMMENT ON INDEX ' || q.name || ' IS ' || quote_literal(obj_description(a.oid, 'pg_class')),
           CASE WHEN i.indisclustered THEN format('ALTER TABLE %I.%I CLUSTER ON %I', tn.nspname, t.relname, c.relname) END,
           CASE WHEN i.indisreplident
             THEN format('ALTER TABLE %I.%I REPLICA IDENTITY USING INDEX %I', tn.nspname, t.relname, c.relname) END
         ] || ARRAY(
           SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', q.name, s.attnum, s.attstattarget)
             FROM pg_attribute s WHERE s.attrelid = a.oid AND s.attstattarget >= 0 AND i.indkey[s.attnum - 1] = 0
            ORDER BY s.attnum), NULL)) AS after
    FROM (SELECT oid FROM unused UNION SELECT oid FROM part) a
    JOIN pg_class c ON c.oid = a.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_index i ON i.indexrelid = a.oid
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace tn ON tn.oid = t.relnamespace
    LEFT JOIN unused u ON u.oid = a.oid
    LEFT JOIN defined d ON d.relation = a.oid
   CROSS JOIN LATERAL (
         SELECT format('%I.%I', n.nspname, c.relname) AS name,
                format('CREATE %sINDEX %I ON ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, c.relname) AS create) q
   CROSS JOIN LATERAL (SELECT coalesce(u.create_sql, d.definition) AS definition) w
)
SELECT u.schemaname::text, u.indexname::text, u.tablename::text, u.evidence, u.drop_sql, u.oid, u.relkind::text,
       CASE WHEN p.known IS NOT FALSE THEN e.statement END, e.after::text, coalesce(p.parts, '[]')::text
  FROM unused u
  JOIN described e ON e.oid = u.oid
  LEFT JOIN LATERAL (
       SELECT bool_and(d.statement IS NOT NULL) AS known,
              json_agg(json_build_object('table', json_build_object('schema', d.schema, 'name', d.table),
                                         'statement', coalesce(d.statement, ''), 'after', d.after)
                       ORDER BY r.depth DESC, d.schema, d.table) AS parts
         FROM part r JOIN described d ON d.oid = r.oid
        WHERE r.root = u.oid) p ON true
 ORDER BY u.index_bytes DESC NULLS LAST, 1, 2
