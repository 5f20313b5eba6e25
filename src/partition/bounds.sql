-- What the catalogs know of partitioned tables and their partitions: a row for each partition, and one for a table
-- that has none. $1 are the tables, quoted and qualified, $2 their zones. Runs under DateStyle ISO.
WITH asked AS (
    SELECT w.place, w.zone, pg_catalog.parse_ident(w.parent) AS names
      FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY w (parent, zone, place)
),
parent AS (
    SELECT asked.place, asked.zone, c.oid, n.nspname, c.relname, r.rolname,
           pg_catalog.pg_has_role(c.relowner, 'USAGE') AS may_alter,
           a.attname, t.typname, p.partdefid,
           (pg_catalog.now() AT TIME ZONE asked.zone)::date - date '1970-01-01' AS today
      FROM asked
      JOIN pg_catalog.pg_namespace n ON n.nspname = asked.names[1]
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = asked.names[2]
      JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
      JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid AND p.partstrat = 'r' AND p.partnatts = 1
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
                               AND t.typname IN ('date', 'timestamp', 'timestamptz')
)
SELECT parent.place, parent.oid, parent.nspname::text, parent.relname::text, parent.rolname::text, parent.may_alter,
       parent.attname::text, parent.typname::text, parent.today, parent.zone,
       part.oid, part.nspname::text, part.relname::text, part.oid = parent.partdefid,
       f.day, f.exact, f.shown, f.off, l.day, l.exact, l.shown, l.off
  FROM parent
  LEFT JOIN LATERAL (
      SELECT c.oid, n.nspname, c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE i.inhparent = parent.oid AND NOT i.inhdetachpending) part ON true
  LEFT JOIN LATERAL (
      SELECT NULLIF(pg_catalog.btrim(pg_catalog."substring"(part.bound, 'FROM \((.*)\) TO \('), ''''), 'MINVALUE'),
             NULLIF(pg_catalog.btrim(pg_catalog."substring"(part.bound, '\) TO \((.*)\)$'), ''''), 'MAXVALUE')
  ) w (first, last) ON true
  LEFT JOIN LATERAL (
      SELECT CASE WHEN pg_catalog.isfinite(e.local) THEN e.local::date - date '1970-01-01' END AS day,
             CASE WHEN e.at IS NULL THEN pg_catalog.date_trunc('day', e.local) = e.local
                  ELSE pg_catalog.date_trunc('day', e.local) AT TIME ZONE parent.zone = e.at END AS exact,
             CASE WHEN e.at IS NULL THEN w.first ELSE e.local::text END AS shown,
             CASE WHEN pg_catalog.isfinite(e.at)
                  THEN EXTRACT(epoch FROM e.local - (e.at AT TIME ZONE 'UTC'))::integer END AS off
        FROM (SELECT z.at, CASE WHEN z.at IS NULL THEN w.first::timestamp ELSE z.at AT TIME ZONE parent.zone END AS local
                FROM (SELECT CASE WHEN parent.typname = 'timestamptz' THEN w.first::timestamptz END AS at) z) e
       WHERE w.first IS NOT NULL) f ON true
  LEFT JOIN LATERAL (
      SELECT CASE WHEN pg_catalog.isfinite(e.local) THEN e.local::date - date '1970-01-01' END AS day,
             CASE WHEN e.at IS NULL THEN pg_catalog.date_trunc('day', e.local) = e.local
                  ELSE pg_catalog.date_trunc('day', e.local) AT TIME ZONE parent.zone = e.at END AS exact,
             CASE WHEN e.at IS NULL THEN w.last ELSE e.local::text END AS shown,
             CASE WHEN pg_catalog.isfinite(e.at)
                  THEN EXTRACT(epoch FROM e.local - (e.at AT TIME ZONE 'UTC'))::integer END AS off
        FROM (SELECT z.at, CASE WHEN z.at IS NULL THEN w.last::timestamp ELSE z.at AT TIME ZONE parent.zone END AS local
                FROM (SELECT CASE WHEN parent.typname = 'timestamptz' THEN w.last::timestamptz END AS at) z) e
       WHERE w.last IS NOT NULL) l ON true
 ORDER BY parent.place, f.day NULLS FIRST, part.relname
