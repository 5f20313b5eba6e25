ALTER TABLE groundskeeper.migration_failures
    ADD COLUMN attempts integer NOT NULL DEFAULT 1,
    ADD COLUMN retry_at timestamptz NOT NULL DEFAULT '-infinity';
