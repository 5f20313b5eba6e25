-- Grants and comments come before the plan is applied: what is applied then belongs to the user, not to us.

GRANT USAGE ON SCHEMA groundskeeper TO PUBLIC;
GRANT EXECUTE ON FUNCTION groundskeeper.plan_status, groundskeeper.query_latency, groundskeeper.statement_latency
    TO pg_monitor;
-- It only looks.
GRANT EXECUTE ON FUNCTION groundskeeper.require_top_level TO PUBLIC;

-- PUBLIC may call what a capability has granted to PUBLIC, and to nobody else. Of all that was said nothing of, or that
-- was granted to others, it has what PostgreSQL gives it when a function is made, and loses that here.
DO $$
DECLARE
    routine text;
BEGIN
    FOR routine IN
        SELECT p.oid::regprocedure::text
          FROM pg_catalog.pg_proc p
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
         WHERE e.extname = 'pg_groundskeeper'
           AND (p.proacl IS NULL
             OR EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) WHERE grantee NOT IN (0, p.proowner)))
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper.plan_status() IS 'Each item of the plan: whether it is applied here, and if not, why not and what would do it';
COMMENT ON FUNCTION groundskeeper.apply_plan(boolean, text[]) IS 'Applies what is pending, in the sections asked for; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.rollback_plan(boolean, text[]) IS 'Takes back what the change log records, newest first; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.cancel_job(bigint) IS 'Cancels a job, queued or running, and returns its new state';
COMMENT ON FUNCTION groundskeeper.retry_job(bigint) IS 'Queues a failed or cancelled job again';
COMMENT ON FUNCTION groundskeeper.reindex(regclass) IS 'Queues the rebuilding of an index without blocking writers, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.drop_unused_indexes(boolean) IS 'Queues the dropping of each index that monitoring.unused_indexes calls unused, without blocking writers; rollback_plan() builds them again. A dry run, the default, only says which';
COMMENT ON FUNCTION groundskeeper.detach_partition(regclass) IS 'Queues the detaching of a partition, concurrently where it has no default beside it, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.partition_preflight(regclass, name) IS 'What stands in the way of partitioning a table by a column, and what changes with it';
COMMENT ON FUNCTION groundskeeper.partition_table(regclass, name, text, text, integer, text[]) IS 'Queues the partitioning of a table while writers go on, and returns the job''s number; accept names the warnings that are acknowledged';
COMMENT ON FUNCTION groundskeeper.undo_partitioning(regclass) IS 'Queues the way back to the unpartitioned table, with all that was written since, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.finalize_partitioning(regclass) IS 'Queues the dropping of the unpartitioned table after a last proof that nothing is lost, and returns the job''s number';
COMMENT ON FUNCTION @extschema@.create_monthly_partitions(integer) IS 'Makes the partitions that managed tables lack, so many months ahead, the current one counted';
COMMENT ON FUNCTION groundskeeper.adopt_partitioned_table(regclass, text, text, integer) IS 'Takes over a range-partitioned table that was made by hand';
COMMENT ON FUNCTION groundskeeper.set_retention(regclass, interval, text) IS 'Says how long partitions are kept after their end and what becomes of them then; NULL keeps them for ever';
COMMENT ON FUNCTION groundskeeper.apply_retention(boolean) IS 'Retires the partitions whose time is over; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.drop_partition(regclass) IS 'Queues the dropping of a partition with its rows, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.drain_default(regclass, integer) IS 'Queues the moving of a default partition''s rows into partitions of their own, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.resume() IS 'Lets a restored copy of a database run the jobs that came with it';
COMMENT ON FUNCTION groundskeeper.look_after_jobs() IS 'Starts a worker for jobs that have none, as after a crash where the library is not preloaded';
COMMENT ON FUNCTION @extschema@.update_table_statistics(boolean) IS 'Analyzes tables that have changed as much as autovacuum lets pass, and refreshes materialized views whose sources have changed; with force also those that have not';
COMMENT ON FUNCTION groundskeeper.maintain(regclass) IS 'Has update_table_statistics() look after one more table or materialized view; false if it does so already';
COMMENT ON FUNCTION groundskeeper.stop_maintaining(regclass) IS 'Takes a relation off groundskeeper.maintained_relations';
COMMENT ON FUNCTION groundskeeper.schedule_maintenance(text) IS 'Puts the entries of groundskeeper.schedule on pg_cron, else on the launcher; returns what is scheduled where';
COMMENT ON FUNCTION groundskeeper.unschedule_maintenance() IS 'Takes the entries of groundskeeper.schedule off their scheduler';
COMMENT ON FUNCTION groundskeeper.run_step(text, text, text) IS 'One step of groundskeeper.run_one()';
COMMENT ON FUNCTION groundskeeper.overdue_runs() IS 'The entries of the schedule that run as the caller and are overdue';
COMMENT ON FUNCTION groundskeeper.prune_history() IS 'Deletes what is older than groundskeeper.job_history from the histories; how many rows';
COMMENT ON FUNCTION groundskeeper.check_schedule(text, text) IS 'True for a schedule and a time zone that can be followed; raises an error that says what is wrong otherwise';
COMMENT ON FUNCTION groundskeeper.next_run(text, text, timestamptz, timestamptz, integer) IS 'When an entry of the schedule is due next, given when it was scheduled, when it last ran, and how many runs have failed in a row';
COMMENT ON FUNCTION groundskeeper.query_latency(interval) IS 'How long clients of this database waited for statements and transactions: counted where the library is preloaded, no rows where it is not';
COMMENT ON FUNCTION groundskeeper.statement_latency(interval) IS 'The same for each of the 500 most expensive statements, and for all others together in a last row without queryid; query is NULL for whom pg_stat_statements does not show it to';
COMMENT ON FUNCTION groundskeeper.record_metrics() IS 'Takes one sample for groundskeeper.metrics and returns its time; to be called once a minute';
COMMENT ON FUNCTION groundskeeper.require_top_level(text) IS 'Raises an error unless the procedure that calls it may commit';
COMMENT ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) IS 'Waits until a job has ended, committing between looks; not in a transaction block';

-- The installation itself: all of the plan that is safe in this transaction, the rest as jobs.
DO $$ BEGIN PERFORM FROM groundskeeper.apply_plan(); END $$;
