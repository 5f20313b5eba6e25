-- How far the last of those that follow is behind, in bytes and seconds. What makes a copy of the server follows nobody yet.
SELECT pg_catalog.max(GREATEST(pg_catalog.pg_wal_lsn_diff(
           pg_catalog.pg_current_wal_lsn(), COALESCE(r.replay_lsn, r.flush_lsn, r.sent_lsn)), 0))::bigint,
       EXTRACT(epoch FROM pg_catalog.max(r.replay_lag))::double precision
  FROM pg_catalog.pg_stat_replication r
 WHERE r.state IN ('streaming', 'catchup')
