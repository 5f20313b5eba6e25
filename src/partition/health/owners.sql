-- What belongs to a table and is another role's.
-- $1 the table, $2 tables beside it, $3 functions beside it
WITH own AS (SELECT oid, relowner FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1))
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
  FROM own, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relowner <> own.relowner
   AND (c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)))
     OR c.oid IN (SELECT pg_catalog.to_regclass(t) FROM pg_catalog.unnest($2::text[]) t))
 UNION ALL
SELECT p.oid::pg_catalog.regprocedure::text
  FROM own, pg_catalog.pg_proc p
 WHERE p.proowner <> own.relowner AND p.oid IN (SELECT pg_catalog.to_regprocedure(f) FROM pg_catalog.unnest($3::text[]) f)
 ORDER BY 1
