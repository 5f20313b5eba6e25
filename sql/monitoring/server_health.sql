-- How the server stands, whatever the database: one row for each thing that has to go on by itself.

-- What it may keep of WAL for standbys and slots before somebody has to know.
CREATE FUNCTION groundskeeper_internal.lag_allowed() RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_size_bytes(coalesce(nullif(nullif(current_setting('groundskeeper.max_replication_lag', true), ''), '-1'), '64MB'))
$$;
COMMENT ON FUNCTION groundskeeper_internal.lag_allowed() IS 'How many bytes a standby may lag behind before that is said';


-- Checkpoints, WAL and temporary files, by what the samples of the last hour say.
CREATE FUNCTION groundskeeper_internal.server_flow()
RETURNS TABLE (component text, value numeric, unit text, status text, detail text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH now AS (
    SELECT c.*, s.sampled_at, s.wal_bytes AS wal_before, s.checkpoints_timed AS timed_before,
           s.checkpoints_requested AS requested_before, s.archive_failures AS failures_before,
           extract(epoch FROM clock_timestamp() - s.sampled_at)::numeric / 3600 AS hours
      FROM groundskeeper_internal.server_counters() c
      -- What a standby finds in the history is the primary's.
      LEFT JOIN LATERAL (
           SELECT m.* FROM groundskeeper.metrics m
            WHERE m.sampled_at BETWEEN clock_timestamp() - interval '1 hour' AND clock_timestamp() AND m.wal_bytes IS NOT NULL
              AND NOT pg_is_in_recovery()
            ORDER BY m.sampled_at LIMIT 1) s ON true
  ),
  checkpoint AS (
    -- A counter that is less than it was has begun anew.
    SELECT x.*, x.timed + x.requested AS all_of_them
      FROM now n
     CROSS JOIN LATERAL (
           SELECT CASE WHEN n.checkpoints_requested >= n.requested_before AND n.checkpoints_timed >= n.timed_before
                       THEN n.checkpoints_timed - n.timed_before ELSE n.checkpoints_timed END AS timed,
                  CASE WHEN n.checkpoints_requested >= n.requested_before AND n.checkpoints_timed >= n.timed_before
                       THEN n.checkpoints_requested - n.requested_before ELSE n.checkpoints_requested END AS requested,
                  CASE WHEN n.checkpoints_requested >= n.requested_before AND n.checkpoints_timed >= n.timed_before
                       THEN n.sampled_at ELSE n.checkpoints_since END AS since) x
  ),
  wal AS (
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL
                -- A minute at least, or the rate is that of a moment.
                WHEN n.wal_bytes >= n.wal_before AND n.hours * 60 >= 1 THEN (n.wal_bytes - n.wal_before) / n.hours
                ELSE w.wal_bytes / nullif(extract(epoch FROM clock_timestamp() - w.stats_reset)::numeric / 3600, 0) END AS bytes,
           CASE WHEN n.wal_bytes >= n.wal_before AND n.hours * 60 >= 1 THEN n.sampled_at ELSE w.stats_reset END AS since
      FROM now n CROSS JOIN pg_stat_wal w
  ),
  temporary AS (
    SELECT m.temp_bytes / greatest(extract(epoch FROM m.measured_over)::numeric / 3600, 1.0 / 60) AS bytes, m.measured_over,
           (SELECT format('; %s files of %s now', count(*), pg_size_pretty(coalesce(sum(t.size), 0)))
              FROM pg_ls_tmpdir() t) AS files
      FROM groundskeeper.metrics_over('1 hour') m
  )
  SELECT 'checkpoints', round(100.0 * requested / nullif(all_of_them, 0), 1), 'percent',
         CASE WHEN requested >= 3 AND requested > timed THEN 'warning' ELSE 'ok' END,
         format('%s of %s came before their time%s', requested, all_of_them,
                coalesce(', since ' || date_trunc('second', since), '')),
         CASE WHEN requested >= 3 AND requested > timed
              THEN format('ALTER SYSTEM SET max_wal_size = %L; SELECT pg_catalog.pg_reload_conf()',
                          pg_size_bytes(current_setting('max_wal_size')) * 2 / 1048576 || 'MB') END
    FROM checkpoint
  UNION ALL
  SELECT 'wal_per_hour', round(bytes), 'bytes',
         CASE WHEN bytes IS NULL THEN 'unknown' ELSE 'ok' END,
         CASE WHEN pg_is_in_recovery() THEN 'a standby writes no WAL'
              ELSE format('%s an hour%s', pg_size_pretty(round(bytes)), coalesce(', since ' || date_trunc('second', since), '')) END,
         NULL
    FROM wal
  UNION ALL
  SELECT 'temporary_files', CASE WHEN NOT pg_is_in_recovery() THEN round(bytes) END, 'bytes per hour',
         CASE WHEN pg_is_in_recovery() OR bytes IS NULL THEN 'unknown' WHEN bytes > 10737418240 THEN 'warning' ELSE 'ok' END,
         CASE WHEN pg_is_in_recovery() THEN 'a standby keeps no history of its own'
              WHEN bytes IS NULL THEN 'two samples are needed: groundskeeper.record_metrics() takes them'
              ELSE format('%s an hour in this database', pg_size_pretty(round(bytes))) END || files,
         CASE WHEN bytes > 10737418240 AND NOT pg_is_in_recovery()
              THEN 'ALTER SYSTEM SET log_temp_files = ''100MB''; SELECT pg_catalog.pg_reload_conf() -- the log names the statements' END
    FROM temporary
  UNION ALL
  SELECT 'backend_fsyncs', backend_fsyncs, 'count',
         CASE WHEN backend_fsyncs IS NULL THEN 'unknown' WHEN backend_fsyncs > 0 THEN 'warning' ELSE 'ok' END,
         'times that a client had to wait for a data file to be on disk'
           || coalesce(', since ' || date_trunc('second', fsyncs_since), ''),
         CASE WHEN backend_fsyncs > 0 THEN 'ALTER SYSTEM SET checkpoint_completion_target = 0.9; SELECT pg_catalog.pg_reload_conf()' END
    FROM now
  UNION ALL
  SELECT 'archiver_failures',
         CASE WHEN current_setting('archive_mode') <> 'off' THEN a.failed_count END, 'count',
         CASE WHEN current_setting('archive_mode') = 'off' THEN 'ok'
              WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity') THEN 'critical'
              WHEN n.archive_failures > n.failures_before THEN 'warning'
              ELSE 'ok' END,
         CASE WHEN current_setting('archive_mode') = 'off' THEN 'archive_mode is off'
              WHEN a.last_failed_time IS NULL THEN 'no WAL file has failed'
              ELSE format('%s failed last, %s; %s', a.last_failed_wal, date_trunc('second', a.last_failed_time),
                          CASE WHEN a.last_archived_time IS NULL THEN 'none was ever archived'
                               ELSE format('%s was archived last, %s', a.last_archived_wal, date_trunc('second', a.last_archived_time)) END) END,
         CASE WHEN current_setting('archive_mode') <> 'off' AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
              THEN 'SHOW archive_command -- the server log says why it fails; WAL stays until it does not' END
    FROM pg_stat_archiver a CROSS JOIN now n
$$;
COMMENT ON FUNCTION groundskeeper_internal.server_flow() IS 'Those rows of monitoring.server_health that are about what is written';


-- Standbys, slots and transactions: what others keep the server from.
CREATE FUNCTION groundskeeper_internal.server_holds()
RETURNS TABLE (component text, value numeric, unit text, status text, detail text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH here AS (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn,
           groundskeeper_internal.lag_allowed() AS allowed
  ),
  standby AS (
    SELECT count(*) AS standbys, max(lag.bytes) AS bytes, bool_and(r.state IS NOT NULL) AS visible,
           (array_agg(format('%s: %s behind%s', coalesce(nullif(quote_ident(r.application_name), '""'), r.client_addr::text, 'a standby'),
                             pg_size_pretty(lag.bytes), ', ' || date_trunc('milliseconds', r.replay_lag))
                      ORDER BY lag.bytes DESC NULLS LAST))[1:5] AS worst
      FROM here CROSS JOIN pg_stat_replication r
     CROSS JOIN LATERAL (SELECT pg_wal_lsn_diff(here.lsn, r.replay_lsn) AS bytes) lag
  ),
  received AS (
    SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS bytes,
           pg_last_xact_replay_timestamp() AS replayed,
           (SELECT count(*) FROM pg_stat_wal_receiver) AS receivers
  ),
  slot AS (
    SELECT s.slot_name, s.active, s.wal_status, greatest(pg_wal_lsn_diff(here.lsn, s.restart_lsn), 0) AS bytes,
           pg_size_bytes(current_setting('max_wal_size')) AS usual
      FROM here CROSS JOIN pg_replication_slots s
     WHERE NOT s.temporary
  ),
  slots AS (
    SELECT count(*) AS slots, max(bytes) AS bytes,
           (array_agg(format('%I: %s%s%s', slot_name, pg_size_pretty(bytes), CASE WHEN NOT active THEN ', used by nobody' END,
                             CASE WHEN wal_status IN ('unreserved', 'lost') THEN ', ' || wal_status END)
                      ORDER BY bytes DESC NULLS LAST, slot_name))[1:5] AS worst,
           bool_or(wal_status IN ('unreserved', 'lost') OR bytes > 10 * usual) AS is_critical,
           bool_or(NOT active OR bytes > usual) AS is_bad,
           (array_agg(slot_name ORDER BY bytes DESC NULLS LAST, slot_name) FILTER (WHERE NOT active))[1] AS idle
      FROM slot
  ),
  prepared AS (
    SELECT count(*) AS transactions, max(extract(epoch FROM clock_timestamp() - p.prepared)) AS seconds,
           (array_agg(format('%L of %s in database %s, %s', p.gid, quote_ident(p.owner), quote_ident(p.database), date_trunc('second', p.prepared))
                      ORDER BY p.prepared))[1] AS oldest,
           (array_agg(p.gid ORDER BY p.prepared))[1] AS gid
      FROM pg_prepared_xacts p
  ),
  began AS (
    SELECT a.pid, a.usename, a.datname, a.state, greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0) AS seconds
      FROM pg_stat_activity a
     WHERE a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type NOT IN ('walsender', 'autovacuum worker')
     ORDER BY a.xact_start
     LIMIT 1
  )
  SELECT 'replication_lag',
         CASE WHEN pg_is_in_recovery() THEN r.bytes ELSE s.bytes END, 'bytes',
         CASE WHEN pg_is_in_recovery() AND r.bytes IS NULL OR NOT s.visible THEN 'unknown'
              WHEN greatest(CASE WHEN pg_is_in_recovery() THEN r.bytes END, s.bytes) > 10 * h.allowed THEN 'critical'
              WHEN greatest(CASE WHEN pg_is_in_recovery() THEN r.bytes END, s.bytes) > h.allowed
                   OR pg_is_in_recovery() AND r.receivers = 0 THEN 'warning'
              ELSE 'ok' END,
         CASE WHEN pg_is_in_recovery()
              THEN format('%s received and not replayed%s%s', coalesce(pg_size_pretty(r.bytes), 'no WAL by streaming'),
                          coalesce('; the last transaction is of ' || date_trunc('second', r.replayed), ''),
                          CASE WHEN r.receivers = 0 THEN '; nothing is being received' END)
              WHEN s.standbys = 0 THEN 'no standby is connected'
              WHEN NOT s.visible THEN 'hidden without the rights of pg_monitor'
              ELSE array_to_string(s.worst, '; ') END,
         CASE WHEN pg_is_in_recovery() AND r.receivers = 0 THEN 'SHOW primary_conninfo -- the server log says why it is not connected'
              WHEN greatest(CASE WHEN pg_is_in_recovery() THEN r.bytes END, s.bytes) > h.allowed
              THEN 'SELECT pid, application_name, state, write_lag, flush_lag, replay_lag FROM pg_catalog.pg_stat_replication' END
    FROM standby s CROSS JOIN received r CROSS JOIN here h
  UNION ALL
  SELECT 'slot_retained_wal', coalesce(bytes, 0), 'bytes',
         CASE WHEN is_critical THEN 'critical' WHEN is_bad THEN 'warning' ELSE 'ok' END,
         CASE WHEN slots = 0 THEN 'there is no replication slot' ELSE array_to_string(worst, '; ') END,
         CASE WHEN idle IS NOT NULL THEN format('SELECT pg_catalog.pg_drop_replication_slot(%L) -- if nobody comes back for it', idle) END
    FROM slots
  UNION ALL
  SELECT 'prepared_transactions', transactions, 'count',
         CASE WHEN seconds > 3600 THEN 'critical' WHEN seconds > 300 THEN 'warning' ELSE 'ok' END,
         CASE WHEN transactions = 0 THEN 'none' ELSE groundskeeper_internal.one_line('the oldest: ' || oldest) END,
         CASE WHEN seconds > 300 THEN format('ROLLBACK PREPARED %L', gid) END
    FROM prepared
  UNION ALL
  SELECT 'oldest_transaction', round(coalesce(b.seconds, 0), 3), 'seconds',
         CASE WHEN b.seconds > 3600 THEN 'critical' WHEN b.seconds > 600 THEN 'warning' ELSE 'ok' END,
         CASE WHEN b.pid IS NULL THEN 'none is open'
              ELSE groundskeeper_internal.one_line(format('process %s, role %s, database %s, %s', b.pid, coalesce(quote_ident(b.usename), 'none'),
                                                              coalesce(quote_ident(b.datname), 'none'), b.state)) END,
         CASE WHEN b.seconds > 600
              THEN format(CASE WHEN b.state = 'active' THEN 'SELECT pg_catalog.pg_cancel_backend(%s)'
                               ELSE 'SELECT pg_catalog.pg_terminate_backend(%s)' END, b.pid) END
    FROM (VALUES (1)) one LEFT JOIN began b ON true
$$;
COMMENT ON FUNCTION groundskeeper_internal.server_holds() IS
  'Those rows of monitoring.server_health that are about standbys, slots and transactions';


CREATE VIEW monitoring.server_health WITH (security_invoker) AS
SELECT h.component, h.value, h.unit, h.status, h.detail, h.remedy
FROM (SELECT * FROM groundskeeper_internal.server_flow()
      UNION ALL SELECT * FROM groundskeeper_internal.server_holds()) h
ORDER BY CASE h.status WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END, h.component;

COMMENT ON VIEW monitoring.server_health IS
  'What of the server has to go on by itself: checkpoints, WAL, standbys, slots, the archiver, transactions that stay open, '
  'temporary files; what is wrong comes first';
COMMENT ON COLUMN monitoring.server_health.component IS
  'One of: archiver_failures, backend_fsyncs, checkpoints, oldest_transaction, prepared_transactions, replication_lag, '
  'slot_retained_wal, temporary_files, wal_per_hour';
COMMENT ON COLUMN monitoring.server_health.value IS 'The figure, of several standbys or slots the worst; NULL where it is not known, or there is nothing to measure';
COMMENT ON COLUMN monitoring.server_health.unit IS 'Of value';
COMMENT ON COLUMN monitoring.server_health.status IS 'ok, warning, critical or unknown';
COMMENT ON COLUMN monitoring.server_health.detail IS 'What it is made up of, or why it is not known';
COMMENT ON COLUMN monitoring.server_health.remedy IS 'The statement to begin with; NULL where none is needed';

GRANT EXECUTE ON FUNCTION
  groundskeeper_internal.lag_allowed(), groundskeeper_internal.server_flow(), groundskeeper_internal.server_holds()
TO pg_monitor;
GRANT SELECT ON monitoring.server_health TO pg_monitor;
