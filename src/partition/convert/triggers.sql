-- The triggers of ours that tables lack: those that are not there, and those that do not fire for everybody.
-- $1 the table, $2 its key table, $3 the names of the triggers that the table is to have, $4 their functions, $5 whether
-- they are on TRUNCATE, $6 the trigger of the key table, $7 its function
WITH wanted AS (
    SELECT w.name::name, pg_catalog.to_regprocedure(w.function) AS function, w.on_truncate
      FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::boolean[]))
           w (name, function, on_truncate)
),
relations AS (
    SELECT pg_catalog.to_regclass($1)::oid AS oid, 0 AS level, true AS is_leaf
     UNION ALL
    SELECT p.relid, p.level, p.isleaf FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) p WHERE p.level > 0
),
-- the triggers on TRUNCATE do not come from the whole, and one that is in between fires those of its partitions
needed AS (
    SELECT r.oid, r.level, w.name, w.function
      FROM relations r JOIN pg_catalog.pg_class c ON c.oid = r.oid
     CROSS JOIN wanted w
     WHERE NOT w.on_truncate OR r.level = 0 OR r.is_leaf AND c.relkind = 'r'
     UNION ALL
    SELECT pg_catalog.to_regclass($2), -1, $6::name, pg_catalog.to_regprocedure($7)
     WHERE pg_catalog.to_regclass($2) IS NOT NULL
)
SELECT pg_catalog.format('%I.%I', s.nspname, c.relname), n.level, n.name::text,
       g.oid IS NOT NULL AND g.tgfoid IS NOT DISTINCT FROM n.function,
       g.oid IS NOT NULL AND g.tgfoid IS DISTINCT FROM n.function
  FROM needed n
  JOIN pg_catalog.pg_class c ON c.oid = n.oid
  JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_trigger g ON g.tgrelid = n.oid AND g.tgname = n.name
 WHERE g.oid IS NULL OR g.tgenabled <> 'A' OR g.tgfoid IS DISTINCT FROM n.function
 ORDER BY n.level, c.oid, n.name
