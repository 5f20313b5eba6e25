-- How the columns of two tables differ.
-- $1 the one, $2 the other
WITH c AS (
    SELECT a.attrelid = pg_catalog.to_regclass($1) AS first, a.attname,
           pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
           || CASE a.attgenerated WHEN '' THEN '' ELSE ' GENERATED' END
           || CASE a.attidentity WHEN '' THEN '' ELSE ' IDENTITY' END
           || COALESCE(' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') AS type
      FROM pg_catalog.pg_attribute a
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid IN (pg_catalog.to_regclass($1), pg_catalog.to_regclass($2)) AND a.attnum > 0 AND NOT a.attisdropped)
SELECT pg_catalog.format('%s has %I %s', CASE WHEN x.first THEN $1 ELSE $2 END, x.attname, x.type)
  FROM c x
 WHERE NOT EXISTS (SELECT FROM c y WHERE y.first <> x.first AND y.attname = x.attname AND y.type = x.type)
 ORDER BY x.attname, x.first DESC
