-- Statements from pg_stat_statements, whatever its version and schema, and those that it never hears of.
CREATE FUNCTION groundskeeper_internal.statement_statistics(
  database name DEFAULT current_database(),
  nested boolean DEFAULT false,
  since interval DEFAULT '1 hour'
)
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
  stats_since timestamptz,
  p95_ms double precision,
  database_name name,
  failed bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  counted CONSTANT boolean := has_function_privilege('groundskeeper.statement_latency(interval)', 'EXECUTE');
  -- Our own figures are of the top-level statements of this database, whoever ran them.
  latency CONSTANT text := CASE WHEN counted
    THEN '(SELECT l.queryid, l.p95_ms, l.failed, true, (SELECT d.oid FROM pg_catalog.pg_database d
                                                         WHERE d.datname = current_database())
             FROM pg_catalog.jsonb_to_recordset($3) l (queryid bigint, p95_ms double precision, failed bigint))'
    ELSE '(SELECT NULL::bigint, NULL::double precision, NULL::bigint, NULL::boolean, NULL::oid)' END;
  ours jsonb;
  told bigint[] := '{}';
  source text;
  version integer[];
BEGIN
  -- Asked once: it goes through all samples.
  IF counted THEN
    SELECT jsonb_agg(to_jsonb(l)) INTO ours FROM groundskeeper.statement_latency(since) l;
  END IF;
  SELECT format('%I.pg_stat_statements', n.nspname), string_to_array(e.extversion, '.')::integer[]
    INTO source, version
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements';
  IF FOUND THEN
    BEGIN
      -- The columns follow the version of the extension, which may be older than its library.
      RETURN QUERY EXECUTE format($query$
        SELECT s.query, s.calls, s.total_%1$stime, s.mean_%1$stime, s.rows,
               round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 2),
               s.queryid, r.rolname, s.min_%1$stime, s.max_%1$stime, s.stddev_%1$stime,
               %2$s, %3$s, l.p95_ms, b.datname, l.failed
          FROM %4$s s
          LEFT JOIN pg_catalog.pg_database b ON b.oid = s.dbid
          LEFT JOIN %5$s l (queryid, p95_ms, failed, toplevel, dbid)
                 ON l.queryid = s.queryid AND l.dbid = s.dbid AND %2$s IS NOT FALSE
          LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.userid
         WHERE ($1 IS NULL OR b.datname = $1) AND ($2 OR %2$s IS NOT FALSE)
        $query$,
        CASE WHEN version >= '{1,8}' THEN 'exec_' ELSE '' END,
        CASE WHEN version >= '{1,9}' THEN 's.toplevel' ELSE 'NULL::boolean' END,
        CASE WHEN version >= '{1,11}' THEN 's.stats_since' ELSE 'NULL::timestamptz' END,
        source, latency)
      USING database, nested, ours;
      EXECUTE format('SELECT COALESCE(pg_catalog.array_agg(s.queryid), $1) FROM %s s
                       WHERE s.queryid IS NOT NULL
                         AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())',
                     source) INTO told USING told;
    EXCEPTION
      -- The library is not preloaded, or the caller may not read it.
      WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
        NULL;
    END;
  END IF;

  -- It hears of a statement when that has ended well: one that never does is in our counters alone.
  IF counted AND (database IS NULL OR database = current_database()) THEN
    RETURN QUERY
      SELECT l.query, l.calls, l.total_ms, round((l.total_ms / l.calls)::numeric, 3)::double precision, 0::bigint, NULL::numeric, l.queryid, NULL::name,
             NULL::double precision, l.max_ms, NULL::double precision, true, NULL::timestamptz, l.p95_ms,
             current_database(), l.failed
        FROM jsonb_to_recordset(ours) l (query text, calls bigint, total_ms double precision, queryid bigint,
                                         max_ms double precision, p95_ms double precision, failed bigint)
       WHERE l.queryid IS NOT NULL AND l.failed = l.calls AND l.queryid <> ALL (told);
  END IF;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.statement_statistics(name, boolean, interval) IS
  'The statements that pg_stat_statements has counted in a database (in all, for NULL), nested ones only if asked for, '
  'whatever its version and schema, with the 95th percentile and the failures that we have counted since, and those that '
  'have only failed since, which it knows nothing of; groundskeeper.prerequisites() says what is missing';


CREATE VIEW monitoring.slow_queries WITH (security_invoker) AS
SELECT
  query, calls, total_time, mean_time, rows, hit_percent,
  queryid, role_name, min_time, max_time, stddev_time, toplevel, stats_since, p95_ms, failed
FROM groundskeeper_internal.statement_statistics()
-- What never ends well is stopped by somebody's patience, which may be shorter.
WHERE mean_time > CASE WHEN failed = calls THEN 500 ELSE 1000 END
ORDER BY mean_time DESC
LIMIT 20;

COMMENT ON VIEW monitoring.slow_queries IS
  'The 20 slowest statements of the current database that take more than a second on average, from '
  'pg_stat_statements; those that have always failed in the last hour, after half a second and more, from our own counting';
COMMENT ON COLUMN monitoring.slow_queries.query IS
  'Normalized text; others'' is hidden from readers without pg_read_all_stats';
COMMENT ON COLUMN monitoring.slow_queries.calls IS 'Executions that completed; of a statement that none did of, those that failed';
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
COMMENT ON COLUMN monitoring.slow_queries.p95_ms IS
  '95 of 100 executions in the last hour, failed ones included, took no longer; NULL where the library is not preloaded, '
  'or the statement was not among the most expensive';
COMMENT ON COLUMN monitoring.slow_queries.failed IS
  'Executions in the last hour that ended in an error or were cancelled; NULL as p95_ms is';


-- The same for those who look for something else than the slowest on average.
CREATE FUNCTION groundskeeper.slow_queries(
  rank_by text DEFAULT 'total',
  database name DEFAULT current_database(),
  nested boolean DEFAULT false,
  since interval DEFAULT '1 hour',
  top integer DEFAULT 20
)
RETURNS TABLE (
  rank bigint,
  query text,
  calls bigint,
  total_time double precision,
  mean_time double precision,
  p95_ms double precision,
  rows bigint,
  hit_percent numeric,
  queryid bigint,
  role_name name,
  database_name name,
  toplevel boolean,
  failed bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  missing text := CASE WHEN rank_by IS NULL THEN 'rank_by' WHEN nested IS NULL THEN 'nested'
                       WHEN since IS NULL THEN 'since' WHEN top IS NULL THEN 'top' END;
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = format('%s must not be null', missing);
  ELSIF rank_by NOT IN ('total', 'mean', 'p95') THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('"%s" is no ranking', rank_by),
      HINT = 'Statements are ranked by total, mean or p95.';
  ELSIF top < 1 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'top must be at least 1', DETAIL = format('It is %s.', top);
  END IF;
  RETURN QUERY
    SELECT rank() OVER (ORDER BY r.figure DESC), s.query, s.calls, s.total_time, s.mean_time, s.p95_ms, s.rows,
           s.hit_percent, s.queryid, s.role_name, s.database_name, s.toplevel, s.failed
      FROM groundskeeper_internal.statement_statistics(slow_queries.database, slow_queries.nested, slow_queries.since) s
     CROSS JOIN LATERAL (SELECT CASE rank_by WHEN 'total' THEN s.total_time WHEN 'mean' THEN s.mean_time
                                             ELSE s.p95_ms END AS figure) r
     WHERE r.figure IS NOT NULL
     ORDER BY 1, s.total_time DESC
     LIMIT slow_queries.top;
END
$$;

COMMENT ON FUNCTION groundskeeper.slow_queries(text, name, boolean, interval, integer) IS
  'The statements of a database (of all, for NULL) that rank first by total or mean time since pg_stat_statements was '
  'reset, or by the 95th percentile of the last while; nested ones only if asked for. No rows without its source: '
  'groundskeeper.prerequisites() tells which is missing';
