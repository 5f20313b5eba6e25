-- As it knows no mapping, the next run looks at everything once: until now nobody has written notes of what has changed.
ALTER TABLE groundskeeper.migration_progress
    DROP COLUMN confirmed_id, DROP COLUMN writers, DROP COLUMN moved_since,
    ADD COLUMN mapping text,
    ADD COLUMN definition text;
