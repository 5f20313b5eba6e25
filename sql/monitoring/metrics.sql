-- Metrics for monitoring systems, as rows and as text.

CREATE VIEW monitoring.metrics WITH (security_invoker) AS
SELECT m.name, m.kind, m.labels::jsonb AS labels, m.value, m.help FROM groundskeeper_internal.metrics() m;

COMMENT ON VIEW monitoring.metrics IS
  'Metrics for monitoring systems, the same as groundskeeper.prometheus_metrics(): at most 2,000 rows, labels are bounded';
COMMENT ON COLUMN monitoring.metrics.name IS 'As Prometheus has it, of a histogram with _bucket, _sum or _count';
COMMENT ON COLUMN monitoring.metrics.kind IS 'counter, gauge or histogram';
COMMENT ON COLUMN monitoring.metrics.labels IS 'What it is about: never a statement';
COMMENT ON COLUMN monitoring.metrics.value IS 'In seconds, bytes, shares of 1, or a number';
COMMENT ON COLUMN monitoring.metrics.help IS 'What it says';
COMMENT ON FUNCTION groundskeeper_internal.metrics() IS 'The rows of monitoring.metrics';
COMMENT ON FUNCTION groundskeeper.prometheus_metrics() IS 'Metrics in the text format 0.0.4 of Prometheus; the view monitoring.metrics has the same as rows';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.metrics(), groundskeeper.prometheus_metrics() TO pg_monitor;
GRANT SELECT ON monitoring.metrics TO pg_monitor;
