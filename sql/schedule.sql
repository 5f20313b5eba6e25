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
    CONSTRAINT schedule_valid CHECK (groundskeeper.check_schedule(schedule, timezone))
);
COMMENT ON TABLE groundskeeper.schedule IS
    'What is done when; call schedule_maintenance() after editing it. An entry that is not wanted is not enabled: a deleted one of ours would come back with a restore';
COMMENT ON COLUMN groundskeeper.schedule.job_name IS 'Its name';
COMMENT ON COLUMN groundskeeper.schedule.schedule IS 'Five fields of cron, by the wall clock of its time zone';
COMMENT ON COLUMN groundskeeper.schedule.command IS 'One statement, also a CALL of what commits, run with the rights of run_as: whoever may edit it may do what that role may';
COMMENT ON COLUMN groundskeeper.schedule.scheduler IS 'pg_cron, launcher or none';
COMMENT ON COLUMN groundskeeper.schedule.enabled IS 'Whether it is run at all';
COMMENT ON COLUMN groundskeeper.schedule.timezone IS 'Set by schedule_maintenance()';
COMMENT ON COLUMN groundskeeper.schedule.run_as IS 'The role that called schedule_maintenance()';
COMMENT ON COLUMN groundskeeper.schedule.home IS 'The cluster and database that it was scheduled in; a copy does not run it until groundskeeper.resume()';
COMMENT ON COLUMN groundskeeper.schedule.scheduled_at IS 'When; NULL while it is not scheduled';

-- All arguments are given, in their own types: whoever may create functions in that schema may add some of these names,
-- and none of them fits better.
INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES
    -- The plan's active hours: hourly from 10:00 to 02:00.
    ('statistics', '0 10-23,0-2 * * *', 'SELECT @extschema@.update_table_statistics(false)'),
    ('partitions', '5 3 * * *', 'SELECT @extschema@.create_monthly_partitions(3)'),
    ('retention', '35 3 * * *', 'SELECT groundskeeper.apply_retention()'),
    ('alerts', '* * * * *', 'SELECT groundskeeper.check_alerts()'),
    ('metrics', '* * * * *', 'SELECT groundskeeper.record_metrics()'),
    ('history', '17 4 * * *', 'SELECT groundskeeper.prune_history()');

-- A dump is restored into a table that CREATE EXTENSION has just filled with the defaults.
CREATE FUNCTION groundskeeper.set_schedule() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM groundskeeper.schedule s WHERE s.job_name = NEW.job_name;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION groundskeeper.set_schedule() IS 'Trigger: an entry takes the place of the one of its name';
CREATE TRIGGER set_schedule BEFORE INSERT ON groundskeeper.schedule
    FOR EACH ROW EXECUTE FUNCTION groundskeeper.set_schedule();
COMMENT ON TRIGGER set_schedule ON groundskeeper.schedule IS
    'Has an INSERT take the place of the entry that is there, so that a dump restores over the defaults';
ALTER TABLE groundskeeper.schedule ENABLE ALWAYS TRIGGER set_schedule;
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.schedule', '');

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
       s.enabled AND s.scheduled_at IS NOT NULL AS active, r.last_run, r.last_success, l.running,
       -- A run that left its lock without a word was lost.
       COALESCE(r.failures + (r.unfinished AND NOT l.running)::integer, 0) AS failures,
       CASE WHEN r.unfinished AND NOT l.running THEN 'its run was lost; see the server log' ELSE r.last_error END AS last_error
  FROM groundskeeper.schedule s
  LEFT JOIN groundskeeper.schedule_run r USING (job_name)
 CROSS JOIN LATERAL (
       -- as src/worker/locks.rs takes it
       SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l
                       WHERE l.locktype = 'userlock' AND l.granted AND l.classid::bigint = 1735095139
                         AND l.objid::bigint = r.slot
                         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                            WHERE d.datname = pg_catalog.current_database()))) l (running);
COMMENT ON VIEW groundskeeper.schedule_state IS 'The entries of the schedule with what became of them, seen live';

-- What pg_cron, the launcher or a system cron calls. The first transaction writes down that the run begins, so that
-- a crash counts as a failure; the second does the work and writes down how it ended. A procedure that commits may
-- not pin its search_path, so every name in it is qualified.
CREATE PROCEDURE groundskeeper.run_one(job_name text, INOUT problem text)
    LANGUAGE plpgsql
AS $$
DECLARE
    command pg_catalog.text;
    kind pg_catalog.text;
    reason pg_catalog.text;
    code pg_catalog.text;
BEGIN
    COMMIT;
    command := groundskeeper.run_step('begin', run_one.job_name);
    COMMIT;
    IF command IS NULL THEN
        RETURN;
    END IF;
    kind := groundskeeper.run_step('hold', run_one.job_name);
    IF kind IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        IF kind OPERATOR(pg_catalog.=) 'CALL' THEN
            -- It may commit, as nothing can in EXECUTE: a worker runs it as a statement of its own.
            reason := groundskeeper.run_step('call', run_one.job_name);
        ELSE
            EXECUTE command;
        END IF;
    EXCEPTION WHEN OTHERS OR query_canceled THEN
        GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
        reason := pg_catalog.format('%s (%s)', reason, code);
    END;
    PERFORM groundskeeper.run_step('end', run_one.job_name, reason);
    COMMIT;
    IF reason IS NOT NULL THEN
        run_one.problem := pg_catalog.concat_ws('; ', run_one.problem, pg_catalog.format('%s: %s', run_one.job_name, reason));
    END IF;
END
$$;
COMMENT ON PROCEDURE groundskeeper.run_one(text, text) IS 'One run of an entry of the schedule, if it is due; adds to problem why it failed';

CREATE PROCEDURE groundskeeper.run_scheduled(job_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    problem pg_catalog.text;
BEGIN
    PERFORM groundskeeper.require_top_level('run_scheduled');
    CALL groundskeeper.run_one(run_scheduled.job_name, problem);
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
    PERFORM groundskeeper.require_top_level('run_overdue');
    COMMIT;
    FOREACH job_name IN ARRAY groundskeeper.overdue_runs() LOOP
        CALL groundskeeper.run_one(job_name, problem);
    END LOOP;
    IF problem OPERATOR(pg_catalog.<>) '' THEN
        RAISE EXCEPTION 'scheduled maintenance failed' USING DETAIL = problem;
    END IF;
END
$$;
COMMENT ON PROCEDURE groundskeeper.run_overdue() IS
    'Makes up for runs that were missed or failed; called every minute by a system cron, it is a scheduler by itself';

CREATE VIEW monitoring.maintenance_status AS
SELECT s.job_name AS task, s.scheduler, s.schedule, s.last_run, s.last_success,
       CASE WHEN s.active THEN
           groundskeeper.next_run(s.schedule, s.timezone, s.scheduled_at, s.last_run, s.failures)
       END AS next_run,
       s.failures AS consecutive_failures,
       COALESCE(s.last_error,
                CASE WHEN s.command ~ '\.update_table_statistics\(' THEN (
                    SELECT pg_catalog.string_agg(l.relation || ': ' || l.reason, '; ')
                      FROM groundskeeper.maintenance_log l
                     WHERE l.action = 'failed' AND l.started_at >= s.last_run) END) AS last_error,
       s.timezone, s.run_as, s.running
  FROM groundskeeper.schedule_state s;
COMMENT ON VIEW monitoring.maintenance_status IS 'Scheduled maintenance: when it last ran and succeeded, when it runs next, and what is wrong with it';
COMMENT ON COLUMN monitoring.maintenance_status.task IS 'An entry of groundskeeper.schedule';
COMMENT ON COLUMN monitoring.maintenance_status.scheduler IS 'pg_cron, launcher or none';
COMMENT ON COLUMN monitoring.maintenance_status.schedule IS 'Cron by the wall clock of timezone';
COMMENT ON COLUMN monitoring.maintenance_status.last_run IS 'When its last run began';
COMMENT ON COLUMN monitoring.maintenance_status.last_success IS 'When its last run that succeeded ended';
COMMENT ON COLUMN monitoring.maintenance_status.next_run IS 'When it is due next, a repetition after a failure included; NULL where it is not scheduled';
COMMENT ON COLUMN monitoring.maintenance_status.consecutive_failures IS 'How many runs have failed since the last success';
COMMENT ON COLUMN monitoring.maintenance_status.last_error IS 'Why the last run failed, or which relations failed in it';

REVOKE ALL ON groundskeeper.schedule, groundskeeper.schedule_run, groundskeeper.schedule_state FROM PUBLIC;
GRANT SELECT ON groundskeeper.schedule, monitoring.maintenance_status TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.next_run(text, text, timestamptz, timestamptz, integer) TO pg_monitor;
