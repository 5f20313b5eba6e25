-- Every relation that is looked after, with what autovacuum would judge it by. $1: the plan's; $2: the caller.
WITH looked_after (relation, ordinal) AS (
    SELECT r, o FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS plan (r, o)
    UNION ALL
    SELECT relation, 1000 FROM groundskeeper.maintained_relations
    UNION ALL
    SELECT parent, 1001 FROM groundskeeper.managed_tables
),
wanted AS (
    SELECT relation, pg_catalog.min(ordinal) AS ordinal FROM looked_after GROUP BY relation
)
SELECT w.relation, c.oid, c.relkind::text, c.relispopulated,
       m.may_maintain,
       m.may_maintain OR pg_catalog.pg_has_role($2::name, (SELECT d.datdba FROM pg_catalog.pg_database d
                                             WHERE d.datname = pg_catalog.current_database()), 'USAGE') AS may_analyze,
       a.rolname::text AS owner,
       COALESCE(pg_catalog.pg_stat_get_last_analyze_time(c.oid) IS NOT NULL
             OR pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) IS NOT NULL
             OR c.reltuples = 0 AND c.relkind <> 'p'
             OR EXISTS (SELECT FROM pg_catalog.pg_statistic s
                         WHERE s.starelid = c.oid AND s.stainherit = (c.relkind = 'p')), false) AS analyzed,
       COALESCE(pg_catalog.pg_stat_get_mod_since_analyze(c.oid), 0)::double precision AS changes,
       COALESCE(c.reltuples, 0)::double precision AS rows,
       COALESCE(o.base, pg_catalog.current_setting('autovacuum_analyze_threshold')::double precision) AS base,
       COALESCE(o.scale, pg_catalog.current_setting('autovacuum_analyze_scale_factor')::double precision) AS scale,
       s.refreshes, s.seen::text,
       -- A concurrent refresh needs a unique index over plain columns and all rows.
       EXISTS (SELECT FROM pg_catalog.pg_index i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indisready
                  AND i.indpred IS NULL AND i.indexprs IS NULL AND 0 <> ALL (i.indkey::smallint[])) AS has_key
  FROM wanted w
  LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.relation)
  LEFT JOIN pg_catalog.pg_roles a ON a.oid = c.relowner
  LEFT JOIN groundskeeper.relation_seen s ON s.relation_oid = c.oid
  -- The owner's until 16; since 17 a privilege of its own, which the owner has unless it was revoked.
 CROSS JOIN LATERAL (
      SELECT CASE WHEN pg_catalog.current_setting('server_version_num')::integer < 170000
                  THEN pg_catalog.pg_has_role($2::name, c.relowner, 'USAGE')
                  ELSE pg_catalog.has_table_privilege($2::name, c.oid, 'MAINTAIN') END) m (may_maintain)
  LEFT JOIN LATERAL (
      SELECT pg_catalog.max(x.option_value::double precision)
                 FILTER (WHERE x.option_name = 'autovacuum_analyze_threshold' AND x.option_value <> '-1') AS base,
             pg_catalog.max(x.option_value::double precision)
                 FILTER (WHERE x.option_name = 'autovacuum_analyze_scale_factor' AND x.option_value <> '-1') AS scale
        FROM pg_catalog.pg_options_to_table(c.reloptions) x
       WHERE x.option_name IN ('autovacuum_analyze_threshold', 'autovacuum_analyze_scale_factor')) o ON true
 ORDER BY w.ordinal, w.relation
