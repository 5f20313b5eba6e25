-- What clients' sessions wait for, by the hour, from looks that the launcher takes once a second. It tells of this
-- server, so it is not dumped.
CREATE TABLE groundskeeper.wait_sample (
  sampled_hour timestamptz,
  began bigint,
  wait_event_type text,
  wait_event text,
  samples bigint NOT NULL,
  max_sessions integer NOT NULL,
  PRIMARY KEY (sampled_hour, began, wait_event_type, wait_event)
) WITH (fillfactor = 50);

COMMENT ON TABLE groundskeeper.wait_sample IS
  'What record_metrics() has written down of waits that were sampled in this database; pruned after groundskeeper.metrics_retention';
COMMENT ON COLUMN groundskeeper.wait_sample.sampled_hour IS 'The hour, by its beginning';
COMMENT ON COLUMN groundskeeper.wait_sample.began IS 'By which counters: those that began at this moment, with the server';
COMMENT ON COLUMN groundskeeper.wait_sample.wait_event_type IS 'As in pg_stat_activity; CPU for sessions that waited for nothing';
COMMENT ON COLUMN groundskeeper.wait_sample.wait_event IS 'As in pg_stat_activity';
COMMENT ON COLUMN groundskeeper.wait_sample.samples IS 'Sessions that waited so, over all looks';
COMMENT ON COLUMN groundskeeper.wait_sample.max_sessions IS 'The most that one look has found';

COMMENT ON FUNCTION groundskeeper_internal.sampled_waits() IS
  'What was sampled of waits in this database in the last three hours; no rows where the library is not preloaded';


CREATE VIEW monitoring.wait_events WITH (security_invoker) AS
WITH known AS (
  SELECT s.sampled_hour, s.began, s.wait_event_type, s.wait_event, s.samples, s.max_sessions
  FROM groundskeeper.wait_sample s
  -- What a standby finds in the history is the primary's.
  WHERE s.sampled_hour <= clock_timestamp() AND NOT pg_is_in_recovery()
  UNION ALL
  SELECT w.sampled_hour, w.began, w.wait_event_type, w.wait_event, w.samples, w.max_sessions
  FROM groundskeeper_internal.sampled_waits() w
),
-- What is written down of an hour that goes on is part of what its counters say now.
counted AS (
  SELECT k.sampled_hour, k.began, k.wait_event_type, k.wait_event, max(k.samples) AS samples, max(k.max_sessions) AS max_sessions
  FROM known k
  GROUP BY k.sampled_hour, k.began, k.wait_event_type, k.wait_event
)
SELECT
  c.sampled_hour,
  c.wait_event_type,
  c.wait_event,
  sum(c.samples)::bigint AS samples,
  round(sum(c.samples) / sum(sum(c.samples)) OVER (PARTITION BY c.sampled_hour), 4) AS share,
  max(c.max_sessions) AS max_sessions
FROM counted c
GROUP BY c.sampled_hour, c.wait_event_type, c.wait_event
ORDER BY c.sampled_hour DESC, samples DESC, c.wait_event_type, c.wait_event;

COMMENT ON VIEW monitoring.wait_events IS
  'What clients'' sessions of the current database waited for, hour by hour, from looks once a second; empty where the '
  'library is not preloaded, and on a standby';
COMMENT ON COLUMN monitoring.wait_events.sampled_hour IS 'The hour, by its beginning';
COMMENT ON COLUMN monitoring.wait_events.wait_event_type IS
  'As in pg_stat_activity; CPU for sessions that waited for nothing. Idle sessions are not looked at, those in a transaction are';
COMMENT ON COLUMN monitoring.wait_events.wait_event IS 'As in pg_stat_activity';
COMMENT ON COLUMN monitoring.wait_events.samples IS 'Sessions that waited so, over all looks: about as many seconds of waiting';
COMMENT ON COLUMN monitoring.wait_events.share IS 'Of all samples of that hour, from 0 to 1';
COMMENT ON COLUMN monitoring.wait_events.max_sessions IS 'The most that waited so at once';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.sampled_waits() TO pg_monitor;
GRANT SELECT ON groundskeeper.wait_sample, monitoring.wait_events TO pg_monitor;
