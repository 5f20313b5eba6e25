-- What groundskeeper_core::bloat::BTree wants to know of each index, as JSON.
SELECT c.oid, json_build_object(
         'page', current_setting('block_size')::integer,
         'fillfactor', coalesce((SELECT o.option_value::integer FROM pg_options_to_table(c.reloptions) o
                                  WHERE o.option_name = 'fillfactor'), 90),
         'pages', greatest(asked.bytes, 0) / current_setting('block_size')::integer,
         'partial', i.indpred IS NOT NULL,
         -- Where equal keys need not look the same, or rows come with more than the key, each has its own entry.
         'deduplicates', NOT i.indisunique AND i.indnatts = i.indnkeyatts
           AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
                            WHERE o.option_name = 'deduplicate_items' AND NOT o.option_value::boolean)
           AND NOT EXISTS (
             SELECT FROM unnest(i.indclass::oid[], i.indcollation::oid[]) k (opclass, sorting)
               JOIN pg_opclass p ON p.oid = k.opclass
              WHERE NOT EXISTS (SELECT FROM pg_amproc f
                                 WHERE f.amprocfamily = p.opcfamily AND f.amproclefttype = p.opcintype
                                   AND f.amprocrighttype = p.opcintype AND f.amprocnum = 4)
                 OR EXISTS (SELECT FROM pg_collation l WHERE l.oid = k.sorting AND NOT l.collisdeterministic)),
         'distinct', json_build_object('fewest', least(a.fewest, n.rows), 'most', least(a.most, n.rows)),
         'activity', json_build_object(
           'live', n.rows,
           'dead', pg_stat_get_dead_tuples(i.indrelid),
           'changed', pg_stat_get_mod_since_analyze(i.indrelid),
           'analyzed', t.analyzed IS NOT NULL,
           'vacuumed_since', coalesce(t.vacuumed > t.analyzed, false),
           'standby', pg_is_in_recovery()),
         'columns', a.columns)::text
  FROM unnest($1, $2) asked (relation, bytes)
  JOIN pg_class c ON c.oid = asked.relation
  JOIN pg_index i ON i.indexrelid = c.oid
 CROSS JOIN LATERAL (
       SELECT greatest(pg_stat_get_last_analyze_time(i.indrelid),
                       pg_stat_get_last_autoanalyze_time(i.indrelid)) AS analyzed,
              greatest(pg_stat_get_last_vacuum_time(i.indrelid),
                       pg_stat_get_last_autovacuum_time(i.indrelid)) AS vacuumed) t
 CROSS JOIN LATERAL (SELECT pg_stat_get_live_tuples(i.indrelid)::double precision AS rows) n
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object(
                'name', quote_ident(a.attname),
                'length', a.attlen,
                'align', CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END,
                'short', a.attlen = -2 OR a.attstorage <> 'p',
                'deviation', CASE WHEN s.stadistinct = 1 THEN 0 ELSE e.deviation END,
                'not_null', coalesce(o.attnotnull, false),
                'dropped', false,
                'added', false,
                -- Values of expressions were measured before their headers were shortened.
                'width', s.stawidth - CASE WHEN i.indkey[a.attnum - 1] = 0 AND a.attlen = -1 AND a.attstorage <> 'p'
                                                AND s.stawidth BETWEEN 4 AND 130 THEN 3 ELSE 0 END,
                'null_frac', s.stanullfrac) ORDER BY a.attnum) AS columns,
              max(d.keys) FILTER (WHERE a.attnum <= i.indnkeyatts) AS fewest,
              -- Sums of logarithms: a product of many columns would overflow.
              exp(least(sum(ln(greatest(coalesce(d.keys, n.rows), 1))) FILTER (WHERE a.attnum <= i.indnkeyatts), 700))
                AS most
         FROM pg_attribute a
         -- The statistics of an expression are the index's own.
         LEFT JOIN pg_attribute o ON o.attrelid = i.indrelid AND o.attnum = i.indkey[a.attnum - 1] AND o.attnum > 0
         LEFT JOIN pg_statistic s ON NOT s.stainherit
               AND s.starelid = CASE WHEN i.indkey[a.attnum - 1] = 0 THEN c.oid ELSE i.indrelid END
               AND s.staattnum = CASE WHEN i.indkey[a.attnum - 1] = 0 THEN a.attnum ELSE i.indkey[a.attnum - 1] END
        CROSS JOIN LATERAL (
              SELECT CASE WHEN s.stadistinct > 0 THEN s.stadistinct
                          WHEN s.stadistinct < 0 THEN -s.stadistinct * n.rows END AS keys) d
         -- The texts that ANALYZE kept say how far lengths lie around their average.
         LEFT JOIN LATERAL (
              SELECT stddev_pop(octet_length(v)) AS deviation
                FROM unnest(CASE 2 WHEN s.stakind1 THEN s.stavalues1 WHEN s.stakind2 THEN s.stavalues2
                                   ELSE CASE 1 WHEN s.stakind1 THEN s.stavalues1 END END::text::text[]) v) e
              ON a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
        WHERE a.attrelid = c.oid AND a.attnum > 0) a
