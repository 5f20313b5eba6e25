-- How a run found what it had to do; notes tell that now.
ALTER TABLE groundskeeper.migration_runs
    DROP COLUMN after_id, DROP COLUMN upto_id, DROP COLUMN cursor_at, DROP COLUMN decided_id, DROP COLUMN moved_since,
    DROP COLUMN next_moved_since, DROP COLUMN writers, DROP COLUMN files;
