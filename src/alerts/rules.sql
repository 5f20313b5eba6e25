-- Rules with how they stood and whether they are silenced; those that are not watched any more without their metric.
SELECT coalesce(r.rule, s.rule), r.metric, r.target, r.comparison, r.fire_threshold, r.clear_threshold,
       (extract(epoch FROM r.fire_after) * 1000000)::bigint, (extract(epoch FROM r.clear_after) * 1000000)::bigint,
       r.min_samples, (extract(epoch FROM r.check_every) * 1000000)::bigint,
       s.state, (extract(epoch FROM s.since) * 1000000)::bigint, (extract(epoch FROM s.good_since) * 1000000)::bigint,
       s.announced, s.value, s.threshold, s.detail, (extract(epoch FROM s.observed_at) * 1000000)::bigint,
       q.rule IS NOT NULL, r.measured_over
  FROM (SELECT * FROM groundskeeper.alert_rules WHERE enabled) r
  FULL JOIN groundskeeper.alert_state s ON s.rule = r.rule
  LEFT JOIN groundskeeper.alert_silences q ON q.rule = coalesce(r.rule, s.rule) AND q.until > pg_catalog.clock_timestamp()
 ORDER BY 1
