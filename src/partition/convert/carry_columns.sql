-- What gives a table's twin, and the log of its keys, the columns that the table has by now.
-- Columns: whether it is to be done once all rows are brought over, whether values may differ then, the statement, and another
-- for where that fails.
-- $1 the table, $2 its twin, $3 the log
WITH c AS (
    SELECT a.attrelid = pg_catalog.to_regclass($1) AS of_table, a.attname, a.attnum, a.attnotnull, a.attgenerated::text AS generated,
           a.attidentity::text AS identity, pg_catalog.format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN pg_catalog.format(' COLLATE %I.%I', n.nspname, l.collname) ELSE '' END AS type,
           pg_catalog.format_type(a.atttypid, a.atttypmod) AS plain_type, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid IN (pg_catalog.to_regclass($1), pg_catalog.to_regclass($2)) AND a.attnum > 0 AND NOT a.attisdropped
),
-- what the rows have that were there when a column was added: then the twin's have it, too, without being written
missing AS (
    SELECT DISTINCT ON (a.attname) a.attname, (a.attmissingval::text::text[])[1] AS value
      FROM (SELECT pg_catalog.to_regclass($1)::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))) r (oid)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.atthasmissing AND NOT a.attisdropped
     ORDER BY a.attname, r.oid
),
pairs AS (
    SELECT w.attname, w.attnum, w.type, w.plain_type, w.expression, w.generated, w.identity, w.attnotnull,
           o.attname IS NOT NULL AS is_there, o.type AS own_type, o.expression AS own_expression, o.generated AS own_generated,
           o.identity AS own_identity, o.attnotnull AS own_notnull,
           -- a generated column is made anew where it is generated otherwise
           o.attname IS NULL OR w.generated <> '' AND (w.generated, w.expression, w.type) IS DISTINCT FROM (o.generated, o.expression, o.type) AS is_new,
           pg_catalog.format('ALTER TABLE %s ADD COLUMN %I %s%s', $2, w.attname, w.type, CASE w.generated
               WHEN 's' THEN pg_catalog.format(' GENERATED ALWAYS AS (%s) STORED', w.expression)
               WHEN 'v' THEN pg_catalog.format(' GENERATED ALWAYS AS (%s) VIRTUAL', w.expression)
               ELSE (SELECT pg_catalog.format(' DEFAULT %L::%s', m.value, w.plain_type) FROM missing m WHERE m.attname = w.attname) END) AS addition
      FROM c w LEFT JOIN c o ON o.attname = w.attname AND NOT o.of_table
     WHERE w.of_table
),
steps (is_late, place, differs, statement, otherwise) AS (
    SELECT false, CASE WHEN o.generated <> '' THEN 1 ELSE 2 END, false, pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', $2, o.attname), NULL::text[]
      FROM c o WHERE NOT o.of_table AND NOT EXISTS (SELECT FROM c w WHERE w.of_table AND w.attname = o.attname)
    UNION ALL
    SELECT false, 1, false, pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', $2, attname), NULL FROM pairs WHERE is_new AND is_there
    UNION ALL
    SELECT false, 3, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION', $2, attname), NULL
      FROM pairs WHERE own_generated <> '' AND generated = ''
    UNION ALL
    SELECT false, 3, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', $2, attname), NULL
      FROM pairs WHERE own_identity <> '' AND identity = ''
    UNION ALL
    SELECT false, 4, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', $2, attname), NULL
      FROM pairs WHERE is_there AND NOT is_new AND own_notnull AND NOT attnotnull
    UNION ALL
    SELECT false, 5, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', $2, attname), NULL
      FROM pairs WHERE is_there AND NOT is_new AND own_expression IS NOT NULL AND own_generated = '' AND own_type <> type
    UNION ALL
    SELECT false, 6, true, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %I::%s', $2, attname, type, attname, plain_type),
           ARRAY[pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', $2, attname), addition]
      FROM pairs WHERE is_there AND NOT is_new AND own_type <> type
    UNION ALL
    SELECT false, 6, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', $3, a.attname, w.type), NULL
      FROM pg_catalog.pg_attribute a JOIN c w ON w.of_table AND w.attname = a.attname
     WHERE a.attrelid = pg_catalog.to_regclass($3) AND a.attnum > 0 AND NOT a.attisdropped
       AND pg_catalog.format_type(a.atttypid, a.atttypmod) <> w.plain_type
    UNION ALL
    -- in the table's order
    SELECT false, 100 + attnum + CASE WHEN generated <> '' THEN 2000 ELSE 0 END, generated = '', addition, NULL FROM pairs WHERE is_new
    UNION ALL
    SELECT false, 5000, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', $2, attname, expression), NULL
      FROM pairs WHERE generated = '' AND expression IS NOT NULL AND (is_new OR expression IS DISTINCT FROM own_expression OR own_type <> type)
    UNION ALL
    SELECT false, 5000, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', $2, attname), NULL
      FROM pairs WHERE generated = '' AND expression IS NULL
                  AND (is_new AND EXISTS (SELECT FROM missing m WHERE m.attname = pairs.attname) OR own_expression IS NOT NULL AND own_generated = '')
    UNION ALL
    SELECT true, 1, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', $2, attname), NULL
      FROM pairs WHERE attnotnull AND (is_new OR own_notnull IS NOT TRUE)
    UNION ALL
    SELECT true, 2, false, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY', $2, attname,
                                      CASE identity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END), NULL
      FROM pairs WHERE identity <> '' AND (is_new OR own_identity = '')
)
SELECT is_late, differs, statement, otherwise FROM steps ORDER BY is_late, place, statement
