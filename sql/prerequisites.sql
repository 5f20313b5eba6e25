-- What optional part is missing here, and the lines that put it in place.

-- A library of before there was a function to ask has no such symbol.
CREATE FUNCTION groundskeeper_internal.loaded_version() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN groundskeeper_internal.library_version();
EXCEPTION WHEN undefined_function THEN
    RETURN '0.1.0';
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.library_version() IS 'The version of the library that this session has loaded';
COMMENT ON FUNCTION groundskeeper_internal.loaded_version() IS 'The same for prerequisites(), of a library too old to have library_version(), too';
GRANT EXECUTE ON FUNCTION groundskeeper_internal.library_version(), groundskeeper_internal.loaded_version() TO pg_monitor;

CREATE FUNCTION groundskeeper.prerequisites()
RETURNS TABLE (component text, state text, needed_for text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH server AS (
  SELECT current_setting('server_version_num')::integer / 10000 AS major,
         CASE WHEN pg_is_in_recovery() THEN ' -- on the primary' ELSE '' END AS where_to_write,
         -- Who does not see what others do cannot tell; a standby has none.
         pg_has_role('pg_read_all_stats', 'USAGE') AND NOT pg_is_in_recovery()
             AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'pg_groundskeeper launcher') AS launcher_gone,
         -- through the view, which hides it from who may not see it, where current_setting() would fail
         (SELECT setting FROM pg_settings WHERE name = 'cron.database_name') AS cron_database
),
wanted (ordinal, name, preload, package, needed_for) AS (VALUES
  (1, 'pg_groundskeeper', true, NULL,
   'query latency and wait events; restart of jobs after a crash; scheduled maintenance without pg_cron'),
  (2, 'pg_stat_statements', true, 'postgresql-%s', 'monitoring.slow_queries; latency by statement'),
  (3, 'pg_cron', true, 'postgresql-%s-cron',
   'scheduled maintenance; not needed where pg_groundskeeper is preloaded'),
  (4, 'pgstattuple', false, 'postgresql-%s', 'bloat measured, not estimated, in monitoring.table_bloat'),
  (5, 'hypopg', false, 'postgresql-%s-hypopg', 'trying an index before it is built')
),
-- No row for who may not see the setting.
preload AS (
  SELECT source, pending_restart,
         ARRAY(SELECT btrim(e, ' "') FROM regexp_split_to_table(setting, ',') e WHERE btrim(e) <> '') AS entries
    FROM pg_settings
   WHERE name = 'shared_preload_libraries'
),
extension AS (
  SELECT w.*, x.extversion, a.name IS NOT NULL AS on_disk,
         (SELECT EXISTS (SELECT FROM unnest(p.entries) e
                          WHERE regexp_replace(e, '^.*/|\.[a-z]+$', '', 'g') = w.name)  -- it may be a path
            FROM preload p) AS preloaded
    FROM wanted w
    LEFT JOIN pg_available_extensions a ON a.name = w.name
    LEFT JOIN pg_extension x ON x.extname = w.name
),
-- One line for all libraries, because a second ALTER SYSTEM would undo the first; each a literal of its own,
-- because 'a, b' would be one name; none that is not on disk, because the server would not start again.
preload_remedy AS (
  SELECT CASE
           WHEN p.pending_restart THEN 'restart the server: shared_preload_libraries has been changed'
           WHEN p.source = 'command line' THEN format(
             'start the server with -c shared_preload_libraries=%s', string_agg(l.name, ',' ORDER BY l.ordinal))
           ELSE format('ALTER SYSTEM SET shared_preload_libraries = %s; -- then restart the server',
             string_agg(quote_literal(l.name), ', ' ORDER BY l.ordinal))
         END AS line
    FROM preload p
   CROSS JOIN LATERAL (
           SELECT e.name, e.ordinal FROM unnest(p.entries) WITH ORDINALITY e (name, ordinal)
           UNION ALL
           SELECT x.name, cardinality(p.entries) + x.ordinal
             FROM extension x WHERE x.preload AND x.on_disk AND NOT x.preloaded
         ) l (name, ordinal)
   GROUP BY p.source, p.pending_restart
),
extension_remedy AS (
  SELECT x.*, nullif(concat_ws(E'\n',
      CASE
        WHEN NOT x.on_disk AND x.package IS NOT NULL
          THEN format('apt install ' || x.package || ' # then call this function again', s.major)
        WHEN x.preload AND NOT x.preloaded THEN (SELECT line FROM preload_remedy)
      END,
      CASE
        WHEN NOT x.on_disk THEN NULL
        WHEN x.name = 'pg_cron' AND x.preloaded AND s.cron_database <> current_database()
          THEN format('ALTER SYSTEM SET cron.database_name = %L; -- then restart the server; or schedule from '
                      'database %I with cron.schedule_in_database()', current_database(), s.cron_database)
        WHEN x.extversion IS NULL THEN format('CREATE EXTENSION %I;%s', x.name, s.where_to_write)
      END,
      CASE WHEN x.name = 'pg_groundskeeper' AND x.preloaded AND s.launcher_gone
        THEN 'wait for its launcher, which the server starts again within seconds; if it does not, its log says why' END,
      CASE WHEN x.name = 'pg_stat_statements' THEN nullif(concat_ws(E'\n',
        CASE WHEN string_to_array(x.extversion, '.')::integer[] < '{1,9}'
          THEN 'ALTER EXTENSION pg_stat_statements UPDATE;' || s.where_to_write END,
        CASE WHEN x.preloaded AND current_setting('compute_query_id') = 'off'
          THEN 'ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();' END,
        CASE WHEN x.preloaded AND current_setting('pg_stat_statements.track') = 'none'
          THEN 'ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();' END), '')
      END), '') AS remedy
    FROM extension x CROSS JOIN server s
),
-- Slots that are always taken (launchers) or that our jobs want; parallel queries compete for the rest.
worker AS (
  SELECT current_setting('max_worker_processes')::integer AS slots, n.own, n.own + n.parallel AS ample
    FROM (SELECT 1 + coalesce(current_setting('groundskeeper.max_workers', true)::integer, 2)
                 + (current_setting('max_logical_replication_workers')::integer > 0)::integer
                 + (SELECT coalesce(preloaded, false)::integer FROM extension WHERE name = 'pg_cron'),
                 current_setting('max_parallel_workers')::integer) n (own, parallel)
),
-- Files and objects are installed apart, and a server keeps the library that it has preloaded until it is restarted.
versions AS (
  SELECT x.extversion AS objects, groundskeeper_internal.loaded_version() AS library, v.default_version AS files
    FROM pg_extension x JOIN pg_available_extensions v ON v.name = x.extname
   WHERE x.extname = 'pg_groundskeeper'
),
-- The worker of a job connects as the owner of the table.
owner AS (
  SELECT r.rolname, count(*) AS tables,
         CASE
           WHEN NOT r.rolcanlogin THEN format('ALTER ROLE %I LOGIN;', r.rolname)
           WHEN NOT has_database_privilege(r.oid, current_database(), 'CONNECT')
             THEN format('GRANT CONNECT ON DATABASE %I TO %I;', current_database(), r.rolname)
         END AS remedy
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_roles r ON r.oid = c.relowner
   WHERE n.nspname = ANY ((SELECT groundskeeper_internal.watched_schemas())::text[]) AND c.relkind IN ('r', 'p', 'm')
   GROUP BY r.oid, r.rolname, r.rolcanlogin
)
SELECT * FROM (
  SELECT x.name,
         CASE
           WHEN x.preload AND x.preloaded IS NULL THEN 'unknown'
           WHEN x.remedy IS NULL THEN 'ok'
           WHEN x.extversion IS NULL AND (NOT x.preload OR NOT x.preloaded) THEN 'missing'
           ELSE 'partial'
         END,
         x.needed_for,
         CASE WHEN x.preload AND x.preloaded IS NULL
           THEN 'call this function with the rights of pg_read_all_settings' ELSE x.remedy END
    FROM (SELECT * FROM extension_remedy ORDER BY ordinal) x
  UNION ALL
  SELECT 'version of pg_groundskeeper',
         CASE WHEN objects = library THEN 'ok' ELSE 'partial' END,
         format('everything: the extension is %s, the library that is loaded %s', objects, library),
         CASE
           WHEN objects = library THEN NULL
           WHEN files = objects THEN 'restart the server, or connect anew: the library on disk is another by now'
           WHEN files = library AND regexp_split_to_array(regexp_replace(objects, '[^0-9.].*', ''), '\.')::integer[]
                                  < regexp_split_to_array(regexp_replace(library, '[^0-9.].*', ''), '\.')::integer[]
             THEN 'ALTER EXTENSION pg_groundskeeper UPDATE;' || where_to_write
           ELSE format('install pg_groundskeeper %s again, and restart the server', objects)
         END
    FROM versions CROSS JOIN server
  UNION ALL
  SELECT 'max_worker_processes',
         CASE WHEN slots >= ample THEN 'ok' WHEN slots >= own THEN 'partial' ELSE 'missing' END,
         'background jobs while parallel queries run',
         CASE WHEN slots < ample THEN format(
           'ALTER SYSTEM SET max_worker_processes = %s; -- then restart the server, standbys first', ample) END
    FROM worker
  UNION ALL
  SELECT format('login of %I', rolname),
         CASE WHEN remedy IS NULL THEN 'ok' ELSE 'missing' END,
         format('background jobs on the tables and materialized views that it owns (%s)', tables),
         remedy || where_to_write
    FROM owner CROSS JOIN server
  UNION ALL
  SELECT 'access of pg_monitor',
         CASE WHEN has_schema_privilege('pg_monitor', 'monitoring', 'USAGE') THEN 'ok' ELSE 'missing' END,
         'the views in monitoring',
         CASE WHEN NOT has_schema_privilege('pg_monitor', 'monitoring', 'USAGE')
           THEN 'GRANT USAGE ON SCHEMA monitoring TO pg_monitor;' || where_to_write END
    FROM server
) report
$$;

COMMENT ON FUNCTION groundskeeper.prerequisites() IS
  'The optional parts that the extension makes use of: whether each is in place (ok, partial, missing, or unknown '
  'to the caller), what it is needed for, and the lines that fix it';

GRANT EXECUTE ON FUNCTION groundskeeper.prerequisites() TO pg_monitor;
