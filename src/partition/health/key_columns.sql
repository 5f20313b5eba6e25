-- The columns of a key table that its table has too: a list, the same for a checksum of x, and that x and y are equal.
-- Those of the primary key are compared so that an index serves; others may be NULL.
-- $1 the key table, $2 the table, $3 the columns of the primary key
SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.attname), ', ' ORDER BY k.attnum),
       pg_catalog.string_agg(pg_catalog.format(
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
                              WHERE m.amname = 'hash' AND o.opcdefault AND o.opcintype = k.atttypid AND o.opcintype < 16384)
                THEN 'x.%I' ELSE 'x.%I::text' END, k.attname), ', ' ORDER BY k.attnum),
       pg_catalog.string_agg(pg_catalog.format(
           CASE WHEN k.attname = ANY ($3) THEN 'y.%1$I = x.%1$I' ELSE 'y.%1$I::text IS NOT DISTINCT FROM x.%1$I::text' END, k.attname),
           ' AND ' ORDER BY k.attnum)
  FROM pg_catalog.pg_attribute k
  JOIN pg_catalog.pg_attribute t ON t.attrelid = pg_catalog.to_regclass($2) AND t.attname = k.attname AND t.attnum > 0 AND NOT t.attisdropped
 WHERE k.attrelid = pg_catalog.to_regclass($1) AND k.attnum > 0 AND NOT k.attisdropped
HAVING pg_catalog.count(*) > 0
