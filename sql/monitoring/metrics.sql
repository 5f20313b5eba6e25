-- Metrics for monitoring systems, as rows and as text.

CREATE VIEW monitoring.metrics WITH (security_invoker) AS
SELECT m.name, m.kind, s.sample -> 'labels' AS labels, (s.sample ->> 'value')::double precision AS value, m.help
  FROM groundskeeper_internal.metric_names() m
 CROSS JOIN LATERAL jsonb_array_elements(groundskeeper_internal.metrics(m.name)::jsonb) s (sample);

COMMENT ON VIEW monitoring.metrics IS
  'Metrics for monitoring systems, the same as groundskeeper.prometheus_metrics(): at most 2,000 rows, labels are bounded';
COMMENT ON COLUMN monitoring.metrics.name IS 'As Prometheus has it, of a histogram with _bucket, _sum or _count';
COMMENT ON COLUMN monitoring.metrics.kind IS 'counter, gauge or histogram';
COMMENT ON COLUMN monitoring.metrics.labels IS 'What it is about: never a statement';
COMMENT ON COLUMN monitoring.metrics.value IS 'In seconds, bytes, shares of 1, or a number';
COMMENT ON COLUMN monitoring.metrics.help IS 'What it says';
COMMENT ON FUNCTION groundskeeper_internal.metric_names() IS 'What monitoring.metrics may have rows of';
COMMENT ON FUNCTION groundskeeper_internal.metrics(text) IS 'The samples of one name as an array of JSON: reads what that name asks for';
COMMENT ON FUNCTION groundskeeper.prometheus_metrics() IS 'Metrics in the text format 0.0.4 of Prometheus; the view monitoring.metrics has the same as rows';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.metric_names(), groundskeeper_internal.metrics(text),
    groundskeeper.prometheus_metrics() TO pg_monitor;
GRANT SELECT ON monitoring.metrics TO pg_monitor;
