-- Tables with triggers that log every write, of conversions and of jobs on partitions: the table, whether it is a partition that
-- a job has watched, whether it is partitioned, the entries of the log, and the table that a partition belongs to. Watched ones
-- only while no worker is at it. What is ours is told by the function's owner, too.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), g.tgname = 'groundskeeper_watch', c.relkind = 'p',
       (SELECT pg_catalog.pg_stat_get_live_tuples(l.oid) FROM pg_catalog.pg_class l
         WHERE l.relnamespace = c.relnamespace AND l.relkind = 'r' AND l.relowner = c.relowner
           AND l.relname = pg_catalog.regexp_replace(f.proname, '_capture$', '_changes')),
       (SELECT pg_catalog.format('%I.%I', m.nspname, p.relname) FROM pg_catalog.pg_class p
          JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
         WHERE p.oid = pg_catalog.pg_partition_root(c.oid) AND c.relispartition)
  FROM pg_catalog.pg_trigger g
  JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid AND f.pronamespace = c.relnamespace AND f.proowner = c.relowner
 WHERE g.tgname IN ('groundskeeper_capture', 'groundskeeper_watch') AND g.tgparentid = 0
   AND (g.tgname = 'groundskeeper_capture'
     OR NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                     WHERE a.datname = pg_catalog.current_database() AND a.backend_type IN ('pg_groundskeeper job', 'pg_groundskeeper retention')))
 ORDER BY 1
