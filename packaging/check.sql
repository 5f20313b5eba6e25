-- What an installed package must be able to do, in a database of its own: psql -v ON_ERROR_STOP=1 -f check.sql
CREATE EXTENSION IF NOT EXISTS pg_groundskeeper;

-- The library is there, of this version, and found by its name alone, as an image mounted as a volume needs it.
DO $$
BEGIN
    ASSERT groundskeeper_internal.library_version() = (SELECT extversion FROM pg_extension WHERE extname = 'pg_groundskeeper'),
           'library and extension are of different versions';
    ASSERT NOT EXISTS (SELECT FROM pg_proc WHERE probin ~ 'groundskeeper' AND probin <> 'pg_groundskeeper'),
           'functions name the library''s folder';
END
$$;

-- Partitions are made.
CREATE TABLE visits (id bigint, day date NOT NULL) PARTITION BY RANGE (day);
SELECT groundskeeper.adopt_partitioned_table('visits');
SELECT partition, action FROM groundskeeper.create_monthly_partitions();
INSERT INTO visits SELECT i, current_date + i FROM generate_series(0, 50) i;
DO $$
BEGIN
    ASSERT (SELECT count(*) >= 3 FROM pg_inherits WHERE inhparent = 'visits'::regclass), 'partitions are missing';
END
$$;

-- Workers start, and do what jobs ask for: a table is partitioned, and goes back.
CREATE TABLE orders (id bigint PRIMARY KEY, day date NOT NULL);
INSERT INTO orders SELECT i, current_date - i % 90 FROM generate_series(1, 1000) i;
SELECT groundskeeper.partition_table('orders', 'day', accept => '{on_conflict}') AS job \gset
CALL groundskeeper.wait_for_job(:job);
DO $$
BEGIN
    ASSERT (SELECT relkind = 'p' FROM pg_class WHERE oid = 'orders'::regclass), 'orders is not partitioned';
    ASSERT (SELECT count(*) = 1000 FROM orders), 'rows are missing';
END
$$;
SELECT groundskeeper.undo_partitioning('orders') AS job \gset
CALL groundskeeper.wait_for_job(:job);
DO $$
BEGIN
    ASSERT (SELECT relkind = 'r' FROM pg_class WHERE oid = 'orders'::regclass), 'orders is still partitioned';
    ASSERT (SELECT count(*) = 1000 FROM orders), 'rows are missing';
END
$$;

SELECT kpi, status FROM groundskeeper.kpi_report();
SELECT item, state FROM groundskeeper.plan_status() WHERE state = 'drifted';
