-- The same as it is now.
SELECT p.utilization_percent::text,
       1::bigint,
       NULL::interval,
       'connections now',
       format('%s of %s %s', p.used, p.capacity,
              CASE p.measured_against WHEN 'pool' THEN 'pooled connections busy' ELSE 'slots taken' END),
       CASE WHEN p.used IS NULL THEN 'sessions of others are hidden without the rights of pg_monitor' END
  FROM groundskeeper.pool_utilization('0') p
