-- The history of metrics: one row per sample, one partition per day (UTC), kept by record_metrics() itself.
--
-- Neither table is dumped: they tell of this server, and a copy begins its own history.

CREATE TABLE groundskeeper.metrics (
    sampled_at timestamptz NOT NULL,
    since timestamptz,
    latency bytea,
    statement_latency bytea,
    connections integer NOT NULL,
    busy_connections integer NOT NULL,
    database_connections integer NOT NULL,
    database_busy_connections integer NOT NULL,
    usable_slots integer NOT NULL,
    heap_blks_hit bigint NOT NULL,
    heap_blks_read bigint NOT NULL,
    idx_blks_hit bigint NOT NULL,
    idx_blks_read bigint NOT NULL,
    xact_commit bigint NOT NULL,
    xact_rollback bigint NOT NULL,
    deadlocks bigint NOT NULL,
    temp_bytes bigint NOT NULL,
    stats_reset timestamptz,
    cost_ms double precision NOT NULL,
    wal_bytes bigint,
    checkpoints_timed bigint,
    checkpoints_requested bigint,
    archive_failures bigint
) PARTITION BY RANGE (sampled_at);
COMMENT ON TABLE groundskeeper.metrics IS 'Samples of what this database and its server do, taken by record_metrics(); pruned after groundskeeper.metrics_retention';
COMMENT ON COLUMN groundskeeper.metrics.sampled_at IS 'When';
COMMENT ON COLUMN groundskeeper.metrics.since IS 'Since when the latency of this row was counted: the sample before, or the start of the server';
COMMENT ON COLUMN groundskeeper.metrics.latency IS 'Histograms of latency since then, by scope, for query_latency(); NULL where the library is not preloaded';
COMMENT ON COLUMN groundskeeper.metrics.statement_latency IS 'The same by query identifier, for statement_latency(); no text';
COMMENT ON COLUMN groundskeeper.metrics.connections IS 'Client backends of the whole server, the sampling one left out';
COMMENT ON COLUMN groundskeeper.metrics.busy_connections IS 'Those of them that were not idle: running something, or in a transaction';
COMMENT ON COLUMN groundskeeper.metrics.database_connections IS 'Client backends of this database, the sampling one left out';
COMMENT ON COLUMN groundskeeper.metrics.database_busy_connections IS 'Those of them that were not idle';
COMMENT ON COLUMN groundskeeper.metrics.usable_slots IS 'Connections that max_connections allows, less the reserved ones';
COMMENT ON COLUMN groundskeeper.metrics.heap_blks_hit IS 'Table blocks found in the buffer cache, of this database''s user tables together; PostgreSQL''s counter as it stood';
COMMENT ON COLUMN groundskeeper.metrics.heap_blks_read IS 'Table blocks read';
COMMENT ON COLUMN groundskeeper.metrics.idx_blks_hit IS 'Index blocks found in the buffer cache';
COMMENT ON COLUMN groundskeeper.metrics.idx_blks_read IS 'Index blocks read';
COMMENT ON COLUMN groundskeeper.metrics.xact_commit IS 'Transactions committed in this database; PostgreSQL''s counter as it stood';
COMMENT ON COLUMN groundskeeper.metrics.xact_rollback IS 'Transactions rolled back';
COMMENT ON COLUMN groundskeeper.metrics.deadlocks IS 'Deadlocks';
COMMENT ON COLUMN groundskeeper.metrics.temp_bytes IS 'Bytes written to temporary files';
COMMENT ON COLUMN groundskeeper.metrics.stats_reset IS 'When PostgreSQL''s counters were last reset';
COMMENT ON COLUMN groundskeeper.metrics.cost_ms IS 'How long taking this sample took';
COMMENT ON COLUMN groundskeeper.metrics.wal_bytes IS 'How far the server had come in its WAL';
COMMENT ON COLUMN groundskeeper.metrics.checkpoints_timed IS 'Checkpoints of the server that their time had come for; PostgreSQL''s counter as it stood';
COMMENT ON COLUMN groundskeeper.metrics.checkpoints_requested IS 'Checkpoints that came before their time, for the WAL that was written or by request';
COMMENT ON COLUMN groundskeeper.metrics.archive_failures IS 'WAL files that could not be archived, each try counted';

-- What of the server is counted where depends on its release.
CREATE FUNCTION groundskeeper_internal.server_counters()
RETURNS TABLE (wal_bytes bigint, checkpoints_timed bigint, checkpoints_requested bigint, checkpoints_since timestamptz,
               archive_failures bigint, backend_fsyncs bigint, fsyncs_since timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  release CONSTANT integer := current_setting('server_version_num')::integer;
BEGIN
  wal_bytes := CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn;
  SELECT a.failed_count INTO archive_failures FROM pg_stat_archiver a;
  IF release >= 170000 THEN
    EXECUTE CASE WHEN pg_is_in_recovery() THEN 'SELECT restartpoints_timed, restartpoints_req, stats_reset FROM pg_catalog.pg_stat_checkpointer'
                 ELSE 'SELECT num_timed, num_requested, stats_reset FROM pg_catalog.pg_stat_checkpointer' END
       INTO checkpoints_timed, checkpoints_requested, checkpoints_since;
  ELSE
    EXECUTE 'SELECT checkpoints_timed, checkpoints_req, stats_reset FROM pg_catalog.pg_stat_bgwriter'
       INTO checkpoints_timed, checkpoints_requested, checkpoints_since;
  END IF;
  IF release >= 160000 THEN
    EXECUTE 'SELECT sum(fsyncs)::bigint, max(stats_reset) FROM pg_catalog.pg_stat_io WHERE backend_type = $1'
       INTO backend_fsyncs, fsyncs_since USING 'client backend';
  ELSE
    EXECUTE 'SELECT buffers_backend_fsync, stats_reset FROM pg_catalog.pg_stat_bgwriter' INTO backend_fsyncs, fsyncs_since;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.server_counters() IS
  'One row of PostgreSQL''s counters of the whole server, as its release has them';
GRANT EXECUTE ON FUNCTION groundskeeper_internal.server_counters() TO pg_monitor;

-- Unlogged, as it describes shared memory, which a crash empties as well.
CREATE UNLOGGED TABLE groundskeeper.latency_mark (
    queryid bigint,
    began bigint NOT NULL,
    marked_at timestamptz NOT NULL,
    counts bytea NOT NULL,
    UNIQUE NULLS NOT DISTINCT (queryid)
) WITH (fillfactor = 50);
COMMENT ON TABLE groundskeeper.latency_mark IS 'How far the latency counters in shared memory had come at the last sample';
COMMENT ON COLUMN groundskeeper.latency_mark.queryid IS 'Of a statement; NULL in the row of all scopes';
COMMENT ON COLUMN groundskeeper.latency_mark.began IS 'Which counters: those that began at this moment';
COMMENT ON COLUMN groundskeeper.latency_mark.marked_at IS 'When they had come that far';
COMMENT ON COLUMN groundskeeper.latency_mark.counts IS 'Histograms of latency since they began';
