-- Members of pg_monitor read the views, with the functions behind them; nobody else does.
GRANT EXECUTE ON FUNCTION
  groundskeeper.statement_statistics(name, boolean, interval),
  groundskeeper.slow_queries(text, name, boolean, interval, integer),
  groundskeeper.relations_locked_by_others(),
  groundskeeper.counting_since(),
  groundskeeper.index_usage(),
  groundskeeper.index_findings(),
  groundskeeper.definitions_without_waiting(oid[]),
  groundskeeper.sizes_without_waiting(oid[]),
  groundskeeper.measured_bloat(oid[], bigint[]),
  groundskeeper.estimated_bloat(oid[], bigint[]),
  groundskeeper.estimated_index_bloat(oid[], bigint[])
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
