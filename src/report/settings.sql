-- What the figures rest on, as far as the caller may see it.
SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'value', current_setting(s.name), 'source', s.source)
                          ORDER BY s.name LIKE 'groundskeeper.%' DESC, s.name), '[]')::text,
       NULL::text
  FROM pg_settings s
 WHERE s.name LIKE 'groundskeeper.%'
    OR s.name IN ('shared_buffers', 'effective_cache_size', 'work_mem', 'maintenance_work_mem', 'max_connections',
                  'max_worker_processes', 'autovacuum', 'checkpoint_timeout', 'max_wal_size', 'random_page_cost',
                  'default_statistics_target', 'jit', 'track_io_timing', 'statement_timeout',
                  'idle_in_transaction_session_timeout', 'pg_stat_statements.track', 'pg_stat_statements.max')
