-- Partitions of a table with a key table do not come and go by plain statements: their keys would stay behind, or be
-- missing. Nor is such a table renamed, as the functions that keep its keys name it.
--
-- All of it is PL/pgSQL over the system catalogs and reads nobody's tables, ours included: DDL goes on, and is looked
-- at, with the library missing or another, with a table of ours broken or gone, and for roles that may see nothing of
-- ours. First comes a look at the statement's own relations, for a trigger of a conversion on them: for all others it
-- is the last. Where the look itself fails, a warning says so and the statement goes on. What is looked up for each
-- object of a statement stands in subqueries with LIMIT, which the planner leaves alone: as a join it would read the
-- whole catalog, as it expects a hundred objects.

-- STABLE has its queries see the catalogs as they were when the statement began; functions of PostgreSQL's that look an
-- object up see it as it is by now. What others change while the statement waits for its locks is not its doing: those
-- changes bear other transactions' numbers, and our own are the ones that we hold locks on.
CREATE FUNCTION groundskeeper_internal.guard_partitions() RETURNS event_trigger
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    command record;
    was record;
    refused text;
    why text := 'The keys of its rows are kept apart, where foreign keys refer to them.';
    instead text;
BEGIN
    BEGIN
        IF COALESCE(NULLIF(current_setting('groundskeeper.allow_partition_ddl', true), '')::boolean, false) THEN
            RETURN;
        END IF;
        IF tg_event = 'sql_drop' THEN
            SELECT format('a partition of %I.%I cannot be dropped like this', n.nspname, t.relname),
                   'groundskeeper.drop_partition() does both.'
              INTO refused, instead
              FROM pg_event_trigger_dropped_objects() d
             CROSS JOIN LATERAL (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = d.objid LIMIT 1) i
             CROSS JOIN LATERAL (SELECT FROM pg_trigger g
                                  WHERE g.tgrelid = i.inhparent AND g.tgname = 'A_groundskeeper_key_insert' LIMIT 1) g
             -- A partition of a partition has its keys with the whole. What goes with the whole takes them along.
             CROSS JOIN LATERAL (WITH RECURSIVE above (oid, level) AS (
                                     SELECT i.inhparent, 1
                                      UNION ALL
                                     SELECT (SELECT j.inhparent FROM pg_inherits j WHERE j.inhrelid = a.oid LIMIT 1), a.level + 1
                                       FROM above a WHERE a.oid IS NOT NULL)
                                 SELECT a.oid FROM above a WHERE a.oid IS NOT NULL ORDER BY a.level DESC LIMIT 1) w
              JOIN pg_class t ON t.oid = w.oid
              JOIN pg_namespace n ON n.oid = t.relnamespace
             WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.object_type IN ('table', 'foreign table')
               AND NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() o
                                WHERE o.classid = d.classid AND o.objid = w.oid)
             LIMIT 1;
        END IF;
        FOR command IN
            SELECT c.objid, c.objsubid, c.object_identity
              FROM pg_event_trigger_ddl_commands() c
             WHERE tg_event = 'ddl_command_end' AND c.classid = 'pg_class'::regclass
               AND (SELECT true FROM pg_trigger g
                     WHERE g.tgrelid = c.objid AND g.tgname IN ('A_groundskeeper_key_insert', 'groundskeeper_capture') LIMIT 1)
        LOOP
            SELECT format('%I.%I', n.nspname, t.relname) AS name, a.attname,
                   EXISTS (SELECT FROM pg_trigger g
                            WHERE g.tgrelid = t.oid AND g.tgname = 'A_groundskeeper_key_insert') AS has_keys,
                   EXISTS (SELECT FROM pg_trigger g
                            WHERE g.tgrelid = t.oid AND g.tgname = 'groundskeeper_capture') AS has_copy,
                   -- One that was renamed all the same may have its name back: long ones end with a hash in place of a part.
                   EXISTS (SELECT FROM pg_trigger g
                             JOIN pg_proc f ON f.oid = g.tgfoid AND f.pronamespace = t.relnamespace
                            CROSS JOIN concat(t.relname, CASE g.tgname WHEN 'groundskeeper_capture' THEN '_capture'
                                                                       ELSE '_key_insert' END) w (name)
                            WHERE g.tgrelid = t.oid AND g.tgname IN ('A_groundskeeper_key_insert', 'groundskeeper_capture')
                              AND CASE WHEN octet_length(w.name) < 64 THEN f.proname = w.name
                                       ELSE starts_with(w.name, left(f.proname, -9)) END) AS is_named,
                   -- Each partition has the primary key that the whole cannot have; the key table has what else is unique.
                   a.attnum = ANY (k.partattrs)
                       OR EXISTS (SELECT FROM concat(t.relname, '_key') w (name)
                                    JOIN pg_class c ON c.relnamespace = t.relnamespace AND c.relowner = t.relowner
                                                   AND CASE WHEN octet_length(w.name) < 64 THEN c.relname = w.name
                                                            ELSE octet_length(c.relname) = 63 AND starts_with(w.name, left(c.relname, -9)) END
                                    JOIN pg_attribute b ON b.attrelid = c.oid AND b.attnum > 0
                                   WHERE b.attname = a.attname
                                     AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = 'groundskeeper_key_restore'))
                       OR EXISTS (SELECT FROM pg_inherits i
                                    JOIN pg_index x ON x.indrelid = i.inhrelid AND x.indisprimary
                                    JOIN pg_attribute b ON b.attrelid = x.indrelid AND b.attnum = ANY (x.indkey)
                                   WHERE i.inhparent = t.oid AND b.attname = a.attname) AS is_key
              INTO was
              FROM pg_class t
              JOIN pg_namespace n ON n.oid = t.relnamespace
              JOIN pg_partitioned_table k ON k.partrelid = t.oid
              LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = command.objsubid AND command.objsubid > 0
             WHERE t.oid = command.objid;
            CONTINUE WHEN NOT FOUND;
            IF command.object_identity <> concat_ws('.', was.name, quote_ident(was.attname))
               AND (CASE WHEN was.attname IS NULL THEN was.is_named ELSE was.has_copy OR was.is_key END) THEN
                refused := format('%s cannot be renamed or moved',
                                  concat_ws(' of ', 'column ' || quote_ident(was.attname), was.name));
                IF was.has_copy THEN
                    why := 'What keeps its two copies equal names it.';
                    instead := 'groundskeeper.undo_partitioning() or groundskeeper.finalize_partitioning() comes first.';
                ELSE
                    why := 'The functions that keep its keys name it.';
                    instead := 'Another name for it can be a view''s.';
                END IF;
            ELSIF was.has_keys
                  AND EXISTS (SELECT FROM pg_inherits i
                               WHERE i.inhparent = command.objid
                                 AND NOT EXISTS (SELECT FROM pg_partition_ancestors(i.inhrelid) a
                                                  WHERE a.relid = command.objid)
                                 AND i.xmax IN (SELECT l.transactionid FROM pg_locks l
                                                 WHERE l.locktype = 'transactionid' AND l.granted
                                                   AND l.pid = pg_backend_pid())) THEN
                refused := format('a partition of %s cannot be detached like this', was.name);
                instead := 'groundskeeper.detach_partition() does both.';
            END IF;
            EXIT WHEN refused IS NOT NULL;
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'pg_groundskeeper cannot tell whether this statement is about a table that it converted: %', SQLERRM
            USING ERRCODE = SQLSTATE,
                  HINT = 'It goes on all the same. Where this stays so, ALTER EVENT TRIGGER ... DISABLE ends it.';
        RETURN;
    END;
    IF refused IS NOT NULL THEN
        IF instead LIKE '% does both.' THEN
            instead := instead || ' Where the keys do not matter: SET groundskeeper.allow_partition_ddl = on.';
        END IF;
        RAISE object_not_in_prerequisite_state USING MESSAGE = refused, DETAIL = why, HINT = instead;
    END IF;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.guard_partitions() IS 'Refuses plain statements that would leave keys of a partition''s rows behind, or rename what functions name';

-- It commits half-way, so it cannot be taken back when it is over: the statement's text says what it is about to do.
-- It stands alone in its query, as it runs at top level only. Comments, which nest, go first, but for what looks like
-- one within quotes. Names are the caller's to resolve, so the path is the caller's, too.
CREATE FUNCTION groundskeeper_internal.guard_detach_concurrently() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    statement pg_catalog.text := pg_catalog.current_query();
    shorter pg_catalog.text;
    parent pg_catalog.regclass;
BEGIN
    BEGIN
        -- Nearly all statements end here, and those of background workers, which have no text.
        IF (statement OPERATOR(pg_catalog.~*) 'concurrently') IS NOT TRUE THEN
            RETURN;
        END IF;
        LOOP
            shorter := pg_catalog.regexp_replace(statement,
                '("[^"]*")\s*|--[^\n\r]*|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/', '\1 ', 'g');
            EXIT WHEN shorter OPERATOR(pg_catalog.=) statement;
            statement := shorter;
        END LOOP;
        parent := pg_catalog.to_regclass(pg_catalog.rtrim((pg_catalog.regexp_match(statement,
            '^\s*alter\s+table\s+(?:if\s+exists\s+)?(?:only\s*\(|only\s+)?(.*?)\mdetach\s+partition\M.*\mconcurrently\s*[;\s]*$', 'i'))[1], E' \t\r\n\f*)'));
        IF parent IS NULL
           OR pg_catalog.lower(pg_catalog.current_setting('groundskeeper.allow_partition_ddl', true))
              OPERATOR(pg_catalog.=) ANY ('{on,true,yes,1}')
           OR NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g
                           WHERE g.tgrelid OPERATOR(pg_catalog.=) parent
                             AND g.tgname OPERATOR(pg_catalog.=) 'A_groundskeeper_key_insert') THEN
            RETURN;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'pg_groundskeeper cannot tell whether this statement is about a table that it converted: %', SQLERRM
            USING ERRCODE = SQLSTATE,
                  HINT = 'It goes on all the same. Where this stays so, ALTER EVENT TRIGGER ... DISABLE ends it.';
        RETURN;
    END;
    RAISE object_not_in_prerequisite_state
        USING MESSAGE = pg_catalog.format('a partition of %s cannot be detached like this', parent),
              DETAIL = 'The keys of its rows are kept apart, where foreign keys refer to them.',
              HINT = 'groundskeeper.detach_partition() does both. Where the keys do not matter: SET groundskeeper.allow_partition_ddl = on.';
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.guard_detach_concurrently() IS 'Refuses DETACH PARTITION ... CONCURRENTLY where it would leave keys of the partition''s rows behind';

-- VOLATILE: sees the catalogs as they are when the statement is over. What a new partition lacks are the triggers on
-- TRUNCATE, which do not come from the whole. Whether one that was attached has rows is told by the size of its files:
-- reading it could run its owner's code, or ask another server.
CREATE FUNCTION groundskeeper_internal.complete_partitions() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lacking record;
    statements text[] := '{}';
    refused text;
BEGIN
    BEGIN
        IF COALESCE(NULLIF(current_setting('groundskeeper.allow_partition_ddl', true), '')::boolean, false) THEN
            RETURN;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c
                        WHERE c.classid = 'pg_class'::regclass
                          AND (SELECT true FROM pg_trigger g
                                WHERE g.tgname IN ('A_groundskeeper_key_insert', 'groundskeeper_capture')
                                  AND g.tgrelid = CASE tg_tag
                                          WHEN 'ALTER TABLE' THEN c.objid
                                          ELSE (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.objid LIMIT 1)
                                      END
                                LIMIT 1)) THEN
            RETURN;
        END IF;
        FOR lacking IN
            SELECT p.inhparent::regclass AS parent, t.relkind, format('%I.%I', n.nspname, t.relname) AS partition,
                   g.tgname AS trigger, CASE WHEN g.tgtype & 2 = 0 THEN 'AFTER' ELSE 'BEFORE' END AS at,
                   format('%I.%I', m.nspname, f.proname) AS function,
                   tg_tag = 'ALTER TABLE' AND g.tgname = 'groundskeeper_key_truncate'
                       AND (t.relkind = 'f' OR pg_relation_size(t.oid) > 0) AS brings_rows
              FROM (SELECT i.inhrelid, i.inhparent
                      FROM pg_event_trigger_ddl_commands() c
                      JOIN pg_inherits i ON i.inhrelid = c.objid
                     WHERE tg_tag = 'CREATE TABLE' AND c.classid = 'pg_class'::regclass
                    UNION
                    SELECT i.inhrelid, i.inhparent
                      FROM pg_event_trigger_ddl_commands() c
                      JOIN pg_inherits i ON i.inhparent = c.objid
                     WHERE tg_tag = 'ALTER TABLE' AND c.classid = 'pg_class'::regclass
                       AND EXISTS (SELECT FROM pg_trigger g
                                    WHERE g.tgrelid = c.objid AND g.tgname IN ('A_groundskeeper_key_insert', 'groundskeeper_capture'))
                       AND i.xmin IN (SELECT l.transactionid FROM pg_locks l
                                       WHERE l.locktype = 'transactionid' AND l.granted AND l.pid = pg_backend_pid())) p
              JOIN pg_trigger g ON g.tgrelid = pg_partition_root(p.inhparent)
                               AND g.tgname IN ('groundskeeper_key_truncate', 'groundskeeper_capture_truncate')
              JOIN pg_proc f ON f.oid = g.tgfoid
              JOIN pg_namespace m ON m.oid = f.pronamespace
             CROSS JOIN LATERAL pg_partition_tree(p.inhrelid) l
              JOIN pg_class t ON t.oid = l.relid AND pg_has_role(t.relowner, 'USAGE')
              JOIN pg_namespace n ON n.oid = t.relnamespace
             WHERE l.isleaf
               AND NOT EXISTS (SELECT FROM pg_trigger h WHERE h.tgrelid = t.oid AND h.tgname = g.tgname)
        LOOP
            IF lacking.brings_rows THEN
                refused := format('%s cannot be attached to %s with rows in it', lacking.partition, lacking.parent);
            ELSIF lacking.relkind = 'r' THEN
                statements := statements || ARRAY[
                    format('CREATE TRIGGER %I %s TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s()',
                           lacking.trigger, lacking.at, lacking.partition, lacking.function),
                    format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', lacking.partition, lacking.trigger)];
            END IF;
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'pg_groundskeeper cannot tell whether this statement is about a table that it converted: %', SQLERRM
            USING ERRCODE = SQLSTATE,
                  HINT = 'It goes on all the same. Where this stays so, ALTER EVENT TRIGGER ... DISABLE ends it.';
        RETURN;
    END;
    IF refused IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = refused,
                  DETAIL = 'The keys of the table''s rows are kept apart, where foreign keys refer to them, and those of these rows are not there.',
                  HINT = 'Attach it empty, by TRUNCATE where its rows were deleted, and insert them. Where the keys do not matter: SET groundskeeper.allow_partition_ddl = on.';
    END IF;
    FOR at IN 1 .. cardinality(statements) LOOP
        EXECUTE statements[at];
    END LOOP;
END
$$;
COMMENT ON FUNCTION groundskeeper_internal.complete_partitions() IS 'Gives partitions that plain statements made or attached the triggers that they do not get from their table';

CREATE EVENT TRIGGER groundskeeper_guard_partitions ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION groundskeeper_internal.guard_partitions();
COMMENT ON EVENT TRIGGER groundskeeper_guard_partitions IS 'Keeps the keys of converted tables right when partitions are detached, and names that functions use';
CREATE EVENT TRIGGER groundskeeper_guard_dropped_partitions ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION', 'DROP FOREIGN TABLE')
    EXECUTE FUNCTION groundskeeper_internal.guard_partitions();
COMMENT ON EVENT TRIGGER groundskeeper_guard_dropped_partitions IS 'Keeps the keys of converted tables right when partitions are dropped';
CREATE EVENT TRIGGER groundskeeper_guard_detach_concurrently ON ddl_command_start WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION groundskeeper_internal.guard_detach_concurrently();
COMMENT ON EVENT TRIGGER groundskeeper_guard_detach_concurrently IS 'Keeps the keys of converted tables right when partitions are detached concurrently';
CREATE EVENT TRIGGER groundskeeper_complete_partitions ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE')
    EXECUTE FUNCTION groundskeeper_internal.complete_partitions();
COMMENT ON EVENT TRIGGER groundskeeper_complete_partitions IS 'Keeps the keys of converted tables right when partitions that came by plain statements are truncated';
