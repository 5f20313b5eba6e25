-- How a table is partitioned, and goes back.

COMMENT ON FUNCTION groundskeeper.partition_preflight(regclass, name, text, text, integer, text, boolean) IS 'What stands in the way of partitioning a table by a column, and what changes with it; the other arguments are those of partition_table()';
COMMENT ON FUNCTION groundskeeper.partition_table(regclass, name, text, text, integer, text[], text, boolean) IS 'Queues the partitioning of a table while writers go on, and returns the job''s number; accept names the warnings that are acknowledged, key_format how a key that is no date has its moments';
COMMENT ON FUNCTION groundskeeper.undo_partitioning(regclass) IS 'Queues the way back to the unpartitioned table, with all that was written since, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.finalize_partitioning(regclass) IS 'Queues the dropping of the unpartitioned table after a last proof that nothing is lost, and returns the job''s number';
