-- Grants and comments come before the plan is applied: what is applied then belongs to the user, not to us.

REVOKE ALL ON FUNCTION groundskeeper.plan_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.apply_plan(boolean, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.rollback_plan(boolean, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.rollback_script() FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.cancel_job(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.retry_job(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.reindex(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.detach_partition(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.resume() FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.look_after_jobs() FROM PUBLIC;
REVOKE ALL ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.query_latency(interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.statement_latency(interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.statement_texts() FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.record_metrics() FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.metrics_over(interval) FROM PUBLIC;

-- PUBLIC reaches the pure functions; each other function has its own grant.
GRANT USAGE ON SCHEMA groundskeeper TO PUBLIC;
GRANT EXECUTE ON FUNCTION groundskeeper.plan_status() TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.rollback_script() TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.look_after_jobs() TO pg_monitor;
GRANT EXECUTE ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.query_latency(interval) TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.statement_latency(interval) TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.statement_texts() TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.metrics_over(interval) TO pg_monitor;
GRANT SELECT ON groundskeeper.change_log TO pg_monitor;
GRANT SELECT ON groundskeeper.jobs, groundskeeper.job_history TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.plan_status() IS 'Each item of the plan: whether it is applied here, and if not, why not and what would do it';
COMMENT ON FUNCTION groundskeeper.apply_plan(boolean, text[]) IS 'Applies what is pending, in the sections asked for; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.rollback_plan(boolean, text[]) IS 'Takes back what the change log records, newest first; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.cancel_job(bigint) IS 'Cancels a job, queued or running, and returns its new state';
COMMENT ON FUNCTION groundskeeper.retry_job(bigint) IS 'Queues a failed or cancelled job again';
COMMENT ON FUNCTION groundskeeper.reindex(regclass) IS 'Queues the rebuilding of an index without blocking writers, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.detach_partition(regclass) IS 'Queues the detaching of a partition, concurrently where it has no default beside it, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.resume() IS 'Lets a restored copy of a database run the jobs that came with it';
COMMENT ON FUNCTION groundskeeper.look_after_jobs() IS 'Starts a worker for jobs that have none, as after a crash where the library is not preloaded';
COMMENT ON FUNCTION groundskeeper.query_latency(interval) IS 'How long clients of this database waited for statements and transactions: counted where the library is preloaded, no rows where it is not';
COMMENT ON FUNCTION groundskeeper.statement_latency(interval) IS 'The same for each of the 500 most expensive statements, and for all others together in a last row without queryid; query is NULL for whom pg_stat_statements does not show it to';
COMMENT ON FUNCTION groundskeeper.record_metrics() IS 'Takes one sample for groundskeeper.metrics and returns its time; to be called once a minute';
COMMENT ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) IS 'Waits until a job has ended, committing between looks; not in a transaction block';

-- The installation itself: all of the plan that is safe in this transaction, the rest as jobs.
DO $$ BEGIN PERFORM FROM groundskeeper.apply_plan(); END $$;
