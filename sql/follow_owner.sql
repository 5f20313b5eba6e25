-- A table that is partitioned has what belongs to it beside it: partitions, keys, the log, the other copy, and functions
-- that run with their owner's rights. All of it goes with the table when that is given to another role; PostgreSQL itself
-- leaves partitions and functions behind, and every write would be refused.
--
-- What the former owner may have written into it runs as the new one from then on. Where that role could not have acted
-- as the new owner, the statement is refused.

CREATE FUNCTION groundskeeper_internal.follow_owner() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given record;
    object record;
    statements text[] := '{}';
    stranger text;
BEGIN
    BEGIN
        FOR given IN
            SELECT DISTINCT t.oid, t.relname, t.relkind, t.relnamespace, t.relowner, f.proowner AS former, n.nspname,
                   pg_get_userbyid(t.relowner) AS new_owner,
                   pg_has_role(f.proowner, t.relowner, 'MEMBER') AS is_one_of_them
              FROM pg_event_trigger_ddl_commands() c
             -- partitions have the triggers of their table
             CROSS JOIN LATERAL (SELECT g.tgfoid FROM pg_trigger g
                                  WHERE g.tgrelid = c.objid AND g.tgname IN ('A_groundskeeper_key_insert', 'groundskeeper_capture')
                                    AND g.tgparentid = 0
                                  LIMIT 1) g
              JOIN pg_class t ON t.oid = c.objid
              JOIN pg_namespace n ON n.oid = t.relnamespace
              JOIN pg_proc f ON f.oid = g.tgfoid AND f.pronamespace = t.relnamespace AND f.proowner <> t.relowner
             WHERE c.classid = 'pg_class'::regclass
               -- Whatever else is altered is no matter of owners. That of a table stands in a row of this transaction's if
               -- it is new; of the first superuser's tables PostgreSQL keeps none, so there the table's
               -- own row must be new.
               AND (t.relowner = 10
                    AND t.xmin IN (SELECT l.transactionid FROM pg_locks l
                                    WHERE l.locktype = 'transactionid' AND l.granted AND l.pid = pg_backend_pid())
                 OR EXISTS (SELECT FROM pg_shdepend d
                             WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                               AND d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.objsubid = 0 AND d.deptype = 'o'
                               AND d.xmin IN (SELECT l.transactionid FROM pg_locks l
                                               WHERE l.locktype = 'transactionid' AND l.granted AND l.pid = pg_backend_pid())))
        LOOP
            IF NOT given.is_one_of_them THEN
                stranger := format('%I.%I', given.nspname, given.relname);
                EXIT;
            END IF;
            FOR object IN
                -- names that are not in use are anybody's
                WITH suffixes (suffix) AS (
                    SELECT unnest('{key,key_insert,key_update,key_delete,key_truncate,key_restore}'::text[])
                     WHERE EXISTS (SELECT FROM pg_trigger WHERE tgrelid = given.oid AND tgname = 'A_groundskeeper_key_insert')
                        OR given.relkind = 'r'
                    UNION ALL
                    SELECT unnest('{changes,capture,unpartitioned,partitioned}'::text[])
                     WHERE EXISTS (SELECT FROM pg_trigger WHERE tgrelid = given.oid AND tgname = 'groundskeeper_capture')),
                -- long names end with a hash in place of a part
                names (name, begins) AS (
                    SELECT w.name, octet_length(w.name) > 63
                      FROM suffixes CROSS JOIN concat(given.relname, '_', suffix) w (name)),
                tables (oid) AS (
                    SELECT given.oid
                    UNION ALL
                    SELECT c.oid
                      FROM pg_class c
                      JOIN names w ON CASE WHEN w.begins THEN octet_length(c.relname) = 63 AND starts_with(w.name, left(c.relname, -9))
                                           ELSE c.relname = w.name END
                     WHERE c.relnamespace = given.relnamespace AND c.relowner = given.former AND c.relkind IN ('r', 'p'))
                SELECT format('ALTER FUNCTION %I.%I() OWNER TO %I', given.nspname, f.proname, given.new_owner) AS statement
                  FROM pg_proc f
                  JOIN names w ON CASE WHEN w.begins THEN octet_length(f.proname) = 63 AND starts_with(w.name, left(f.proname, -9))
                                       ELSE f.proname = w.name END
                 WHERE f.pronamespace = given.relnamespace AND f.proowner = given.former AND f.pronargs = 0
                   AND f.prorettype = 'trigger'::regtype
                UNION ALL
                SELECT format('ALTER %s %I.%I OWNER TO %I', CASE c.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
                              n.nspname, c.relname, given.new_owner)
                  FROM (SELECT DISTINCT COALESCE(p.relid, t.oid) FROM tables t LEFT JOIN pg_partition_tree(t.oid) p ON true) p (relid)
                  JOIN pg_class c ON c.oid = p.relid AND c.relowner = given.former
                  JOIN pg_namespace n ON n.oid = c.relnamespace
            LOOP
                statements := statements || object.statement;
            END LOOP;
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'pg_groundskeeper cannot tell whether this statement is about a table that it converted: %', SQLERRM
            USING ERRCODE = SQLSTATE,
                  HINT = 'It goes on all the same. Where this stays so, ALTER EVENT TRIGGER ... DISABLE ends it.';
        RETURN;
    END;
    IF stranger IS NOT NULL THEN
        RAISE insufficient_privilege
            USING MESSAGE = format('%s cannot be given to %I by itself', stranger, given.new_owner),
                  DETAIL = format('Its partitions and functions go with it, and what %I has written into them would run as %I.',
                                  pg_get_userbyid(given.former), given.new_owner),
                  HINT = format('Look at the triggers of %s, its partitions and its keys; then GRANT %I TO %I for as long as this takes, or groundskeeper.undo_partitioning() comes first.',
                                stranger, given.new_owner, pg_get_userbyid(given.former));
    END IF;
    FOR at IN 1 .. cardinality(statements) LOOP
        EXECUTE statements[at];
    END LOOP;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.follow_owner() IS 'Gives partitions, keys and functions of a converted table to the role that the table is given to';

CREATE EVENT TRIGGER groundskeeper_follow_owner ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION groundskeeper_internal.follow_owner();
COMMENT ON EVENT TRIGGER groundskeeper_follow_owner IS 'Keeps a converted table and all that belongs to it in one role''s hands';
