-- What stands below each of these partitioned tables and materialized views ($1), down to what holds rows.
WITH RECURSIVE below (root, oid, relkind) AS (
    SELECT c.oid, c.oid, c.relkind FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)
    UNION
    SELECT b.root, n.oid, n.relkind
      FROM below b
     CROSS JOIN LATERAL (
           SELECT d.refobjid
             FROM pg_catalog.pg_rewrite r
             JOIN pg_catalog.pg_depend d
               ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
              AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> b.oid
            WHERE r.ev_class = b.oid AND (b.relkind = 'v' OR b.oid = b.root)
           UNION ALL
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = b.oid AND NOT i.inhdetachpending
     ) s (oid)
      JOIN pg_catalog.pg_class n ON n.oid = s.oid
)
SELECT b.root, b.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text,
       c.relfilenode,
       COALESCE(pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
              + pg_catalog.pg_stat_get_tuples_deleted(c.oid), 0) AS changes,
       greatest(c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid))::double precision,
       -- Read off the stored tree: pg_get_viewdef() locks what the view reads, and waits for those locks.
       CASE WHEN b.relkind = 'v' OR b.oid = b.root AND c.relkind = 'm' THEN (
           SELECT COALESCE(pg_catalog.string_agg(x.word, ' '), '')
             FROM pg_catalog.pg_rewrite r
            CROSS JOIN LATERAL (
                  SELECT CASE (m[1]) WHEN '0' THEN 'CURRENT_DATE' ELSE 'CURRENT_TIMESTAMP' END
                    FROM pg_catalog.regexp_matches(r.ev_action::text, '\{SQLVALUEFUNCTION :op ([0-8]) ', 'g') m
                  UNION ALL
                  SELECT p.proname::text
                    FROM pg_catalog.regexp_matches(r.ev_action::text, ':funcid (\d+) ', 'g') m
                    JOIN pg_catalog.pg_proc p ON p.oid = (m[1])::oid
                     AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.provolatile <> 'i'
            ) x (word)
            WHERE r.ev_class = b.oid)
       END,
       CASE WHEN b.relkind = 'v' OR b.oid = b.root AND c.relkind = 'm' THEN (
           SELECT 'function ' || pg_catalog.min(p.oid::pg_catalog.regprocedure::text)
             FROM pg_catalog.pg_rewrite r
             JOIN pg_catalog.pg_depend d
               ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
              AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
             JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid AND p.provolatile <> 'i'
            WHERE r.ev_class = b.oid)
       END
  FROM below b
  JOIN pg_catalog.pg_class c ON c.oid = b.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'f', 'v')
