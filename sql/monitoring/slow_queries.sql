-- Statements from pg_stat_statements, whatever its version and schema; nothing where it is absent.
CREATE FUNCTION groundskeeper.statement_statistics()
RETURNS TABLE (
  query text,
  calls bigint,
  total_time double precision,
  mean_time double precision,
  rows bigint,
  hit_percent numeric,
  queryid bigint,
  role_name name,
  min_time double precision,
  max_time double precision,
  stddev_time double precision,
  toplevel boolean,
  stats_since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  source text;
  version integer[];
BEGIN
  SELECT format('%I.pg_stat_statements', n.nspname), string_to_array(e.extversion, '.')::integer[]
    INTO source, version
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements';
  IF NOT FOUND THEN
    RETURN;
  END IF;

  -- The columns follow the version of the extension, which may be older than its library.
  RETURN QUERY EXECUTE format($query$
    SELECT s.query, s.calls, s.total_%1$stime, s.mean_%1$stime, s.rows,
           round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 2),
           s.queryid, r.rolname, s.min_%1$stime, s.max_%1$stime, s.stddev_%1$stime,
           %2$s, %3$s
      FROM %4$s s
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.userid
     WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
       AND %2$s IS NOT FALSE
    $query$,
    CASE WHEN version >= '{1,8}' THEN 'exec_' ELSE '' END,
    CASE WHEN version >= '{1,9}' THEN 's.toplevel' ELSE 'NULL::boolean' END,
    CASE WHEN version >= '{1,11}' THEN 's.stats_since' ELSE 'NULL::timestamptz' END,
    source);
EXCEPTION
  -- The library is not preloaded, or the caller may not read it.
  WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
    RETURN;
END
$$;

COMMENT ON FUNCTION groundskeeper.statement_statistics() IS
  'The top-level statements that pg_stat_statements has counted in the current database, whatever its version '
  'and schema; no rows where it is not to be had (see groundskeeper.prerequisites())';


CREATE VIEW monitoring.slow_queries WITH (security_invoker) AS
SELECT
  query, calls, total_time, mean_time, rows, hit_percent,
  queryid, role_name, min_time, max_time, stddev_time, toplevel, stats_since
FROM groundskeeper.statement_statistics()
WHERE mean_time > 1000
ORDER BY mean_time DESC
LIMIT 20;

COMMENT ON VIEW monitoring.slow_queries IS
  'The 20 slowest statements of the current database that take more than a second on average, from '
  'pg_stat_statements: empty without it. Statements that were cancelled or failed are not in there';
COMMENT ON COLUMN monitoring.slow_queries.query IS
  'Normalized text; others'' is hidden from readers without pg_read_all_stats';
COMMENT ON COLUMN monitoring.slow_queries.calls IS 'Executions that completed';
COMMENT ON COLUMN monitoring.slow_queries.total_time IS
  'Milliseconds of execution, planning and commit not included';
COMMENT ON COLUMN monitoring.slow_queries.mean_time IS 'Milliseconds per execution';
COMMENT ON COLUMN monitoring.slow_queries.rows IS 'Rows retrieved or affected, all executions together';
COMMENT ON COLUMN monitoring.slow_queries.hit_percent IS
  'Share of the shared blocks found in shared buffers; NULL when none was needed';
COMMENT ON COLUMN monitoring.slow_queries.queryid IS 'Hash of the normalized statement, as in pg_stat_activity';
COMMENT ON COLUMN monitoring.slow_queries.role_name IS
  'Who ran it: a statement that several roles run has a row for each; NULL for a role that was dropped';
COMMENT ON COLUMN monitoring.slow_queries.toplevel IS
  'NULL where the extension is older than 1.9, which does not tell nested statements apart';
COMMENT ON COLUMN monitoring.slow_queries.stats_since IS
  'Since when the statement is counted; NULL where the extension is older than 1.11, which does not record it';
