-- What managed tables lack, and what conversions that nobody works on have left on others. The function judges; months are PostgreSQL's only in the end.

CREATE VIEW monitoring.partition_health WITH (security_invoker = true) AS
SELECT h.parent, h.partition_key, h.partitions, h.next_missing_month::date AS next_missing_month, h.default_rows,
       h.gap_count, h.newest_bound, h.status, h.detail, h.capture_backlog,
       h.keys_status, h.conversion, h.problem, h.remedy
  FROM groundskeeper_internal.partition_health() h;

COMMENT ON VIEW monitoring.partition_health IS 'How each managed table stands with its partitions';
COMMENT ON COLUMN monitoring.partition_health.parent IS 'The partitioned table';
COMMENT ON COLUMN monitoring.partition_health.partition_key IS 'The column that it is partitioned by';
COMMENT ON COLUMN monitoring.partition_health.partitions IS 'How many partitions it has, the default one not counted';
COMMENT ON COLUMN monitoring.partition_health.next_missing_month IS
  'The first day of the first period, from the current one on, that has no partition';
COMMENT ON COLUMN monitoring.partition_health.default_rows IS
  'Rows in the default partition: counted, or the server''s estimate where there are many or the caller may not read them';
COMMENT ON COLUMN monitoring.partition_health.gap_count IS 'Periods without a partition between others';
COMMENT ON COLUMN monitoring.partition_health.newest_bound IS 'Where the newest partition ends';
COMMENT ON COLUMN monitoring.partition_health.status IS
  'ok, unknown, or what is wrong: missing, gaps, default_rows, misaligned, never_analyzed, keys, triggers, owner, columns, backlog, conversion';
COMMENT ON COLUMN monitoring.partition_health.capture_backlog IS
  'Changed rows that the former, unpartitioned table of a converted one still lacks; NULL where there is none';
COMMENT ON COLUMN monitoring.partition_health.detail IS 'The same in words, with what helps';
COMMENT ON COLUMN monitoring.partition_health.keys_status IS
  'Whether the keys that are kept apart are those of the rows: exact for up to 100,000 rows, else of a sample of both; unknown, with the reason, where they may not be read; NULL where there are none';
COMMENT ON COLUMN monitoring.partition_health.conversion IS
  'How far the conversion has come, and what its log has; NULL where the table was not converted';
COMMENT ON COLUMN monitoring.partition_health.problem IS 'What is wrong, in words; NULL where nothing is';
COMMENT ON COLUMN monitoring.partition_health.remedy IS 'What helps, in the same order';
COMMENT ON FUNCTION groundskeeper_internal.partition_health() IS 'The rows of monitoring.partition_health';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.partition_health() TO pg_monitor;
GRANT SELECT ON monitoring.partition_health TO pg_monitor;
