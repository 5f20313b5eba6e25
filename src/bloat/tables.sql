-- What groundskeeper_core::bloat::Heap wants to know of each table, as JSON.
SELECT c.oid, json_build_object(
         'page', current_setting('block_size')::integer,
         'fillfactor', coalesce((SELECT o.option_value::integer FROM pg_options_to_table(c.reloptions) o
                                  WHERE o.option_name = 'fillfactor'), 100),
         'pages', greatest(asked.bytes, 0) / current_setting('block_size')::integer,
         -- ANALYZE leaves -1 with a partitioned table
         'relpages', greatest(c.relpages, 0),
         'reltuples', c.reltuples,
         'activity', json_build_object(
           'live', pg_stat_get_live_tuples(c.oid),
           'dead', pg_stat_get_dead_tuples(c.oid),
           'changed', pg_stat_get_mod_since_analyze(c.oid),
           'analyzed', t.analyzed IS NOT NULL,
           'vacuumed_since', coalesce(t.vacuumed > t.analyzed, false),
           'standby', pg_is_in_recovery()),
         'columns', coalesce((
           SELECT json_agg(json_build_object(
                    'name', quote_ident(a.attname),
                    'length', a.attlen,
                    'align', CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END,
                    'short', a.attlen = -2 OR a.attstorage <> 'p',
                    'deviation', CASE WHEN s.stadistinct = 1 THEN 0 ELSE d.deviation END,
                    'not_null', a.attnotnull,
                    'dropped', a.attisdropped,
                    'added', a.atthasmissing,
                    'width', s.stawidth,
                    'null_frac', s.stanullfrac) ORDER BY a.attnum)
             FROM pg_attribute a
             LEFT JOIN pg_statistic s ON s.starelid = c.oid AND s.staattnum = a.attnum AND NOT s.stainherit
             -- The texts that ANALYZE kept say how far lengths lie around their average.
             LEFT JOIN LATERAL (
                  SELECT stddev_pop(octet_length(v)) AS deviation
                    FROM unnest(CASE 2 WHEN s.stakind1 THEN s.stavalues1 WHEN s.stakind2 THEN s.stavalues2
                                       ELSE CASE 1 WHEN s.stakind1 THEN s.stavalues1 END END::text::text[]) v) d
                  ON a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
            WHERE a.attrelid = c.oid AND a.attnum > 0), '[]'))::text
  FROM unnest($1, $2) asked (relation, bytes)
  JOIN pg_class c ON c.oid = asked.relation
 CROSS JOIN LATERAL (
       SELECT greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed,
              greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed) t
