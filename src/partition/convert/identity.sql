-- The replica identity of a table, for its shadow and each of its partitions.
-- $1 the table, $2 its shadow
SELECT pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY %s', p.relid, CASE c.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END)
  FROM pg_catalog.pg_class c, pg_catalog.pg_partition_tree(pg_catalog.to_regclass($2)) p
 WHERE c.oid = pg_catalog.to_regclass($1) AND c.relreplident IN ('f', 'n')
