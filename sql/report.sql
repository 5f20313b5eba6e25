-- The performance report, and who may ask for it: it is read with the rights of whoever asks.

CREATE FUNCTION groundskeeper.performance_report(since interval DEFAULT '24 hours', compared_with timestamptz DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN groundskeeper_internal.performance_report(performance_report.since, performance_report.compared_with)::jsonb;

GRANT EXECUTE ON FUNCTION groundskeeper.performance_report(interval, timestamptz),
    groundskeeper_internal.performance_report(interval, timestamptz),
    groundskeeper.performance_report_html(interval, timestamptz) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.performance_report(interval, timestamptz) IS 'How the database did since then, and what follows, as data; compared_with is where another interval of the same length ends';
COMMENT ON FUNCTION groundskeeper_internal.performance_report(interval, timestamptz) IS 'The text of groundskeeper.performance_report()';
COMMENT ON FUNCTION groundskeeper.performance_report_html(interval, timestamptz) IS 'The same as a page of HTML: one line, at most 300 kB, no script and nothing from elsewhere; psql -XAtqc "SELECT groundskeeper.performance_report_html()" > report.html';
