-- A procedure, since it must not hold a snapshot: the concurrent build that it waits for would wait for it.
-- One that commits may not pin its search_path, so every name in it is qualified.
CREATE PROCEDURE groundskeeper.wait_for_job(job_id bigint, timeout interval DEFAULT '1 hour', INOUT state text DEFAULT NULL)
    LANGUAGE plpgsql
AS $$
DECLARE
    give_up pg_catalog.timestamptz;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('wait_for_job');
    COMMIT;
    IF wait_for_job.job_id IS NULL OR wait_for_job.timeout IS NULL THEN
        RAISE EXCEPTION 'job_id and timeout must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    give_up := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) wait_for_job.timeout;
    IF pg_catalog.has_function_privilege('groundskeeper_internal.look_after_jobs()', 'EXECUTE') THEN
        PERFORM groundskeeper_internal.look_after_jobs();
    END IF;
    LOOP
        SELECT j.state INTO wait_for_job.state
          FROM groundskeeper.jobs j WHERE j.job_id OPERATOR(pg_catalog.=) wait_for_job.job_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'job % does not exist', wait_for_job.job_id
                USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM groundskeeper.jobs shows those that do.';
        END IF;
        COMMIT;
        EXIT WHEN wait_for_job.state OPERATOR(pg_catalog.=) ANY (ARRAY['succeeded', 'failed', 'cancelled'])
               OR pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) give_up;
        PERFORM pg_catalog.pg_sleep(0.05);
        COMMIT;
    END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.look_after_jobs() TO pg_monitor;
GRANT EXECUTE ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) TO pg_monitor;

COMMENT ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) IS 'Waits until a job has ended, committing between looks; not in a transaction block';
COMMENT ON FUNCTION groundskeeper.cancel_job(bigint) IS 'Cancels a job, queued or running, and returns its new state';
COMMENT ON FUNCTION groundskeeper.retry_job(bigint) IS 'Queues a failed or cancelled job again';
COMMENT ON FUNCTION groundskeeper.resume() IS 'Lets a restored copy of a database run the jobs that came with it';
COMMENT ON FUNCTION groundskeeper_internal.look_after_jobs() IS 'Starts a worker for jobs that have none, as after a crash where the library is not preloaded';
