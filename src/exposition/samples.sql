-- When the last sample was taken, not longer ago than $1.
SELECT 'groundskeeper_last_sample_timestamp_seconds', NULL::jsonb, extract(epoch FROM max(m.sampled_at))::double precision
  FROM groundskeeper.metrics m
 WHERE m.sampled_at > now() - $1::text::interval
HAVING count(*) > 0
