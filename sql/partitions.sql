-- What is done with the partitions of managed tables.

COMMENT ON FUNCTION @extschema@.create_monthly_partitions(integer, boolean) IS 'Makes the partitions that managed tables lack, so many months ahead, the current one counted; a dry run only says what it would make';
COMMENT ON FUNCTION groundskeeper.create_monthly_partitions(integer, boolean) IS 'Makes the partitions that managed tables lack, so many months ahead, the current one counted; a dry run only says what it would make';
COMMENT ON FUNCTION groundskeeper.adopt_partitioned_table(regclass, text, text, integer) IS 'Takes over a range-partitioned table that was made by hand';
COMMENT ON FUNCTION groundskeeper.stop_managing(text) IS 'Takes a table off management, one that was dropped too; nothing of it is changed';
COMMENT ON FUNCTION groundskeeper.set_retention(regclass, interval, text, regprocedure) IS 'Says how long partitions are kept after their end, what becomes of them then, and which function is called before; NULL keeps them for ever';
COMMENT ON FUNCTION groundskeeper.apply_retention(boolean) IS 'Retires the partitions whose time is over, each in a transaction of its own; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.detach_partition(regclass) IS 'Queues the detaching of a partition, concurrently where it has no default beside it, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.drop_partition(regclass) IS 'Queues the dropping of a partition with its rows, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.attach_partition(regclass, regclass) IS 'Queues the attaching of a table with rows, as the partition of the one period that all of them fit, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.drain_default(regclass, integer) IS 'Queues the moving of a default partition''s rows into partitions of their own, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.rebuild_keys(regclass) IS 'Queues the repair of the keys that are kept apart from a converted table, while writers go on, and returns the job''s number';
