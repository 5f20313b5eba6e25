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
    measured_over interval,
    CONSTRAINT alert_rules_valid CHECK (groundskeeper_internal.check_alert_rule(
        metric, target, comparison, fire_threshold, clear_threshold, fire_after, clear_after, min_samples, check_every, measured_over))
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
COMMENT ON COLUMN groundskeeper.alert_rules.measured_over IS
    'The time that a KPI is measured over here; NULL for that of kpi_targets, and for connections as they are now';
COMMENT ON CONSTRAINT alert_rules_valid ON groundskeeper.alert_rules IS 'The rule makes sense; raises an error that says what is wrong';

CALL groundskeeper_internal.keep_defaults('groundskeeper.alert_rules', 'rule');

-- Names are compared as the views show them: schema-qualified, and quoted where they must be.
CREATE FUNCTION groundskeeper_internal.missing_target(metric text, target text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation "char" := (SELECT c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE format('%I.%I', n.nspname, c.relname) = target);
BEGIN
    RETURN CASE missing_target.metric
        WHEN 'unhealthy_partitions' THEN
            CASE WHEN NOT EXISTS (SELECT FROM groundskeeper.managed_tables m WHERE m.parent = target)
                 THEN format('there is no managed table %s', target) END
        WHEN 'failed_jobs' THEN
            CASE WHEN relation IS NULL AND NOT EXISTS (SELECT FROM groundskeeper.job j WHERE j.target = missing_target.target)
                 THEN format('there is no relation %s, and no job on it', target) END
        WHEN 'invalid_indexes' THEN
            CASE WHEN COALESCE(relation NOT IN ('r', 'p', 'm', 't'), true) THEN format('there is no table %s', target) END
        WHEN 'wraparound_distance' THEN
            CASE WHEN NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = target)
                 THEN format('there is no database %I', target) END
        WHEN 'idle_in_transaction_seconds' THEN
            CASE WHEN NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = target) THEN format('there is no role %I', target) END
        WHEN 'overdue_maintenance' THEN
            CASE WHEN NOT EXISTS (SELECT FROM groundskeeper.schedule s WHERE s.job_name = target)
                 THEN format('groundskeeper.schedule has no entry %s', target) END
        WHEN 'failing_views' THEN
            CASE WHEN relation IS DISTINCT FROM 'm' THEN format('there is no materialized view %s', target) END
        WHEN 'failing_relations' THEN
            CASE WHEN COALESCE(relation NOT IN ('r', 'p', 'm'), true)
                 THEN format('there is no table or materialized view %s', target) END
        WHEN 'failed_migration_runs' THEN
            CASE WHEN target <> ALL ('{moneyline,spread,total}') THEN format('there is no market %s', target) END
    END;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.missing_target(text, text) IS
    'Why there is nothing that a rule with this target could watch; NULL where there is';

-- Watching nothing, a rule would be taken for one that finds nothing wrong. What a dump carries may come before that which
-- it watches, or without: it is taken as it is, and has no data until then. pg_dump says so of its scripts.
CREATE FUNCTION groundskeeper_internal.refuse_missing_target() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing text;
BEGIN
    IF NEW.target IS NOT NULL AND current_setting('check_function_bodies')::boolean
       AND (TG_OP = 'INSERT' OR (OLD.metric, OLD.target) IS DISTINCT FROM (NEW.metric, NEW.target)) THEN
        missing := groundskeeper_internal.missing_target(NEW.metric, NEW.target);
    END IF;
    IF missing IS NOT NULL THEN
        RAISE undefined_object USING MESSAGE = format('alert rule "%s" would watch nothing', NEW.rule), DETAIL = initcap(left(missing, 1)) || substr(missing, 2) || '.',
            HINT = 'Name it as the views show it: a relation with its schema, quoted where it must be.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.refuse_missing_target() IS 'Trigger: refuses a rule on what does not exist';
CREATE TRIGGER refuse_missing_target BEFORE INSERT OR UPDATE OF metric, target ON groundskeeper.alert_rules
    FOR EACH ROW EXECUTE FUNCTION groundskeeper_internal.refuse_missing_target();
COMMENT ON TRIGGER refuse_missing_target ON groundskeeper.alert_rules IS 'Refuses a rule on what does not exist';

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

-- What nobody would raise if checks have stopped, or have never begun though they are scheduled: how long they have, and
-- what of the schedule is late.
CREATE VIEW groundskeeper.silence AS
SELECT c.since, c.checked_at IS NOT NULL AS checked,
       pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - c.since)) AS seconds
  FROM (SELECT k.checked_at,
               COALESCE(k.checked_at, (SELECT pg_catalog.min(s.scheduled_at) FROM groundskeeper.schedule_state s
                                        WHERE s.active AND s.command ~ '\.check_alerts\(')) AS since
          FROM (SELECT pg_catalog.max(checked_at) AS checked_at FROM groundskeeper.alert_check) k) c;
COMMENT ON VIEW groundskeeper.silence IS 'For how long check_alerts() has not run, in one row';

CREATE VIEW groundskeeper.alerts WITH (security_barrier) AS
-- While checks run, they say this. Looked up once, and not for each rule, of which the planner expects hundreds.
WITH late AS MATERIALIZED (
    SELECT t.task, t.next_run, t.last_error FROM monitoring.maintenance_status t
     WHERE (SELECT c.seconds > 75 FROM groundskeeper.silence c) AND t.overdue)
SELECT r.rule, r.target,
       CASE WHEN h.fires THEN 'firing' ELSE COALESCE(s.state, 'no_data') END AS state,
       CASE WHEN h.fires THEN h.value ELSE s.value END AS value,
       COALESCE(s.threshold, r.fire_threshold) AS threshold,
       CASE WHEN h.fires AND s.state IS DISTINCT FROM 'firing' THEN h.since ELSE s.since END AS since,
       pg_catalog.concat(
           CASE WHEN h.fires THEN h.detail
                WHEN s.rule IS NULL THEN 'not checked yet: call groundskeeper.check_alerts()' ELSE s.detail END,
           CASE WHEN q.rule IS NOT NULL THEN
               pg_catalog.format(' (silenced until %s by %s: %s)', q.until, q.silenced_by, q.reason) END) AS detail
  FROM groundskeeper.alert_rules r
  LEFT JOIN groundskeeper.alert_state s USING (rule)
  LEFT JOIN groundskeeper.alert_silences q ON q.rule = r.rule AND q.until > pg_catalog.clock_timestamp()
 CROSS JOIN groundskeeper.silence c
  LEFT JOIN LATERAL (
       SELECT c.seconds > r.fire_threshold, c.seconds,
              c.since + pg_catalog.make_interval(secs => r.fire_threshold::double precision),
              CASE WHEN c.checked THEN 'check_alerts() has not run since ' || c.since
                   ELSE 'check_alerts() has never run, and is scheduled since ' || c.since END
        WHERE r.metric = 'heartbeat_seconds'
       UNION ALL
       SELECT m.late > r.fire_threshold, m.late, m.since, 'late: ' || m.words
         FROM (SELECT pg_catalog.count(*) AS late, pg_catalog.min(t.next_run) AS since,
                      pg_catalog.string_agg(pg_catalog.format('%s (%s)', t.task, t.last_error), ', ' ORDER BY t.task) AS words
                 FROM late t WHERE r.target IS NULL OR t.task = r.target) m
        WHERE r.metric = 'overdue_maintenance') h (fires, value, since, detail) ON true
 WHERE r.enabled
 ORDER BY pg_catalog.array_position('{firing,pending,no_data,resolved}'::text[],
                                    CASE WHEN h.fires THEN 'firing' ELSE COALESCE(s.state, 'no_data') END), r.rule;
COMMENT ON VIEW groundskeeper.alerts IS
    'How each rule stood at the last check; the heartbeat and late maintenance also while no check runs';
COMMENT ON COLUMN groundskeeper.alerts.rule IS 'The rule';
COMMENT ON COLUMN groundskeeper.alerts.target IS 'The one thing that it watches; NULL for all';
COMMENT ON COLUMN groundskeeper.alerts.state IS
    'ok; pending (bad, not for long enough); firing; resolved (cleared within the hour); no_data';
COMMENT ON COLUMN groundskeeper.alerts.value IS 'What was measured';
COMMENT ON COLUMN groundskeeper.alerts.threshold IS 'Beyond which the value is bad';
COMMENT ON COLUMN groundskeeper.alerts.since IS 'Since when it is in this state';
COMMENT ON COLUMN groundskeeper.alerts.detail IS 'What is wrong, or why there is no data; no text of statements';

REVOKE ALL ON groundskeeper.alert_rules, groundskeeper.alert_state, groundskeeper.alert_check, groundskeeper.alert_history,
    groundskeeper.alert_silences, groundskeeper.alerts, groundskeeper.silence FROM PUBLIC;
GRANT SELECT ON groundskeeper.alert_rules, groundskeeper.alert_history, groundskeeper.alert_silences, groundskeeper.alerts
    TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper_internal.missing_target(text, text) TO pg_monitor;
-- It only computes.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.check_alert_rule(text, text, text, numeric, numeric, interval, interval, bigint, interval, interval)
    TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.check_alerts() IS
    'Measures what the rules watch, and tells who listens on groundskeeper_alerts what has begun or ceased to fire; to be called once a minute';
COMMENT ON FUNCTION groundskeeper.silence_alert(text, timestamptz, text) IS
    'Tells listeners nothing of a rule until then; what still fires then is told then';
COMMENT ON FUNCTION groundskeeper_internal.check_alert_rule(text, text, text, numeric, numeric, interval, interval, bigint, interval, interval) IS
    'True for a rule that makes sense; raises an error that says what is wrong otherwise';
