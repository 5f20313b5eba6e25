-- The worst first; tables of which there is no figure behind them.
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'relation', b.relation, 'bytes', b.table_bytes, 'percent', b.bloat_percent, 'method', b.bloat_method,
           'reason', b.bloat_reason,
           'dead_rows', (SELECT pg_stat_get_dead_tuples(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE n.nspname = b.schemaname AND c.relname = b.tablename))
           ORDER BY b.bloat_percent DESC NULLS LAST, b.table_bytes DESC NULLS LAST, b.relation), '[]')::text,
       NULL::text
  FROM (SELECT t.*, format('%I.%I', t.schemaname, t.tablename) AS relation
          FROM monitoring.table_bloat t
         ORDER BY t.bloat_percent DESC NULLS LAST, t.table_bytes DESC NULLS LAST, t.schemaname, t.tablename
         LIMIT 60) b
