-- The columns of a table's primary key, and those that its key table is to have: none where every unique index has the
-- partition key; else the primary key, then whatever the others are made of.
-- $1 the table, $2 the partition key
WITH indexes AS (
    SELECT x.*, (x.indkey::int2[])[0:x.indnkeyatts - 1] AS keys
      FROM pg_catalog.pg_index x
     WHERE x.indrelid = $1 AND x.indisunique AND x.indisvalid AND NOT x.indisexclusion
),
apart AS (
    SELECT x.* FROM indexes x
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                        WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum = ANY (x.keys))
),
columns (attnum, place) AS (
    SELECT u.n, u.place
      FROM indexes x CROSS JOIN pg_catalog.unnest(x.keys) WITH ORDINALITY u (n, place)
     WHERE x.indisprimary
    UNION ALL
    SELECT a.attnum, 1000 + a.attnum
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = $1 AND a.attnum > 0
       AND NOT EXISTS (SELECT FROM indexes x WHERE x.indisprimary AND a.attnum = ANY (x.keys))
       AND EXISTS (SELECT FROM apart x
                    WHERE NOT x.indisprimary
                      AND (a.attnum = ANY (x.indkey)
                        OR pg_catalog.concat(x.indexprs::text, x.indpred::text) LIKE '%:varattno ' || a.attnum || ' %'))
)
SELECT pg_catalog.array_agg(a.attname::text ORDER BY c.place) FILTER (WHERE c.place <= 1000),
       CASE WHEN EXISTS (SELECT FROM apart) THEN pg_catalog.array_agg(a.attname::text ORDER BY c.place)
            ELSE '{}' END
  FROM columns c JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = c.attnum
HAVING pg_catalog.bool_or(c.place <= 1000)
