ALTER TABLE groundskeeper.conversion
    ADD COLUMN item text,
    ADD COLUMN unlogged boolean NOT NULL DEFAULT false,
    ADD COLUMN recognized boolean NOT NULL DEFAULT false,
    ADD COLUMN kept_columns text[] NOT NULL DEFAULT '{}',
    ADD COLUMN key_format text,
    ADD COLUMN default_partition boolean NOT NULL DEFAULT true;
UPDATE groundskeeper.conversion
   SET item = pg_catalog.concat('3.1.', schema_name, '.', table_name, '.', partition_key)
 WHERE (schema_name, table_name, partition_key) IN (('raw_data', 'moneylines_raw', 'game_date'),
                                                    ('staging', 'moneylines', 'processed_at'));
