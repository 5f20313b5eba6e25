-- Tables on their way to being partitioned, or back. Written by the extension only; restored with the database.

CREATE TABLE groundskeeper.conversion (
    relation text PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    partition_key text NOT NULL,
    "interval" text NOT NULL,
    timezone text NOT NULL,
    premake integer NOT NULL,
    stage text NOT NULL DEFAULT 'begun',
    key_columns text[] NOT NULL DEFAULT '{}',
    key_table boolean NOT NULL DEFAULT false,
    indexes jsonb NOT NULL DEFAULT '[]',
    copied_to text[],
    rows_copied bigint NOT NULL DEFAULT 0,
    rows_expected bigint NOT NULL DEFAULT 0,
    later jsonb NOT NULL DEFAULT '[]',
    begun_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    stage_reached_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    item text,
    unlogged boolean NOT NULL DEFAULT false,
    recognized boolean NOT NULL DEFAULT false,
    kept_columns text[] NOT NULL DEFAULT '{}',
    key_format text,
    default_partition boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE groundskeeper.conversion IS 'Tables that are, or are being, converted to partitioned ones: how far each has come, and what the next run needs to know';
COMMENT ON COLUMN groundskeeper.conversion.relation IS 'The table, schema-qualified and quoted';
COMMENT ON COLUMN groundskeeper.conversion.item IS 'The item of the plan that it carries out; NULL where the plan does not ask for it';
COMMENT ON COLUMN groundskeeper.conversion.stage IS 'begun, shadowed, captured, copied, indexed, proven, swapped, converted; then equal and finalized, or equal and restored';
COMMENT ON COLUMN groundskeeper.conversion.key_columns IS 'The columns of the primary key';
COMMENT ON COLUMN groundskeeper.conversion.key_table IS 'Whether a key table keeps unique across partitions what lacks the partition key';
COMMENT ON COLUMN groundskeeper.conversion.key_format IS 'How the key has its moments: uuidv7, epoch_s, epoch_ms, epoch_us; NULL for dates and times';
COMMENT ON COLUMN groundskeeper.conversion.default_partition IS 'Whether there is a partition for rows that no other takes';
COMMENT ON COLUMN groundskeeper.conversion.kept_columns IS 'The columns of the key table: the primary key, and those of unique indexes; empty for the primary key alone';
COMMENT ON COLUMN groundskeeper.conversion.indexes IS 'The indexes that the shadow gets, by the names that they have on the table';
COMMENT ON COLUMN groundskeeper.conversion.copied_to IS 'The primary key of the last row that was copied';
COMMENT ON COLUMN groundskeeper.conversion.rows_expected IS 'How many rows there were, by the planner''s estimate';
COMMENT ON COLUMN groundskeeper.conversion.unlogged IS 'Changes were not logged for a while: all rows are compared before the log is relied on again';
COMMENT ON COLUMN groundskeeper.conversion.recognized IS 'It was known by its triggers alone: the extension had been dropped and made again';
COMMENT ON COLUMN groundskeeper.conversion.later IS 'What is still to be done after the exchange: lists of statements, a transaction each';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.conversion', '');
