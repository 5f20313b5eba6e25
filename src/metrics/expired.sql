-- Partitions of days that ended more than so many minutes ago.
SELECT c.relname::text
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'groundskeeper.metrics'::regclass
   AND c.relname ~ '^metrics_\d{4}_\d\d_\d\d$'
   AND (to_date(right(c.relname, 10), 'YYYY_MM_DD') + 1) AT TIME ZONE 'UTC' < now() - make_interval(mins => $1)
