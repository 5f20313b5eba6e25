-- The texts of statements, from pg_stat_statements: we keep none on disk, and in memory only of what it has none of,
-- without constants.
CREATE FUNCTION groundskeeper_internal.statement_texts() RETURNS TABLE (queryid bigint, query text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  source text;
BEGIN
  SELECT format('%I.pg_stat_statements', n.nspname) INTO source
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Without pg_read_all_stats the identifiers of others' statements are NULL.
  RETURN QUERY EXECUTE format($query$
    SELECT s.queryid, min(s.query)
      FROM %s s
     WHERE s.queryid IS NOT NULL
       AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
     GROUP BY s.queryid
    HAVING min(s.query) IS NOT NULL
    $query$, source);
EXCEPTION
  -- The library is not preloaded, or the caller may not read it.
  WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
    RETURN;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.statement_texts() IS
  'The texts of this database''s statements, as far as pg_stat_statements shows them to the caller; no rows where it '
  'is not to be had (see groundskeeper.prerequisites())';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.statement_texts(), groundskeeper_internal.latency_uncounted(),
    groundskeeper.query_latency(interval), groundskeeper.statement_latency(interval) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper_internal.latency_uncounted() IS 'Why latency is not counted in this database; NULL where it is';

COMMENT ON FUNCTION groundskeeper.query_latency(interval) IS 'How long clients of this database waited for statements and transactions: counted where the library is preloaded, no rows where it is not';
COMMENT ON FUNCTION groundskeeper.statement_latency(interval) IS 'The same for each of the 500 most expensive statements, and for all others together in a last row without queryid; query is NULL for whom pg_stat_statements does not show it to. One that always fails is there, too';
