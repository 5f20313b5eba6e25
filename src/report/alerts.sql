-- How rules stand, and what happened between $1 and $2, the newest first.
SELECT jsonb_build_object(
           'rules', (SELECT coalesce(jsonb_agg(to_jsonb(a)), '[]') FROM (SELECT * FROM groundskeeper.alerts LIMIT 100) a),
           'history', (SELECT coalesce(jsonb_agg(to_jsonb(h) ORDER BY h.happened_at DESC), '[]')
                         FROM (SELECT e.happened_at, e.rule, e.state, e.value, e.detail
                                 FROM groundskeeper.alert_history e
                                WHERE e.happened_at > $1 AND e.happened_at <= $2
                                ORDER BY e.happened_at DESC LIMIT 60) h))::text,
       NULL::text
