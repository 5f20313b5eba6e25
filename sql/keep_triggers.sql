-- The triggers that keep the keys of a converted table, and those that log what its other copy lacks, are to it what a
-- unique index is to a plain one, and no more to be switched off: ALTER TABLE ... DISABLE TRIGGER ALL by a loader of
-- fixtures or by pg_restore would let rows in without keys, and ENABLE TRIGGER ALL leaves them as ordinary triggers, which
-- replication and others that switch off ordinary ones pass by. So they are put back to ENABLE ALWAYS when the statement
-- is over; it goes on, and does what it says to all other triggers. Nobody has written the table between the two.
--
-- The triggers by which a dump restores over the defaults of our own tables are kept on in the same way.
--
-- PL/pgSQL over the catalogs, as in guard.sql. What is ours is told by the function's owner, too: somebody else's trigger by
-- such a name may be switched off.
CREATE FUNCTION groundskeeper_internal.keep_triggers() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours CONSTANT name[] := '{A_groundskeeper_key_insert,zz_groundskeeper_key_update,groundskeeper_key_delete,groundskeeper_key_truncate,groundskeeper_key_restore,groundskeeper_capture,groundskeeper_capture_truncate,take_place}';
    altered record;
    oids oid[] := '{}';
    tables text[] := '{}';
    changes text[] := '{}';
    is_disabled boolean := false;
    allowed text := current_setting('groundskeeper.allow_partition_ddl', true);
BEGIN
    BEGIN
        IF COALESCE(NULLIF(allowed, '')::boolean, false)
           OR NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c
                           WHERE c.classid = 'pg_class'::regclass
                             AND (SELECT true FROM pg_trigger g WHERE g.tgrelid = c.objid AND g.tgname = ANY (ours) LIMIT 1)) THEN
            RETURN;
        END IF;
        FOR altered IN
            SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, bool_or(g.tgenabled <> 'O' AND f.prosecdef) AS is_disabled,
                   string_agg(format('ENABLE ALWAYS TRIGGER %I', g.tgname), ', ') AS changes
              FROM (SELECT DISTINCT d.objid FROM pg_event_trigger_ddl_commands() d WHERE d.classid = 'pg_class'::regclass) d
             CROSS JOIN LATERAL (SELECT d.objid AS relid, 0 AS level
                                  UNION ALL
                                 SELECT t.relid, t.level FROM pg_partition_tree(d.objid) t WHERE t.level > 0) p
              JOIN pg_class c ON c.oid = p.relid
              JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = ANY (ours) AND g.tgenabled <> 'A'
              JOIN pg_proc f ON f.oid = g.tgfoid AND f.proowner = c.relowner
                            AND (f.prosecdef OR f.proname = 'take_place' AND f.pronamespace = 'groundskeeper_internal'::regnamespace)
             -- by this statement, or another of its transaction
             WHERE g.xmin IN (SELECT l.transactionid FROM pg_locks l
                               WHERE l.locktype = 'transactionid' AND l.granted AND l.pid = pg_backend_pid())
             -- the whole first: the row triggers of its partitions follow it
             GROUP BY p.level, c.oid, n.nspname, c.relname
             ORDER BY p.level, c.oid
        LOOP
            oids := oids || altered.oid;
            tables := tables || altered.name;
            changes := changes || altered.changes;
            is_disabled := is_disabled OR altered.is_disabled;
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'pg_groundskeeper cannot tell whether this statement is about a table that it converted: %', SQLERRM
            USING ERRCODE = SQLSTATE,
                  HINT = 'It goes on all the same. Where this stays so, ALTER EVENT TRIGGER ... DISABLE ends it.';
        RETURN;
    END;
    IF oids = '{}' THEN
        RETURN;
    END IF;
    -- The statements that follow come by here themselves.
    PERFORM set_config('groundskeeper.allow_partition_ddl', 'on', true);
    FOR at IN 1 .. cardinality(oids) LOOP
        IF EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = oids[at] AND g.tgname = ANY (ours) AND g.tgenabled <> 'A') THEN
            EXECUTE format('ALTER TABLE %s %s', tables[at], changes[at]);
        END IF;
    END LOOP;
    PERFORM set_config('groundskeeper.allow_partition_ddl', COALESCE(NULLIF(allowed, ''), 'off'), true);
    IF is_disabled THEN
        RAISE WARNING 'the triggers that keep keys and copies of % stay enabled', array_to_string(tables[1:3], ', ')
                      || CASE WHEN cardinality(tables) > 3 THEN format(' and %s more', cardinality(tables) - 3) ELSE '' END
            USING DETAIL = 'All others are as the statement says. Without these, rows would have no keys, and the way back would lack what is written.',
                  HINT = 'SET groundskeeper.allow_partition_ddl = on lets them be switched off; groundskeeper.rebuild_keys() mends the keys afterwards.';
    END IF;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.keep_triggers() IS 'Keeps the triggers of converted tables enabled as a unique index is, whatever switches triggers off';

CREATE EVENT TRIGGER groundskeeper_keep_triggers ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION groundskeeper_internal.keep_triggers();
COMMENT ON EVENT TRIGGER groundskeeper_keep_triggers IS 'Keeps the keys and copies of converted tables right when triggers are switched off';
