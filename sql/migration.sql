-- The migration from RAW to STAGING: what it remembers, and the procedure that drives it.

CREATE TABLE groundskeeper.migration_failures (
    raw_table text NOT NULL,
    raw_id bigint NOT NULL,
    reason text NOT NULL,
    detail text,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (raw_table, raw_id)
);
COMMENT ON TABLE groundskeeper.migration_failures IS 'Raw rows that could not be staged; each run tries them again and clears those that succeed';
COMMENT ON COLUMN groundskeeper.migration_failures.raw_table IS 'The raw table, with its schema';
COMMENT ON COLUMN groundskeeper.migration_failures.raw_id IS 'The raw row''s id';
COMMENT ON COLUMN groundskeeper.migration_failures.reason IS 'What kind of error it was, as a word';
COMMENT ON COLUMN groundskeeper.migration_failures.detail IS 'What was said';
COMMENT ON COLUMN groundskeeper.migration_failures.failed_at IS 'When it was tried last';

CREATE TABLE groundskeeper.migration_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id uuid NOT NULL,
    bet_type text NOT NULL,
    raw_table text NOT NULL,
    staging_table text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'completed', 'failed')),
    processed bigint NOT NULL DEFAULT 0,
    successful bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at timestamptz,
    error text,
    metadata jsonb NOT NULL DEFAULT '{}',
    batch_size bigint NOT NULL,
    phase text NOT NULL,
    after_id bigint NOT NULL,
    upto_id bigint,
    cursor_id bigint NOT NULL,
    cursor_at timestamptz,
    decided_id bigint,
    moved_since timestamptz,
    next_moved_since timestamptz NOT NULL,
    writers text[] NOT NULL,
    started_by text NOT NULL,
    pid integer NOT NULL,
    backend_start timestamptz NOT NULL,
    home text NOT NULL,
    files text NOT NULL,
    CHECK (processed = successful + failed)
);
COMMENT ON TABLE groundskeeper.migration_runs IS 'Each run of migrate_to_staging() over one market, written with each of its batches';
COMMENT ON COLUMN groundskeeper.migration_runs.execution_id IS 'What the runs of one call share; public.pipeline_execution_log has it too';
COMMENT ON COLUMN groundskeeper.migration_runs.processed IS 'Records that had to be staged: successful + failed';
COMMENT ON COLUMN groundskeeper.migration_runs.metadata IS 'What became of the games; failed_again, how many of the failures had failed in earlier runs; and not_logged, why public.pipeline_execution_log could not be written';
COMMENT ON COLUMN groundskeeper.migration_runs.after_id IS 'Raw rows up to this id were dealt with by earlier runs';
COMMENT ON COLUMN groundskeeper.migration_runs.upto_id IS 'The last raw row of the run';
COMMENT ON COLUMN groundskeeper.migration_runs.cursor_id IS 'The last raw row that the phase has dealt with';
COMMENT ON COLUMN groundskeeper.migration_runs.decided_id IS 'Up to this id no transaction holds back a raw row';
COMMENT ON COLUMN groundskeeper.migration_runs.files IS 'The files of the raw and the staging table when the run began';
COMMENT ON COLUMN groundskeeper.migration_runs.writers IS 'Transactions that were writing to the raw table when the run began';
CREATE INDEX ON groundskeeper.migration_runs (bet_type) WHERE state = 'running';
CREATE INDEX ON groundskeeper.migration_runs (execution_id);

CREATE TABLE groundskeeper.migration_progress (
    raw_table text PRIMARY KEY,
    home text NOT NULL,
    files text NOT NULL,
    confirmed_id bigint,
    seen_id bigint,
    staged_id bigint,
    writers text[],
    moved_since timestamptz,
    swept_at timestamptz
);
COMMENT ON TABLE groundskeeper.migration_progress IS 'How far each raw table has been migrated, so that no run looks at all of it again';
COMMENT ON COLUMN groundskeeper.migration_progress.home IS 'The cluster and database that this is true of; a copy begins anew';
COMMENT ON COLUMN groundskeeper.migration_progress.files IS 'The files of the raw and the staging table: where they are others, a table was emptied or written anew';
COMMENT ON COLUMN groundskeeper.migration_progress.confirmed_id IS 'All rows up to this id are staged or failed, and no transaction held back one of them';
COMMENT ON COLUMN groundskeeper.migration_progress.seen_id IS 'The last row of the last run: up to it all rows are decided once the writers have ended';
COMMENT ON COLUMN groundskeeper.migration_progress.staged_id IS 'The highest raw id in the staging table after the last run: where it is lower, staged rows were deleted';
COMMENT ON COLUMN groundskeeper.migration_progress.writers IS 'Transactions that were writing to the raw table when the last run began';
COMMENT ON COLUMN groundskeeper.migration_progress.moved_since IS 'Rows updated since then may not be staged as they are';
COMMENT ON COLUMN groundskeeper.migration_progress.swept_at IS 'When a run last looked at the whole table, as one does each day';

-- What failed and what was done is restored with the database; progress is not, as transactions are not.
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_failures', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_runs', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_runs_run_id_seq', '');

-- One that commits may not pin its search_path, so every name in it is qualified. It works with the caller's rights
-- on the caller's tables; what it calls writes the extension's own.
CREATE PROCEDURE groundskeeper.migrate_to_staging(bet_type text DEFAULT NULL, batch_size integer DEFAULT 10000)
    LANGUAGE plpgsql
AS $$
DECLARE
    runs bigint[];
    run bigint;
    more boolean;
    code pg_catalog.text;
    message pg_catalog.text;
    detail pg_catalog.text;
    hint pg_catalog.text;
BEGIN
    PERFORM groundskeeper.require_top_level('migrate_to_staging');
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    runs := groundskeeper.start_migration(migrate_to_staging.bet_type, migrate_to_staging.batch_size);
    FOREACH run IN ARRAY runs LOOP
        more := true;
        WHILE more LOOP
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            BEGIN
                more := groundskeeper.migration_step(run);
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                                        hint = PG_EXCEPTION_HINT;
            END;
            IF message IS NOT NULL THEN
                PERFORM groundskeeper.fail_migration(runs, message);
                COMMIT;
                RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
            END IF;
        END LOOP;
    END LOOP;
END
$$;

REVOKE ALL ON groundskeeper.migration_failures, groundskeeper.migration_runs, groundskeeper.migration_progress FROM PUBLIC;
REVOKE ALL ON PROCEDURE groundskeeper.migrate_to_staging(text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.start_migration(text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.migration_step(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.fail_migration(bigint[], text) FROM PUBLIC;
REVOKE ALL ON FUNCTION groundskeeper.rescore(regclass) FROM PUBLIC;
GRANT SELECT ON groundskeeper.migration_failures, groundskeeper.migration_runs TO pg_monitor;

COMMENT ON PROCEDURE groundskeeper.migrate_to_staging(text, integer) IS 'Stages the raw rows that are new or have moved, and tries those again that failed: one market, or all of them; commits each batch';
COMMENT ON FUNCTION groundskeeper.start_migration(text, integer) IS 'For migrate_to_staging(): begins a run for each market that nobody is migrating, and returns their numbers';
COMMENT ON FUNCTION groundskeeper.migration_step(bigint) IS 'For migrate_to_staging(): does the next piece of a run''s work in this transaction; false when nothing is left';
COMMENT ON FUNCTION groundskeeper.fail_migration(bigint[], text) IS 'For migrate_to_staging(): writes down that runs have ended with an error';
COMMENT ON FUNCTION groundskeeper.rescore(regclass) IS 'Queues the scoring of a staging table''s rows by the rules as they are now, and returns the job''s number';
