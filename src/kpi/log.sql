SELECT CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'is no table'
            WHEN NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN 'may not be read by ' || CURRENT_USER
            WHEN a.suited < 7 THEN 'its columns are not the pipeline''s' END
  FROM pg_catalog.pg_class c
 CROSS JOIN LATERAL (
       SELECT pg_catalog.count(*) AS suited
         FROM pg_catalog.pg_attribute a
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
        WHERE a.attrelid = c.oid AND NOT a.attisdropped
          AND a.attname IN ('pipeline_stage', 'status', 'records_processed', 'records_successful', 'records_failed',
                            'start_time', 'end_time')) a
 WHERE c.oid = pg_catalog.to_regclass('{log}')
