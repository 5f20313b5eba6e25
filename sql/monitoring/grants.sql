-- Members of pg_monitor read the views, with the functions behind them; nobody else does.
GRANT EXECUTE ON FUNCTION
  groundskeeper_internal.statement_statistics(name, boolean, interval),
  groundskeeper.slow_queries(text, name, boolean, interval, integer),
  groundskeeper_internal.relations_locked_by_others(),
  groundskeeper_internal.counting_since(),
  groundskeeper_internal.index_usage(),
  groundskeeper_internal.index_findings(),
  groundskeeper_internal.not_null_columns(text),
  groundskeeper_internal.definitions_without_waiting(oid[]),
  groundskeeper_internal.sizes_without_waiting(oid[]),
  groundskeeper_internal.measured_bloat(oid[], bigint[]),
  groundskeeper_internal.unwatched_tables(),
  groundskeeper_internal.estimated_bloat(oid[], bigint[]),
  groundskeeper_internal.estimated_index_bloat(oid[], bigint[])
TO pg_monitor;

GRANT SELECT ON
  monitoring.connection_stats, monitoring.slow_queries, monitoring.table_bloat, monitoring.index_bloat, monitoring.index_health,
  monitoring.unused_indexes, groundskeeper.index_observation
TO pg_monitor;

-- On a schema that was there before us a grant from this script would not be dumped: prerequisites() names it.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_depend
              WHERE classid = 'pg_catalog.pg_namespace'::regclass AND deptype = 'e'
                AND objid = 'monitoring'::regnamespace) THEN
    GRANT USAGE ON SCHEMA monitoring TO pg_monitor;
  END IF;
END
$$;
