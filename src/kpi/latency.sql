SELECT round(l.p95_ms::numeric, 3)::text,
       coalesce(l.calls, 0),
       l.measured_over,
       'histogram of client statements, at most 6.25 % off, exact at 500 ms',
       format('%s of %s statements (%s %%) took 500 ms or longer, %s failed', l.over_slo, l.calls,
              coalesce(round(100.0 * l.over_slo / nullif(l.calls, 0), 1), 0), l.failed),
       CASE WHEN l.calls IS NULL THEN coalesce(groundskeeper_internal.latency_uncounted(), 'latency is not counted')
            WHEN l.calls = 0 THEN 'no statement was counted'
       END
  FROM (VALUES (1)) one
  LEFT JOIN groundskeeper.query_latency($1) l ON l.scope = 'statements'
