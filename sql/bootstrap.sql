-- Nothing below is resolved by the path of whoever installs: in the target schema anybody may have planted a function or
-- an operator that fits better than PostgreSQL's own. What is made there is named with its schema.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Who says how, before the library is there to read it, says it rightly or is refused: PostgreSQL would warn of a value
-- that is none, and the plan would be applied to a database whose owner wanted to look first.
DO $$ BEGIN PERFORM NULLIF(pg_catalog.current_setting('groundskeeper.apply_at_install', true), '')::boolean; END $$;

-- Names of ours that are taken by something else are refused before anything is changed, all in one error.
DO $$
DECLARE
    taken text[];
    renames text[];
BEGIN
    -- One a line: a test compares them with what is made.
    WITH wanted (kind, name) AS (VALUES
        ('schema', 'groundskeeper'),
        ('schema', 'groundskeeper_internal'),
        ('event trigger', 'groundskeeper_complete_partitions'),
        ('event trigger', 'groundskeeper_follow_dropped'),
        ('event trigger', 'groundskeeper_follow_names'),
        ('event trigger', 'groundskeeper_follow_owner'),
        ('event trigger', 'groundskeeper_guard_detach_concurrently'),
        ('event trigger', 'groundskeeper_guard_dropped_partitions'),
        ('event trigger', 'groundskeeper_guard_partitions'),
        ('event trigger', 'groundskeeper_keep_triggers'),
        ('event trigger', 'groundskeeper_unschedule'),
        ('view', 'connection_stats'),
        ('view', 'connections_by_role'),
        ('view', 'growth'),
        ('view', 'idle_transactions'),
        ('view', 'index_bloat'),
        ('view', 'index_health'),
        ('view', 'lock_tree'),
        ('view', 'maintenance_status'),
        ('view', 'metrics'),
        ('view', 'partition_health'),
        ('view', 'sequences'),
        ('view', 'server_health'),
        ('view', 'slow_queries'),
        ('view', 'table_bloat'),
        ('view', 'unused_indexes'),
        ('view', 'vacuum_health'),
        ('view', 'wait_events'),
        ('function', 'create_monthly_partitions'),
        ('function', 'update_table_statistics')
    ),
    -- what it is, what ALTER calls it, and by which name it could go on
    found (what, object, new_name) AS (
        SELECT pg_catalog.format('schema %I', n.nspname), pg_catalog.format('SCHEMA %I', n.nspname),
               n.nspname || '_by_hand_' || n.oid
          FROM pg_catalog.pg_namespace n JOIN wanted w ON w.kind = 'schema' AND w.name = n.nspname
        UNION ALL
        SELECT pg_catalog.format('event trigger %I', t.evtname), pg_catalog.format('EVENT TRIGGER %I', t.evtname),
               pg_catalog.left(t.evtname, 40) || '_by_hand_' || t.oid
          FROM pg_catalog.pg_event_trigger t JOIN wanted w ON w.kind = 'event trigger' AND w.name = t.evtname
        UNION ALL
        SELECT pg_catalog.format('%s %I.%I', k.kind, n.nspname, c.relname),
               pg_catalog.format('%s %I.%I', pg_catalog.upper(k.kind), n.nspname, c.relname),
               pg_catalog.left(c.relname, 40) || '_by_hand_' || c.oid
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          JOIN wanted w ON w.kind = 'view' AND w.name = c.relname
         CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                    WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type'
                                    WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' ELSE 'table' END) k (kind)
         WHERE n.nspname = 'monitoring'
        UNION ALL
        -- whatever their arguments: an older create_monthly_partitions() would win over ours in a call without any
        SELECT pg_catalog.format('%s %s', k.kind, p.oid::pg_catalog.regprocedure),
               pg_catalog.format('%s %I.%I(%s)', pg_catalog.upper(k.kind), n.nspname, p.proname,
                                 pg_catalog.pg_get_function_identity_arguments(p.oid)),
               p.proname || '_by_hand_' || p.oid
          FROM pg_catalog.pg_proc p
          JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          JOIN wanted w ON w.kind = 'function' AND w.name = p.proname
         CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
                                    ELSE 'function' END) k (kind)
         WHERE n.oid = pg_catalog.to_regnamespace('@extschema@')
    )
    SELECT pg_catalog.array_agg(what ORDER BY what),
           pg_catalog.array_agg(pg_catalog.format('ALTER %s RENAME TO %I;', object, new_name) ORDER BY what)
      INTO taken, renames
      FROM found;
    IF taken IS NOT NULL THEN
        RAISE EXCEPTION 'names that pg_groundskeeper needs are taken'
            USING ERRCODE = 'duplicate_object',
                  DETAIL = 'Not made by this extension: ' || pg_catalog.array_to_string(taken, ', ') || '.',
                  HINT = 'Rename them, then install again: ' || pg_catalog.array_to_string(renames, ' ');
    END IF;
END
$$;

CREATE SCHEMA groundskeeper;
COMMENT ON SCHEMA groundskeeper IS 'pg_groundskeeper: its functions, configuration and journal';

CREATE SCHEMA groundskeeper_internal;
COMMENT ON SCHEMA groundskeeper_internal IS
    'pg_groundskeeper: what its triggers, constraints, views, procedures and workers call, and nobody else';

-- A schema of the user's is used as it is; one that we make is a member and goes with the extension.
DO $$
BEGIN
    IF pg_catalog.to_regnamespace('monitoring') IS NULL THEN
        CREATE SCHEMA monitoring;
        COMMENT ON SCHEMA monitoring IS 'pg_groundskeeper: views on the health of the database';
    END IF;
END
$$;
