-- The unused indexes, the largest first, with what brings each back.
SELECT u.schemaname::text, u.indexname::text, u.tablename::text, u.evidence, u.drop_sql, c.oid, c.relkind::text,
       -- A partitioned index is built with those of its partitions.
       CASE c.relkind WHEN 'I' THEN regexp_replace(u.create_sql, ' ON ONLY ', ' ON ') ELSE u.create_sql END,
       'COMMENT ON INDEX ' || format('%I.%I', u.schemaname, u.indexname) || ' IS '
         || quote_literal(obj_description(c.oid, 'pg_class'))
  FROM monitoring.unused_indexes u
  JOIN pg_class c ON c.relname = u.indexname
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = u.schemaname
 WHERE u.verdict = 'unused'
 ORDER BY u.index_bytes DESC NULLS LAST, 1, 2
