-- How the rules stood when they were checked last.
SELECT 'groundskeeper_last_alert_check_timestamp_seconds', NULL::jsonb, extract(epoch FROM c.checked_at)::double precision FROM groundskeeper.alert_check c
UNION ALL
SELECT n.name, jsonb_build_object('rule', r.rule), n.value
  FROM (SELECT rule, state FROM groundskeeper.alerts ORDER BY state = 'firing' DESC, rule LIMIT 100) r
 CROSS JOIN LATERAL (VALUES ('groundskeeper_alert_firing', (r.state = 'firing')::integer),
                            ('groundskeeper_alert_without_data', (r.state = 'no_data')::integer)) n (name, value)
UNION ALL
SELECT 'groundskeeper_series_dropped', NULL, greatest(count(*) - 100, 0) * 2 FROM groundskeeper.alerts
