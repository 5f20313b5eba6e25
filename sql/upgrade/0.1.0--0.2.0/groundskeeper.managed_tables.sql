ALTER TABLE groundskeeper.managed_tables ADD COLUMN retention_before text;
