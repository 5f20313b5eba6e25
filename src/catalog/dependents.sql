-- The views and materialized views that stand on a column, each with the longest way down to it.
-- $1 relation, $2 column number
WITH RECURSIVE stands_on AS (
    SELECT r.ev_class AS relid, 1 AS depth
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
     WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = $1 AND d.refobjsubid = $2 AND r.rulename = '_RETURN'
    UNION
    SELECT r.ev_class, s.depth + 1
      FROM stands_on s
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = s.relid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> s.relid
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
)
SELECT relid
  FROM stands_on
 GROUP BY relid
 ORDER BY max(depth), relid
