-- What is to be done about indexes, the most urgent first.
SELECT coalesce(jsonb_agg(to_jsonb(f) - 'place' ORDER BY f.place, f.bytes DESC NULLS LAST, f.relation, f.index), '[]')::text, NULL::text
  FROM (SELECT * FROM (
            SELECT CASE WHEN h.indexname IS NULL THEN 3
                        ELSE array_position('{invalid,duplicate,missing_fk_index,overlapping}', h.kind) END AS place, h.kind,
                   format('%I.%I', h.schemaname, h.tablename) AS relation,
                   CASE WHEN h.indexname IS NOT NULL THEN format('%I.%I', h.schemaname, h.indexname) END AS index,
                   NULL::bigint AS bytes, h.detail, h.fix_sql AS run
              FROM monitoring.index_health h
            UNION ALL
            SELECT 2, 'unused', format('%I.%I', u.schemaname, u.tablename), format('%I.%I', u.schemaname, u.indexname),
                   u.index_bytes, u.evidence, u.drop_sql
              FROM monitoring.unused_indexes u
             WHERE u.verdict = 'unused') a
         ORDER BY a.place, a.bytes DESC NULLS LAST, a.relation, a.index
         LIMIT 60) f
