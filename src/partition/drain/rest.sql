-- The statements that make a table of the same columns as another, at the same places, so that the one's storage can
-- be the other's.
-- $1 the other, $2 its name, $3 what ends its CREATE TABLE
WITH columns AS (
    SELECT a.*, t.typstorage, t.typcollation,
           CASE WHEN a.attisdropped THEN pg_catalog.format('groundskeeper_dropped_%s', a.attnum) ELSE a.attname::text END AS name
      FROM pg_catalog.pg_attribute a
      LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = $1 AND a.attnum > 0)
SELECT pg_catalog.format('CREATE %sTABLE %s (%s)%s', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, $2,
           (SELECT pg_catalog.string_agg(
                CASE WHEN a.attisdropped THEN pg_catalog.format('%I integer', a.name)
                     ELSE pg_catalog.concat(
                         pg_catalog.format('%I %s', a.name, pg_catalog.format_type(a.atttypid, a.atttypmod)),
                         (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, o.collname)
                            FROM pg_catalog.pg_collation o JOIN pg_catalog.pg_namespace n ON n.oid = o.collnamespace
                           WHERE o.oid = a.attcollation AND a.attcollation <> a.typcollation),
                         CASE WHEN a.attgenerated <> '' THEN pg_catalog.format(' GENERATED ALWAYS AS (%s) %s',
                             (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
                               WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
                             CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END,
                         CASE WHEN a.attnotnull THEN ' NOT NULL' END) END,
                ', ' ORDER BY a.attnum)
              FROM columns a),
           $3)
  FROM pg_catalog.pg_class c WHERE c.oid = $1
UNION ALL
SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', $2, a.name,
                         CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
  FROM columns a WHERE NOT a.attisdropped AND a.attstorage <> a.typstorage
UNION ALL
SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', $2, a.name,
                         CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END)
  FROM columns a WHERE NOT a.attisdropped AND a.attcompression <> ''
UNION ALL
SELECT pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', $2, a.name) FROM columns a WHERE a.attisdropped
