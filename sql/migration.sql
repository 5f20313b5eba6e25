-- The migration from RAW to STAGING: what it remembers, and the procedure that drives it.

CREATE TABLE groundskeeper.migration_failures (
    raw_table text NOT NULL,
    raw_id bigint NOT NULL,
    reason text NOT NULL,
    detail text,
    failed_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    retry_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (raw_table, raw_id)
);
CREATE INDEX ON groundskeeper.migration_failures (raw_table, retry_at);
COMMENT ON TABLE groundskeeper.migration_failures IS 'Raw rows that could not be staged; runs try them again, at once when they have changed, and clear those that succeed';
COMMENT ON COLUMN groundskeeper.migration_failures.raw_table IS 'The raw table, with its schema';
COMMENT ON COLUMN groundskeeper.migration_failures.raw_id IS 'The raw row''s id';
COMMENT ON COLUMN groundskeeper.migration_failures.reason IS 'What kind of error it was, as a word';
COMMENT ON COLUMN groundskeeper.migration_failures.detail IS 'What was said';
COMMENT ON COLUMN groundskeeper.migration_failures.failed_at IS 'When it was tried last';
COMMENT ON COLUMN groundskeeper.migration_failures.attempts IS 'How often it has failed';
COMMENT ON COLUMN groundskeeper.migration_failures.retry_at IS 'When it is tried again though nothing has changed: after minutes at first, once a day at last';

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
    cursor_id bigint NOT NULL,
    started_by text NOT NULL,
    pid integer NOT NULL,
    backend_start timestamptz NOT NULL,
    home text NOT NULL,
    CHECK (processed = successful + failed)
);
COMMENT ON TABLE groundskeeper.migration_runs IS 'Each run of migrate_to_staging() over one market, written with each of its batches';
COMMENT ON COLUMN groundskeeper.migration_runs.execution_id IS 'What the runs of one call share; public.pipeline_execution_log has it too';
COMMENT ON COLUMN groundskeeper.migration_runs.processed IS 'Records that had to be staged: successful + failed';
COMMENT ON COLUMN groundskeeper.migration_runs.metadata IS 'What became of the games; failed_again, how many of the failures had failed in earlier runs; and not_logged, why public.pipeline_execution_log could not be written';
COMMENT ON COLUMN groundskeeper.migration_runs.cursor_id IS 'The last raw row that the phase has dealt with';
CREATE INDEX ON groundskeeper.migration_runs (bet_type) WHERE state = 'running';
CREATE INDEX ON groundskeeper.migration_runs (execution_id);

CREATE TABLE groundskeeper.migration_progress (
    raw_table text PRIMARY KEY,
    home text NOT NULL,
    files text NOT NULL,
    seen_id bigint,
    staged_id bigint,
    swept_at timestamptz,
    mapping text,
    definition text
);
COMMENT ON TABLE groundskeeper.migration_progress IS 'How far each raw table has been migrated, so that no run looks at all of it again';
COMMENT ON COLUMN groundskeeper.migration_progress.home IS 'The cluster and database that this is true of; a copy begins anew';
COMMENT ON COLUMN groundskeeper.migration_progress.files IS 'The files of the raw and the staging table: where they are others, a table was emptied or written anew';
COMMENT ON COLUMN groundskeeper.migration_progress.mapping IS 'What columns, clubs and books are called: where that is otherwise, everything is looked at';
COMMENT ON COLUMN groundskeeper.migration_progress.definition IS 'What the tables are: once a constraint or trigger is another, what failed is tried again';
COMMENT ON COLUMN groundskeeper.migration_progress.seen_id IS 'The last row that there was when a run began: later ones are looked at, noted or not';
COMMENT ON COLUMN groundskeeper.migration_progress.staged_id IS 'The highest raw id in the staging table after the last run: where it is lower, staged rows were deleted';
COMMENT ON COLUMN groundskeeper.migration_progress.swept_at IS 'When a run was last told to look at everything, as one is each day';

-- Triggers of the user's tables write here, with the rights of the table's owner, who may say of that table, and of no
-- other, that it has changed.
CREATE TABLE groundskeeper.migration_notes (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    relation oid,
    ids int8multirange,
    games text[],
    facts text[],
    made boolean NOT NULL DEFAULT false,
    CHECK (pg_catalog.array_position(games, NULL) IS NULL),
    CHECK (pg_catalog.upper_inf(ids) OR pg_catalog.upper(ids) > -9223372036854775808 OR pg_catalog.isempty(ids))
);
CREATE INDEX ON groundskeeper.migration_notes (subject, made, note_id);
ALTER TABLE groundskeeper.migration_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY owners ON groundskeeper.migration_notes FOR INSERT TO PUBLIC
    WITH CHECK (NOT made
                AND relation = pg_catalog.to_regclass(CASE subject WHEN 'moneyline' THEN 'raw_data.moneylines_raw'
                                                                   WHEN 'spread' THEN 'raw_data.spreads_raw'
                                                                   WHEN 'total' THEN 'raw_data.totals_raw'
                                                                   WHEN 'games' THEN 'staging.games' END)
                AND EXISTS (SELECT FROM pg_catalog.pg_class c
                             WHERE c.oid = relation AND pg_catalog.pg_get_userbyid(c.relowner) = CURRENT_USER));
COMMENT ON TABLE groundskeeper.migration_notes IS 'What has changed since it was staged, as triggers tell in the transaction of the change; a run takes what it deals with';
COMMENT ON COLUMN groundskeeper.migration_notes.subject IS 'The market, or games';
COMMENT ON COLUMN groundskeeper.migration_notes.relation IS 'The table that was changed; none in notes of the migration''s own';
COMMENT ON COLUMN groundskeeper.migration_notes.ids IS 'The raw rows, by number; unbounded for all of them';
COMMENT ON COLUMN groundskeeper.migration_notes.games IS 'The external ids of games that records have left, or whose rows were changed';
COMMENT ON COLUMN groundskeeper.migration_notes.facts IS 'What somebody has corrected of these games (teams, date, time), or that all are gone (gone)';
COMMENT ON COLUMN groundskeeper.migration_notes.made IS 'Whether the games of these rows are made, so that the rows may be staged';
COMMENT ON POLICY owners ON groundskeeper.migration_notes IS 'A table''s owner may note that it has changed';

CREATE TABLE groundskeeper.migration_corrections (
    external_id text COLLATE "C" PRIMARY KEY,
    teams boolean NOT NULL,
    date boolean NOT NULL,
    "time" boolean NOT NULL
);
COMMENT ON TABLE groundskeeper.migration_corrections IS 'Games that somebody has corrected by hand: the migration leaves that as it is; delete a row to have it work it out again';
COMMENT ON COLUMN groundskeeper.migration_corrections.external_id IS 'The game, by its id at the source';
COMMENT ON COLUMN groundskeeper.migration_corrections.teams IS 'Whether home and away stay as they are';
COMMENT ON COLUMN groundskeeper.migration_corrections.date IS 'Whether day and season stay as they are';
COMMENT ON COLUMN groundskeeper.migration_corrections."time" IS 'Whether the moment stays as it is';

CREATE TABLE groundskeeper.column_names (
    relation text NOT NULL,
    role text NOT NULL,
    column_name text NOT NULL,
    PRIMARY KEY (relation, role),
    CONSTRAINT column_names_valid CHECK (groundskeeper_internal.check_column_name(relation, role, column_name))
);
COMMENT ON TABLE groundskeeper.column_names IS 'What a deployment calls the columns that the migration reads and writes, where the plan calls them otherwise';
COMMENT ON COLUMN groundskeeper.column_names.relation IS 'The table, as schema.name: a raw table, a staging table of a market, or staging.games';
COMMENT ON COLUMN groundskeeper.column_names.role IS 'What the plan calls the column (spread_odds, game_id, ...), or start_time';
COMMENT ON COLUMN groundskeeper.column_names.column_name IS 'What it is called here; for start_time also a key of raw_data';
COMMENT ON CONSTRAINT column_names_valid ON groundskeeper.column_names IS 'The relation has such a role; raises an error that says what is wrong';

-- What failed and what was done is restored with the database; progress is not, as transactions are not.
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.column_names', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_corrections', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_failures', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_runs', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_runs_run_id_seq', '');

-- One that commits may not pin its search_path, so every name in it is qualified. It works with the caller's rights
-- on the caller's tables; what it calls writes the extension's own.
CREATE PROCEDURE groundskeeper.migrate_to_staging(bet_type text DEFAULT NULL, batch_size integer DEFAULT 10000,
                                                  sweep boolean DEFAULT false)
    LANGUAGE plpgsql
AS $$
DECLARE
    runs bigint[];
    run bigint;
    outcome pg_catalog.text;
    tries integer;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('migrate_to_staging');
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    runs := groundskeeper_internal.start_migration(migrate_to_staging.bet_type, migrate_to_staging.batch_size,
                                          migrate_to_staging.sweep);
    FOREACH run IN ARRAY runs LOOP
        tries := 0;
        outcome := 'more';
        WHILE outcome OPERATOR(pg_catalog.=) 'more' OR outcome OPERATOR(pg_catalog.=) 'again' LOOP
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            tries := CASE WHEN outcome OPERATOR(pg_catalog.=) 'again' THEN tries OPERATOR(pg_catalog.+) 1 ELSE 0 END;
            outcome := groundskeeper_internal.migration_step(run, tries);
        END LOOP;
        EXIT WHEN outcome OPERATOR(pg_catalog.=) 'failed';
    END LOOP;
    COMMIT;
    PERFORM groundskeeper_internal.fail_migration();
END
$$;

REVOKE ALL ON groundskeeper.migration_failures, groundskeeper.migration_runs, groundskeeper.migration_progress,
    groundskeeper.migration_notes, groundskeeper.migration_corrections, groundskeeper.column_names FROM PUBLIC;
GRANT INSERT ON groundskeeper.migration_notes TO PUBLIC;
GRANT SELECT ON groundskeeper.migration_failures, groundskeeper.migration_runs, groundskeeper.migration_corrections,
    groundskeeper.column_names TO pg_monitor;
-- These only compute.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.moment_of(text), groundskeeper_internal.local_time_of(text),
    groundskeeper_internal.check_column_name(text, text, text) TO PUBLIC;

COMMENT ON PROCEDURE groundskeeper.migrate_to_staging(text, integer, boolean) IS 'Stages the raw rows that are new or have changed, and tries those again that failed and are due: one market, or all of them; commits each batch; sweep looks at everything again';
COMMENT ON FUNCTION groundskeeper_internal.start_migration(text, integer, boolean) IS 'For migrate_to_staging(): begins a run for each market that nobody is migrating, and returns the numbers of those with something to do';
COMMENT ON FUNCTION groundskeeper_internal.migration_step(bigint, integer) IS 'For migrate_to_staging(): does the next piece of a run''s work in this transaction, after a pause where it gave way before: more, again (it gave way), done, put_off (locks were not to be had) or failed';
COMMENT ON FUNCTION groundskeeper_internal.fail_migration() IS 'For migrate_to_staging(): raises the error that a step has written down, and lets requests to stop through again';
COMMENT ON FUNCTION groundskeeper.rescore(regclass) IS 'Queues the scoring of a staging table''s rows by the rules as they are now, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper_internal.moment_of(text) IS 'The moment that a text in ISO 8601 tells with its offset; NULL for any other text';
COMMENT ON FUNCTION groundskeeper_internal.local_time_of(text) IS 'What clocks show by a text in ISO 8601 without an offset; NULL for any other text';
COMMENT ON FUNCTION groundskeeper_internal.check_column_name(text, text, text) IS 'True for a role that the migration knows of the relation; raises an error that says what is wrong otherwise';
