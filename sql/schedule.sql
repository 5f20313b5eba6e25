-- What is done when, by whom, and what became of it.

CREATE TABLE groundskeeper.schedule (
    job_name text PRIMARY KEY CHECK (job_name <> '' AND pg_catalog.octet_length(job_name) <= 60),
    schedule text NOT NULL,
    command text NOT NULL,
    scheduler text NOT NULL DEFAULT 'none' CHECK (scheduler IN ('pg_cron', 'launcher', 'none')),
    enabled boolean NOT NULL DEFAULT true,
    timezone text,
    run_as text,
    home text,
    scheduled_at timestamptz,
    CONSTRAINT schedule_valid CHECK (groundskeeper_internal.check_schedule(schedule, timezone)),
    CONSTRAINT schedule_command CHECK (groundskeeper_internal.check_command(command))
);
COMMENT ON TABLE groundskeeper.schedule IS
    'What is done when; call schedule_maintenance() after editing it. One of the plan''s entries that is not wanted is not enabled: deleted, it comes back as the plan states it';
COMMENT ON COLUMN groundskeeper.schedule.job_name IS 'Its name';
COMMENT ON COLUMN groundskeeper.schedule.schedule IS 'Five fields of cron, by the wall clock of its time zone';
COMMENT ON COLUMN groundskeeper.schedule.command IS 'One statement, also a CALL of what commits, run with the rights of run_as: whoever may edit it may do what that role may';
COMMENT ON CONSTRAINT schedule_command ON groundskeeper.schedule IS 'It is one statement; raises an error that says how many there are';
COMMENT ON COLUMN groundskeeper.schedule.scheduler IS 'pg_cron, launcher or none';
COMMENT ON COLUMN groundskeeper.schedule.enabled IS 'Whether it is run at all';
COMMENT ON COLUMN groundskeeper.schedule.timezone IS 'Set by schedule_maintenance()';
COMMENT ON COLUMN groundskeeper.schedule.run_as IS 'The role that called schedule_maintenance()';
COMMENT ON COLUMN groundskeeper.schedule.home IS 'The cluster and database that it was scheduled in; a copy does not run it until groundskeeper.resume()';
COMMENT ON COLUMN groundskeeper.schedule.scheduled_at IS 'When; NULL while it is not scheduled';

CALL groundskeeper_internal.keep_defaults('groundskeeper.schedule', 'job_name');

-- Apart from the entries, as it changes with each run; its pages have room for that. Not dumped.
CREATE TABLE groundskeeper.schedule_run (
    job_name text PRIMARY KEY,
    slot integer GENERATED ALWAYS AS IDENTITY,
    last_run timestamptz,
    last_success timestamptz,
    unfinished boolean NOT NULL DEFAULT false,
    failures integer NOT NULL DEFAULT 0,
    last_error text
) WITH (fillfactor = 50);
COMMENT ON TABLE groundskeeper.schedule_run IS 'What became of the entries of groundskeeper.schedule';
COMMENT ON COLUMN groundskeeper.schedule_run.slot IS 'The number of the lock that its run holds';
COMMENT ON COLUMN groundskeeper.schedule_run.unfinished IS 'A run has begun and has not written down how it ended';

CREATE VIEW groundskeeper.schedule_state AS
SELECT s.job_name, s.schedule, s.command, s.scheduler, s.timezone, s.run_as, s.home, s.scheduled_at,
       s.enabled AND s.scheduled_at IS NOT NULL AND s.home = h.home AS active, r.last_run, r.last_success, l.running,
       -- A run that left its lock without a word was lost. On a standby locks of the primary are not seen.
       COALESCE(r.failures + lost::integer, 0) AS failures,
       CASE WHEN lost THEN 'its run was lost; see the server log' ELSE r.last_error END AS last_error,
       s.enabled AND s.scheduled_at IS NOT NULL AND s.home <> h.home AS copied
  FROM groundskeeper.schedule s
 CROSS JOIN groundskeeper_internal.home() h (home)
  LEFT JOIN groundskeeper.schedule_run r USING (job_name)
 CROSS JOIN LATERAL (
       -- as src/worker/locks.rs takes it
       SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l
                       WHERE l.locktype = 'userlock' AND l.granted AND l.classid::bigint = 1735095139
                         AND l.objid::bigint = r.slot
                         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                            WHERE d.datname = pg_catalog.current_database()))
       -- looked up once: a run may end meanwhile
       OFFSET 0) l (running)
 CROSS JOIN LATERAL (SELECT r.unfinished AND NOT l.running AND NOT pg_catalog.pg_is_in_recovery()) lost (lost);
COMMENT ON VIEW groundskeeper.schedule_state IS 'The entries of the schedule with what became of them, seen live';

-- What pg_cron, the launcher or a system cron calls. The first transaction writes down that the run begins, so that
-- a crash counts as a failure; the second does the work and writes down how it ended. A procedure that commits may
-- not pin its search_path, so every name in it is qualified.
CREATE PROCEDURE groundskeeper_internal.run_one(job_name text, INOUT problem text)
    LANGUAGE plpgsql
AS $$
DECLARE
    command pg_catalog.text;
    kind pg_catalog.text;
    reason pg_catalog.text;
    code pg_catalog.text;
BEGIN
    COMMIT;
    command := groundskeeper_internal.run_step('begin', run_one.job_name);
    COMMIT;
    IF command IS NULL THEN
        RETURN;
    END IF;
    kind := groundskeeper_internal.run_step('hold', run_one.job_name);
    IF kind IS NULL THEN
        RETURN;
    END IF;
    IF kind OPERATOR(pg_catalog.=) 'CALL' THEN
        -- It may commit, as nothing can in EXECUTE: a worker runs it as a statement of its own.
        reason := groundskeeper_internal.run_step('call', run_one.job_name);
    ELSE
        BEGIN
            EXECUTE command;
        EXCEPTION WHEN OTHERS OR query_canceled THEN
            PERFORM groundskeeper_internal.run_step('failed', run_one.job_name);
            GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            reason := pg_catalog.format('%s (%s)', reason, code);
        END;
    END IF;
    PERFORM groundskeeper_internal.run_step('end', run_one.job_name, reason);
    COMMIT;
    IF reason IS NOT NULL THEN
        run_one.problem := pg_catalog.concat_ws('; ', run_one.problem, pg_catalog.format('%s: %s', run_one.job_name, reason));
    END IF;
END
$$;
COMMENT ON PROCEDURE groundskeeper_internal.run_one(text, text) IS 'One run of an entry of the schedule, if it is due; adds to problem why it failed';

CREATE PROCEDURE groundskeeper.run_scheduled(job_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    problem pg_catalog.text;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('run_scheduled');
    CALL groundskeeper_internal.run_one(run_scheduled.job_name, problem);
    IF problem OPERATOR(pg_catalog.<>) '' THEN
        RAISE EXCEPTION 'scheduled maintenance failed' USING DETAIL = problem;
    END IF;
END
$$;
COMMENT ON PROCEDURE groundskeeper.run_scheduled(text) IS 'Runs an entry of the schedule if it is due, and writes down what became of it';

CREATE PROCEDURE groundskeeper.run_overdue()
    LANGUAGE plpgsql
AS $$
DECLARE
    job_name pg_catalog.text;
    problem pg_catalog.text;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('run_overdue');
    COMMIT;
    FOREACH job_name IN ARRAY groundskeeper_internal.overdue_runs() LOOP
        CALL groundskeeper_internal.run_one(job_name, problem);
    END LOOP;
    IF problem OPERATOR(pg_catalog.<>) '' THEN
        RAISE EXCEPTION 'scheduled maintenance failed' USING DETAIL = problem;
    END IF;
END
$$;
COMMENT ON PROCEDURE groundskeeper.run_overdue() IS
    'Makes up for runs that were missed or failed; called every minute by a system cron, it is a scheduler by itself';

-- What became of a relation is its last attempts, whoever made them; one that is dropped, or not looked after any more,
-- fails no more.
CREATE VIEW groundskeeper.failing_relations AS
SELECT f.relation, f.failures, f.failed_at, f.reason, c.relkind = 'm' AS is_view
  FROM (SELECT l.relation, pg_catalog.count(*) AS failures, pg_catalog.max(l.started_at) AS failed_at,
               (pg_catalog.array_agg(l.reason ORDER BY l.started_at DESC))[1] AS reason
          FROM groundskeeper.maintenance_log l
         WHERE l.action = 'failed'
           AND NOT EXISTS (SELECT FROM groundskeeper.maintenance_log later
                            WHERE later.relation = l.relation AND later.started_at > l.started_at AND later.action <> 'failed')
         GROUP BY l.relation) f
 -- by name: to_regclass() raises an error for whom the schema is closed
 CROSS JOIN pg_catalog.parse_ident(f.relation) i (name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = i.name[1]
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = i.name[2]
 WHERE f.relation = ANY (groundskeeper_internal.planned_relations())
    OR EXISTS (SELECT FROM groundskeeper.maintained_relations m WHERE m.relation = f.relation)
    OR EXISTS (SELECT FROM groundskeeper.managed_tables m WHERE m.parent = f.relation);
COMMENT ON VIEW groundskeeper.failing_relations IS
    'Relations whose last attempts in groundskeeper.maintenance_log failed, with how many did in a row';

CREATE VIEW monitoring.maintenance_status AS
SELECT s.job_name AS task, s.scheduler, s.schedule, s.last_run, s.last_success, n.next_run,
       GREATEST(s.failures, f.failures)::integer AS consecutive_failures,
       NULLIF(pg_catalog.concat_ws('; ', w.why, COALESCE(s.last_error, f.reasons)), '') AS last_error,
       s.timezone, s.run_as, s.running,
       w.why IS NOT NULL AND NOT s.copied AS overdue
  FROM groundskeeper.schedule_state s
 CROSS JOIN LATERAL (
       SELECT CASE WHEN s.active THEN
           groundskeeper_internal.next_run(s.schedule, s.timezone, s.scheduled_at, s.last_run, s.failures) END) n (next_run)
 -- A run may succeed while a relation in it fails.
 CROSS JOIN LATERAL (
       SELECT pg_catalog.max(r.failures), pg_catalog.string_agg(r.relation || ': ' || r.reason, '; ' ORDER BY r.relation)
         FROM groundskeeper.failing_relations r
        WHERE s.command ~ '\.update_table_statistics\(') f (failures, reasons)
 -- Who does not see what others do cannot tell whether a launcher is among them.
 CROSS JOIN (
       SELECT sees AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'pg_groundskeeper launcher'),
              sees AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.backend_type ~ '^pg_cron')
         FROM pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') sees) p (launcher_gone, cron_gone)
 CROSS JOIN LATERAL (
       SELECT CASE
              WHEN s.copied THEN 'this database is a copy, which runs nothing until groundskeeper.resume()'
              WHEN NOT s.active OR s.running THEN NULL
              WHEN pg_catalog.pg_is_in_recovery() THEN NULL
              WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = s.run_as)
              THEN pg_catalog.format('role %I does not exist any more: groundskeeper.schedule_maintenance() has it run as another', s.run_as)
              WHEN s.scheduler = 'launcher' AND p.launcher_gone
              THEN 'the launcher of pg_groundskeeper does not run; it comes back within seconds, or the server log says why not'
              WHEN s.scheduler = 'pg_cron' AND p.cron_gone THEN 'pg_cron does not run; the server log says why'
              WHEN n.next_run < pg_catalog.clock_timestamp() - groundskeeper_internal.patience(s.job_name)
              THEN pg_catalog.concat('due since ', pg_catalog.date_trunc('second', n.next_run), ', and not begun: ', CASE s.scheduler
                   WHEN 'launcher' THEN pg_catalog.format('no background worker is free for it; max_worker_processes is %s',
                                                          pg_catalog.current_setting('max_worker_processes'))
                   WHEN 'pg_cron' THEN 'pg_cron has not called it; groundskeeper.schedule_maintenance() enters its jobs anew'
                   ELSE 'nobody has called groundskeeper.run_overdue()' END)
              END) w (why);
COMMENT ON VIEW monitoring.maintenance_status IS 'Scheduled maintenance: when it last ran and succeeded, when it runs next, and what is wrong with it';
COMMENT ON COLUMN monitoring.maintenance_status.task IS 'An entry of groundskeeper.schedule';
COMMENT ON COLUMN monitoring.maintenance_status.scheduler IS 'pg_cron, launcher or none';
COMMENT ON COLUMN monitoring.maintenance_status.schedule IS 'Cron by the wall clock of timezone';
COMMENT ON COLUMN monitoring.maintenance_status.last_run IS 'When its last run began';
COMMENT ON COLUMN monitoring.maintenance_status.last_success IS 'When its last run that succeeded ended';
COMMENT ON COLUMN monitoring.maintenance_status.next_run IS 'When it is due next, a repetition after a failure included; NULL where it is not scheduled';
COMMENT ON COLUMN monitoring.maintenance_status.consecutive_failures IS 'How many runs have failed since the last success, or how often a relation of it has, also by hand';
COMMENT ON COLUMN monitoring.maintenance_status.last_error IS 'Why it does not run, why the last run failed, or which relations fail';
COMMENT ON COLUMN monitoring.maintenance_status.overdue IS 'Whether it does not run as it should';

-- An extension that is dropped cannot take its jobs off pg_cron afterwards.
CREATE FUNCTION groundskeeper_internal.unschedule_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM groundskeeper.schedule WHERE scheduler = 'pg_cron') THEN
        PERFORM groundskeeper_internal.unschedule_if_dropped();
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pg_groundskeeper cannot tell whether it has jobs of pg_cron: %', SQLERRM USING ERRCODE = SQLSTATE;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.unschedule_dropped() IS 'Has pg_cron''s jobs go with the extension';
CREATE EVENT TRIGGER groundskeeper_unschedule ON ddl_command_start WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION groundskeeper_internal.unschedule_dropped();
COMMENT ON EVENT TRIGGER groundskeeper_unschedule IS 'Takes the jobs of the schedule off pg_cron when the extension is dropped';

REVOKE ALL ON groundskeeper.schedule, groundskeeper.schedule_run, groundskeeper.schedule_state, groundskeeper.failing_relations FROM PUBLIC;
GRANT SELECT ON groundskeeper.schedule, monitoring.maintenance_status TO pg_monitor;
GRANT SELECT ON groundskeeper.failing_relations TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper_internal.next_run(text, text, timestamptz, timestamptz, integer),
    groundskeeper_internal.home(), groundskeeper_internal.patience(text) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.schedule_maintenance(text) IS 'Puts the entries of groundskeeper.schedule on pg_cron, else on the launcher; returns what is scheduled where';
COMMENT ON FUNCTION groundskeeper.unschedule_maintenance() IS 'Takes the entries of groundskeeper.schedule off their scheduler';
COMMENT ON FUNCTION groundskeeper_internal.run_step(text, text, text) IS 'One step of groundskeeper_internal.run_one()';
COMMENT ON FUNCTION groundskeeper_internal.overdue_runs() IS 'The entries of the schedule that run as the caller and are overdue';
COMMENT ON FUNCTION groundskeeper.prune_history() IS 'Deletes what is older than groundskeeper.job_history from the histories; how many rows';
COMMENT ON FUNCTION groundskeeper_internal.check_schedule(text, text) IS 'True for a schedule and a time zone that can be followed; raises an error that says what is wrong otherwise';
COMMENT ON FUNCTION groundskeeper_internal.next_run(text, text, timestamptz, timestamptz, integer) IS 'When an entry of the schedule is due next, given when it was scheduled, when it last ran, and how many runs have failed in a row';
COMMENT ON FUNCTION groundskeeper_internal.check_command(text) IS 'True for one statement; raises an error that says what is wrong otherwise';
COMMENT ON FUNCTION groundskeeper_internal.home() IS 'Which cluster and database this is, as a copy''s rows say of where they came from';
COMMENT ON FUNCTION groundskeeper_internal.patience(text) IS 'How late an entry of the schedule may be before that is said';
COMMENT ON FUNCTION groundskeeper_internal.unschedule_if_dropped() IS 'Has pg_cron''s jobs for this database removed if the extension is gone when the transaction commits';
