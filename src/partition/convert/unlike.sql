-- What LIKE makes otherwise than it is on the table: checks that are NOT VALID there come later, as they are.
-- $1 the table, $2 its twin
SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', $2, k.conname)
  FROM pg_catalog.pg_constraint k
 WHERE k.conrelid = pg_catalog.to_regclass($1) AND k.contype = 'c' AND NOT k.convalidated
