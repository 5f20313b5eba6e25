-- What is watched, what became of it, and who is not to be told of it.

CREATE TABLE groundskeeper.alert_rules (
    rule text PRIMARY KEY CHECK (rule <> '' AND pg_catalog.octet_length(rule) <= 60),
    metric text NOT NULL,
    target text CHECK (pg_catalog.octet_length(target) <= 200),
    comparison text NOT NULL,
    fire_threshold numeric,
    clear_threshold numeric,
    fire_after interval NOT NULL DEFAULT '0',
    clear_after interval NOT NULL DEFAULT '0',
    min_samples bigint NOT NULL DEFAULT 0,
    enabled boolean NOT NULL DEFAULT true,
    check_every interval NOT NULL DEFAULT '0',
    CONSTRAINT alert_rules_valid CHECK (groundskeeper_internal.check_alert_rule(
        metric, target, comparison, fire_threshold, clear_threshold, fire_after, clear_after, min_samples, check_every))
);
COMMENT ON TABLE groundskeeper.alert_rules IS
    'What check_alerts() watches. One of the plan''s rules that is not wanted is not enabled: deleted, it comes back as the plan states it';
COMMENT ON COLUMN groundskeeper.alert_rules.rule IS 'Its name';
COMMENT ON COLUMN groundskeeper.alert_rules.metric IS 'One of the six KPIs, or what docs/kpis.md lists';
COMMENT ON COLUMN groundskeeper.alert_rules.target IS 'The one thing that it watches; NULL for all';
COMMENT ON COLUMN groundskeeper.alert_rules.comparison IS 'On which side of fire_threshold a value is bad: > or <';
COMMENT ON COLUMN groundskeeper.alert_rules.fire_threshold IS 'A value beyond it is bad; NULL takes the target of the KPI';
COMMENT ON COLUMN groundskeeper.alert_rules.clear_threshold IS
    'A value that comes back to it is good again; NULL is fire_threshold, for a KPI that takes its target a tenth of the way from there to perfect';
COMMENT ON COLUMN groundskeeper.alert_rules.fire_after IS 'How long it must be bad before it fires';
COMMENT ON COLUMN groundskeeper.alert_rules.clear_after IS 'How long it must be good before it clears';
COMMENT ON COLUMN groundskeeper.alert_rules.min_samples IS 'With fewer samples there is no data; a KPI has a floor of its own in kpi_targets';
COMMENT ON COLUMN groundskeeper.alert_rules.enabled IS 'Whether it is watched at all';
COMMENT ON COLUMN groundskeeper.alert_rules.check_every IS 'How often it is measured: at each check, or less often where measuring is dear';
COMMENT ON CONSTRAINT alert_rules_valid ON groundskeeper.alert_rules IS 'The rule makes sense; raises an error that says what is wrong';

CALL groundskeeper_internal.keep_defaults('groundskeeper.alert_rules', 'rule');

-- What follows tells of this server and is not dumped: a copy begins anew. One row per rule, written only when it
-- changes, in pages with room for that.
CREATE TABLE groundskeeper.alert_state (
    rule text PRIMARY KEY,
    target text,
    state text NOT NULL,
    since timestamptz NOT NULL,
    good_since timestamptz,
    announced boolean NOT NULL,
    value numeric,
    threshold numeric,
    detail text,
    observed_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE groundskeeper.alert_state IS 'How each rule stood at the last check; groundskeeper.alerts shows it';
COMMENT ON COLUMN groundskeeper.alert_state.good_since IS 'While firing: since when all has been good';
COMMENT ON COLUMN groundskeeper.alert_state.announced IS 'Whether listeners were last told that it fires';
COMMENT ON COLUMN groundskeeper.alert_state.observed_at IS 'When it was measured last, of a rule that is not measured at each check';

CREATE TABLE groundskeeper.alert_check (
    checked_at timestamptz NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE groundskeeper.alert_check IS 'When check_alerts() last ran, in one row';

CREATE TABLE groundskeeper.alert_history (
    happened_at timestamptz NOT NULL,
    rule text NOT NULL,
    target text,
    state text NOT NULL,
    value numeric,
    threshold numeric,
    detail text
);
CREATE INDEX ON groundskeeper.alert_history (happened_at);
COMMENT ON TABLE groundskeeper.alert_history IS
    'Each time that an alert fired, was resolved, or had data again or no more; pruned after groundskeeper.job_history';
COMMENT ON COLUMN groundskeeper.alert_history.state IS 'The state that it entered';

CREATE TABLE groundskeeper.alert_silences (
    rule text PRIMARY KEY,
    until timestamptz NOT NULL,
    reason text NOT NULL,
    silenced_by text NOT NULL,
    silenced_at timestamptz NOT NULL
);
COMMENT ON TABLE groundskeeper.alert_silences IS 'Whom silence_alert() has silenced; DELETE a row to end it early';

CREATE VIEW groundskeeper.alerts WITH (security_barrier) AS
SELECT r.rule, r.target,
       CASE WHEN h.overdue THEN 'firing' ELSE COALESCE(s.state, 'no_data') END AS state,
       CASE WHEN h.overdue THEN h.silent_for ELSE s.value END AS value,
       COALESCE(s.threshold, r.fire_threshold) AS threshold,
       CASE WHEN h.overdue AND s.state IS DISTINCT FROM 'firing'
            THEN c.checked_at + pg_catalog.make_interval(secs => r.fire_threshold::double precision)
            ELSE s.since END AS since,
       pg_catalog.concat(
           CASE WHEN h.overdue THEN 'check_alerts() has not run since ' || c.checked_at
                WHEN s.rule IS NULL THEN 'not checked yet: call groundskeeper.check_alerts()' ELSE s.detail END,
           CASE WHEN q.rule IS NOT NULL THEN
               pg_catalog.format(' (silenced until %s by %s: %s)', q.until, q.silenced_by, q.reason) END) AS detail
  FROM groundskeeper.alert_rules r
  LEFT JOIN groundskeeper.alert_state s USING (rule)
  LEFT JOIN groundskeeper.alert_silences q ON q.rule = r.rule AND q.until > pg_catalog.clock_timestamp()
  LEFT JOIN groundskeeper.alert_check c ON true
 -- The one that nobody would raise if checks have stopped.
 CROSS JOIN LATERAL (
       SELECT r.metric = 'heartbeat_seconds' AND a.silent_for > r.fire_threshold AS overdue, a.silent_for
         FROM (SELECT pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - c.checked_at))) a (silent_for)) h
 WHERE r.enabled
 ORDER BY pg_catalog.array_position('{firing,pending,no_data,resolved}'::text[], COALESCE(s.state, 'no_data')), r.rule;
COMMENT ON VIEW groundskeeper.alerts IS
    'How each rule stood at the last check; that of the heartbeat also while no check runs';
COMMENT ON COLUMN groundskeeper.alerts.rule IS 'The rule';
COMMENT ON COLUMN groundskeeper.alerts.target IS 'The one thing that it watches; NULL for all';
COMMENT ON COLUMN groundskeeper.alerts.state IS
    'ok; pending (bad, not for long enough); firing; resolved (cleared within the hour); no_data';
COMMENT ON COLUMN groundskeeper.alerts.value IS 'What was measured';
COMMENT ON COLUMN groundskeeper.alerts.threshold IS 'Beyond which the value is bad';
COMMENT ON COLUMN groundskeeper.alerts.since IS 'Since when it is in this state';
COMMENT ON COLUMN groundskeeper.alerts.detail IS 'What is wrong, or why there is no data; no text of statements';

REVOKE ALL ON groundskeeper.alert_rules, groundskeeper.alert_state, groundskeeper.alert_check, groundskeeper.alert_history,
    groundskeeper.alert_silences, groundskeeper.alerts FROM PUBLIC;
GRANT SELECT ON groundskeeper.alert_rules, groundskeeper.alert_history, groundskeeper.alert_silences, groundskeeper.alerts
    TO pg_monitor;
-- It only computes.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.check_alert_rule(text, text, text, numeric, numeric, interval, interval, bigint, interval)
    TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.check_alerts() IS
    'Measures what the rules watch, and tells who listens on groundskeeper_alerts what has begun or ceased to fire; to be called once a minute';
COMMENT ON FUNCTION groundskeeper.silence_alert(text, timestamptz, text) IS
    'Tells listeners nothing of a rule until then; what still fires then is told then';
COMMENT ON FUNCTION groundskeeper_internal.check_alert_rule(text, text, text, numeric, numeric, interval, interval, bigint, interval) IS
    'True for a rule that makes sense; raises an error that says what is wrong otherwise';
