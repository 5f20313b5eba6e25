-- Nothing below is resolved by the path of whoever installs: in the target schema anybody may have planted a function or
-- an operator that fits better than PostgreSQL's own. What is made there is named with its schema.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Names of ours that are taken by something else are refused before anything is changed, all in one error.
DO $$
DECLARE
    taken text[];
    renames text[];
BEGIN
    WITH wanted_views(name) AS (
        VALUES ('connection_stats'), ('slow_queries'), ('table_bloat'), ('unused_indexes'), ('partition_health'),
               ('index_health'), ('index_bloat'), ('maintenance_status')
    ),
    found(what, rename) AS (
        SELECT pg_catalog.format('schema %I', n.nspname),
               pg_catalog.format('ALTER SCHEMA %I RENAME TO %I', n.nspname, n.nspname || '_by_hand_' || n.oid)
          FROM pg_catalog.pg_namespace n
         WHERE n.nspname = 'groundskeeper'
        UNION ALL
        SELECT pg_catalog.format('%s %I.%I', k.what, n.nspname, c.relname),
               pg_catalog.format('ALTER %s %I.%I RENAME TO %I', pg_catalog.upper(k.what), n.nspname, c.relname,
                                 pg_catalog.left(c.relname, 40) || '_by_hand_' || c.oid)
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          JOIN wanted_views w ON w.name = c.relname
         CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                    WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type'
                                    WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' ELSE 'table' END AS what) k
         WHERE n.nspname = 'monitoring'
        UNION ALL
        -- whatever their arguments: an older create_monthly_partitions() would win over ours in a call without any
        SELECT pg_catalog.format('%s %s', r.what, p.oid::pg_catalog.regprocedure),
               pg_catalog.format('ALTER %s %I.%I(%s) RENAME TO %I', pg_catalog.upper(r.what), n.nspname, p.proname,
                                 pg_catalog.pg_get_function_identity_arguments(p.oid), p.proname || '_by_hand_' || p.oid)
          FROM pg_catalog.pg_proc p
          JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
                                    ELSE 'function' END AS what) r
         WHERE n.oid = pg_catalog.to_regnamespace('@extschema@') AND p.proname IN ('create_monthly_partitions', 'update_table_statistics')
    )
    SELECT pg_catalog.array_agg(what ORDER BY what), pg_catalog.array_agg(rename || ';' ORDER BY what)
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

-- A schema of the user's is used as it is; one that we make is a member and goes with the extension.
DO $$
BEGIN
    IF pg_catalog.to_regnamespace('monitoring') IS NULL THEN
        CREATE SCHEMA monitoring;
        COMMENT ON SCHEMA monitoring IS 'pg_groundskeeper: views on the health of the database';
    END IF;
END
$$;
