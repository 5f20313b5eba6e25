-- The latest changes, and of those that made an index its table and its first column, as they are by now.
SELECT c.item, to_jsonb(c.applied_at) #>> '{}', to_jsonb(c.reverted_at) #>> '{}',
       c.forward_sql ~ '^CREATE (UNIQUE )?INDEX ', i.tablename, i.column_name,
       (extract(epoch FROM c.applied_at) * 1000000)::bigint
  FROM groundskeeper.change_log c
  LEFT JOIN LATERAL (
       SELECT t.relname::text AS tablename, a.attname::text AS column_name
         FROM pg_index x
         JOIN pg_class n ON n.oid = x.indexrelid
         JOIN pg_class t ON t.oid = x.indrelid
         JOIN pg_namespace s ON s.oid = t.relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0] AND a.attnum > 0
        WHERE n.relname = substring(c.forward_sql FROM '^CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?"?([^" ]{1,63})"? ON ')
          AND position(format(' %I ON %I.%I ', n.relname, s.nspname, t.relname) IN c.forward_sql) > 0
        LIMIT 1) i ON c.reverted_at IS NULL
 WHERE c.applied_at < $1
 ORDER BY c.change_id DESC
 LIMIT 60
