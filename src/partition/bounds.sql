-- What the catalogs know of partitioned tables and their partitions: a row for each partition, and one for a table
-- that has none. $1 are the tables, quoted and qualified, $2 their zones. Runs under DateStyle ISO. OFFSET 0 keeps the
-- planner from writing one subquery's expressions into the other, which doubles them at each level. No
-- relation is named to pg_get_expr(), which would wait for its lock.
WITH parent AS MATERIALIZED (
    SELECT asked.place, asked.zone, c.oid, n.nspname, c.relname, c.relowner, a.attname, t.typname, p.partdefid,
           t.typname IN ('date', 'timestamp') AS is_plain,
           (pg_catalog.now() AT TIME ZONE asked.zone)::date - date '1970-01-01' AS today
      FROM (SELECT w.place, w.zone, pg_catalog.parse_ident(w.parent) AS names
              FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY w (parent, zone, place)
            OFFSET 0) asked
      JOIN pg_catalog.pg_namespace n ON n.nspname = asked.names[1]
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = asked.names[2]
      JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid AND p.partstrat = 'r' AND p.partnatts = 1
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
                               AND t.typname IN ('date', 'timestamp', 'timestamptz', 'uuid', 'int8')
)
SELECT parent.place, parent.oid, parent.nspname::text, parent.relname::text,
       pg_catalog.pg_has_role(parent.relowner, 'USAGE'),
       parent.attname::text, parent.typname::text, parent.today, parent.zone,
       part.oid, n.nspname::text, part.relname::text, part.oid = parent.partdefid,
       CASE WHEN pg_catalog.isfinite(f.local) THEN f.local::date - date '1970-01-01' END, f.exact, f.shown,
       CASE WHEN parent.typname = 'timestamptz' AND pg_catalog.isfinite(f.at) THEN EXTRACT(epoch FROM f.local - (f.at AT TIME ZONE 'UTC'))::integer END,
       CASE WHEN pg_catalog.isfinite(l.local) THEN l.local::date - date '1970-01-01' END, l.exact, l.shown,
       CASE WHEN parent.typname = 'timestamptz' AND pg_catalog.isfinite(l.at) THEN EXTRACT(epoch FROM l.local - (l.at AT TIME ZONE 'UTC'))::integer END
  FROM parent
  LEFT JOIN LATERAL (
      SELECT c.oid, c.relnamespace, c.relname, pg_catalog.pg_get_expr(c.relpartbound, 0) AS bound
        FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = parent.oid AND NOT i.inhdetachpending
      OFFSET 0) part ON true
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = part.relnamespace
  LEFT JOIN LATERAL (
      SELECT CASE WHEN part.bound LIKE 'FOR VALUES FROM (''%' THEN pg_catalog.split_part(part.bound, '''', 2) END AS first,
             CASE WHEN part.bound LIKE '%'')' THEN pg_catalog.split_part(part.bound, '''', -2) END AS last
      OFFSET 0) w ON true
  LEFT JOIN LATERAL (
      SELECT e.at, e.local, CASE WHEN parent.typname = 'timestamptz' THEN e.local::text ELSE w.first END AS shown,
             CASE WHEN e.at IS NULL THEN pg_catalog.date_trunc('day', e.local) = e.local
                  ELSE pg_catalog.date_trunc('day', e.local) AT TIME ZONE parent.zone = e.at END AS exact
        FROM (SELECT z.at, CASE WHEN z.at IS NULL THEN CASE WHEN parent.is_plain THEN w.first::timestamp END ELSE z.at AT TIME ZONE parent.zone END AS local
                FROM (SELECT CASE parent.typname WHEN 'timestamptz' THEN w.first::timestamptz
                                 WHEN 'uuid' THEN timestamptz '1970-01-01 00:00:00+00'
                                     + ('x' || pg_catalog.substr(pg_catalog.replace(w.first, '-', ''), 1, 12))::bit(48)::bigint * interval '1 millisecond'
                                 -- what a number counts is told by its size
                                 WHEN 'int8' THEN timestamptz '1970-01-01 00:00:00+00' + w.first::bigint * CASE
                                     WHEN w.first::bigint < 100000000000 THEN interval '1 second'
                                     WHEN w.first::bigint < 100000000000000 THEN interval '1 millisecond'
                                     ELSE interval '1 microsecond' END END AS at OFFSET 0) z
              OFFSET 0) e
       WHERE w.first IS NOT NULL OFFSET 0) f ON true
  LEFT JOIN LATERAL (
      SELECT e.at, e.local, CASE WHEN parent.typname = 'timestamptz' THEN e.local::text ELSE w.last END AS shown,
             CASE WHEN e.at IS NULL THEN pg_catalog.date_trunc('day', e.local) = e.local
                  ELSE pg_catalog.date_trunc('day', e.local) AT TIME ZONE parent.zone = e.at END AS exact
        FROM (SELECT z.at, CASE WHEN z.at IS NULL THEN CASE WHEN parent.is_plain THEN w.last::timestamp END ELSE z.at AT TIME ZONE parent.zone END AS local
                FROM (SELECT CASE parent.typname WHEN 'timestamptz' THEN w.last::timestamptz
                                 WHEN 'uuid' THEN timestamptz '1970-01-01 00:00:00+00'
                                     + ('x' || pg_catalog.substr(pg_catalog.replace(w.last, '-', ''), 1, 12))::bit(48)::bigint * interval '1 millisecond'
                                 -- what a number counts is told by its size
                                 WHEN 'int8' THEN timestamptz '1970-01-01 00:00:00+00' + w.last::bigint * CASE
                                     WHEN w.last::bigint < 100000000000 THEN interval '1 second'
                                     WHEN w.last::bigint < 100000000000000 THEN interval '1 millisecond'
                                     ELSE interval '1 microsecond' END END AS at OFFSET 0) z
              OFFSET 0) e
       WHERE w.last IS NOT NULL OFFSET 0) l ON true
 ORDER BY parent.place, f.local NULLS FIRST, part.relname
