-- What is done with indexes that the plan does not name.

COMMENT ON FUNCTION groundskeeper.reindex(regclass) IS 'Queues the rebuilding of an index without blocking writers, and returns the job''s number';
COMMENT ON FUNCTION groundskeeper.drop_unused_indexes(boolean) IS 'Queues the dropping of each index that monitoring.unused_indexes calls unused, without blocking writers; rollback_plan() builds them again. A dry run, the default, only says which';
