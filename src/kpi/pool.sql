-- A peak is one of samples: without them there is only this moment.
SELECT p.peak_utilization_percent::text,
       s.samples,
       $1::interval,
       CASE p.measured_against
            WHEN 'pool' THEN 'peak of busy connections against groundskeeper.pool_size'
            ELSE 'peak of all connections against the usable slots; groundskeeper.pool_size is not set' END,
       format('at most %s of %s %s%s, now %s', p.peak_used, p.capacity,
              CASE p.measured_against WHEN 'pool' THEN 'pooled connections busy' ELSE 'slots taken' END,
              CASE WHEN p.peak_used > p.used THEN ' at ' || date_trunc('second', s.peak_at) END, p.used),
       CASE WHEN pg_is_in_recovery() THEN 'a standby keeps no history of its own'
            WHEN p.peak_used IS NULL THEN 'sessions of others are hidden without the rights of pg_monitor'
            WHEN s.samples = 0 THEN 'no samples: groundskeeper.record_metrics() has not run in this time' END
  FROM groundskeeper.pool_utilization($1) p
 CROSS JOIN LATERAL (
       SELECT count(*) AS samples,
              max(m.sampled_at) FILTER (WHERE CASE p.measured_against WHEN 'pool' THEN m.database_busy_connections
                                                                      ELSE m.connections END = p.peak_used) AS peak_at
         FROM groundskeeper.metrics m WHERE m.sampled_at BETWEEN now() - $1 AND clock_timestamp()) s
