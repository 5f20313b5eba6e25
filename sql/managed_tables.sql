-- The partitioned tables that are looked after. Written by functions only; restored with the database.

CREATE TABLE groundskeeper.managed_tables (
    parent text PRIMARY KEY,
    partition_key text NOT NULL,
    "interval" text NOT NULL CHECK ("interval" IN ('day', 'week', 'month', 'quarter', 'year')),
    timezone text NOT NULL,
    premake integer NOT NULL CHECK (premake > 0),
    retention interval CHECK (retention > '0'),
    retention_action text NOT NULL DEFAULT 'detach' CHECK (retention_action IN ('detach', 'drop', 'archive')),
    managed_since timestamptz NOT NULL DEFAULT pg_catalog.now(),
    key_table text,
    former text,
    retention_before text
);
COMMENT ON TABLE groundskeeper.managed_tables IS 'The partitioned tables whose partitions are made ahead and retired; written by functions only';
COMMENT ON COLUMN groundskeeper.managed_tables.parent IS 'The partitioned table, schema-qualified and quoted';
COMMENT ON COLUMN groundskeeper.managed_tables.partition_key IS 'The column that it is partitioned by';
COMMENT ON COLUMN groundskeeper.managed_tables."interval" IS 'What one partition covers: day, week, month, quarter or year';
COMMENT ON COLUMN groundskeeper.managed_tables.timezone IS 'The zone in whose midnights the bounds are';
COMMENT ON COLUMN groundskeeper.managed_tables.premake IS 'How many partitions are kept ready, the current one included';
COMMENT ON COLUMN groundskeeper.managed_tables.retention IS 'How long a partition is kept after its end; NULL is for ever';
COMMENT ON COLUMN groundskeeper.managed_tables.retention_action IS 'What becomes of it then: detach, drop or archive';
COMMENT ON COLUMN groundskeeper.managed_tables.managed_since IS 'Since when it is looked after';
COMMENT ON COLUMN groundskeeper.managed_tables.key_table IS 'The table that holds its keys for foreign keys to refer to, if it has one';
COMMENT ON COLUMN groundskeeper.managed_tables.former IS 'The unpartitioned table that it was converted from, while that is kept';
COMMENT ON COLUMN groundskeeper.managed_tables.retention_before IS 'The function that is called with a partition before it retires, if there is one';

-- Nothing that the system catalogs would not tell everybody.
GRANT SELECT ON groundskeeper.managed_tables TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.managed_tables', '');
