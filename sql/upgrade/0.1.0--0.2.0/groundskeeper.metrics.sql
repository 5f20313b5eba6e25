ALTER TABLE groundskeeper.metrics
    ADD COLUMN wal_bytes bigint,
    ADD COLUMN checkpoints_timed bigint,
    ADD COLUMN checkpoints_requested bigint,
    ADD COLUMN archive_failures bigint;
