-- What tells the rows of a table apart, and what its key table is to have: the columns of the primary key, or of another
-- unique index that no two rows share; the columns of the key table, none where every unique index has the partition
-- key, else those first, then whatever the others are made of; and whether it is the primary key.
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
identity AS (
    SELECT x.* FROM indexes x
     WHERE x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute n
                        WHERE n.attrelid = $1 AND n.attnum = ANY (x.keys) AND (NOT n.attnotnull OR n.attgenerated <> ''))
       -- compared where no search_path leads to another schema's operators
       AND (x.indisprimary OR NOT EXISTS (
               SELECT FROM pg_catalog.unnest(x.indclass::oid[]) u (class) JOIN pg_catalog.pg_opclass c ON c.oid = u.class
                WHERE c.opcnamespace <> 'pg_catalog'::pg_catalog.regnamespace))
     ORDER BY x.indisprimary DESC, x.indnkeyatts, x.indexrelid LIMIT 1
),
columns (attnum, place) AS (
    SELECT u.n, u.place FROM identity x CROSS JOIN pg_catalog.unnest(x.keys) WITH ORDINALITY u (n, place)
    UNION ALL
    SELECT a.attnum, 1000 + a.attnum
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = $1 AND a.attnum > 0
       AND NOT EXISTS (SELECT FROM identity x WHERE a.attnum = ANY (x.keys))
       AND EXISTS (SELECT FROM apart x
                    WHERE NOT x.indisprimary
                      AND (a.attnum = ANY (x.indkey)
                        OR pg_catalog.concat(x.indexprs::text, x.indpred::text) LIKE '%:varattno ' || a.attnum || ' %'))
)
SELECT pg_catalog.array_agg(a.attname::text ORDER BY c.place) FILTER (WHERE c.place <= 1000),
       CASE WHEN EXISTS (SELECT FROM apart) THEN pg_catalog.array_agg(a.attname::text ORDER BY c.place)
            ELSE '{}' END,
       (SELECT indisprimary FROM identity)
  FROM columns c JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = c.attnum
HAVING pg_catalog.bool_or(c.place <= 1000)
