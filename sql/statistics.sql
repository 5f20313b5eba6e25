-- What update_table_statistics() looks after, what it saw, and what it did.

CREATE TABLE groundskeeper.maintained_relations (
    relation text PRIMARY KEY
        CONSTRAINT maintained_relations_qualified CHECK (pg_catalog.cardinality(pg_catalog.parse_ident(relation)) = 2),
    registered_by text NOT NULL DEFAULT SESSION_USER,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE groundskeeper.maintained_relations IS
    'What update_table_statistics() looks after beside the plan''s and the managed partitioned tables; see groundskeeper.maintain()';
COMMENT ON COLUMN groundskeeper.maintained_relations.relation IS 'Table or materialized view, schema-qualified and quoted';
COMMENT ON COLUMN groundskeeper.maintained_relations.registered_by IS 'Who registered it';
COMMENT ON COLUMN groundskeeper.maintained_relations.registered_at IS 'When';
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.maintained_relations', '');

-- Not dumped: OIDs, files and counters are another database's there. Written only when something was done.
CREATE TABLE groundskeeper.relation_seen (
    relation_oid oid PRIMARY KEY,
    refreshes bigint NOT NULL,
    seen jsonb NOT NULL
);
COMMENT ON TABLE groundskeeper.relation_seen IS
    'What a materialized view or a partitioned table was made from when it was last refreshed or analyzed';
COMMENT ON COLUMN groundskeeper.relation_seen.relation_oid IS 'The materialized view or partitioned table';
COMMENT ON COLUMN groundskeeper.relation_seen.refreshes IS 'How often that was done; views above it are due when this has changed';
COMMENT ON COLUMN groundskeeper.relation_seen.seen IS 'Its sources with their files and counters just before';

CREATE TABLE groundskeeper.maintenance_log (
    relation text NOT NULL,
    action text NOT NULL CHECK (action IN ('analyzed', 'refreshed', 'failed')),
    reason text NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms double precision NOT NULL,
    run_by text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE groundskeeper.maintenance_log IS
    'What update_table_statistics() did; what it skipped is not written down. Pruned after groundskeeper.job_history';
COMMENT ON COLUMN groundskeeper.maintenance_log.action IS 'analyzed, refreshed or failed';
COMMENT ON COLUMN groundskeeper.maintenance_log.reason IS 'Why it was due, or why it failed';
COMMENT ON COLUMN groundskeeper.maintenance_log.started_at IS 'When';
COMMENT ON COLUMN groundskeeper.maintenance_log.duration_ms IS 'How long it took';
COMMENT ON COLUMN groundskeeper.maintenance_log.run_by IS 'The role that ran it';
CREATE INDEX ON groundskeeper.maintenance_log (started_at);
CREATE INDEX ON groundskeeper.maintenance_log (relation, started_at);

REVOKE ALL ON groundskeeper.maintained_relations, groundskeeper.relation_seen, groundskeeper.maintenance_log FROM PUBLIC;
GRANT SELECT ON groundskeeper.maintained_relations, groundskeeper.maintenance_log TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper_internal.planned_relations() TO pg_monitor;
COMMENT ON FUNCTION groundskeeper_internal.planned_relations() IS 'What update_table_statistics() looks after because the plan says so';

COMMENT ON FUNCTION @extschema@.update_table_statistics(boolean) IS 'Analyzes tables that have changed as much as autovacuum lets pass, and refreshes materialized views whose sources have changed; with force also those that have not';
COMMENT ON FUNCTION groundskeeper.update_table_statistics(boolean) IS 'Analyzes tables that have changed as much as autovacuum lets pass, and refreshes materialized views whose sources have changed; with force also those that have not';
COMMENT ON FUNCTION groundskeeper.maintain(regclass) IS 'Has update_table_statistics() look after one more table or materialized view; false if it does so already';
COMMENT ON FUNCTION groundskeeper.stop_maintaining(regclass) IS 'Takes a relation off groundskeeper.maintained_relations';
