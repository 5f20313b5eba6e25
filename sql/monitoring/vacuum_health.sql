-- What dead rows and old transaction numbers there are, and what keeps VACUUM from doing away with them.
CREATE FUNCTION groundskeeper_internal.horizon_holders()
RETURNS TABLE (holder text, xmin_age integer, catalogs_only boolean, way_out text, is_stuck boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT h.holder, h.xmin_age, h.catalogs_only, h.way_out, h.is_stuck
    FROM (
      -- A walsender's is its standby's, or its slot's.
      SELECT format('transaction of process %s (%s, role %s)', a.pid, coalesce(a.state, a.backend_type), coalesce(quote_ident(a.usename), 'none')),
             greatest(age(a.backend_xmin), age(a.backend_xid)), false,
             format(CASE WHEN a.state IN ('active', 'fastpath function call') THEN 'SELECT pg_catalog.pg_cancel_backend(%s)'
                         ELSE 'SELECT pg_catalog.pg_terminate_backend(%s)' END, a.pid),
             a.xact_start < clock_timestamp() - interval '5 minutes'
        FROM pg_stat_activity a
       WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type <> 'walsender'
      UNION ALL
      SELECT format('prepared transaction %s', quote_literal(p.gid)), age(p.transaction), false, format('ROLLBACK PREPARED %L', p.gid),
             p.prepared < clock_timestamp() - interval '5 minutes'
        FROM pg_prepared_xacts p
       WHERE p.database = current_database()
      UNION ALL
      SELECT format('standby feedback of %s', coalesce(nullif(quote_ident(r.application_name), '""'), r.client_addr::text, 'a standby')),
             age(r.backend_xmin), false, NULL, false
        FROM pg_stat_replication r
      UNION ALL
      SELECT format('replication slot %I%s', s.slot_name, CASE WHEN s.active THEN '' ELSE ', which nobody uses' END),
             age(x.xmin), x.catalogs_only,
             CASE WHEN NOT s.active THEN format('SELECT pg_catalog.pg_drop_replication_slot(%L)', s.slot_name) END, NOT s.active
        FROM pg_replication_slots s
       CROSS JOIN LATERAL (VALUES (s.xmin, false), (s.catalog_xmin, true)) x (xmin, catalogs_only)
       WHERE s.database IS NULL OR s.database = current_database() OR NOT x.catalogs_only
    ) h (holder, xmin_age, catalogs_only, way_out, is_stuck)
   WHERE h.xmin_age > 0
$$;

COMMENT ON FUNCTION groundskeeper_internal.horizon_holders() IS
  'What may still see rows that are dead to everybody else: transactions of this database, prepared ones, standbys with '
  'feedback, replication slots; how many transactions back, what ends it, and whether it has gone on for so long or is nobody''s';


CREATE VIEW monitoring.vacuum_health WITH (security_invoker) AS
WITH holders AS MATERIALIZED (
  SELECT h.* FROM groundskeeper_internal.horizon_holders() h
),
oldest AS (
  SELECT o.holder, o.xmin_age, CASE WHEN o.is_stuck THEN o.way_out END AS way_out, c.holder AS catalog_holder
  FROM (VALUES (1)) one
  LEFT JOIN (SELECT * FROM holders WHERE NOT catalogs_only ORDER BY xmin_age DESC, holder LIMIT 1) o ON true
  LEFT JOIN (SELECT * FROM holders WHERE catalogs_only ORDER BY xmin_age DESC, holder LIMIT 1) c
    ON c.xmin_age > coalesce(o.xmin_age, 0)
),
fact AS (
  SELECT n.nspname, c.relname, c.relkind, n.nspname = 'pg_catalog' AS is_catalog,
    pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
    pg_stat_get_last_vacuum_time(c.oid) AS vacuumed, pg_stat_get_last_autovacuum_time(c.oid) AS autovacuumed,
    greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed,
    greatest(age(c.relfrozenxid), age(t.relfrozenxid)) AS xid_age,
    -- An anti-wraparound VACUUM comes by either kind of number; a table may bring it forward, not put it off.
    least(least(o.freeze, current_setting('autovacuum_freeze_max_age')::integer)
            - greatest(age(c.relfrozenxid), age(t.relfrozenxid)),
          least(o.multixact_freeze, current_setting('autovacuum_multixact_freeze_max_age')::integer)
            - greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid))) AS freeze_distance,
    coalesce(o.enabled, true) AND current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS automatic,
    o.enabled IS FALSE AS switched_off,
    format('%I.%I', n.nspname, c.relname) AS quoted
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid AND t.relkind = 't'
  CROSS JOIN LATERAL (
    SELECT min(x.option_value::integer) FILTER (WHERE x.option_name = 'autovacuum_freeze_max_age') AS freeze,
      min(x.option_value::integer) FILTER (WHERE x.option_name = 'autovacuum_multixact_freeze_max_age') AS multixact_freeze,
      bool_and(x.option_value::boolean) FILTER (WHERE x.option_name = 'autovacuum_enabled') AS enabled
    FROM pg_catalog.pg_options_to_table(c.reloptions) x
    WHERE x.option_name LIKE 'autovacuum%') o
  WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('information_schema', 'groundskeeper', 'groundskeeper_internal')
),
judged AS (
  SELECT f.*,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE f.dead END AS dead_rows,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE round(100.0 * f.dead / nullif(f.live + f.dead, 0), 1) END AS dead_percent,
    f.dead >= 1000 AND f.dead * 5 >= f.live + f.dead AS is_full_of_dead_rows
  FROM fact f
),
advised AS (
  SELECT j.*,
    -- What is written after the dashes names nothing: whoever runs it runs the statement before them.
    CASE
      WHEN pg_is_in_recovery() THEN NULL
      WHEN o.holder IS NOT NULL AND o.xmin_age >= 1000
           AND (j.freeze_distance < 0 OR j.is_full_of_dead_rows AND greatest(j.vacuumed, j.autovacuumed) IS NOT NULL)
        THEN coalesce(o.way_out || '; ', '') || format('VACUUM %s; -- what holds the horizon back comes first', j.quoted)
      WHEN j.freeze_distance < 0 THEN format('VACUUM (FREEZE) %s; -- autovacuum is overdue', j.quoted)
      WHEN j.is_full_of_dead_rows AND NOT j.switched_off THEN format('VACUUM (ANALYZE) %s; -- many of its rows are dead', j.quoted)
      WHEN j.switched_off THEN format('ALTER %s %s RESET (autovacuum_enabled); -- nobody vacuums it',
                                      CASE j.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, j.quoted)
      WHEN NOT j.automatic THEN 'ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_catalog.pg_reload_conf(); -- nobody vacuums'
      WHEN j.analyzed IS NULL AND j.live >= 1000 THEN format('ANALYZE %s; -- it never was', j.quoted)
    END AS advice
  FROM judged j CROSS JOIN oldest o
)
SELECT
  a.nspname AS schemaname,
  a.relname AS tablename,
  a.dead_rows,
  a.dead_percent,
  a.vacuumed AS last_vacuum,
  a.autovacuumed AS last_autovacuum,
  a.analyzed AS last_analyze,
  a.xid_age,
  a.freeze_distance,
  nullif(concat_ws('; ',
    o.holder || format(': %s transactions back', o.xmin_age),
    'of system catalogs only: ' || o.catalog_holder), '') AS horizon_held_by,
  a.advice
FROM advised a CROSS JOIN oldest o
-- Catalogs are PostgreSQL's to keep, unless something is wrong with one.
WHERE NOT a.is_catalog OR a.freeze_distance < 0 OR a.is_full_of_dead_rows
ORDER BY a.freeze_distance, a.dead_rows DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.vacuum_health IS
  'Dead rows and the age of the oldest transaction number of each table and materialized view of the current database, its '
  'TOAST included; system catalogs where one needs care';
COMMENT ON COLUMN monitoring.vacuum_health.dead_rows IS 'As PostgreSQL counts them; NULL on a standby, which counts none';
COMMENT ON COLUMN monitoring.vacuum_health.dead_percent IS 'Of all rows, dead ones among them';
COMMENT ON COLUMN monitoring.vacuum_health.last_vacuum IS 'The last VACUUM that somebody ran; NULL on a standby, which runs none';
COMMENT ON COLUMN monitoring.vacuum_health.last_autovacuum IS 'The last one of autovacuum';
COMMENT ON COLUMN monitoring.vacuum_health.last_analyze IS 'The last ANALYZE, autovacuum''s included';
COMMENT ON COLUMN monitoring.vacuum_health.xid_age IS 'How many transactions ago its oldest transaction number that is not frozen was given';
COMMENT ON COLUMN monitoring.vacuum_health.freeze_distance IS
  'How many transactions, or multixacts where these are nearer, until autovacuum freezes it whatever the settings; below 0 it is overdue';
COMMENT ON COLUMN monitoring.vacuum_health.horizon_held_by IS
  'What keeps VACUUM from removing rows that died since: the oldest transaction, prepared transaction, replication slot or '
  'standby with feedback; NULL where nothing does';
COMMENT ON COLUMN monitoring.vacuum_health.advice IS 'The statements that help; NULL where none are needed, and on a standby';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.horizon_holders() TO pg_monitor;
GRANT SELECT ON monitoring.vacuum_health TO pg_monitor;
