-- What was sampled in the last hours, as it stands; an hour that goes on is written down again.
INSERT INTO groundskeeper.wait_sample AS s (sampled_hour, began, wait_event_type, wait_event, samples, max_sessions)
SELECT w.sampled_hour, w.began, w.wait_event_type, w.wait_event, w.samples, w.max_sessions
  FROM groundskeeper_internal.sampled_waits() w
    ON CONFLICT (sampled_hour, began, wait_event_type, wait_event) DO UPDATE
   SET samples = excluded.samples, max_sessions = excluded.max_sessions
 WHERE s.samples < excluded.samples
