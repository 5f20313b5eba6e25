-- The statements that drop what an earlier run left beside a default partition.
-- $1 the partition, $2 the names of triggers on it, $3 those of tables, $4 the comment on these and on $5, the triggers' function
WITH own AS (SELECT relowner FROM pg_catalog.pg_class WHERE oid = $1)
SELECT statement FROM (
    SELECT 1, pg_catalog.format('DROP TRIGGER %I ON %I.%I', g.tgname, n.nspname, c.relname)
      FROM pg_catalog.pg_trigger g
      JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE g.tgrelid = $1 AND g.tgname = ANY ($2) AND g.tgfoid = pg_catalog.to_regprocedure($5)
    UNION ALL
    SELECT 2, 'DROP TABLE ' || t.name
      FROM own, pg_catalog.unnest($3::text[]) t (name)
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name)
     WHERE c.relowner = own.relowner AND NOT c.relispartition
       AND pg_catalog.obj_description(c.oid, 'pg_class') = $4
    UNION ALL
    SELECT 3, 'DROP FUNCTION ' || $5
      FROM own, pg_catalog.pg_proc p
     WHERE p.oid = pg_catalog.to_regprocedure($5) AND p.proowner = own.relowner
       AND pg_catalog.obj_description(p.oid, 'pg_proc') = $4) s (place, statement)
 ORDER BY place
