-- Managed tables are known by their names: rows of ours hold those, so that a dump can be restored. A table that is
-- dropped goes off the list, whoever drops it, and a row follows a table that gets another name.
--
-- As the guard does, these look at the statement's own relations first, by the catalogs as they were when it began, and
-- read our tables only where one of them is partitioned. What fails here is a warning, and the statement goes on.

-- Writes down what has become of a table: its new name, or none where it was dropped. Of a converted one that is gone the
-- rest is written down no longer, unless its keys are there still, to be cleared away with it.
CREATE FUNCTION groundskeeper_internal.managed_table_became(was text, now text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF was = now OR was IS NULL OR NOT EXISTS (SELECT FROM groundskeeper.managed_tables WHERE parent = was) THEN
        RETURN;
    END IF;
    IF now IS NOT NULL THEN
        -- one that was converted is looked for by the name that its functions have
        IF EXISTS (SELECT FROM groundskeeper.managed_tables WHERE parent = was AND key_table IS NULL AND former IS NULL) THEN
            -- a table that is gone had that name
            DELETE FROM groundskeeper.managed_tables WHERE parent = now;
            UPDATE groundskeeper.managed_tables SET parent = now WHERE parent = was;
        END IF;
        RETURN;
    END IF;
    DELETE FROM groundskeeper.conversion c
     USING groundskeeper.managed_tables m
     WHERE m.parent = was AND c.relation = was AND c.stage = 'finalized'
       AND (m.key_table IS NULL OR to_regclass(m.key_table) IS NULL);
    DELETE FROM groundskeeper.managed_tables WHERE parent = was;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.managed_table_became(text, text) IS 'Has the list of managed tables follow one that was renamed or, without a new name, dropped';

-- The rows are written with the rights of the extension's owner, for whoever drops or renames a table of his own; names
-- come quoted from the catalogs. Nobody waits here for long, not even for who is just writing the same row.
CREATE FUNCTION groundskeeper_internal.follow_managed_tables() RETURNS event_trigger
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET lock_timeout = '1s' AS $$
DECLARE
    given record;
BEGIN
    IF tg_event = 'sql_drop' THEN
        FOR given IN
            SELECT format('%I.%I', n.nspname, c.relname) AS was, NULL::text AS now
              FROM pg_event_trigger_dropped_objects() d
             CROSS JOIN LATERAL (SELECT t.relname, t.relnamespace FROM pg_class t
                                  WHERE t.oid = d.objid AND t.relkind = 'p' LIMIT 1) c
              JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0
        LOOP
            PERFORM groundskeeper_internal.managed_table_became(given.was, given.now);
        END LOOP;
        RETURN;
    END IF;
    FOR given IN
        SELECT format('%I.%I', n.nspname, c.relname) AS was, d.object_identity AS now
          FROM pg_event_trigger_ddl_commands() d
         CROSS JOIN LATERAL (SELECT t.relname, t.relnamespace FROM pg_class t
                              WHERE t.oid = d.objid AND t.relkind = 'p' LIMIT 1) c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND tg_tag = 'ALTER TABLE'
        UNION ALL
        -- a schema's new name is that of all its tables
        SELECT format('%I.%I', n.nspname, c.relname), format('%s.%I', d.object_identity, c.relname)
          FROM pg_event_trigger_ddl_commands() d
          JOIN pg_namespace n ON n.oid = d.objid
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'p'
         WHERE d.classid = 'pg_namespace'::regclass AND tg_tag = 'ALTER SCHEMA'
    LOOP
        PERFORM groundskeeper_internal.managed_table_became(given.was, given.now)
          WHERE given.was <> given.now;
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pg_groundskeeper cannot tell whether this statement is about a table that it looks after: %', SQLERRM
        USING ERRCODE = SQLSTATE,
              HINT = 'It goes on all the same. groundskeeper.stop_managing() takes a table that is gone off the list. Where this stays so, ALTER EVENT TRIGGER ... DISABLE ends it.';
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.follow_managed_tables() IS 'Takes dropped tables off the list of managed ones, and has it follow new names';

CREATE EVENT TRIGGER groundskeeper_follow_dropped ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION groundskeeper_internal.follow_managed_tables();
COMMENT ON EVENT TRIGGER groundskeeper_follow_dropped IS 'Takes dropped tables off the list of managed ones';
CREATE EVENT TRIGGER groundskeeper_follow_names ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'ALTER SCHEMA')
    EXECUTE FUNCTION groundskeeper_internal.follow_managed_tables();
COMMENT ON EVENT TRIGGER groundskeeper_follow_names IS 'Has the list of managed tables follow new names';
