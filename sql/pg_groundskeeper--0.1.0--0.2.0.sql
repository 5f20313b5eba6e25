\echo Use "ALTER EXTENSION pg_groundskeeper UPDATE TO '0.2.0'" to load this file. \quit
-- Written by `cargo xtask upgrade-script`, from sql/upgrade/0.1.0--0.2.0 and both versions' install scripts.

-- Nothing below is resolved by the path of whoever updates.
SET LOCAL search_path = pg_catalog, pg_temp;

-- The library that this session has loaded may be older than the one on disk: with it no function below could be made.
DO $$
BEGIN
    CREATE FUNCTION groundskeeper.library_version() RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'library_version_wrapper';
    DROP FUNCTION groundskeeper.library_version();
EXCEPTION WHEN undefined_function THEN
    RAISE object_not_in_prerequisite_state
        USING MESSAGE = 'the library of pg_groundskeeper that this session has loaded is older than this update',
              DETAIL = SQLERRM,
              HINT = CASE WHEN 'pg_groundskeeper' = ANY (pg_catalog.regexp_split_to_array(
                                   pg_catalog.current_setting('shared_preload_libraries'), '[\s,"]+'))
                          THEN 'It is in shared_preload_libraries: restart the server, then update.'
                          ELSE 'Connect anew, then update.' END;
END
$$;

-- What is made here is to be its owner's, as the rest is.
DO $$
DECLARE
    owner name := (SELECT r.rolname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_roles r ON r.oid = e.extowner
                    WHERE e.extname = 'pg_groundskeeper' AND r.rolsuper);
BEGIN
    IF owner <> CURRENT_USER THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'pg_groundskeeper is updated by its owner',
                  HINT = pg_catalog.format('SET ROLE %I; ALTER EXTENSION pg_groundskeeper UPDATE;', owner);
    END IF;
END
$$;

-- Whoever was given a table of ours may have put a trigger on it, which would be run with the rights of who updates.
DO $$
DECLARE
    planted text := (
        SELECT pg_catalog.string_agg(pg_catalog.format('%I on %s', t.tgname, t.tgrelid::regclass), ', ')
          FROM pg_catalog.pg_trigger t
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.tgrelid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
         WHERE e.extname = 'pg_groundskeeper' AND NOT t.tgisinternal AND t.tgenabled <> 'D'
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend f
                            WHERE f.classid = 'pg_catalog.pg_proc'::regclass AND f.objid = t.tgfoid AND f.deptype = 'e'
                              AND f.refclassid = d.refclassid AND f.refobjid = d.refobjid));
BEGIN
    IF planted IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = 'tables of pg_groundskeeper have triggers of somebody''s', DETAIL = planted,
                  HINT = 'An update would run them: drop or disable them first.';
    END IF;
END
$$;

DO $$
DECLARE
    taken text[];
    renames text[];
BEGIN
    -- One a line: a test compares them with what is made.
    WITH wanted (kind, name) AS (VALUES
        ('schema', 'groundskeeper_internal'),
        ('event trigger', 'groundskeeper_follow_dropped'),
        ('event trigger', 'groundskeeper_follow_names'),
        ('event trigger', 'groundskeeper_follow_owner'),
        ('event trigger', 'groundskeeper_guard_detach_concurrently'),
        ('event trigger', 'groundskeeper_guard_dropped_partitions'),
        ('event trigger', 'groundskeeper_keep_triggers'),
        ('event trigger', 'groundskeeper_unschedule'),
        ('view', 'connections_by_role'),
        ('view', 'growth'),
        ('view', 'lock_tree'),
        ('view', 'metrics'),
        ('view', 'sequences'),
        ('view', 'server_health'),
        ('view', 'vacuum_health'),
        ('view', 'wait_events')
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
                  HINT = 'Rename them, then update again: ' || pg_catalog.array_to_string(renames, ' ');
    END IF;
END
$$;

-- What stands on a function that goes, or comes with other columns, is named before anything is changed.
DO $$
DECLARE
    dependents text;
BEGIN
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('%s uses %s', o.what, g.function), E'\n')
      INTO dependents
      FROM pg_catalog.unnest(ARRAY[
        'groundskeeper.slow_queries(text,name,boolean,interval,integer)',
        '@extschema@.create_monthly_partitions(integer)',
        'groundskeeper.partition_preflight(regclass,name)',
        'groundskeeper.partition_table(regclass,name,text,text,integer,text[])',
        'groundskeeper.connection_pool_config(text,integer)',
        'groundskeeper.set_retention(regclass,interval,text)',
        'groundskeeper.plan_status()',
        'groundskeeper.statement_latency(interval)',
        'groundskeeper.migrate_to_staging(text,integer)',
        'groundskeeper.apply_plan(boolean,text[])',
        'groundskeeper.relations_locked_by_others()',
        'groundskeeper.sizes_without_waiting(oid[])',
        'groundskeeper.index_findings()',
        'groundskeeper.counting_since()',
        'groundskeeper.definitions_without_waiting(oid[])',
        'groundskeeper.index_usage()',
        'groundskeeper.statement_statistics(name,boolean,interval)',
        'groundskeeper.statement_texts()',
        'groundskeeper.complete_partitions()',
        'groundskeeper.guard_partitions()',
        'groundskeeper.check_quality_rules(jsonb)',
        'groundskeeper.next_run(text,text,timestamp with time zone,timestamp with time zone,integer)',
        'groundskeeper.partition_health()',
        'groundskeeper.start_migration(text,integer)',
        'groundskeeper.check_schedule(text,text)',
        'groundskeeper.run_step(text,text,text)',
        'groundskeeper.fail_migration(bigint[],text)',
        'groundskeeper.check_kpi_target(text,numeric,text,bigint,interval)',
        'groundskeeper.check_alert_rule(text,text,text,numeric,numeric,interval,interval,bigint,interval)',
        'groundskeeper.look_after_jobs()',
        'groundskeeper.estimated_bloat(oid[],bigint[])',
        'groundskeeper.measured_bloat(oid[],bigint[])',
        'groundskeeper.migration_step(bigint)',
        'groundskeeper.overdue_runs()',
        'groundskeeper.set_schedule()',
        'groundskeeper.run_one(text,text)',
        'groundskeeper.require_top_level(text)',
        'groundskeeper.default_kpi_targets()',
        'groundskeeper.set_quality_rule()',
        'groundskeeper.reset_quality_rules()',
        'groundskeeper.estimated_index_bloat(oid[],bigint[])',
        'groundskeeper.busy_connections()',
        'groundskeeper.peak_busy(interval)',
        'groundskeeper.slots_of_other_databases()',
        'groundskeeper.set_kpi_target()',
        'groundskeeper.reset_kpi_targets()',
        'groundskeeper.set_alert_rule()'
      ]) s (signature)
     CROSS JOIN pg_catalog.to_regprocedure(s.signature) g (function)
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid = g.function
                                 AND d.deptype = 'n'
      -- a view depends by its rule
      LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
     CROSS JOIN LATERAL (
           SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END,
                  CASE WHEN r.oid IS NULL THEN d.objid ELSE r.ev_class END) c (classid, objid)
     CROSS JOIN LATERAL pg_catalog.pg_describe_object(c.classid, c.objid, 0) o (what)
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend m
                        WHERE m.deptype = 'e' AND m.classid = c.classid AND m.objid = c.objid
                          AND m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass)
       -- our own tables, with their constraints and triggers
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                         JOIN pg_catalog.pg_depend m ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                                    AND m.objid = k.conrelid AND m.deptype = 'e'
                        WHERE c.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = c.objid)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                         JOIN pg_catalog.pg_depend m ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                                    AND m.objid = t.tgrelid AND m.deptype = 'e'
                        WHERE c.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = c.objid);
    IF dependents IS NOT NULL THEN
        RAISE dependent_objects_still_exist
            USING MESSAGE = 'objects stand on functions that have changed in pg_groundskeeper',
                  DETAIL = dependents,
                  HINT = 'Save their definitions, drop them, update again, and make them anew.';
    END IF;
END
$$;

-- Workers may still run with the library of before. They end, and their jobs go on with the new one where they were: until
-- the end of this transaction it starts none.
DO $$
BEGIN
    PERFORM pg_catalog.pg_terminate_backend(a.pid, 10000)
       FROM pg_catalog.pg_stat_activity a
      WHERE a.datname = pg_catalog.current_database() AND a.backend_type LIKE 'pg\_groundskeeper %';
END
$$;

-- They would look at each statement below. How they are enabled is somebody's choice.
CREATE TABLE groundskeeper.enabled_before AS
SELECT t.evtname, t.evtenabled FROM pg_catalog.pg_event_trigger t
 WHERE t.evtname IN ('groundskeeper_guard_partitions', 'groundskeeper_complete_partitions');
DROP EVENT TRIGGER groundskeeper_guard_partitions;
DROP EVENT TRIGGER groundskeeper_complete_partitions;

-- All locks at once, or none: workers of ours write some of these tables in this order and some in another, and who reads
-- a view comes to its tables last. Whoever held one while waiting for the next could be what they wait for. A view is not
-- locked by LOCK TABLE, which would lock the catalogs that it reads.
DO $$
DECLARE
    tables text;
    views text[];
BEGIN
    SELECT pg_catalog.string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname) FILTER (WHERE c.relkind IN ('r', 'p')),
           pg_catalog.array_agg(c.oid::regclass::text ORDER BY c.relname) FILTER (WHERE c.relkind = 'v')
      INTO tables, views
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
     WHERE e.extname = 'pg_groundskeeper';
    FOR attempt IN 1 .. 100 LOOP
        BEGIN
            PERFORM pg_catalog.set_config('lock_timeout', '300ms', true);
            EXECUTE pg_catalog.format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', tables);
            FOR view IN 1 .. pg_catalog.cardinality(views) LOOP
                EXECUTE pg_catalog.format('ALTER VIEW %s RESET (check_option)', views[view]);
            END LOOP;
            PERFORM pg_catalog.set_config('lock_timeout', '0', true);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_catalog.pg_sleep(0.1);
        END;
    END LOOP;
    RAISE lock_not_available
        USING MESSAGE = 'tables of pg_groundskeeper are in use',
              HINT = 'SELECT pid, relation::regclass FROM pg_locks WHERE relation::regclass::text ~ ''^(groundskeeper|monitoring)\.''; tells by whom. Update again when that is over.';
END
$$;

-- What was granted and taken away since the installation is the user's. It is told from what the installation granted, and
-- stays: see the end of this script.
CREATE TABLE groundskeeper.grants_before AS
WITH members AS (
    SELECT d.classid, d.objid
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     WHERE d.deptype = 'e' AND e.extname = 'pg_groundskeeper'),
objects AS (
    SELECT m.classid, m.objid, 0 AS objsubid, 'ROUTINE' AS kind, n.nspname, p.proname AS name, NULL AS attname,
           p.proacl AS acl, pg_catalog.acldefault('f', p.proowner) AS standard
      FROM members m
      JOIN pg_catalog.pg_proc p ON m.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = m.objid
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     UNION ALL
    SELECT m.classid, m.objid, 0, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, NULL,
           c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)
      FROM members m
      JOIN pg_catalog.pg_class c ON m.classid = 'pg_catalog.pg_class'::regclass AND c.oid = m.objid AND c.relkind <> 'c'
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     UNION ALL
    SELECT m.classid, m.objid, a.attnum, 'TABLE', n.nspname, c.relname, a.attname, a.attacl, NULL
      FROM members m
      JOIN pg_catalog.pg_class c ON m.classid = 'pg_catalog.pg_class'::regclass AND c.oid = m.objid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
     UNION ALL
    SELECT m.classid, m.objid, 0, 'SCHEMA', NULL, n.nspname, NULL, n.nspacl, pg_catalog.acldefault('n', n.nspowner)
      FROM members m
      JOIN pg_catalog.pg_namespace n ON m.classid = 'pg_catalog.pg_namespace'::regclass AND n.oid = m.objid)
SELECT o.classid, o.objid, o.objsubid, o.kind, o.nspname, o.name, o.attname, x.*
  FROM objects o
  LEFT JOIN pg_catalog.pg_init_privs i ON i.classoid = o.classid AND i.objoid = o.objid AND i.objsubid = o.objsubid
                                      AND i.privtype = 'e'
 CROSS JOIN LATERAL (
       SELECT true AS given, g.grantee, g.privilege_type, g.is_grantable
         FROM (SELECT a.grantee, a.privilege_type, a.is_grantable FROM pg_catalog.aclexplode(COALESCE(o.acl, o.standard)) a
               EXCEPT
               SELECT a.grantee, a.privilege_type, a.is_grantable FROM pg_catalog.aclexplode(COALESCE(i.initprivs, o.standard)) a) g
        UNION ALL
       SELECT false, t.grantee, t.privilege_type, t.is_grantable
         FROM (SELECT a.grantee, a.privilege_type, a.is_grantable FROM pg_catalog.aclexplode(COALESCE(i.initprivs, o.standard)) a
               EXCEPT
               SELECT a.grantee, a.privilege_type, a.is_grantable FROM pg_catalog.aclexplode(COALESCE(o.acl, o.standard)) a) t) x;

-- What was deleted of the defaults comes back with the new version, which puts them back for good; it is not wanted then.
CREATE TABLE groundskeeper.entries_before AS
SELECT 'rule' AS kind, rule AS name FROM groundskeeper.alert_rules
 UNION ALL
SELECT 'job', job_name FROM groundskeeper.schedule;

DROP FUNCTION groundskeeper.slow_queries(text,name,boolean,interval,integer);

DROP FUNCTION @extschema@.create_monthly_partitions(integer);

DROP FUNCTION groundskeeper.partition_preflight(regclass,name);

DROP FUNCTION groundskeeper.partition_table(regclass,name,text,text,integer,text[]);

DROP FUNCTION groundskeeper.connection_pool_config(text,integer);

DROP FUNCTION groundskeeper.set_retention(regclass,interval,text);

DROP FUNCTION groundskeeper.plan_status();

DROP FUNCTION groundskeeper.statement_latency(interval);

DROP PROCEDURE groundskeeper.migrate_to_staging(text,integer);

DROP FUNCTION groundskeeper.apply_plan(boolean,text[]);

COMMENT ON SCHEMA groundskeeper IS 'pg_groundskeeper: its functions, configuration and journal';

CREATE SCHEMA groundskeeper_internal;

COMMENT ON SCHEMA groundskeeper_internal IS
    'pg_groundskeeper: what its triggers, constraints, views, procedures and workers call, and nobody else';

CREATE FUNCTION groundskeeper_internal.not_null_columns(predicate text) RETURNS smallint[]
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN regexp_replace(predicate, '\{NULLTEST :arg \{VAR [^{}]*\} :nulltesttype 1 :argisrow false *\}', '', 'g')
         ~ '^(\{BOOLEXPR :boolop and :args \( *\) *\})?$'
      THEN ARRAY(SELECT (m[1])::smallint FROM regexp_matches(predicate, ':varattno (\d+)', 'g') m)
    ELSE '{0}' END
$$;

COMMENT ON FUNCTION groundskeeper_internal.not_null_columns(text) IS
  'The columns of which the predicate of an index says only that they are not NULL, by number; 0 for one that says more';

CREATE FUNCTION groundskeeper_internal.index_findings()
RETURNS TABLE (kind text, schemaname name, tablename name, indexname name, detail text, fix_sql text)
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $query$
WITH RECURSIVE
-- What rests on the index of a partition rests on those that it is a part of.
leaned_on (indexrelid) AS (
  SELECT i.indexrelid
  FROM pg_catalog.pg_index i
  WHERE i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid)
  UNION
  SELECT p.inhparent FROM leaned_on l JOIN pg_catalog.pg_inherits p ON p.inhrelid = l.indexrelid
),
listed AS MATERIALIZED (
  SELECT i.indexrelid, i.indrelid, n.nspname, x.relname, x.relkind, x.relam, x.relispartition, t.relname AS tablename,
    format('%I.%I', n.nspname, x.relname) AS quoted,
    i.indisvalid AND i.indisready AND i.indislive AS valid,
    i.indisunique, i.indimmediate, i.indnkeyatts, i.indnatts,
    (i.indkey::smallint[])[0:i.indnkeyatts - 1] AS keys,
    (i.indkey::smallint[])[i.indnkeyatts:i.indnatts - 1] AS included,
    i.indclass::oid[] AS classes, i.indcollation::oid[] AS collations, i.indoption::smallint[] AS options,
    -- Where in its statement a node was written says nothing of what it is.
    regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g') AS expressions,
    regexp_replace(i.indpred::text, ':location -?\d+', '', 'g') AS predicate,
    i.indnullsnotdistinct AS nulls_equal,
    -- Something else rests on it; one that is attached lives and dies with what it is attached to.
    x.relispartition OR EXISTS (SELECT FROM leaned_on o WHERE o.indexrelid = i.indexrelid) AS fixed,
    m.amname
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = x.relam
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'groundskeeper')
    AND x.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indrelid
                       AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
),
-- Of two, the one that can go: nothing rests on it, it enforces nothing, it is the younger.
pair AS (
  SELECT a AS goes, b AS stays,
    a.keys = b.keys AND a.included IS NOT DISTINCT FROM b.included
      AND a.options = b.options AND a.indisunique = b.indisunique AS same
  FROM listed a JOIN listed b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.relam = a.relam
  WHERE a.valid AND b.valid AND NOT a.relispartition
    AND a.predicate IS NOT DISTINCT FROM b.predicate
    AND a.indnkeyatts <= b.indnkeyatts
    AND a.keys = b.keys[1:a.indnkeyatts]
    AND a.classes[0:a.indnkeyatts - 1] = b.classes[0:a.indnkeyatts - 1]
    AND a.collations[0:a.indnkeyatts - 1] = b.collations[0:a.indnkeyatts - 1]
    AND a.options[0:a.indnkeyatts - 1] = b.options[0:a.indnkeyatts - 1]
    AND coalesce(a.included, '{}') <@ (b.keys || coalesce(b.included, '{}'))
    AND a.nulls_equal = b.nulls_equal
    AND CASE WHEN a.indnkeyatts = b.indnkeyatts
      -- alike: the same expressions, and no more enforced than the other does
      THEN a.expressions IS NOT DISTINCT FROM b.expressions
           AND (b.indisunique OR NOT a.indisunique)
           -- A deferrable constraint's index admits for a while what the other refuses at once; neither foreign keys nor
           -- ON CONFLICT nor replica identity may rest on it.
           AND (b.indimmediate OR NOT a.indisunique OR NOT a.indimmediate)
           AND (a.indisunique < b.indisunique OR a.fixed < b.fixed
                OR cardinality(coalesce(a.included, '{}')) < cardinality(coalesce(b.included, '{}'))
                OR a.fixed = b.fixed AND a.indexrelid > b.indexrelid)
           AND (NOT a.fixed OR b.fixed)
      -- a beginning of it: only a B-tree is good for that
      ELSE NOT a.indisunique AND NOT a.fixed AND 0 <> ALL (a.keys)
           AND a.relam = (SELECT oid FROM pg_catalog.pg_am WHERE amname = 'btree')
    END
),
finding AS (
  SELECT DISTINCT ON ((p.goes).indexrelid)
    CASE WHEN p.same THEN 'duplicate' ELSE 'overlapping' END AS kind,
    (p.goes).nspname, (p.goes).tablename, (p.goes).relname,
    CASE
      WHEN (p.goes).fixed THEN format('the same as %s, but something rests on each', (p.stays).quoted)
      WHEN p.same THEN format('the same as %s', (p.stays).quoted)
      WHEN (p.goes).indnkeyatts = (p.stays).indnkeyatts
        THEN format('the keys are those of %s, which does more', (p.stays).quoted)
      ELSE format('the keys are the first of %s', (p.stays).quoted)
    END AS detail,
    CASE WHEN NOT (p.goes).fixed
      THEN format('DROP INDEX %s%s', CASE WHEN (p.goes).relkind = 'i' THEN 'CONCURRENTLY ' END, (p.goes).quoted)
    END AS fix_sql
  FROM pair p
  ORDER BY (p.goes).indexrelid, p.same DESC, (p.stays).indnkeyatts, (p.stays).indexrelid
),
broken AS (
  SELECT 'invalid', l.nspname, l.tablename, l.relname,
    CASE
      WHEN l.relkind = 'I' THEN 'not all partitions have an index attached to it'
      WHEN l.relname ~ '_cc(new|old)\d*$' THEN 'left behind by REINDEX CONCURRENTLY: writes keep it, no query uses it'
      ELSE 'its concurrent build or drop failed: writes keep it, no query uses it'
    END,
    CASE
      WHEN l.relkind = 'I' THEN NULL
      WHEN l.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %s', l.quoted)
      ELSE format('REINDEX INDEX CONCURRENTLY %s', l.quoted)
    END
  FROM listed l
  WHERE NOT l.valid
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
                     WHERE p.datid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
                       AND p.relid = l.indrelid)
),
-- A rebuild of a table leaves those of its TOAST behind as well, which only their owner's name leads to.
broken_toast AS (
  SELECT 'invalid', n.nspname, t.relname, x.relname,
    'left behind by REINDEX CONCURRENTLY on its TOAST: writes keep it, no query uses it',
    format('DROP INDEX CONCURRENTLY pg_toast.%I', x.relname)
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND x.relname ~ '_cc(new|old)\d*$'
  JOIN pg_catalog.pg_class t ON t.reltoastrelid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND x.relnamespace = 'pg_toast'::regnamespace
    AND t.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
                     WHERE p.datid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
                       AND p.relid IN (i.indrelid, t.oid))
),
-- A foreign key of a partitioned table is one of each of its partitions, and looked up there.
fk (root, con, relation, keys) AS (
  SELECT c.oid, c.oid, c.conrelid, c.conkey
  FROM pg_catalog.pg_constraint c
  WHERE c.contype = 'f' AND c.conparentid = 0
  UNION ALL
  SELECT f.root, c.oid, c.conrelid, c.conkey
  FROM fk f JOIN pg_catalog.pg_constraint c ON c.conparentid = f.con
  -- On a partitioned table that is referred to it has others, which are about the same rows.
  WHERE c.contype = 'f' AND c.conrelid <> f.relation
),
-- What a lookup by all columns of the key, none of them NULL, can use.
served AS (
  SELECT f.root, f.relation, f.con = f.root AS is_root,
    EXISTS (
      SELECT FROM listed l
       WHERE l.indrelid = f.relation AND l.valid AND l.expressions IS NULL
         AND (l.predicate IS NULL OR groundskeeper_internal.not_null_columns(l.predicate) <@ f.keys)
         AND CASE l.amname
               WHEN 'btree' THEN cardinality(f.keys) <= l.indnkeyatts AND f.keys <@ l.keys[1:cardinality(f.keys)]
               WHEN 'hash' THEN f.keys = l.keys END) AS is_served,
    -- Since 18 a B-tree can be skipped through where its first columns have few values.
    current_setting('server_version_num')::integer >= 180000
      AND EXISTS (SELECT FROM listed l
                   WHERE l.indrelid = f.relation AND l.valid AND l.amname = 'btree' AND l.predicate IS NULL
                     AND f.keys <@ l.keys) AS is_skipped_to
  FROM fk f
  JOIN pg_catalog.pg_class t ON t.oid = f.relation
  -- What holds rows; a partitioned table without any partition stands for itself.
  WHERE t.relkind = 'r' OR f.con = f.root AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = f.relation)
),
unserved AS (
  SELECT s.root, count(*) FILTER (WHERE NOT s.is_served) AS lacking, count(*) AS parts,
    bool_and(s.is_skipped_to) FILTER (WHERE NOT s.is_served) AS are_skipped_to,
    (array_agg(format('%I.%I', n.nspname, t.relname) ORDER BY t.relname) FILTER (WHERE NOT s.is_served))[1:3] AS names
  FROM served s
  JOIN pg_catalog.pg_class t ON t.oid = s.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  GROUP BY s.root
  HAVING bool_or(NOT s.is_served)
),
missing AS (
  SELECT 'missing_fk_index', n.nspname, t.relname, NULL::name,
    format('no index%s leads with the columns of foreign key %I (%s): a DELETE or a change of the key in %s reads all of '
           'this table%s%s',
           CASE WHEN u.lacking < u.parts THEN format(' of %s of %s partitions', u.lacking, u.parts) END,
           c.conname, k.columns, k.referenced,
           CASE WHEN u.lacking < u.parts THEN format('''s partitions, such as %s', array_to_string(u.names, ', ')) END,
           CASE WHEN u.are_skipped_to
             THEN '; one has them behind others, and may be skipped through where these have few values' END),
    format('CREATE INDEX %sON %I.%I (%s)', CASE WHEN t.relkind = 'r' THEN 'CONCURRENTLY ' END, n.nspname, t.relname,
           k.columns)
  FROM unserved u
  JOIN pg_catalog.pg_constraint c ON c.oid = u.root
  JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  CROSS JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.position) AS columns,
      (SELECT format('%I.%I', rn.nspname, r.relname)
         FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
        WHERE r.oid = c.confrelid) AS referenced
    FROM unnest(c.conkey) WITH ORDINALITY o (attnum, position)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = o.attnum
  ) k
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'groundskeeper')
)
SELECT f.kind, f.nspname AS schemaname, f.tablename, f.relname AS indexname, f.detail, f.fix_sql FROM finding f
UNION ALL
SELECT * FROM broken
UNION ALL
SELECT * FROM broken_toast
UNION ALL
SELECT * FROM missing
ORDER BY 1, 2, 3, 4
$query$;

COMMENT ON FUNCTION groundskeeper_internal.index_findings() IS 'The rows of monitoring.index_health';

CREATE OR REPLACE VIEW monitoring.index_health WITH (security_invoker) AS
SELECT kind, schemaname, tablename, indexname, detail, fix_sql FROM groundskeeper_internal.index_findings();

COMMENT ON VIEW monitoring.index_health IS
  'Indexes that repeat others, that are INVALID, or that foreign keys lack; look at a fix before running it';

COMMENT ON COLUMN monitoring.index_health.kind IS
  'duplicate (the same as another), overlapping (another begins with the same keys), invalid, missing_fk_index';

COMMENT ON COLUMN monitoring.index_health.indexname IS 'The index that can go or needs care; NULL for a missing one';

COMMENT ON COLUMN monitoring.index_health.detail IS 'What is the matter with it';

COMMENT ON COLUMN monitoring.index_health.fix_sql IS
  'What mends it; NULL where that takes a decision. CONCURRENTLY cannot run in a transaction block';

CREATE TYPE groundskeeper_internal.verdict AS (score numeric(5,2), issues text[], status text, errors jsonb);

COMMENT ON TYPE groundskeeper_internal.verdict IS
    'Score and issues of a record, the status that follows, and the issues as they are stored: NULL where there are none';

CREATE FUNCTION groundskeeper_internal.statement_statistics(
  database name DEFAULT current_database(),
  nested boolean DEFAULT false,
  since interval DEFAULT '1 hour'
)
RETURNS TABLE (
  query text,
  calls bigint,
  total_time double precision,
  mean_time double precision,
  rows bigint,
  hit_percent numeric,
  queryid bigint,
  role_name name,
  min_time double precision,
  max_time double precision,
  stddev_time double precision,
  toplevel boolean,
  stats_since timestamptz,
  p95_ms double precision,
  database_name name,
  failed bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  counted CONSTANT boolean := has_function_privilege('groundskeeper.statement_latency(interval)', 'EXECUTE');
  -- Our own figures are of the top-level statements of this database, whoever ran them.
  latency CONSTANT text := CASE WHEN counted
    THEN '(SELECT l.queryid, l.p95_ms, l.failed, true, (SELECT d.oid FROM pg_catalog.pg_database d
                                                         WHERE d.datname = current_database())
             FROM pg_catalog.jsonb_to_recordset($3) l (queryid bigint, p95_ms double precision, failed bigint))'
    ELSE '(SELECT NULL::bigint, NULL::double precision, NULL::bigint, NULL::boolean, NULL::oid)' END;
  ours jsonb;
  told bigint[] := '{}';
  source text;
  version integer[];
BEGIN
  -- Asked once: it goes through all samples.
  IF counted THEN
    SELECT jsonb_agg(to_jsonb(l)) INTO ours FROM groundskeeper.statement_latency(since) l;
  END IF;
  SELECT format('%I.pg_stat_statements', n.nspname), string_to_array(e.extversion, '.')::integer[]
    INTO source, version
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements';
  IF FOUND THEN
    BEGIN
      -- The columns follow the version of the extension, which may be older than its library.
      RETURN QUERY EXECUTE format($query$
        SELECT s.query, s.calls, s.total_%1$stime, s.mean_%1$stime, s.rows,
               round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 2),
               s.queryid, r.rolname, s.min_%1$stime, s.max_%1$stime, s.stddev_%1$stime,
               %2$s, %3$s, l.p95_ms, b.datname, l.failed
          FROM %4$s s
          LEFT JOIN pg_catalog.pg_database b ON b.oid = s.dbid
          LEFT JOIN %5$s l (queryid, p95_ms, failed, toplevel, dbid)
                 ON l.queryid = s.queryid AND l.dbid = s.dbid AND %2$s IS NOT FALSE
          LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.userid
         WHERE ($1 IS NULL OR b.datname = $1) AND ($2 OR %2$s IS NOT FALSE)
        $query$,
        CASE WHEN version >= '{1,8}' THEN 'exec_' ELSE '' END,
        CASE WHEN version >= '{1,9}' THEN 's.toplevel' ELSE 'NULL::boolean' END,
        CASE WHEN version >= '{1,11}' THEN 's.stats_since' ELSE 'NULL::timestamptz' END,
        source, latency)
      USING database, nested, ours;
      EXECUTE format('SELECT COALESCE(pg_catalog.array_agg(s.queryid), $1) FROM %s s
                       WHERE s.queryid IS NOT NULL
                         AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())',
                     source) INTO told USING told;
    EXCEPTION
      -- The library is not preloaded, or the caller may not read it.
      WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
        NULL;
    END;
  END IF;

  -- It hears of a statement when that has ended well: one that never does is in our counters alone.
  IF counted AND (database IS NULL OR database = current_database()) THEN
    RETURN QUERY
      SELECT l.query, l.calls, l.total_ms, round((l.total_ms / l.calls)::numeric, 3)::double precision, 0::bigint, NULL::numeric, l.queryid, NULL::name,
             NULL::double precision, l.max_ms, NULL::double precision, true, NULL::timestamptz, l.p95_ms,
             current_database(), l.failed
        FROM jsonb_to_recordset(ours) l (query text, calls bigint, total_ms double precision, queryid bigint,
                                         max_ms double precision, p95_ms double precision, failed bigint)
       WHERE l.queryid IS NOT NULL AND l.failed = l.calls AND l.queryid <> ALL (told);
  END IF;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.statement_statistics(name, boolean, interval) IS
  'The statements that pg_stat_statements has counted in a database (in all, for NULL), nested ones only if asked for, '
  'whatever its version and schema, with the 95th percentile and the failures that we have counted since, and those that '
  'have only failed since, which it knows nothing of; groundskeeper.prerequisites() says what is missing';

CREATE OR REPLACE VIEW monitoring.slow_queries WITH (security_invoker) AS
SELECT
  query, calls, total_time, mean_time, rows, hit_percent,
  queryid, role_name, min_time, max_time, stddev_time, toplevel, stats_since, p95_ms, failed
FROM groundskeeper_internal.statement_statistics()
WHERE mean_time > CASE WHEN failed = calls THEN 500 ELSE 1000 END
ORDER BY mean_time DESC
LIMIT 20;

COMMENT ON VIEW monitoring.slow_queries IS
  'The 20 slowest statements of the current database that take more than a second on average, from '
  'pg_stat_statements; those that have always failed in the last hour, after half a second and more, from our own counting';

COMMENT ON COLUMN monitoring.slow_queries.query IS
  'Normalized text; others'' is hidden from readers without pg_read_all_stats';

COMMENT ON COLUMN monitoring.slow_queries.calls IS 'Executions that completed; of a statement that none did of, those that failed';

COMMENT ON COLUMN monitoring.slow_queries.total_time IS
  'Milliseconds of execution, planning and commit not included';

COMMENT ON COLUMN monitoring.slow_queries.mean_time IS 'Milliseconds per execution';

COMMENT ON COLUMN monitoring.slow_queries.rows IS 'Rows retrieved or affected, all executions together';

COMMENT ON COLUMN monitoring.slow_queries.hit_percent IS
  'Share of the shared blocks found in shared buffers; NULL when none was needed';

COMMENT ON COLUMN monitoring.slow_queries.queryid IS 'Hash of the normalized statement, as in pg_stat_activity';

COMMENT ON COLUMN monitoring.slow_queries.role_name IS
  'Who ran it: a statement that several roles run has a row for each; NULL for a role that was dropped';

COMMENT ON COLUMN monitoring.slow_queries.toplevel IS
  'NULL where the extension is older than 1.9, which does not tell nested statements apart';

COMMENT ON COLUMN monitoring.slow_queries.stats_since IS
  'Since when the statement is counted; NULL where the extension is older than 1.11, which does not record it';

COMMENT ON COLUMN monitoring.slow_queries.p95_ms IS
  '95 of 100 executions in the last hour, failed ones included, took no longer; NULL where the library is not preloaded, '
  'or the statement was not among the most expensive';

COMMENT ON COLUMN monitoring.slow_queries.failed IS
  'Executions in the last hour that ended in an error or were cancelled; NULL as p95_ms is';

CREATE FUNCTION groundskeeper.slow_queries(
  rank_by text DEFAULT 'total',
  database name DEFAULT current_database(),
  nested boolean DEFAULT false,
  since interval DEFAULT '1 hour',
  top integer DEFAULT 20
)
RETURNS TABLE (
  rank bigint,
  query text,
  calls bigint,
  total_time double precision,
  mean_time double precision,
  p95_ms double precision,
  rows bigint,
  hit_percent numeric,
  queryid bigint,
  role_name name,
  database_name name,
  toplevel boolean,
  failed bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  missing text := CASE WHEN rank_by IS NULL THEN 'rank_by' WHEN nested IS NULL THEN 'nested'
                       WHEN since IS NULL THEN 'since' WHEN top IS NULL THEN 'top' END;
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = format('%s must not be null', missing);
  ELSIF rank_by NOT IN ('total', 'mean', 'p95') THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('"%s" is no ranking', rank_by),
      HINT = 'Statements are ranked by total, mean or p95.';
  ELSIF top < 1 THEN
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'top must be at least 1', DETAIL = format('It is %s.', top);
  END IF;
  RETURN QUERY
    SELECT rank() OVER (ORDER BY r.figure DESC), s.query, s.calls, s.total_time, s.mean_time, s.p95_ms, s.rows,
           s.hit_percent, s.queryid, s.role_name, s.database_name, s.toplevel, s.failed
      FROM groundskeeper_internal.statement_statistics(slow_queries.database, slow_queries.nested, slow_queries.since) s
     CROSS JOIN LATERAL (SELECT CASE rank_by WHEN 'total' THEN s.total_time WHEN 'mean' THEN s.mean_time
                                             ELSE s.p95_ms END AS figure) r
     WHERE r.figure IS NOT NULL
     ORDER BY 1, s.total_time DESC
     LIMIT slow_queries.top;
END
$$;

COMMENT ON FUNCTION groundskeeper.slow_queries(text, name, boolean, interval, integer) IS
  'The statements of a database (of all, for NULL) that rank first by total or mean time since pg_stat_statements was '
  'reset, or by the 95th percentile of the last while; nested ones only if asked for. No rows without its source: '
  'groundskeeper.prerequisites() tells which is missing';

CREATE FUNCTION groundskeeper_internal.cluster_role() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_extension e JOIN pg_roles r ON r.oid = e.extowner AND r.rolsuper WHERE e.extname = 'citus')
     OR to_regclass('pg_catalog.pg_dist_local_group') IS NULL THEN
    RETURN NULL;
  END IF;
  EXECUTE 'SELECT CASE WHEN max(groupid) > 0 THEN ''worker'' ELSE ''coordinator'' END FROM pg_catalog.pg_dist_local_group'
     INTO found;
  RETURN found;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.cluster_role() IS
  'What this database is in a cluster of Citus: coordinator or worker; NULL where there is none';

CREATE FUNCTION groundskeeper_internal.in_shards(relations oid[]) RETURNS SETOF oid
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF groundskeeper_internal.cluster_role() IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT k.oid
       FROM pg_catalog.pg_dist_partition d
       JOIN pg_class c ON c.oid = d.logicalrelid
       LEFT JOIN pg_index t ON t.indrelid = c.reltoastrelid
      CROSS JOIN LATERAL (SELECT unnest(ARRAY[c.oid, c.reltoastrelid, t.indexrelid])
                          UNION SELECT x.indexrelid FROM pg_index x WHERE x.indrelid = c.oid) k (oid)
      WHERE k.oid = ANY ($1) AND k.oid <> 0' USING relations;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.in_shards(oid[]) IS
  'Those of the relations whose content is in shards of Citus: tables that are distributed, reference tables and those that '
  'it has made its own, with indexes and TOAST';

CREATE FUNCTION groundskeeper_internal.nodes_say() RETURNS TABLE (node text, answered boolean, answer text)
LANGUAGE plpgsql VOLATILE
SET citus.node_connection_timeout = '3000'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  question CONSTANT text := $question$
    WITH patience AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '100ms', true) AS set),
    locked AS MATERIALIZED (
      SELECT l.relation FROM pg_catalog.pg_locks l
       WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'
         AND l.pid IS NOT NULL
    ),
    placed AS MATERIALIZED (
      SELECT l.oid, l.relname, l.relkind, l.relnamespace, n.nspname, s.shardid
        FROM pg_catalog.pg_dist_shard s
        JOIN pg_catalog.pg_dist_placement p ON p.shardid OPERATOR(pg_catalog.=) s.shardid
        JOIN pg_catalog.pg_dist_local_group g ON g.groupid OPERATOR(pg_catalog.=) p.groupid
        JOIN pg_catalog.pg_class l ON l.oid OPERATOR(pg_catalog.=) s.logicalrelid::pg_catalog.oid
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) l.relnamespace
    ),
    called AS MATERIALIZED (
      SELECT p.nspname, p.relnamespace, p.relname, pg_catalog.parse_ident(pg_catalog.shard_name(p.oid::pg_catalog.regclass, p.shardid)) AS names
        FROM placed p WHERE p.relkind OPERATOR(pg_catalog.<>) 'p'
      UNION ALL
      SELECT p.nspname, p.relnamespace, x.relname, pg_catalog.parse_ident(pg_catalog.shard_name(x.oid::pg_catalog.regclass, p.shardid))
        FROM placed p
        JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) p.oid
        JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid AND x.relkind OPERATOR(pg_catalog.=) 'i'
    ),
    found AS MATERIALIZED (
      SELECT k.nspname, k.relname, c.oid, c.reltoastrelid
        FROM called k
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) k.relnamespace
             AND c.relname OPERATOR(pg_catalog.=) k.names[pg_catalog.cardinality(k.names)]::pg_catalog.name
    ),
    part AS (
      SELECT f.nspname, f.relname, false AS is_toast, f.oid FROM found f
      UNION ALL
      SELECT f.nspname, f.relname, true, r.oid
        FROM found f
        LEFT JOIN pg_catalog.pg_index x ON x.indrelid OPERATOR(pg_catalog.=) f.reltoastrelid
       CROSS JOIN LATERAL (VALUES (f.reltoastrelid), (x.indexrelid)) r (oid)
       WHERE f.reltoastrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid AND r.oid IS NOT NULL
    )
    SELECT pg_catalog.json_agg(s)
      FROM (SELECT p.nspname, p.relname, p.is_toast, CASE WHEN pg_catalog.bool_and(m.bytes IS NOT NULL) THEN pg_catalog.sum(m.bytes) END AS bytes,
                   pg_catalog.sum(pg_catalog.pg_stat_get_numscans(p.oid)) AS scans
              FROM part p
             CROSS JOIN LATERAL (SELECT CASE WHEN NOT EXISTS (SELECT FROM locked l WHERE l.relation OPERATOR(pg_catalog.=) p.oid)
                                              AND (SELECT a.set FROM patience a) IS NOT NULL
                                        THEN pg_catalog.pg_table_size(p.oid::pg_catalog.regclass) END) m (bytes)
             GROUP BY p.nspname, p.relname, p.is_toast) s $question$;
BEGIN
  IF groundskeeper_internal.cluster_role() IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT coalesce(n.nodename || '':'' || n.nodeport, ''node '' || r.nodeid), r.success, r.result
       FROM pg_catalog.run_command_on_all_nodes($1) r LEFT JOIN pg_catalog.pg_dist_node n ON n.nodeid = r.nodeid'
    USING question;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.nodes_say() IS
  'What each node of a cluster of Citus has of each table and index in shards, as JSON: bytes, null where one cannot be read '
  'now, and scans as PostgreSQL counts them. Asked with the caller''s own rights there; a node that cannot be reached within '
  'three seconds has not answered';

CREATE FUNCTION groundskeeper_internal.on_nodes(relations oid[])
RETURNS TABLE (relation oid, bytes bigint, scans bigint, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  spread CONSTANT oid[] := ARRAY(SELECT groundskeeper_internal.in_shards(relations));
  silent text;
  answers json[];
BEGIN
  IF spread = '{}' THEN
    RETURN;
  END IF;
  BEGIN
    SELECT string_agg(format('%s: %s', a.node, a.answer), '; ' ORDER BY a.node) FILTER (WHERE NOT a.answered),
           array_agg(CASE WHEN a.answered THEN nullif(a.answer, '')::json END)
      INTO silent, answers
      FROM groundskeeper_internal.nodes_say() a;
  EXCEPTION WHEN OTHERS THEN
    silent := SQLERRM;
  END;
  RETURN QUERY
    SELECT s.oid,
           CASE WHEN silent IS NULL THEN CASE WHEN f.oid IS NOT NULL THEN f.bytes WHEN NOT k.must THEN 0 END END,
           CASE WHEN silent IS NULL THEN CASE WHEN f.oid IS NOT NULL THEN f.scans WHEN NOT k.must THEN 0 END END,
           CASE WHEN silent IS NOT NULL THEN 'unknown, as not every node of the cluster has answered: ' || silent
                WHEN f.oid IS NULL AND k.must THEN 'unknown: no node has its shards'
                WHEN f.oid IS NOT NULL AND f.bytes IS NULL THEN 'unknown: a shard cannot be read now' END
      FROM unnest(spread) s (oid)
     -- a partitioned one has nothing itself, and TOAST counts with its table's
     CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                         WHERE c.oid = s.oid AND c.relkind IN ('r', 'i') AND n.nspname <> 'pg_toast')) k (must)
      LEFT JOIN (SELECT w.oid, CASE WHEN bool_and(r.bytes IS NOT NULL) THEN sum(r.bytes)::bigint END, sum(r.scans)::bigint
                   FROM unnest(answers) j (answer)
                  CROSS JOIN LATERAL json_to_recordset(j.answer) r (nspname name, relname name, is_toast boolean, bytes bigint, scans bigint)
                   JOIN pg_namespace n ON n.nspname = r.nspname
                   JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.relname
                  CROSS JOIN LATERAL (SELECT CASE WHEN r.is_toast THEN c.reltoastrelid ELSE c.oid END) w (oid)
                  GROUP BY w.oid) f (oid, bytes, scans) ON f.oid = s.oid;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.on_nodes(oid[]) IS
  'Of those of the relations that are in shards of Citus: bytes and scans, summed over the nodes, or NULL with the reason';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.cluster_role(), groundskeeper_internal.in_shards(oid[]),
  groundskeeper_internal.nodes_say(), groundskeeper_internal.on_nodes(oid[]) TO PUBLIC;

CREATE OR REPLACE VIEW monitoring.connection_stats WITH (security_invoker) AS
WITH server AS (
  SELECT
    current_setting('max_connections')::integer
      - current_setting('superuser_reserved_connections')::integer
      - coalesce(current_setting('reserved_connections', true)::integer, 0) AS usable_slots,
    nullif(substring(current_setting('groundskeeper.pool_size', true) FROM '^\d{1,6}$')::integer, 0) AS pool_size,
    count(*) FILTER (WHERE backend_type = 'client backend') AS connections,
    count(*) FILTER (WHERE backend_type = 'client backend' AND datname = current_database()
                       AND state IS DISTINCT FROM 'idle' AND pid <> pg_backend_pid()) AS busy,
    bool_and(backend_type IS NOT NULL) AS all_visible
  FROM pg_catalog.pg_stat_activity
)
SELECT
  a.state,
  count(*) AS connection_count,
  round(avg(greatest(extract(epoch FROM clock_timestamp() - a.state_change), 0)), 3) AS avg_duration_seconds,
  round(max(greatest(extract(epoch FROM clock_timestamp() - a.state_change), 0)), 3) AS max_duration_seconds,
  CASE WHEN s.all_visible THEN s.connections END AS server_connections,
  s.usable_slots,
  CASE WHEN s.all_visible AND s.pool_size IS NOT NULL THEN round(100.0 * s.busy / s.pool_size, 1)
       WHEN s.all_visible THEN round(100.0 * s.connections / nullif(s.usable_slots, 0), 1) END
    AS utilization_percent,
  CASE WHEN s.all_visible THEN s.busy END AS busy_connections,
  s.pool_size
FROM pg_catalog.pg_stat_activity a CROSS JOIN server s
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
GROUP BY a.state, s.all_visible, s.connections, s.busy, s.usable_slots, s.pool_size
ORDER BY connection_count DESC, a.state;

COMMENT ON VIEW monitoring.connection_stats IS
  'Client connections to the current database by state, the reader''s own included, and how full the server is';

COMMENT ON COLUMN monitoring.connection_stats.state IS 'As in pg_stat_activity';

COMMENT ON COLUMN monitoring.connection_stats.connection_count IS
  'Client backends in this state; without pg_read_all_stats only the reader''s own are seen';

COMMENT ON COLUMN monitoring.connection_stats.avg_duration_seconds IS
  'How long they have been in this state, on average';

COMMENT ON COLUMN monitoring.connection_stats.max_duration_seconds IS
  'How long the longest has been in this state';

COMMENT ON COLUMN monitoring.connection_stats.server_connections IS
  'Client backends of the whole server, all databases; the same in every row; NULL without pg_read_all_stats';

COMMENT ON COLUMN monitoring.connection_stats.usable_slots IS
  'Connections that max_connections allows, less the reserved ones; the same in every row';

COMMENT ON COLUMN monitoring.connection_stats.utilization_percent IS
  'Percentage of pool_size that busy_connections take; where no pool is configured, of usable_slots that '
  'server_connections take, above 100 when superusers are in the reserved slots; the same in every row';

COMMENT ON COLUMN monitoring.connection_stats.busy_connections IS
  'Client backends of the current database that are not idle, the reader''s own left out; the same in every row; NULL '
  'without pg_read_all_stats';

COMMENT ON COLUMN monitoring.connection_stats.pool_size IS
  'The setting groundskeeper.pool_size: how many connections the pools to this database have at most, together; NULL '
  'where it is not set';

CREATE FUNCTION groundskeeper_internal.lock_tree()
RETURNS TABLE (
  pid integer,
  role_name name,
  blocked_by integer[],
  depth integer,
  wait_seconds numeric,
  lock_mode text,
  relation text,
  state text,
  transaction_seconds numeric,
  way_out text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  -- One look: locks come and go.
  locks CONSTANT pg_locks[] := ARRAY(SELECT l FROM pg_locks l);
  waiters integer[];
  blockers integer[];
  level integer[];
  pids integer[];
  depths integer[];
BEGIN
  -- A prepared transaction blocks as number 0.
  SELECT array_agg(w.pid), array_agg(b.pid) INTO waiters, blockers
    FROM (SELECT DISTINCT l.pid
            FROM unnest(locks) l JOIN pg_stat_activity a ON a.pid = l.pid
           WHERE NOT l.granted AND a.datname = current_database()) w
   CROSS JOIN LATERAL (SELECT DISTINCT b FROM unnest(pg_blocking_pids(w.pid)) b) b (pid);
  IF waiters IS NULL THEN
    RETURN;
  END IF;

  level := ARRAY(SELECT DISTINCT b FROM unnest(blockers) b WHERE b <> ALL (waiters));
  pids := level;
  depths := array_fill(0, ARRAY[cardinality(level)]);
  FOR below IN 1 .. cardinality(waiters) LOOP
    level := ARRAY(SELECT DISTINCT e.waiter FROM unnest(waiters, blockers) e (waiter, blocker)
                    WHERE e.blocker = ANY (level) AND e.waiter <> ALL (pids));
    -- Those who wait for each other hang on no root: PostgreSQL is about to end one of them.
    IF level = '{}' THEN
      level := ARRAY(SELECT DISTINCT w FROM unnest(waiters) w WHERE w <> ALL (pids));
    END IF;
    EXIT WHEN level = '{}';
    pids := pids || level;
    depths := depths || array_fill(below, ARRAY[cardinality(level)]);
  END LOOP;

  RETURN QUERY
  WITH lock AS MATERIALIZED (
    SELECT coalesce(l.pid, 0) AS pid, l.virtualtransaction, l.mode, l.granted, l.locktype, l.relation, l.database, l.waitstart,
      l.transactionid,
      ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid,
          l.objsubid)::text AS object
    FROM unnest(locks) l
  ),
  wanted AS (
    SELECT DISTINCT ON (w.pid) w.pid, w.mode, w.object, w.waitstart,
      -- Who waits for a row waits for its transaction, and holds the row's place in the queue meanwhile.
      coalesce(CASE WHEN w.database IN (0, d.oid) THEN w.relation END,
               (SELECT min(r.relation::bigint)::oid FROM lock r
                 WHERE r.pid = w.pid AND r.granted AND r.locktype = 'tuple')) AS relation
    FROM lock w CROSS JOIN (SELECT oid FROM pg_database WHERE datname = current_database()) d
    WHERE NOT w.granted
    ORDER BY w.pid, w.waitstart
  ),
  -- What is in the way of others, once for each who holds it.
  held AS (
    SELECT DISTINCT ON (h.pid, h.virtualtransaction) h.pid, h.virtualtransaction, h.mode, w.relation
    FROM lock h JOIN wanted w ON w.object = h.object AND w.pid <> h.pid
    WHERE h.granted
    ORDER BY h.pid, h.virtualtransaction, w.waitstart
  ),
  found AS (
    SELECT f.pid, f.depth,
      ARRAY(SELECT e.blocker FROM unnest(waiters, blockers) e (waiter, blocker) WHERE e.waiter = f.pid ORDER BY 1) AS blocked_by
    FROM unnest(pids, depths) f (pid, depth)
  ),
  node AS (
    SELECT f.pid, a.usename AS role_name, f.blocked_by, f.depth,
      CASE WHEN f.depth > 0 THEN coalesce(w.waitstart, a.state_change) END AS waits_since,
      coalesce(w.mode, h.mode) AS mode, coalesce(w.relation, h.relation) AS relation,
      coalesce(a.state, a.backend_type) AS state, a.xact_start AS began,
      CASE
        WHEN a.backend_type = 'startup' THEN NULL
        WHEN f.depth > 0 OR a.state IN ('active', 'fastpath function call') OR a.backend_type = 'autovacuum worker'
          THEN format('SELECT pg_catalog.pg_cancel_backend(%s)', f.pid)
        ELSE format('SELECT pg_catalog.pg_terminate_backend(%s)', f.pid)
      END AS way_out
    FROM found f
    JOIN pg_stat_activity a ON a.pid = f.pid
    LEFT JOIN wanted w ON w.pid = f.pid
    LEFT JOIN held h ON h.pid = f.pid
    UNION ALL
    SELECT f.pid, p.owner, f.blocked_by, f.depth, NULL, h.mode, h.relation, 'prepared', p.prepared,
      format('ROLLBACK PREPARED %L', p.gid)
    FROM found f
    JOIN held h ON h.pid = 0 AND f.pid = 0
    -- Its name is known by the lock on its own number.
    JOIN lock o ON o.pid = 0 AND o.locktype = 'transactionid' AND o.granted AND o.virtualtransaction = h.virtualtransaction
    JOIN pg_prepared_xacts p ON p.transaction = o.transactionid
  )
  SELECT n.pid, n.role_name, n.blocked_by, n.depth,
    CASE WHEN n.waits_since IS NOT NULL THEN round(greatest(extract(epoch FROM clock_timestamp() - n.waits_since), 0), 3) END,
    n.mode,
    (SELECT format('%I.%I', s.nspname, c.relname)
       FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = n.relation),
    n.state,
    CASE WHEN n.began IS NOT NULL THEN round(greatest(extract(epoch FROM clock_timestamp() - n.began), 0), 3) END,
    n.way_out
  FROM node n
  ORDER BY n.depth, n.waits_since, n.pid;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.lock_tree() IS 'The rows of monitoring.lock_tree';

CREATE VIEW monitoring.lock_tree WITH (security_invoker) AS
SELECT pid, role_name, blocked_by, depth, wait_seconds, lock_mode, relation, state, transaction_seconds, way_out
FROM groundskeeper_internal.lock_tree();

COMMENT ON VIEW monitoring.lock_tree IS
  'Sessions of the current database that wait for a lock, and whoever is in their way, those first that wait for nobody';

COMMENT ON COLUMN monitoring.lock_tree.pid IS 'The session; 0 for a prepared transaction';

COMMENT ON COLUMN monitoring.lock_tree.role_name IS 'Whose session or prepared transaction it is';

COMMENT ON COLUMN monitoring.lock_tree.blocked_by IS
  'Who holds the lock that it waits for, or waits for it before it; empty for who waits for nobody';

COMMENT ON COLUMN monitoring.lock_tree.depth IS 'How many stand between it and one that waits for nobody: 0 for those themselves';

COMMENT ON COLUMN monitoring.lock_tree.wait_seconds IS 'How long it has waited; NULL for who waits for nobody';

COMMENT ON COLUMN monitoring.lock_tree.lock_mode IS 'The mode that it waits for; of who waits for nobody the one that is in the way';

COMMENT ON COLUMN monitoring.lock_tree.relation IS
  'The relation that this is about; NULL where the lock is on none, as on a transaction';

COMMENT ON COLUMN monitoring.lock_tree.state IS
  'As in pg_stat_activity; prepared for a prepared transaction, the kind of process where it has no state';

COMMENT ON COLUMN monitoring.lock_tree.transaction_seconds IS 'How long its transaction has been open; NULL where it has none';

COMMENT ON COLUMN monitoring.lock_tree.way_out IS
  'The statement that ends it: with depth 0 all who wait for it go on, else it gives up waiting; NULL for the replay of '
  'WAL on a standby, which ends with the primary''s transaction';

CREATE VIEW monitoring.connections_by_role WITH (security_invoker) AS
SELECT
  a.datname AS database_name,
  a.usename AS role_name,
  count(*) AS connections,
  count(*) FILTER (WHERE a.state IN ('active', 'fastpath function call')) AS active,
  count(*) FILTER (WHERE a.state = 'idle') AS idle,
  count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') AS idle_in_transaction,
  count(*) FILTER (WHERE a.wait_event_type = 'Lock') AS waiting_for_locks,
  round(greatest(extract(epoch FROM clock_timestamp() - min(a.xact_start)), CASE WHEN min(a.xact_start) IS NOT NULL THEN 0 END), 3)
    AS longest_transaction_seconds,
  (sum(count(*)) OVER (PARTITION BY a.datid))::bigint AS database_connections,
  nullif(d.datconnlimit, -1) AS database_limit,
  (sum(count(*)) OVER (PARTITION BY a.usesysid))::bigint AS role_connections,
  nullif(r.rolconnlimit, -1) AS role_limit
FROM pg_catalog.pg_stat_activity a
LEFT JOIN pg_catalog.pg_database d ON d.oid = a.datid
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
WHERE a.backend_type = 'client backend'
GROUP BY a.datid, a.datname, a.usesysid, a.usename, d.datconnlimit, r.rolconnlimit
ORDER BY connections DESC, database_name, role_name;

COMMENT ON VIEW monitoring.connections_by_role IS
  'Client connections of the whole server by database and role, with the limits of each; the reader''s own included';

COMMENT ON COLUMN monitoring.connections_by_role.connections IS
  'Of this role to this database; without pg_read_all_stats only the reader''s own are seen';

COMMENT ON COLUMN monitoring.connections_by_role.active IS 'Those that run a statement';

COMMENT ON COLUMN monitoring.connections_by_role.idle IS 'Those that wait for their client, in no transaction';

COMMENT ON COLUMN monitoring.connections_by_role.idle_in_transaction IS 'Those that wait for their client in a transaction';

COMMENT ON COLUMN monitoring.connections_by_role.waiting_for_locks IS 'Those that wait for a lock: monitoring.lock_tree tells for whose';

COMMENT ON COLUMN monitoring.connections_by_role.longest_transaction_seconds IS 'How long the oldest of their transactions has been open';

COMMENT ON COLUMN monitoring.connections_by_role.database_connections IS 'Connections to this database, whatever the role';

COMMENT ON COLUMN monitoring.connections_by_role.database_limit IS 'How many the database allows; NULL where it sets no limit';

COMMENT ON COLUMN monitoring.connections_by_role.role_connections IS 'Connections of this role, whatever the database';

COMMENT ON COLUMN monitoring.connections_by_role.role_limit IS 'How many the role may have; NULL where it sets no limit';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.lock_tree() TO pg_monitor;

GRANT SELECT ON monitoring.lock_tree, monitoring.connections_by_role TO pg_monitor;

ALTER TABLE groundskeeper.managed_tables ADD COLUMN retention_before text;

COMMENT ON TABLE groundskeeper.managed_tables IS 'The partitioned tables whose partitions are made ahead and retired; written by functions only';

COMMENT ON COLUMN groundskeeper.managed_tables.parent IS 'The partitioned table, schema-qualified and quoted';

COMMENT ON COLUMN groundskeeper.managed_tables.partition_key IS 'The column that it is partitioned by';

COMMENT ON COLUMN groundskeeper.managed_tables."interval" IS 'What one partition covers: day, week, month, quarter or year';

COMMENT ON COLUMN groundskeeper.managed_tables.timezone IS 'The zone in whose midnights the bounds are';

COMMENT ON COLUMN groundskeeper.managed_tables.premake IS 'How many partitions are kept ready, the current one included';

COMMENT ON COLUMN groundskeeper.managed_tables.retention IS 'How long a partition is kept after its end; NULL is for ever';

COMMENT ON COLUMN groundskeeper.managed_tables.retention_action IS 'What becomes of it then: detach, drop or archive';

COMMENT ON COLUMN groundskeeper.managed_tables.managed_since IS 'Since when it is looked after';

COMMENT ON COLUMN groundskeeper.managed_tables.key_table IS 'The table that holds its keys for foreign keys to refer to, if it has one';

COMMENT ON COLUMN groundskeeper.managed_tables.former IS 'The unpartitioned table that it was converted from, while that is kept';

COMMENT ON COLUMN groundskeeper.managed_tables.retention_before IS 'The function that is called with a partition before it retires, if there is one';

GRANT SELECT ON groundskeeper.managed_tables TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.managed_tables', '');

CREATE FUNCTION groundskeeper_internal.relations_locked_by_others() RETURNS SETOF oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT l.relation
    FROM pg_locks l
   WHERE l.locktype = 'relation'
     AND l.mode = 'AccessExclusiveLock'  -- granted or not: even a waiting one makes us queue
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     AND l.pid IS DISTINCT FROM pg_backend_pid()  -- a prepared transaction has no pid
$$;

COMMENT ON FUNCTION groundskeeper_internal.relations_locked_by_others() IS
  'The relations that cannot be read now, because another session holds or awaits ACCESS EXCLUSIVE';

CREATE FUNCTION groundskeeper_internal.sizes_without_waiting(relations oid[])
RETURNS TABLE (relation oid, bytes bigint, reason text, main_bytes bigint, in_shards boolean)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
  elsewhere oid[] := '{}';
BEGIN
  in_shards := true;
  FOR relation, bytes, reason IN SELECT n.relation, n.bytes, n.reason FROM groundskeeper_internal.on_nodes(relations) n LOOP
    elsewhere := elsewhere || relation;
    RETURN NEXT;
  END LOOP;
  in_shards := false;
  FOREACH relation IN ARRAY relations LOOP
    CONTINUE WHEN relation = ANY (elsewhere);
    bytes := NULL;
    main_bytes := NULL;
    reason := NULL;
    IF relation <> ALL (locked) THEN
      BEGIN
        bytes := pg_table_size(relation);
        main_bytes := pg_relation_size(relation);
        reason := CASE WHEN bytes IS NULL THEN 'unknown: dropped meanwhile' END;
        RETURN NEXT;
        CONTINUE;
      EXCEPTION WHEN lock_not_available THEN
        NULL;
      END;
    END IF;

    -- relpages means nothing before the first VACUUM or ANALYZE; reltuples is -1 until then. ANALYZE leaves
    -- TOAST out.
    SELECT CASE WHEN c.reltuples >= 0
                THEN (c.relpages::bigint + coalesce(t.relpages, 0)) * current_setting('block_size')::integer END,
           CASE WHEN c.reltuples >= 0
                THEN 'as of the last VACUUM or ANALYZE'
                     || CASE WHEN t.reltuples < 0 THEN ', without TOAST' ELSE '' END
                ELSE 'unknown, for want of a VACUUM or ANALYZE' END || ': locked by another session'
      INTO bytes, reason
      FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.oid = relation;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.sizes_without_waiting(oid[]) IS
  'Size on disk of tables (with TOAST) or indexes, without queueing behind ACCESS EXCLUSIVE: of a relation that '
  'cannot be read now, the figure in the catalog and the reason; reason is NULL for an exact size. main_bytes is what rows or entries '
  'are in, without maps and TOAST; NULL for a relation that cannot be read now, or is in shards of Citus: of that bytes are those of all nodes';

CREATE FUNCTION groundskeeper_internal.sequence_usage()
RETURNS TABLE (
  schemaname name,
  sequencename name,
  last_value bigint,
  limit_value bigint,
  used_percent numeric,
  column_name text,
  status text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
  start bigint;
  reason text;
  s record;
BEGIN
  FOR s IN
    WITH RECURSIVE base (type, base, typmod) AS (
      SELECT t.oid, t.typbasetype, t.typtypmod FROM pg_type t WHERE t.typtype = 'd'
      UNION ALL
      SELECT b.type, t.typbasetype, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE b.typmod END
        FROM base b JOIN pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
    ),
    -- What takes its numbers from a sequence: by owning it, by being its identity, or by a default.
    fed (sequence, relation, attnum, owned) AS (
      SELECT d.objid, d.refobjid, d.refobjsubid::smallint, true
        FROM pg_depend d
       WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
         AND d.deptype IN ('a', 'i')
      UNION
      SELECT d.refobjid, f.adrelid, f.adnum, false
        FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
       WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
    ),
    -- The values that the column's type has room for.
    fits AS (
      SELECT f.sequence, f.owned, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS name, r.lowest, r.highest
        FROM fed f
        JOIN pg_class c ON c.oid = f.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.attnum AND NOT a.attisdropped
        LEFT JOIN LATERAL (
             SELECT b.base, b.typmod FROM base b JOIN pg_type t ON t.oid = b.base
              WHERE b.type = a.atttypid AND t.typtype <> 'd') d ON true
       CROSS JOIN LATERAL (SELECT coalesce(d.base, a.atttypid) AS type, coalesce(d.typmod, a.atttypmod) AS typmod) y
       CROSS JOIN LATERAL (
             SELECT CASE y.type WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
                                WHEN 'numeric'::regtype THEN - x.most ELSE -9223372036854775808 END AS lowest,
                    CASE y.type WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                WHEN 'numeric'::regtype THEN x.most ELSE 9223372036854775807 END AS highest
               FROM (SELECT CASE WHEN y.typmod < 4 OR p.digits > 18 THEN 9223372036854775807
                                 ELSE 10 ^ greatest(p.digits, 0)::numeric - 1 END AS most
                       FROM (SELECT ((y.typmod - 4) >> 16 & 65535) - ((y.typmod - 4 & 2047) # 1024) + 1024 AS digits) p) x) r
    )
    SELECT n.nspname, c.relname, c.oid, c.relpersistence, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle,
           f.name, greatest(q.seqmin, f.lowest) AS lowest, least(q.seqmax, f.highest) AS highest
      FROM pg_sequence q
      JOIN pg_class c ON c.oid = q.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (
           SELECT f.name, f.lowest, f.highest FROM fits f WHERE f.sequence = c.oid
            ORDER BY f.highest, f.owned DESC, f.name LIMIT 1) f ON true
     WHERE c.relpersistence <> 't'
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'groundskeeper', 'groundskeeper_internal')
  LOOP
    schemaname := s.nspname;
    sequencename := s.relname;
    column_name := s.name;
    limit_value := CASE WHEN s.seqincrement > 0 THEN s.highest ELSE s.lowest END;
    last_value := NULL;
    used_percent := NULL;
    reason := CASE
      WHEN s.oid = ANY (locked) THEN 'locked by another session'
      WHEN s.relpersistence = 'u' AND pg_is_in_recovery() THEN 'an unlogged sequence has no content on a standby'
    END;
    IF reason IS NULL THEN
      BEGIN
        -- NULL before the first number.
        last_value := pg_sequence_last_value(s.oid);
        start := CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END;
        used_percent := CASE
          WHEN last_value IS NULL THEN 0
          WHEN limit_value = start THEN 100
          ELSE least(round(100 * (last_value::numeric - start) / (limit_value::numeric - start), 2), 100) END;
      EXCEPTION
        WHEN lock_not_available THEN
          reason := 'locked by another session';
        WHEN OTHERS THEN  -- one that was dropped meanwhile costs its own figure, not the others'
          reason := SQLERRM;
      END;
    END IF;
    status := CASE
      WHEN reason IS NOT NULL THEN 'unknown: ' || reason
      -- It begins anew, unless the column is full before that.
      WHEN s.seqcycle AND limit_value = CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END THEN 'ok'
      WHEN used_percent >= 90 THEN 'critical'
      WHEN used_percent >= 75 THEN 'warning'
      ELSE 'ok' END;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.sequence_usage() IS
  'The rows of monitoring.sequences: where sequences stand, also those that the caller has no right on';

CREATE VIEW monitoring.sequences WITH (security_invoker) AS
SELECT schemaname, sequencename, last_value, limit_value, used_percent, column_name, status
FROM groundskeeper_internal.sequence_usage()
ORDER BY used_percent DESC NULLS FIRST, schemaname, sequencename;

COMMENT ON VIEW monitoring.sequences IS
  'How much of each sequence of the current database is used, or of the column that takes its numbers where that is narrower';

COMMENT ON COLUMN monitoring.sequences.last_value IS 'The last number that it gave, numbers that sessions cache included; NULL before the first';

COMMENT ON COLUMN monitoring.sequences.limit_value IS 'Where it ends, or the column''s type does: whichever comes first';

COMMENT ON COLUMN monitoring.sequences.used_percent IS
  'How far it has come between its bounds, in its direction; NULL where that is not known';

COMMENT ON COLUMN monitoring.sequences.column_name IS
  'The column that takes its numbers, with schema and table; of several the narrowest, NULL where none is known';

COMMENT ON COLUMN monitoring.sequences.status IS
  'ok, warning from 75 %, critical from 90 %; ok for a sequence that begins anew at its end; unknown with the reason';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.sequence_usage() TO pg_monitor;

GRANT SELECT ON monitoring.sequences TO pg_monitor;

CREATE TABLE groundskeeper.relation_size (
  sampled_at timestamptz,
  relation_oid oid,
  bytes bigint NOT NULL,
  PRIMARY KEY (sampled_at, relation_oid)
);

COMMENT ON TABLE groundskeeper.relation_size IS
  'Sizes of tables and materialized views as record_metrics() found them; pruned after groundskeeper.metrics_retention';

COMMENT ON COLUMN groundskeeper.relation_size.sampled_at IS 'When: each hour of the last two days, each day before';

COMMENT ON COLUMN groundskeeper.relation_size.relation_oid IS 'The table or materialized view; a partitioned table for all its partitions';

COMMENT ON COLUMN groundskeeper.relation_size.bytes IS 'Rows, TOAST and indexes';

CREATE FUNCTION groundskeeper_internal.total_sizes()
RETURNS TABLE (relation oid, bytes bigint, exact boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tree (root, relation) AS (
    SELECT c.oid, c.oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'groundskeeper', 'groundskeeper_internal')
    UNION ALL
    SELECT t.root, i.inhrelid
      FROM tree t
      JOIN pg_inherits i ON i.inhparent = t.relation
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
  ),
  part (root, relation) AS (
    SELECT t.root, t.relation FROM tree t JOIN pg_class c ON c.oid = t.relation WHERE c.relkind IN ('r', 'm')
    UNION ALL
    SELECT t.root, x.indexrelid FROM tree t JOIN pg_index x ON x.indrelid = t.relation
      JOIN pg_class c ON c.oid = x.indexrelid AND c.relkind = 'i'
  ),
  measure AS MATERIALIZED (
    SELECT s.* FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT p.relation FROM part p)) s
  )
  SELECT r.oid, CASE WHEN count(p.root) = count(m.bytes) THEN coalesce(sum(m.bytes), 0)::bigint END, count(m.reason) = 0
    FROM (SELECT DISTINCT t.root FROM tree t) r (oid)
    LEFT JOIN part p ON p.root = r.oid
    LEFT JOIN measure m ON m.relation = p.relation
   GROUP BY r.oid
$$;

COMMENT ON FUNCTION groundskeeper_internal.total_sizes() IS
  'Size of each table and materialized view, of a partitioned table with all its partitions, and whether it is exact: '
  'nothing is waited for';

CREATE VIEW monitoring.growth WITH (security_invoker) AS
WITH sample AS (
  SELECT s.relation_oid, count(*) AS samples, min(s.sampled_at) AS first, max(s.sampled_at) AS last
  FROM groundskeeper.relation_size s
  WHERE s.sampled_at <= clock_timestamp()
  GROUP BY s.relation_oid
),
measured AS (
  SELECT n.nspname, c.relname, coalesce(t.bytes, l.bytes) AS bytes,
    CASE WHEN s.samples > 1 THEN f.bytes END AS before,
    CASE WHEN s.samples > 1 THEN CASE WHEN t.bytes IS NULL THEN s.last ELSE clock_timestamp() END - s.first END AS measured_over
  FROM groundskeeper_internal.total_sizes() t
  JOIN pg_catalog.pg_class c ON c.oid = t.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN sample s ON s.relation_oid = t.relation
  LEFT JOIN groundskeeper.relation_size f ON f.relation_oid = t.relation AND f.sampled_at = s.first
  LEFT JOIN groundskeeper.relation_size l ON l.relation_oid = t.relation AND l.sampled_at = s.last
)
SELECT
  m.nspname AS schemaname,
  m.relname AS tablename,
  m.bytes,
  round(r.rate) AS bytes_per_day,
  CASE WHEN r.rate IS NOT NULL THEN round(greatest(m.bytes + 30 * r.rate, 0)) END AS forecast_30d_bytes,
  m.measured_over
FROM measured m
CROSS JOIN LATERAL (
  SELECT (m.bytes - m.before) * 86400.0 / nullif(extract(epoch FROM m.measured_over), 0) AS rate) r
ORDER BY bytes_per_day DESC NULLS LAST, m.bytes DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.growth IS
  'How large each table and materialized view of the current database is, how fast it has grown and what that comes to; a '
  'partitioned table with all its partitions';

COMMENT ON COLUMN monitoring.growth.bytes IS
  'Rows, TOAST and indexes; of a table that cannot be read now as of its last sample or VACUUM, NULL where there is none';

COMMENT ON COLUMN monitoring.growth.bytes_per_day IS 'By how much it has grown since its first sample that is kept; NULL before the second';

COMMENT ON COLUMN monitoring.growth.forecast_30d_bytes IS 'Its size in 30 days if it goes on like that';

COMMENT ON COLUMN monitoring.growth.measured_over IS 'Since when that is: a rate over minutes says little';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.total_sizes() TO pg_monitor;

GRANT SELECT ON groundskeeper.relation_size, monitoring.growth TO pg_monitor;

ALTER TABLE groundskeeper.metrics
    ADD COLUMN wal_bytes bigint,
    ADD COLUMN checkpoints_timed bigint,
    ADD COLUMN checkpoints_requested bigint,
    ADD COLUMN archive_failures bigint;

COMMENT ON TABLE groundskeeper.metrics IS 'Samples of what this database and its server do, taken by record_metrics(); pruned after groundskeeper.metrics_retention';

COMMENT ON COLUMN groundskeeper.metrics.sampled_at IS 'When';

COMMENT ON COLUMN groundskeeper.metrics.since IS 'Since when the latency of this row was counted: the sample before, or the start of the server';

COMMENT ON COLUMN groundskeeper.metrics.latency IS 'Histograms of latency since then, by scope, for query_latency(); NULL where the library is not preloaded';

COMMENT ON COLUMN groundskeeper.metrics.statement_latency IS 'The same by query identifier, for statement_latency(); no text';

COMMENT ON COLUMN groundskeeper.metrics.connections IS 'Client backends of the whole server, the sampling one left out';

COMMENT ON COLUMN groundskeeper.metrics.busy_connections IS 'Those of them that were not idle: running something, or in a transaction';

COMMENT ON COLUMN groundskeeper.metrics.database_connections IS 'Client backends of this database, the sampling one left out';

COMMENT ON COLUMN groundskeeper.metrics.database_busy_connections IS 'Those of them that were not idle';

COMMENT ON COLUMN groundskeeper.metrics.usable_slots IS 'Connections that max_connections allows, less the reserved ones';

COMMENT ON COLUMN groundskeeper.metrics.heap_blks_hit IS 'Table blocks found in the buffer cache, of this database''s user tables together; PostgreSQL''s counter as it stood';

COMMENT ON COLUMN groundskeeper.metrics.heap_blks_read IS 'Table blocks read';

COMMENT ON COLUMN groundskeeper.metrics.idx_blks_hit IS 'Index blocks found in the buffer cache';

COMMENT ON COLUMN groundskeeper.metrics.idx_blks_read IS 'Index blocks read';

COMMENT ON COLUMN groundskeeper.metrics.xact_commit IS 'Transactions committed in this database; PostgreSQL''s counter as it stood';

COMMENT ON COLUMN groundskeeper.metrics.xact_rollback IS 'Transactions rolled back';

COMMENT ON COLUMN groundskeeper.metrics.deadlocks IS 'Deadlocks';

COMMENT ON COLUMN groundskeeper.metrics.temp_bytes IS 'Bytes written to temporary files';

COMMENT ON COLUMN groundskeeper.metrics.stats_reset IS 'When PostgreSQL''s counters were last reset';

COMMENT ON COLUMN groundskeeper.metrics.cost_ms IS 'How long taking this sample took';

COMMENT ON COLUMN groundskeeper.metrics.wal_bytes IS 'How far the server had come in its WAL';

COMMENT ON COLUMN groundskeeper.metrics.checkpoints_timed IS 'Checkpoints of the server that their time had come for; PostgreSQL''s counter as it stood';

COMMENT ON COLUMN groundskeeper.metrics.checkpoints_requested IS 'Checkpoints that came before their time, for the WAL that was written or by request';

COMMENT ON COLUMN groundskeeper.metrics.archive_failures IS 'WAL files that could not be archived, each try counted';

CREATE FUNCTION groundskeeper_internal.server_counters()
RETURNS TABLE (wal_bytes bigint, checkpoints_timed bigint, checkpoints_requested bigint, checkpoints_since timestamptz,
               archive_failures bigint, backend_fsyncs bigint, fsyncs_since timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  release CONSTANT integer := current_setting('server_version_num')::integer;
BEGIN
  wal_bytes := CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn;
  SELECT a.failed_count INTO archive_failures FROM pg_stat_archiver a;
  IF release >= 170000 THEN
    EXECUTE CASE WHEN pg_is_in_recovery() THEN 'SELECT restartpoints_timed, restartpoints_req, stats_reset FROM pg_catalog.pg_stat_checkpointer'
                 ELSE 'SELECT num_timed, num_requested, stats_reset FROM pg_catalog.pg_stat_checkpointer' END
       INTO checkpoints_timed, checkpoints_requested, checkpoints_since;
  ELSE
    EXECUTE 'SELECT checkpoints_timed, checkpoints_req, stats_reset FROM pg_catalog.pg_stat_bgwriter'
       INTO checkpoints_timed, checkpoints_requested, checkpoints_since;
  END IF;
  IF release >= 160000 THEN
    EXECUTE 'SELECT sum(fsyncs)::bigint, max(stats_reset) FROM pg_catalog.pg_stat_io WHERE backend_type = $1'
       INTO backend_fsyncs, fsyncs_since USING 'client backend';
  ELSE
    EXECUTE 'SELECT buffers_backend_fsync, stats_reset FROM pg_catalog.pg_stat_bgwriter' INTO backend_fsyncs, fsyncs_since;
  END IF;
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.server_counters() IS
  'One row of PostgreSQL''s counters of the whole server, as its release has them';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.server_counters() TO pg_monitor;

COMMENT ON TABLE groundskeeper.latency_mark IS 'How far the latency counters in shared memory had come at the last sample';

COMMENT ON COLUMN groundskeeper.latency_mark.queryid IS 'Of a statement; NULL in the row of all scopes';

COMMENT ON COLUMN groundskeeper.latency_mark.began IS 'Which counters: those that began at this moment';

COMMENT ON COLUMN groundskeeper.latency_mark.marked_at IS 'When they had come that far';

COMMENT ON COLUMN groundskeeper.latency_mark.counts IS 'Histograms of latency since they began';

CREATE FUNCTION groundskeeper_internal.counting_since() RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT greatest(d.stats_reset, least(a.stats_reset, b.stats_reset, w.stats_reset))
    FROM pg_stat_database d, pg_stat_archiver a, pg_stat_bgwriter b, pg_stat_wal w
   WHERE d.datname = current_database();
END;

COMMENT ON FUNCTION groundskeeper_internal.counting_since() IS
  'When the counters of this database last began anew, by a reset or a crash; NULL where that is not known';

COMMENT ON TABLE groundskeeper.index_observation IS
  'Since when each index is observed without a gap, and what is known of its scans; kept by record_metrics()';

COMMENT ON COLUMN groundskeeper.index_observation.indexrelid IS 'The index';

COMMENT ON COLUMN groundskeeper.index_observation.first_seen IS
  'When it was first seen; later where counters began anew and nobody had looked for a while';

COMMENT ON COLUMN groundskeeper.index_observation.idx_scan IS 'PostgreSQL''s counter as it last stood';

COMMENT ON COLUMN groundskeeper.index_observation.scans IS 'All scans that are known of, resets of the counter taken into account';

COMMENT ON COLUMN groundskeeper.index_observation.last_scan IS
  'When it was last seen to have been scanned, or first_seen for scans before; NULL where it never was';

CREATE FUNCTION groundskeeper_internal.definitions_without_waiting(indexes oid[]) RETURNS TABLE (relation oid, definition text)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
BEGIN
  -- PostgreSQL opens the table to put its columns' names into words.
  FOR relation IN
    SELECT i.indexrelid FROM pg_index i
     WHERE i.indexrelid = ANY (indexes) AND i.indexrelid <> ALL (locked) AND i.indrelid <> ALL (locked)
  LOOP
    BEGIN
      definition := pg_get_indexdef(relation);
      RETURN NEXT;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.definitions_without_waiting(oid[]) IS
  'CREATE INDEX of indexes, those left out whose table cannot be read now';

CREATE FUNCTION groundskeeper_internal.index_usage()
RETURNS TABLE (
  schemaname name,
  tablename name,
  indexname name,
  idx_tup_read bigint,
  idx_tup_fetch bigint,
  index_size text,
  verdict text,
  evidence text,
  drop_sql text,
  idx_scan bigint,
  observed_since timestamptz,
  index_bytes bigint,
  size_reason text,
  create_sql text,
  last_scan timestamptz
)
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $query$
WITH RECURSIVE listed AS (
  SELECT x.oid, x.relkind, n.nspname, x.relname, t.relname AS tablename
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
  WHERE NOT x.relispartition  -- a part of a partitioned index lives and dies with it
    AND x.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
),
tree (root, relation) AS (
  SELECT oid, oid FROM listed
  UNION ALL
  SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relation
),
-- No index of the catalog's leads here.
backed AS MATERIALIZED (
  SELECT c.conindid,
    string_agg(CASE c.contype WHEN 'f' THEN 'referenced by foreign key ' ELSE 'backs constraint ' END
               || quote_ident(c.conname), '; ' ORDER BY c.contype = 'f', c.conname) AS constraints
  FROM pg_catalog.pg_constraint c
  WHERE c.conindid <> 0
  GROUP BY c.conindid
),
part AS (
  SELECT t.root, t.relation, i.indisvalid,
    -- Known only with track_commit_timestamp; a later change of the index makes it look younger.
    CASE WHEN current_setting('track_commit_timestamp')::boolean
      THEN pg_xact_commit_timestamp(i.xmin) END AS created_at,
    -- What an index is good for without being scanned.
    nullif(concat_ws('; ',
      CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisunique THEN 'enforces uniqueness' END,
      CASE WHEN i.indisexclusion THEN 'enforces an exclusion constraint' END,
      CASE WHEN i.indisreplident THEN 'replica identity' END,
      CASE WHEN i.indisclustered THEN 'its table is clustered on it' END,
      b.constraints,
      (SELECT 'leads with the columns of foreign key '
              || string_agg(quote_ident(c.conname), ', ' ORDER BY c.conname)
         FROM pg_catalog.pg_constraint c
        WHERE c.contype = 'f' AND c.conrelid = i.indrelid
          AND cardinality(c.conkey) <= i.indnkeyatts
          AND c.conkey <@ (i.indkey::smallint[])[0:cardinality(c.conkey) - 1]),
      -- Since 18 a B-tree can be skipped through where its first columns have few values, for want of a better one.
      (SELECT 'has the columns of foreign key ' || string_agg(quote_ident(c.conname), ', ' ORDER BY c.conname)
              || ' behind others, and no index leads with them'
         FROM pg_catalog.pg_constraint c
        WHERE current_setting('server_version_num')::integer >= 180000
          AND c.contype = 'f' AND c.conrelid = i.indrelid
          AND c.conkey <@ (i.indkey::smallint[])[0:i.indnkeyatts - 1]
          AND EXISTS (SELECT FROM pg_catalog.pg_class x JOIN pg_catalog.pg_am a ON a.oid = x.relam
                       WHERE x.oid = t.relation AND a.amname = 'btree')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_index o
                           WHERE o.indrelid = i.indrelid AND o.indisvalid AND cardinality(c.conkey) <= o.indnkeyatts
                             AND c.conkey <@ (o.indkey::smallint[])[0:cardinality(c.conkey) - 1])),
      (SELECT 'belongs to extension ' || min(quote_ident(e.extname))
         FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (t.relation, i.indrelid)
          AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'),
      CASE WHEN i.indexprs IS NOT NULL
        THEN 'the planner uses the statistics of its expression, and that counts as no scan' END
    ), '') AS purpose
  FROM tree t
  JOIN pg_catalog.pg_index i ON i.indexrelid = t.relation
  LEFT JOIN backed b ON b.conindid = t.relation
),
usage AS (
  SELECT p.root,
    coalesce(sum(o.scans + CASE WHEN n.scans >= o.idx_scan THEN n.scans - o.idx_scan ELSE n.scans END), 0)::bigint
      + coalesce(sum(n.scans) FILTER (WHERE o.indexrelid IS NULL), 0)::bigint AS idx_scan,
    coalesce(sum(u.idx_tup_read), 0)::bigint AS idx_tup_read,
    coalesce(sum(u.idx_tup_fetch), 0)::bigint AS idx_tup_fetch,
    CASE WHEN bool_and(s.bytes IS NOT NULL) THEN sum(s.bytes)::bigint END AS index_bytes,
    max(s.reason) AS size_reason,
    bool_and(p.indisvalid) AS valid,
    min(d.reason) FILTER (WHERE d.scans IS NULL) AS unknown,
    max(p.created_at) FILTER (WHERE p.relation = p.root) AS created_at,
    max(o.first_seen) FILTER (WHERE p.relation = p.root) AS first_seen,
    -- A counter that differs from what it was at the last look has moved since, or was reset and moved.
    max(CASE WHEN o.indexrelid IS NULL THEN CASE WHEN n.scans > 0 THEN now() END
             WHEN n.scans <> o.idx_scan AND n.scans > 0 THEN now()
             ELSE o.last_scan END) AS last_scan,
    coalesce(max(p.purpose) FILTER (WHERE p.relation = p.root), min(p.purpose)) AS purpose
  FROM part p
  JOIN groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT relation FROM tree)) s USING (relation)
  LEFT JOIN pg_catalog.pg_stat_all_indexes u ON u.indexrelid = p.relation
  LEFT JOIN groundskeeper.index_observation o ON o.indexrelid = p.relation
  -- What is in shards is scanned on the nodes.
  LEFT JOIN groundskeeper_internal.on_nodes(ARRAY(SELECT relation FROM tree)) d ON d.relation = p.relation
  CROSS JOIN LATERAL (SELECT CASE WHEN d.relation IS NULL THEN coalesce(u.idx_scan, 0) ELSE coalesce(d.scans, o.idx_scan, 0) END AS scans) n
  GROUP BY p.root
),
counting AS (
  SELECT c.since, r.required,
    -- Reports of a month read an index that seldom.
    greatest(r.required, interval '31 days') AS remembered,
    -- What was counted between the last look and a reset is lost: a short while is not much.
    c.since > l.last_look + interval '15 minutes' OR l.last_look IS NULL AS gap
  FROM (SELECT groundskeeper_internal.counting_since() AS since) c,
    (SELECT max(m.sampled_at) AS last_look FROM groundskeeper.metrics m
      WHERE m.sampled_at BETWEEN now() - interval '2 days' AND clock_timestamp()) l,
    -- A bare number is minutes, as for any setting with this unit.
    (SELECT coalesce(
       regexp_replace(nullif(current_setting('groundskeeper.index_observation', true), ''), '^\d+$', '\& min'),
       '7 days')::interval AS required) r
),
judged AS (
  SELECT u.*, w.observed_since,
    CASE
      WHEN u.purpose IS NOT NULL OR u.last_scan > now() - c.remembered THEN 'needed'
      WHEN u.valid AND u.unknown IS NULL AND NOT pg_is_in_recovery() AND current_setting('track_counts')::boolean
        AND coalesce(w.observed_since, now()) <= now() - c.required THEN 'unused'
      ELSE 'too_early'
    END AS verdict,
    concat_ws('; ',
      format('scans: %s, %s', u.idx_scan,
        CASE WHEN w.observed_since IS NULL THEN 'not observed yet: record_metrics() begins'
             ELSE 'observed since ' || date_trunc('second', w.observed_since) END),
      CASE WHEN u.idx_scan > 0 THEN 'the last at or before ' || date_trunc('second', u.last_scan) END,
      u.purpose,
      'its scans are ' || u.unknown,
      CASE WHEN NOT u.valid THEN 'not valid: its build failed or is under way' END,
      CASE WHEN NOT current_setting('track_counts')::boolean THEN 'track_counts is off' END,
      CASE WHEN pg_is_in_recovery() THEN 'this is a standby: scans on the primary are not counted here' END
    ) AS evidence
  FROM usage u CROSS JOIN counting c
  -- We know since when an index is there if we have seen it, or PostgreSQL recorded when it was created.
  CROSS JOIN LATERAL (
    SELECT least(CASE WHEN c.gap THEN greatest(u.first_seen, c.since) ELSE u.first_seen END,
                 CASE WHEN u.created_at IS NOT NULL THEN greatest(c.since, u.created_at) END) AS observed_since) w
),
defined AS MATERIALIZED (
  SELECT d.* FROM groundskeeper_internal.definitions_without_waiting(
    ARRAY(SELECT j.root FROM judged j WHERE j.verdict = 'unused')) d
)
SELECT
  l.nspname AS schemaname,
  l.tablename,
  l.relname AS indexname,
  j.idx_tup_read,
  j.idx_tup_fetch,
  pg_size_pretty(j.index_bytes) AS index_size,
  j.verdict,
  CASE WHEN j.verdict = 'unused'
    THEN concat_ws('; ', j.evidence,
      'scans on standbys are not counted here'
        || (SELECT CASE WHEN count(*) > 0 THEN format(' (%s connected)', count(*)) ELSE '' END
              FROM pg_catalog.pg_stat_replication),
      CASE WHEN l.relkind = 'I' THEN 'a partitioned index cannot be dropped concurrently' END)
    ELSE j.evidence END AS evidence,
  CASE WHEN j.verdict = 'unused'
    THEN format('DROP INDEX %s%I.%I', CASE WHEN l.relkind = 'i' THEN 'CONCURRENTLY ' END, l.nspname, l.relname)
  END AS drop_sql,
  j.idx_scan,
  j.observed_since,
  j.index_bytes,
  j.size_reason,
  d.definition AS create_sql,
  j.last_scan
FROM listed l JOIN judged j ON j.root = l.oid LEFT JOIN defined d ON d.relation = l.oid
ORDER BY j.verdict = 'unused' DESC, j.index_bytes DESC NULLS LAST, schemaname, indexname
$query$;

COMMENT ON FUNCTION groundskeeper_internal.index_usage() IS 'The rows of monitoring.unused_indexes';

CREATE OR REPLACE VIEW monitoring.unused_indexes WITH (security_invoker) AS
SELECT schemaname, tablename, indexname, idx_tup_read, idx_tup_fetch, index_size,
  verdict, evidence, drop_sql, idx_scan, observed_since, index_bytes,
  size_reason, create_sql, last_scan
FROM groundskeeper_internal.index_usage();

COMMENT ON VIEW monitoring.unused_indexes IS
  'The indexes of the current database and whether each is needed; a partitioned index with all its partitions '
  'is one row. The verdict rests on scans: an index that is scanned and finds nothing is in use';

COMMENT ON COLUMN monitoring.unused_indexes.idx_tup_read IS 'Entries that scans returned; no measure of use';

COMMENT ON COLUMN monitoring.unused_indexes.idx_tup_fetch IS
  'Rows that plain index scans fetched; no measure of use';

COMMENT ON COLUMN monitoring.unused_indexes.verdict IS
  'One of: unused (not scanned while observed for groundskeeper.index_observation, and good for nothing else); '
  'too_early (not scanned, but that proves nothing yet); needed (scanned, or good for something else)';

COMMENT ON COLUMN monitoring.unused_indexes.evidence IS 'What the verdict rests on';

COMMENT ON COLUMN monitoring.unused_indexes.drop_sql IS 'Only for unused ones';

COMMENT ON COLUMN monitoring.unused_indexes.idx_scan IS
  'All scans that are known of, those before observed_since among them';

COMMENT ON COLUMN monitoring.unused_indexes.observed_since IS
  'Since when its scans are known: since record_metrics() first saw it, or since it was created where '
  'track_commit_timestamp is on; NULL where neither is known';

COMMENT ON COLUMN monitoring.unused_indexes.create_sql IS
  'What builds it again; only for unused ones whose table can be read now';

COMMENT ON COLUMN monitoring.unused_indexes.last_scan IS
  'When it was last seen to have been scanned, at the latest; scans are forgotten after 31 days, or '
  'groundskeeper.index_observation if that is longer';

COMMENT ON COLUMN monitoring.unused_indexes.index_bytes IS 'The same as index_size, in bytes';

COMMENT ON COLUMN monitoring.unused_indexes.size_reason IS 'Why index_size is not exact, or NULL; NULL when it is';

ALTER TABLE groundskeeper.conversion
    ADD COLUMN item text,
    ADD COLUMN unlogged boolean NOT NULL DEFAULT false,
    ADD COLUMN recognized boolean NOT NULL DEFAULT false,
    ADD COLUMN kept_columns text[] NOT NULL DEFAULT '{}',
    ADD COLUMN key_format text,
    ADD COLUMN default_partition boolean NOT NULL DEFAULT true;
UPDATE groundskeeper.conversion
   SET item = pg_catalog.concat('3.1.', schema_name, '.', table_name, '.', partition_key)
 WHERE (schema_name, table_name, partition_key) IN (('raw_data', 'moneylines_raw', 'game_date'),
                                                    ('staging', 'moneylines', 'processed_at'));

COMMENT ON TABLE groundskeeper.conversion IS 'Tables that are, or are being, converted to partitioned ones: how far each has come, and what the next run needs to know';

COMMENT ON COLUMN groundskeeper.conversion.relation IS 'The table, schema-qualified and quoted';

COMMENT ON COLUMN groundskeeper.conversion.item IS 'The item of the plan that it carries out; NULL where the plan does not ask for it';

COMMENT ON COLUMN groundskeeper.conversion.stage IS 'begun, shadowed, captured, copied, indexed, proven, swapped, converted; then equal and finalized, or equal and restored';

COMMENT ON COLUMN groundskeeper.conversion.key_columns IS 'The columns of the primary key';

COMMENT ON COLUMN groundskeeper.conversion.key_table IS 'Whether a key table keeps unique across partitions what lacks the partition key';

COMMENT ON COLUMN groundskeeper.conversion.key_format IS 'How the key has its moments: uuidv7, epoch_s, epoch_ms, epoch_us; NULL for dates and times';

COMMENT ON COLUMN groundskeeper.conversion.default_partition IS 'Whether there is a partition for rows that no other takes';

COMMENT ON COLUMN groundskeeper.conversion.kept_columns IS 'The columns of the key table: the primary key, and those of unique indexes; empty for the primary key alone';

COMMENT ON COLUMN groundskeeper.conversion.indexes IS 'The indexes that the shadow gets, by the names that they have on the table';

COMMENT ON COLUMN groundskeeper.conversion.copied_to IS 'The primary key of the last row that was copied';

COMMENT ON COLUMN groundskeeper.conversion.rows_expected IS 'How many rows there were, by the planner''s estimate';

COMMENT ON COLUMN groundskeeper.conversion.unlogged IS 'Changes were not logged for a while: all rows are compared before the log is relied on again';

COMMENT ON COLUMN groundskeeper.conversion.recognized IS 'It was known by its triggers alone: the extension had been dropped and made again';

COMMENT ON COLUMN groundskeeper.conversion.later IS 'What is still to be done after the exchange: lists of statements, a transaction each';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.conversion', '');

COMMENT ON TABLE groundskeeper.change IS 'Every change that carried out an item of the plan, recorded in the transaction that made it';

COMMENT ON COLUMN groundskeeper.change.change_id IS 'In the order in which the changes were made';

COMMENT ON COLUMN groundskeeper.change.item IS 'The item of the plan';

COMMENT ON COLUMN groundskeeper.change.applied_at IS 'When';

COMMENT ON COLUMN groundskeeper.change.applied_by IS 'The role that asked for it';

COMMENT ON COLUMN groundskeeper.change.forward_sql IS 'The statements that were run';

COMMENT ON COLUMN groundskeeper.change.inverse_sql IS 'The statements that took it back then; rollback_plan() looks again at what stands on the object by now';

COMMENT ON COLUMN groundskeeper.change.prior_definition IS 'The definition of each object that was there before; NULL where there was none';

COMMENT ON COLUMN groundskeeper.change.undo IS 'What rollback_plan() must know that the catalogs no longer tell';

COMMENT ON COLUMN groundskeeper.change.reverted_at IS 'When it was taken back; NULL while it stands';

CREATE OR REPLACE VIEW groundskeeper.change_log AS
SELECT change_id, item, applied_at, applied_by, forward_sql, inverse_sql, prior_definition, reverted_at
  FROM groundskeeper.change;

COMMENT ON VIEW groundskeeper.change_log IS 'Every change that carried out an item of the plan, with its inverse and what was there before';

ALTER TABLE groundskeeper.job
    ADD COLUMN entry jsonb,
    ADD COLUMN target_oid oid,
    ADD COLUMN target_owner oid,
    ADD COLUMN error_detail text,
    ADD COLUMN gives_way boolean NOT NULL DEFAULT false;
-- What the change log is to say of an open job stands with it; before, the worker looked that up when it was done.
UPDATE groundskeeper.job j
   SET entry = pg_catalog.jsonb_build_object('item', j.item, 'forward', pg_catalog.jsonb_build_array(w.forward),
                                             'inverse', w.inverse, 'prior_definition', NULL, 'undo', w.undo)
  FROM (SELECT i.job_id,
               pg_catalog.format('CREATE %sINDEX %I ON %s (%s)%s', CASE WHEN (i.task->>'unique')::boolean THEN 'UNIQUE ' END,
                                 i.task->'index'->>'name', t.name,
                                 (SELECT pg_catalog.string_agg(k.key, ', ' ORDER BY k.place)
                                    FROM pg_catalog.jsonb_array_elements_text(i.task->'keys') WITH ORDINALITY k (key, place)),
                                 ' WHERE ' || (i.task->>'predicate')),
               pg_catalog.jsonb_build_array(pg_catalog.format('DROP INDEX %I.%I', i.task->'index'->>'schema', i.task->'index'->>'name')),
               CASE WHEN i.item LIKE pg_catalog.concat('%.', i.task->'table'->>'schema', '.', i.task->'table'->>'name', '.%') THEN '{}'
                    ELSE pg_catalog.jsonb_build_object('relation', i.task->'table') END
          FROM groundskeeper.job i
         CROSS JOIN LATERAL pg_catalog.format('%I.%I', i.task->'table'->>'schema', i.task->'table'->>'name') t (name)
         WHERE i.kind = 'create_index' AND i.task ? 'keys'
        UNION ALL
        SELECT v.job_id,
               pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t.name, v.task->>'constraint'),
               pg_catalog.jsonb_build_array(
                   pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, v.task->>'constraint'),
                   pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', t.name, v.task->>'constraint',
                                     v.task->>'expression')),
               pg_catalog.jsonb_build_object('was_not_valid', v.task->>'constraint')
          FROM groundskeeper.job v
         CROSS JOIN LATERAL pg_catalog.format('%I.%I', v.task->'table'->>'schema', v.task->'table'->>'name') t (name)
         WHERE v.kind = 'validate_constraint') w (job_id, forward, inverse, undo)
 WHERE w.job_id = j.job_id AND j.state IN ('queued', 'running') AND j.item IS NOT NULL;

COMMENT ON TABLE groundskeeper.job IS 'Work for background workers; groundskeeper.jobs shows it';

COMMENT ON COLUMN groundskeeper.job.task IS 'What is to be brought about';

COMMENT ON COLUMN groundskeeper.job.entry IS 'What the change log is to say once that is done; NULL where the job writes none';

COMMENT ON COLUMN groundskeeper.job.run_as IS 'The role that the worker connects as';

COMMENT ON COLUMN groundskeeper.job.home IS 'The cluster and database that the job was queued in; a copy does not run it until groundskeeper.resume()';

COMMENT ON COLUMN groundskeeper.job.phase IS 'What the worker is at';

COMMENT ON COLUMN groundskeeper.job.progress IS 'How much of it is done, 0 to 1';

COMMENT ON COLUMN groundskeeper.job.not_before IS 'When the next attempt may start';

COMMENT ON COLUMN groundskeeper.job.target_oid IS 'The relation that the job was queued for: another by its name is left alone; true of the home alone';

COMMENT ON COLUMN groundskeeper.job.target_owner IS 'Its owner then';

COMMENT ON COLUMN groundskeeper.job.gives_way IS 'It waits for a lock and is told to give its place to another role''s job; it goes back to the queue';

COMMENT ON COLUMN groundskeeper.job.error_detail IS 'What else was said, which may hold values of rows: for the requester and the role that the job runs as';

COMMENT ON COLUMN groundskeeper.job.worker_pid IS 'The worker that has it, if that worker still lives';

ALTER TABLE groundskeeper.job_attempt ADD COLUMN error_detail text;

COMMENT ON TABLE groundskeeper.job_attempt IS 'One row per attempt at a job';

COMMENT ON COLUMN groundskeeper.job_attempt.error_detail IS 'As in groundskeeper.job';

CREATE FUNCTION groundskeeper_internal.error_shown(error text, detail text, requested_by text, run_as text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN SESSION_USER IN (requested_by, run_as)
              OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)
              OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = run_as AND pg_catalog.pg_has_role(r.oid, 'USAGE'))
            THEN error || COALESCE(': ' || detail, '') ELSE error END;

COMMENT ON FUNCTION groundskeeper_internal.error_shown(text, text, text, text) IS 'An error with its detail for the requester of the job and the role that it runs as, without it for others';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.error_shown(text, text, text, text) TO PUBLIC;

CREATE OR REPLACE VIEW groundskeeper.jobs WITH (security_barrier = true) AS
SELECT j.job_id, j.kind, j.target,
       CASE WHEN j.state = 'running' AND a.wait_event_type = 'Lock' THEN 'waiting' ELSE j.state END AS state,
       CASE j.state
           WHEN 'succeeded' THEN 1.0
           WHEN 'running' THEN pg_catalog.round(COALESCE(b.progress, j.progress::numeric), 3)
           ELSE 0.0
       END AS progress,
       CASE WHEN j.state = 'running' THEN COALESCE(p.phase, j.phase) END AS phase,
       CASE WHEN j.state = 'running' AND a.wait_event_type = 'Lock'
            THEN 'waits for ' || COALESCE(NULLIF(pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', '), ''), 'a lock')
            WHEN j.state = 'queued' AND j.detail IS NULL AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_locks l
                 WHERE l.locktype = 'userlock' AND l.classid::bigint = 1735092834 AND l.objid::bigint = 0
                   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                      WHERE d.datname = pg_catalog.current_database()))
            THEN 'no background worker looks after jobs yet: the next call of plan_status() or wait_for_job() starts '
                 'one, if max_worker_processes leaves room'
            WHEN j.state = 'running' THEN COALESCE(b.work, j.detail)
            WHEN j.state IN ('failed', 'cancelled') AND j.kind IN ('partition_table', 'undo_partitioning', 'finalize_partitioning')
            THEN COALESCE((SELECT pg_catalog.format('unfinished: nobody works on the conversion of %s, which is %s: groundskeeper.retry_job(%s) goes on, groundskeeper.undo_partitioning(%L) takes it back',
                                                    c.relation, c.stage, j.job_id, c.relation)
                             FROM groundskeeper.conversion c
                            WHERE c.relation = j.target AND c.stage NOT IN ('converted', 'finalized')
                              AND NOT EXISTS (SELECT FROM groundskeeper.job o
                                               WHERE o.target = j.target AND (o.state IN ('queued', 'running') OR o.job_id > j.job_id)
                                                 AND o.kind IN ('partition_table', 'undo_partitioning', 'finalize_partitioning'))),
                          j.detail)
            ELSE j.detail
       END AS detail,
       j.attempts, j.queued_at, j.started_at, j.finished_at, groundskeeper_internal.error_shown(j.error, j.error_detail, j.requested_by, j.run_as) AS error
  FROM groundskeeper.job j
  LEFT JOIN pg_catalog.pg_stat_activity a ON j.state = 'running' AND a.pid = j.worker_pid
  LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = a.pid
  LEFT JOIN LATERAL (
      SELECT COALESCE(p.blocks_done::numeric / NULLIF(p.blocks_total, 0), 0) AS blocks,
             COALESCE(p.tuples_done::numeric / NULLIF(p.tuples_total, 0), 0) AS tuples) f ON p.pid IS NOT NULL
  LEFT JOIN LATERAL (
      SELECT CASE
                 WHEN p.phase = 'building index: loading tuples in tree' THEN 0.5 + 0.1 * f.tuples
                 WHEN p.phase LIKE 'building index: sorting%' THEN 0.5
                 WHEN p.phase LIKE 'building index%' THEN 0.5 * f.blocks
                 WHEN p.phase = 'waiting for writers before validation' THEN 0.6
                 WHEN p.phase = 'index validation: scanning index' THEN 0.6 + 0.15 * f.blocks
                 WHEN p.phase = 'index validation: sorting tuples' THEN 0.75
                 WHEN p.phase = 'index validation: scanning table' THEN 0.75 + 0.25 * f.blocks
                 WHEN p.phase IN ('waiting for old snapshots', 'waiting for readers before marking dead',
                                  'waiting for readers before dropping') THEN 1.0
                 ELSE 0.0
             END AS progress,
             CASE WHEN p.tuples_total > 0
                  THEN pg_catalog.format('%s of %s rows', p.tuples_done, p.tuples_total)
                  WHEN p.blocks_total > 0
                  THEN pg_catalog.format('%s of %s',
                           pg_catalog.pg_size_pretty(p.blocks_done * pg_catalog.current_setting('block_size')::bigint),
                           pg_catalog.pg_size_pretty(p.blocks_total * pg_catalog.current_setting('block_size')::bigint))
             END AS work) b ON p.pid IS NOT NULL
 WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE') OR j.requested_by = SESSION_USER
    OR j.run_as = SESSION_USER;

COMMENT ON VIEW groundskeeper.jobs IS 'Jobs with their state, seen live';

COMMENT ON COLUMN groundskeeper.jobs.state IS 'queued, running, waiting (for a lock), succeeded, failed or cancelled';

COMMENT ON COLUMN groundskeeper.jobs.progress IS '0 to 1; for builds from pg_stat_progress_create_index, over all phases';

COMMENT ON COLUMN groundskeeper.jobs.detail IS 'For a waiting job the pids that it waits for, for a build the rows or bytes of its phase; of a failed or cancelled conversion what it has left half-way, and what ends that';

CREATE OR REPLACE VIEW groundskeeper.job_history WITH (security_barrier = true) AS
SELECT h.job_id, h.attempt, h.started_at, h.finished_at, h.state,
       groundskeeper_internal.error_shown(h.error, h.error_detail, j.requested_by, j.run_as) AS error, h.lock_waits, h.rows_done
  FROM groundskeeper.job_attempt h
  JOIN groundskeeper.job j USING (job_id)
 WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE') OR j.requested_by = SESSION_USER
    OR j.run_as = SESSION_USER;

COMMENT ON VIEW groundskeeper.job_history IS 'One row per attempt at a job';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.change', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.change_change_id_seq', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.job', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.job_job_id_seq', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.job_attempt', '');

CREATE FUNCTION groundskeeper_internal.one_line(text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
RETURN regexp_replace(one_line.text, '[[:cntrl:]]+', ' ', 'g');

COMMENT ON FUNCTION groundskeeper_internal.one_line(text) IS 'A text without what could end a line, for comments in scripts';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.one_line(text) TO PUBLIC;

CREATE OR REPLACE FUNCTION groundskeeper.rollback_script() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT COALESCE(string_agg(
               format(E'-- change %s: %s, applied %s by %s\n%s%s\n',
                      change_id, groundskeeper_internal.one_line(item), to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
                      groundskeeper_internal.one_line(applied_by),
                      COALESCE('-- before: ' || (SELECT string_agg(groundskeeper_internal.one_line(w.line), E'\n--         ' ORDER BY w.place)
                                                   FROM regexp_split_to_table(prior_definition, '[\r\n]+') WITH ORDINALITY w (line, place)) || E'\n', ''),
                      inverse_sql),
               E'\n' ORDER BY change_id DESC), '')
      FROM groundskeeper.change_log
     WHERE reverted_at IS NULL;
END;

COMMENT ON FUNCTION groundskeeper.rollback_script() IS 'The change log as one script that brings back the schema as it was, with what each object was before';

GRANT SELECT ON groundskeeper.change_log TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper.rollback_script() TO pg_monitor;

GRANT SELECT ON groundskeeper.jobs, groundskeeper.job_history TO PUBLIC;

CREATE FUNCTION groundskeeper_internal.horizon_holders()
RETURNS TABLE (holder text, xmin_age integer, catalogs_only boolean, way_out text, is_stuck boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT h.holder, h.xmin_age, h.catalogs_only, h.way_out, h.is_stuck
    FROM (
      -- A walsender's is its standby's, or its slot's.
      SELECT format('transaction of process %s (%s, role %s)', a.pid, coalesce(a.state, a.backend_type), coalesce(quote_ident(a.usename), 'none')),
             greatest(age(a.backend_xmin), age(a.backend_xid)), false,
             format(CASE WHEN a.state IN ('active', 'fastpath function call') THEN 'SELECT pg_catalog.pg_cancel_backend(%s)'
                         ELSE 'SELECT pg_catalog.pg_terminate_backend(%s)' END, a.pid),
             a.xact_start < clock_timestamp() - interval '5 minutes'
        FROM pg_stat_activity a
       WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type <> 'walsender'
      UNION ALL
      SELECT format('prepared transaction %s', quote_literal(p.gid)), age(p.transaction), false, format('ROLLBACK PREPARED %L', p.gid),
             p.prepared < clock_timestamp() - interval '5 minutes'
        FROM pg_prepared_xacts p
       WHERE p.database = current_database()
      UNION ALL
      SELECT format('standby feedback of %s', coalesce(nullif(quote_ident(r.application_name), '""'), r.client_addr::text, 'a standby')),
             age(r.backend_xmin), false, NULL, false
        FROM pg_stat_replication r
      UNION ALL
      SELECT format('replication slot %I%s', s.slot_name, CASE WHEN s.active THEN '' ELSE ', which nobody uses' END),
             age(x.xmin), x.catalogs_only,
             CASE WHEN NOT s.active THEN format('SELECT pg_catalog.pg_drop_replication_slot(%L)', s.slot_name) END, NOT s.active
        FROM pg_replication_slots s
       CROSS JOIN LATERAL (VALUES (s.xmin, false), (s.catalog_xmin, true)) x (xmin, catalogs_only)
       WHERE s.database IS NULL OR s.database = current_database() OR NOT x.catalogs_only
    ) h (holder, xmin_age, catalogs_only, way_out, is_stuck)
   WHERE h.xmin_age > 0
$$;

COMMENT ON FUNCTION groundskeeper_internal.horizon_holders() IS
  'What may still see rows that are dead to everybody else: transactions of this database, prepared ones, standbys with '
  'feedback, replication slots; how many transactions back, what ends it, and whether it has gone on for so long or is nobody''s';

CREATE VIEW monitoring.vacuum_health WITH (security_invoker) AS
WITH holders AS MATERIALIZED (
  SELECT h.* FROM groundskeeper_internal.horizon_holders() h
),
oldest AS (
  SELECT o.holder, o.xmin_age, CASE WHEN o.is_stuck THEN o.way_out END AS way_out, c.holder AS catalog_holder
  FROM (VALUES (1)) one
  LEFT JOIN (SELECT * FROM holders WHERE NOT catalogs_only ORDER BY xmin_age DESC, holder LIMIT 1) o ON true
  LEFT JOIN (SELECT * FROM holders WHERE catalogs_only ORDER BY xmin_age DESC, holder LIMIT 1) c
    ON c.xmin_age > coalesce(o.xmin_age, 0)
),
fact AS (
  SELECT n.nspname, c.relname, c.relkind, n.nspname = 'pg_catalog' AS is_catalog,
    pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
    pg_stat_get_last_vacuum_time(c.oid) AS vacuumed, pg_stat_get_last_autovacuum_time(c.oid) AS autovacuumed,
    greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed,
    greatest(age(c.relfrozenxid), age(t.relfrozenxid)) AS xid_age,
    least(least(o.freeze, current_setting('autovacuum_freeze_max_age')::integer)
            - greatest(age(c.relfrozenxid), age(t.relfrozenxid)),
          least(o.multixact_freeze, current_setting('autovacuum_multixact_freeze_max_age')::integer)
            - greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid))) AS freeze_distance,
    coalesce(o.enabled, true) AND current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS automatic,
    o.enabled IS FALSE AS switched_off,
    format('%I.%I', n.nspname, c.relname) AS quoted
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid AND t.relkind = 't'
  CROSS JOIN LATERAL (
    SELECT min(x.option_value::integer) FILTER (WHERE x.option_name = 'autovacuum_freeze_max_age') AS freeze,
      min(x.option_value::integer) FILTER (WHERE x.option_name = 'autovacuum_multixact_freeze_max_age') AS multixact_freeze,
      bool_and(x.option_value::boolean) FILTER (WHERE x.option_name = 'autovacuum_enabled') AS enabled
    FROM pg_catalog.pg_options_to_table(c.reloptions) x
    WHERE x.option_name LIKE 'autovacuum%') o
  WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('information_schema', 'groundskeeper', 'groundskeeper_internal')
),
judged AS (
  SELECT f.*,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE f.dead END AS dead_rows,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE round(100.0 * f.dead / nullif(f.live + f.dead, 0), 1) END AS dead_percent,
    f.dead >= 1000 AND f.dead * 5 >= f.live + f.dead AS is_full_of_dead_rows
  FROM fact f
),
advised AS (
  SELECT j.*,
    CASE
      WHEN pg_is_in_recovery() THEN NULL
      WHEN o.holder IS NOT NULL AND o.xmin_age >= 1000
           AND (j.freeze_distance < 0 OR j.is_full_of_dead_rows AND greatest(j.vacuumed, j.autovacuumed) IS NOT NULL)
        THEN coalesce(o.way_out || '; ', '') || format('VACUUM %s; -- what holds the horizon back comes first', j.quoted)
      WHEN j.freeze_distance < 0 THEN format('VACUUM (FREEZE) %s; -- autovacuum is overdue', j.quoted)
      WHEN j.is_full_of_dead_rows AND NOT j.switched_off THEN format('VACUUM (ANALYZE) %s; -- many of its rows are dead', j.quoted)
      WHEN j.switched_off THEN format('ALTER %s %s RESET (autovacuum_enabled); -- nobody vacuums it',
                                      CASE j.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, j.quoted)
      WHEN NOT j.automatic THEN 'ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_catalog.pg_reload_conf(); -- nobody vacuums'
      WHEN j.analyzed IS NULL AND j.live >= 1000 THEN format('ANALYZE %s; -- it never was', j.quoted)
    END AS advice
  FROM judged j CROSS JOIN oldest o
)
SELECT
  a.nspname AS schemaname,
  a.relname AS tablename,
  a.dead_rows,
  a.dead_percent,
  a.vacuumed AS last_vacuum,
  a.autovacuumed AS last_autovacuum,
  a.analyzed AS last_analyze,
  a.xid_age,
  a.freeze_distance,
  nullif(concat_ws('; ',
    o.holder || format(': %s transactions back', o.xmin_age),
    'of system catalogs only: ' || o.catalog_holder), '') AS horizon_held_by,
  a.advice
FROM advised a CROSS JOIN oldest o
WHERE NOT a.is_catalog OR a.freeze_distance < 0 OR a.is_full_of_dead_rows
ORDER BY a.freeze_distance, a.dead_rows DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.vacuum_health IS
  'Dead rows and the age of the oldest transaction number of each table and materialized view of the current database, its '
  'TOAST included; system catalogs where one needs care';

COMMENT ON COLUMN monitoring.vacuum_health.dead_rows IS 'As PostgreSQL counts them; NULL on a standby, which counts none';

COMMENT ON COLUMN monitoring.vacuum_health.dead_percent IS 'Of all rows, dead ones among them';

COMMENT ON COLUMN monitoring.vacuum_health.last_vacuum IS 'The last VACUUM that somebody ran; NULL on a standby, which runs none';

COMMENT ON COLUMN monitoring.vacuum_health.last_autovacuum IS 'The last one of autovacuum';

COMMENT ON COLUMN monitoring.vacuum_health.last_analyze IS 'The last ANALYZE, autovacuum''s included';

COMMENT ON COLUMN monitoring.vacuum_health.xid_age IS 'How many transactions ago its oldest transaction number that is not frozen was given';

COMMENT ON COLUMN monitoring.vacuum_health.freeze_distance IS
  'How many transactions, or multixacts where these are nearer, until autovacuum freezes it whatever the settings; below 0 it is overdue';

COMMENT ON COLUMN monitoring.vacuum_health.horizon_held_by IS
  'What keeps VACUUM from removing rows that died since: the oldest transaction, prepared transaction, replication slot or '
  'standby with feedback; NULL where nothing does';

COMMENT ON COLUMN monitoring.vacuum_health.advice IS 'The statements that help; NULL where none are needed, and on a standby';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.horizon_holders() TO pg_monitor;

GRANT SELECT ON monitoring.vacuum_health TO pg_monitor;

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

CREATE OR REPLACE FUNCTION groundskeeper.moneyline_quality_score(
  sportsbook_name text, game_external_id text, home_odds integer, away_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS numeric LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'moneyline_quality_score_wrapper';

CREATE OR REPLACE FUNCTION groundskeeper.spread_quality_score(
  sportsbook_name text, game_external_id text, spread_value numeric, spread_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS numeric LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spread_quality_score_wrapper';

CREATE OR REPLACE FUNCTION groundskeeper.total_quality_score(
  sportsbook_name text, game_external_id text, total_points numeric, over_odds integer, under_odds integer,
  source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS numeric LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'total_quality_score_wrapper';

CREATE OR REPLACE FUNCTION groundskeeper.moneyline_quality_issues(
  sportsbook_name text, game_external_id text, home_odds integer, away_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'moneyline_quality_issues_wrapper';

CREATE OR REPLACE FUNCTION groundskeeper.spread_quality_issues(
  sportsbook_name text, game_external_id text, spread_value numeric, spread_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spread_quality_issues_wrapper';

CREATE OR REPLACE FUNCTION groundskeeper.total_quality_issues(
  sportsbook_name text, game_external_id text, total_points numeric, over_odds integer, under_odds integer,
  source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb DEFAULT NULL)
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'total_quality_issues_wrapper';

CREATE FUNCTION groundskeeper_internal.moneyline_verdict(
  sportsbook_name text, game_external_id text, home_odds integer, away_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb)
RETURNS groundskeeper_internal.verdict LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'moneyline_verdict_wrapper';

CREATE FUNCTION groundskeeper_internal.spread_verdict(
  sportsbook_name text, game_external_id text, spread_value numeric, spread_odds integer, source text,
  raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb)
RETURNS groundskeeper_internal.verdict LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spread_verdict_wrapper';

CREATE FUNCTION groundskeeper_internal.total_verdict(
  sportsbook_name text, game_external_id text, total_points numeric, over_odds integer, under_odds integer,
  source text, raw_data jsonb, collected_at timestamptz, created_at timestamptz, rules jsonb)
RETURNS groundskeeper_internal.verdict LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'total_verdict_wrapper';

CREATE FUNCTION groundskeeper.alter_column_type(relation regclass, column_name name, type text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'alter_column_type_wrapper';

COMMENT ON FUNCTION groundskeeper.alter_column_type(regclass, name, text) IS 'Changes the type of a column, with the views, materialized views and constraints on it saved and made again; the number of the job where the table is too large to be rewritten at once, or the lock is not to be had, else NULL';

CREATE FUNCTION @extschema@.create_monthly_partitions(months_ahead integer DEFAULT 3, dry_run boolean DEFAULT false)
    RETURNS TABLE (parent text, "partition" text, range_start text, range_end text, action text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_monthly_partitions_0_2_wrapper';

CREATE FUNCTION groundskeeper.create_monthly_partitions(months_ahead integer DEFAULT 3, dry_run boolean DEFAULT false)
    RETURNS TABLE (parent text, "partition" text, range_start text, range_end text, action text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_monthly_partitions_0_2_wrapper';

CREATE FUNCTION groundskeeper.partition_preflight(relation regclass, partition_key name,
        "interval" text DEFAULT 'month', timezone text DEFAULT NULL, premake integer DEFAULT 3,
        key_format text DEFAULT NULL, "default" boolean DEFAULT true)
    RETURNS TABLE (check_name text, severity text, detail text, remedy text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'partition_preflight_0_2_wrapper';

CREATE FUNCTION groundskeeper.partition_table(relation regclass, partition_key name,
        "interval" text DEFAULT 'month', timezone text DEFAULT NULL, premake integer DEFAULT 3, accept text[] DEFAULT '{}',
        key_format text DEFAULT NULL, "default" boolean DEFAULT true)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'partition_table_0_2_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.update_table_statistics(force boolean DEFAULT false)
    RETURNS TABLE (relation text, action text, reason text, duration_ms double precision)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'update_table_statistics_wrapper';

CREATE FUNCTION groundskeeper.update_table_statistics(force boolean DEFAULT false)
    RETURNS TABLE (relation text, action text, reason text, duration_ms double precision)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'update_table_statistics_wrapper';

CREATE  FUNCTION groundskeeper."set_retention"(
	"relation" regclass,
	"keep" interval,
	"action" text DEFAULT 'detach',
	"before" regprocedure DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'set_retention_0_2_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."no_vig_probability"(
	"odds" INT,
	"other_odds" INT
) RETURNS NUMERIC
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'no_vig_probability_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."drop_partition"(
	"partition" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'drop_partition_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."rollback_plan"(
	"dry_run" bool DEFAULT false,
	"items" text[] DEFAULT NULL
) RETURNS TABLE (
	"item" text,
	"action" text,
	"state" text,
	"detail" text,
	"sql" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'rollback_plan_wrapper';

CREATE  FUNCTION groundskeeper."performance_report_html"(
	"since" interval DEFAULT '24 hours',
	"compared_with" timestamp with time zone DEFAULT NULL
) RETURNS text
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'performance_report_html_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."schedule_maintenance"(
	"timezone" text DEFAULT NULL
) RETURNS TABLE (
	"job_name" text,
	"schedule" text,
	"command" text,
	"scheduler" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'schedule_maintenance_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."stop_maintaining"(
	"relation" regclass
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'stop_maintaining_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."validation_status"(
	"score" numeric,
	"issues" text[] DEFAULT '{}',
	"rules" jsonb DEFAULT NULL
) RETURNS TEXT
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'validation_status_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."detach_partition"(
	"partition" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'detach_partition_wrapper';

CREATE  FUNCTION groundskeeper."sportsbook"(
	"name" text,
	"naming" jsonb DEFAULT NULL
) RETURNS text
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'sportsbook_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."retry_job"(
	"job_id" bigint
) RETURNS text
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'retry_job_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."apply_server_settings"(
	"role" regrole
) RETURNS TABLE (
	"item" text,
	"action" text,
	"state" text,
	"detail" text,
	"sql" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'apply_server_settings_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."rescore"(
	"relation" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'rescore_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."recommend_pool_size"() RETURNS TABLE (
	"pool_size" INT,
	"cores" INT,
	"usable_slots" INT,
	"peak_busy" INT,
	"reasoning" text
)
STRICT STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'recommend_pool_size_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."probability_to_american"(
	"probability" NUMERIC
) RETURNS INT
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'probability_to_american_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."adopt_partitioned_table"(
	"relation" regclass,
	"interval" text DEFAULT 'month',
	"timezone" text DEFAULT NULL,
	"premake" INT DEFAULT 3
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'adopt_partitioned_table_wrapper';

CREATE  FUNCTION groundskeeper."attach_partition"(
	"parent" regclass,
	"table" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'attach_partition_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."normalized_team"(
	"name" text
) RETURNS text
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'normalized_team_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."market_hold"(
	"odds" INT,
	"other_odds" INT
) RETURNS NUMERIC
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'market_hold_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."default_quality_rules"() RETURNS TABLE (
	"rule" TEXT,
	"points" NUMERIC,
	"description" TEXT
)
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'default_quality_rules_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."american_to_probability"(
	"odds" INT
) RETURNS NUMERIC
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'american_to_probability_wrapper';

CREATE  FUNCTION groundskeeper."rebuild_keys"(
	"relation" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'rebuild_keys_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."unschedule_maintenance"() RETURNS TABLE (
	"job_name" text,
	"schedule" text,
	"command" text,
	"scheduler" text
)
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'unschedule_maintenance_wrapper';

CREATE  FUNCTION groundskeeper."prometheus_metrics"() RETURNS text
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'prometheus_metrics_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."query_latency"(
	"since" interval DEFAULT '1 hour'
) RETURNS TABLE (
	"scope" text,
	"calls" bigint,
	"p50_ms" double precision,
	"p95_ms" double precision,
	"p99_ms" double precision,
	"max_ms" double precision,
	"over_slo" bigint,
	"failed" bigint,
	"measured_over" interval
)
VOLATILE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'query_latency_wrapper';

CREATE  FUNCTION groundskeeper."drop_plan_item"(
	"item" text
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'drop_plan_item_wrapper';

CREATE  FUNCTION groundskeeper."connection_pool_config"(
	"format" text DEFAULT 'json',
	"pool_size" INT DEFAULT NULL,
	"pooler" text DEFAULT NULL
) RETURNS text
STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'connection_pool_config_0_2_wrapper';

CREATE FUNCTION groundskeeper_internal.busy_connections() RETURNS integer
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN bool_and(backend_type IS NOT NULL) THEN
           count(*) FILTER (WHERE backend_type = 'client backend' AND datname = current_database()
                              AND state IS DISTINCT FROM 'idle' AND pid <> pg_backend_pid())::integer
         END
    FROM pg_stat_activity;
END;

CREATE FUNCTION groundskeeper_internal.peak_busy(since interval DEFAULT '24 hours') RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  busy integer := groundskeeper_internal.busy_connections();
BEGIN
  IF busy IS NULL OR pg_is_in_recovery() OR NOT has_table_privilege('groundskeeper.metrics', 'SELECT') THEN
    RETURN busy;
  END IF;
  RETURN greatest(busy, (SELECT max(m.database_busy_connections) FROM groundskeeper.metrics m
                          WHERE m.sampled_at BETWEEN now() - peak_busy.since AND clock_timestamp()));
END
$$;

CREATE FUNCTION groundskeeper_internal.slots_of_other_databases() RETURNS integer
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT coalesce(sum(greatest(p.size, c.connections)), 0)::integer
    FROM pg_database d
   CROSS JOIN LATERAL (
           SELECT count(*) AS connections FROM pg_stat_activity a
            WHERE a.datid = d.oid AND coalesce(a.backend_type, 'client backend') = 'client backend') c
   CROSS JOIN LATERAL (
           SELECT max(substring(s FROM '^groundskeeper\.pool_size=(\d{1,6})$')::integer) AS size
             FROM pg_db_role_setting r CROSS JOIN unnest(r.setconfig) s
            WHERE r.setdatabase = d.oid AND r.setrole = 0) p
   WHERE d.datname <> current_database();
END;

CREATE OR REPLACE FUNCTION groundskeeper.pool_utilization(since interval DEFAULT '24 hours')
RETURNS TABLE (measured_against text, capacity integer, used integer, peak_used integer,
               utilization_percent numeric, peak_utilization_percent numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  capacity := nullif(substring(current_setting('groundskeeper.pool_size', true) FROM '^\d{1,6}$')::integer, 0);
  IF capacity IS NOT NULL THEN
    measured_against := 'pool';
    used := groundskeeper_internal.busy_connections();
    peak_used := groundskeeper_internal.peak_busy(since);
  ELSE
    measured_against := 'slots';
    capacity := current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
                  -- since PostgreSQL 16
                  - coalesce(current_setting('reserved_connections', true)::integer, 0);
    used := CASE WHEN bool_and(a.backend_type IS NOT NULL)
              THEN count(*) FILTER (WHERE a.backend_type = 'client backend') END FROM pg_stat_activity a;
    peak_used := used;
    IF used IS NOT NULL AND NOT pg_is_in_recovery() AND has_table_privilege('groundskeeper.metrics', 'SELECT') THEN
      peak_used := greatest(used, (SELECT max(m.connections) FROM groundskeeper.metrics m
                                    WHERE m.sampled_at BETWEEN now() - pool_utilization.since AND clock_timestamp()));
    END IF;
  END IF;
  utilization_percent := round(100.0 * used / nullif(capacity, 0), 1);
  peak_utilization_percent := round(100.0 * peak_used / nullif(capacity, 0), 1);
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.busy_connections() IS
  'Connections of clients to this database that are not idle now, the caller''s own left out; NULL without pg_read_all_stats';

COMMENT ON FUNCTION groundskeeper_internal.peak_busy(interval) IS
  'The most connections to this database that were seen busy at once since then';

COMMENT ON FUNCTION groundskeeper_internal.slots_of_other_databases() IS
  'Slots that other databases may take: the groundskeeper.pool_size that ALTER DATABASE gave each, or its connections now if more';

COMMENT ON FUNCTION groundskeeper.pool_utilization(interval) IS
  'How full the pool is, now and at its peak: busy connections against groundskeeper.pool_size where that is set, else '
  'all clients'' connections against the usable slots of the server';

COMMENT ON FUNCTION groundskeeper.connection_pool_config(text, integer, text) IS
  'The plan''s pool settings, corrected, as json, sqlalchemy, sqlalchemy+psycopg2, sqlalchemy+asyncpg, asyncpg, psycopg_pool, '
  'django, node-postgres, hikaricp, pgx, pgbouncer (a whole pgbouncer.ini) or env; pool_size is the maximum, by default '
  'groundskeeper.pool_size, else the plan''s 25; pooler is pgbouncer where that stands before the server';

COMMENT ON FUNCTION groundskeeper.recommend_pool_size() IS
  'How many connections the pools of this database should have together, with the arithmetic; an error where the '
  'server has not as many slots';

COMMENT ON FUNCTION groundskeeper.apply_server_settings(regrole) IS
  'Gives a role the plan''s server settings in this database, for its new sessions; recorded, and taken back by rollback_plan()';

GRANT EXECUTE ON FUNCTION
  groundskeeper_internal.busy_connections(), groundskeeper_internal.peak_busy(interval), groundskeeper_internal.slots_of_other_databases(),
  groundskeeper.pool_utilization(interval), groundskeeper.connection_pool_config(text, integer, text),
  groundskeeper.recommend_pool_size()
TO pg_monitor;

CREATE OR REPLACE  FUNCTION groundskeeper."american_to_decimal"(
	"odds" INT
) RETURNS NUMERIC
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'american_to_decimal_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."finalize_partitioning"(
	"relation" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'finalize_partitioning_wrapper';

CREATE  FUNCTION groundskeeper."plan_status"() RETURNS TABLE (
	"item" text,
	"section" text,
	"kind" text,
	"target" text,
	"state" text,
	"detail" text,
	"apply_sql" text,
	"revert_sql" text,
	"locks" text,
	"estimated_bytes" bigint,
	"runs_as" text
)
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'plan_status_0_2_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."game_quality_score"(
	"books" bigint,
	"records" bigint,
	"rules" jsonb DEFAULT NULL
) RETURNS numeric
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'game_quality_score_wrapper';

CREATE  FUNCTION groundskeeper."add_plan_item"(
	"item" jsonb
) RETURNS text
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'add_plan_item_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."decimal_to_american"(
	"price" NUMERIC
) RETURNS INT
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'decimal_to_american_wrapper';

GRANT EXECUTE ON FUNCTION
  groundskeeper.american_to_decimal,
  groundskeeper.american_to_probability,
  groundskeeper.decimal_to_american,
  groundskeeper.probability_to_american,
  groundskeeper.market_hold,
  groundskeeper.no_vig_probability
TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.american_to_decimal IS
  'Decimal price of American odds: what a stake of 1 returns, to 28 digits';

COMMENT ON FUNCTION groundskeeper.american_to_probability IS
  'Probability that American odds imply: stake / (stake + win), to 28 digits';

COMMENT ON FUNCTION groundskeeper.decimal_to_american IS
  'American odds nearest to a decimal price; 2 is +100';

COMMENT ON FUNCTION groundskeeper.probability_to_american IS
  'American odds nearest to a probability; 0.5 is +100';

COMMENT ON FUNCTION groundskeeper.market_hold IS
  'Overround of a two-way market: the sum of its implied probabilities less 1';

COMMENT ON FUNCTION groundskeeper.no_vig_probability IS
  'Probability of the first side of a two-way market, the overround taken out in proportion';

CREATE OR REPLACE  FUNCTION groundskeeper."reindex"(
	"index" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'reindex_wrapper';

CREATE  FUNCTION groundskeeper."statement_latency"(
	"since" interval DEFAULT '1 hour'
) RETURNS TABLE (
	"queryid" bigint,
	"query" text,
	"calls" bigint,
	"p50_ms" double precision,
	"p95_ms" double precision,
	"p99_ms" double precision,
	"max_ms" double precision,
	"over_slo" bigint,
	"failed" bigint,
	"measured_over" interval,
	"total_ms" double precision
)
VOLATILE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'statement_latency_0_2_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."silence_alert"(
	"rule" text,
	"until" timestamp with time zone,
	"reason" text
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'silence_alert_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."base_quality_factor"(
	"home_odds" INT,
	"away_odds" INT,
	"sportsbook_name" text
) RETURNS INT
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'base_quality_factor_wrapper';

CREATE  FUNCTION groundskeeper."apply_plan"(
	"dry_run" bool DEFAULT false,
	"sections" text[] DEFAULT NULL,
	"items" text[] DEFAULT NULL
) RETURNS TABLE (
	"item" text,
	"action" text,
	"state" text,
	"detail" text,
	"sql" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'apply_plan_0_2_wrapper';

GRANT EXECUTE ON FUNCTION groundskeeper.plan_status() TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.plan_status() IS 'Each item of the plan: whether it is applied here, and if not, why not, what would do it, and at which cost';

COMMENT ON FUNCTION groundskeeper.apply_plan(boolean, text[], text[]) IS 'Applies what is pending, of the sections or single items asked for; a dry run only says what it would do';

COMMENT ON FUNCTION groundskeeper.rollback_plan(boolean, text[]) IS 'Takes back what the change log records, newest first; a dry run only says what it would do';

CREATE  FUNCTION groundskeeper."export_plan"() RETURNS text
STRICT STABLE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'export_plan_wrapper';

CREATE  FUNCTION groundskeeper."club_code"(
	"name" text,
	"naming" jsonb DEFAULT NULL
) RETURNS text
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'club_code_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."prune_history"() RETURNS bigint
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'prune_history_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."drain_default"(
	"relation" regclass,
	"batch_size" INT DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'drain_default_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."is_known_team"(
	"name" text
) RETURNS bool
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'is_known_team_wrapper';

GRANT EXECUTE ON FUNCTION groundskeeper.normalized_team, groundskeeper.is_known_team TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.normalized_team IS
  'Code of the club that the name means, by any of its codes, names and variants; a name that is no club''s as it was given';

COMMENT ON FUNCTION groundskeeper.is_known_team IS
  'Whether the name is one of the thirty clubs''; NULL for a blank name';

CREATE OR REPLACE  FUNCTION groundskeeper."kpi_report"() RETURNS TABLE (
	"kpi" text,
	"value" NUMERIC,
	"target" text,
	"status" text,
	"samples" bigint,
	"measured_over" interval,
	"method" text,
	"detail" text
)
STRICT VOLATILE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'kpi_report_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."record_metrics"() RETURNS timestamp with time zone
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'record_metrics_wrapper';

CREATE OR REPLACE FUNCTION groundskeeper.metrics_over(since interval DEFAULT '1 hour')
RETURNS TABLE (
    samples bigint,
    measured_over interval,
    heap_blks_hit numeric,
    heap_blks_read numeric,
    idx_blks_hit numeric,
    idx_blks_read numeric,
    xact_commit numeric,
    xact_rollback numeric,
    deadlocks numeric,
    temp_bytes numeric,
    peak_connections integer,
    peak_busy_connections integer,
    peak_database_connections integer,
    peak_database_busy_connections integer,
    usable_slots integer
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH sample AS (
        SELECT m.*, now() - sampled_at <= metrics_over.since AS inside,
               m.stats_reset IS DISTINCT FROM lag(m.stats_reset) OVER w
                 AND (m.xact_commit < lag(m.xact_commit) OVER w OR m.xact_rollback < lag(m.xact_rollback) OVER w
                      OR m.deadlocks < lag(m.deadlocks) OVER w OR m.temp_bytes < lag(m.temp_bytes) OVER w) AS reset
          FROM groundskeeper.metrics m
         WHERE sampled_at >= now() - metrics_over.since - interval '10 minutes' AND sampled_at <= clock_timestamp()
        WINDOW w AS (ORDER BY m.sampled_at)
    ),
    counter AS (
        SELECT s.sampled_at, s.inside, s.reset, c.name, c.value,
               lag(c.value) OVER w AS before,
               lag(s.sampled_at) OVER w AS sampled_before
          FROM sample s
         CROSS JOIN LATERAL (VALUES
               ('heap_blks_hit', s.heap_blks_hit), ('heap_blks_read', s.heap_blks_read),
               ('idx_blks_hit', s.idx_blks_hit), ('idx_blks_read', s.idx_blks_read),
               ('xact_commit', s.xact_commit), ('xact_rollback', s.xact_rollback),
               ('deadlocks', s.deadlocks), ('temp_bytes', s.temp_bytes)) c (name, value)
        WINDOW w AS (PARTITION BY c.name ORDER BY s.sampled_at)
    ),
    increase AS (
        SELECT name, min(sampled_before) AS began,
               sum(CASE WHEN reset THEN value ELSE greatest(value - before, 0) END) AS value
          FROM counter
         WHERE inside AND before IS NOT NULL
         GROUP BY name
    )
    SELECT s.samples, now() - i.began, i.heap_blks_hit, i.heap_blks_read, i.idx_blks_hit, i.idx_blks_read,
           i.xact_commit, i.xact_rollback, i.deadlocks, i.temp_bytes, s.connections, s.busy_connections,
           s.database_connections, s.database_busy_connections, s.usable_slots
      FROM (SELECT count(*) AS samples, max(connections) AS connections, max(busy_connections) AS busy_connections,
                   max(database_connections) AS database_connections,
                   max(database_busy_connections) AS database_busy_connections,
                   (array_agg(usable_slots ORDER BY sampled_at DESC))[1] AS usable_slots
              FROM sample WHERE inside) s
     CROSS JOIN (SELECT min(began) AS began,
                        min(value) FILTER (WHERE name = 'heap_blks_hit') AS heap_blks_hit,
                        min(value) FILTER (WHERE name = 'heap_blks_read') AS heap_blks_read,
                        min(value) FILTER (WHERE name = 'idx_blks_hit') AS idx_blks_hit,
                        min(value) FILTER (WHERE name = 'idx_blks_read') AS idx_blks_read,
                        min(value) FILTER (WHERE name = 'xact_commit') AS xact_commit,
                        min(value) FILTER (WHERE name = 'xact_rollback') AS xact_rollback,
                        min(value) FILTER (WHERE name = 'deadlocks') AS deadlocks,
                        min(value) FILTER (WHERE name = 'temp_bytes') AS temp_bytes
                   FROM increase) i;
END;

COMMENT ON FUNCTION groundskeeper.metrics_over(interval) IS
  'One row of what the samples in groundskeeper.metrics say of the time since: increases of counters, resets taken '
  'into account, and peaks of sampled connections; increases and measured_over are NULL where there are no two samples';

CREATE OR REPLACE VIEW groundskeeper.metrics_cost WITH (security_invoker) AS
SELECT count(m.sampled_at) AS samples,
       min(m.sampled_at) AS oldest,
       max(m.sampled_at) AS newest,
       round(avg(m.cost_ms)::numeric, 3) AS mean_cost_ms,
       round(max(m.cost_ms)::numeric, 3) AS max_cost_ms,
       round(avg(pg_catalog.pg_column_size(m))::numeric) AS mean_row_bytes,
       (SELECT sum(s.bytes)::bigint
          FROM groundskeeper_internal.sizes_without_waiting(ARRAY(
                   SELECT i.inhrelid FROM pg_catalog.pg_inherits i
                    WHERE i.inhparent = 'groundskeeper.metrics'::pg_catalog.regclass
                   UNION ALL SELECT 'groundskeeper.latency_mark'::pg_catalog.regclass)) s) AS bytes
  FROM groundskeeper.metrics m;

COMMENT ON VIEW groundskeeper.metrics_cost IS 'What the history of metrics itself costs: time per sample, and space';

COMMENT ON COLUMN groundskeeper.metrics_cost.mean_cost_ms IS 'How long taking a sample takes on average, of those that are kept';

COMMENT ON COLUMN groundskeeper.metrics_cost.bytes IS 'Size of all partitions and of the marks, on disk';

GRANT SELECT ON groundskeeper.metrics, groundskeeper.latency_mark, groundskeeper.metrics_cost TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper.metrics_over(interval) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.record_metrics() IS 'Takes one sample for groundskeeper.metrics and returns its time; to be called once a minute';

CREATE FUNCTION groundskeeper_internal.record_as_worker() RETURNS timestamptz
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN groundskeeper_internal.cluster_role() = 'worker' THEN groundskeeper.record_metrics() END
$$;

COMMENT ON FUNCTION groundskeeper_internal.record_as_worker() IS
  'Takes one sample on a worker of a cluster of Citus, whose coordinator asks for it with its own; elsewhere none';

CREATE FUNCTION groundskeeper_internal.lag_allowed() RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_size_bytes(coalesce(nullif(nullif(current_setting('groundskeeper.max_replication_lag', true), ''), '-1'), '64MB'))
$$;

COMMENT ON FUNCTION groundskeeper_internal.lag_allowed() IS 'How many bytes a standby may lag behind before that is said';

CREATE FUNCTION groundskeeper_internal.server_flow()
RETURNS TABLE (component text, value numeric, unit text, status text, detail text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH now AS (
    SELECT c.*, s.sampled_at, s.wal_bytes AS wal_before, s.checkpoints_timed AS timed_before,
           s.checkpoints_requested AS requested_before, s.archive_failures AS failures_before,
           extract(epoch FROM clock_timestamp() - s.sampled_at)::numeric / 3600 AS hours
      FROM groundskeeper_internal.server_counters() c
      -- What a standby finds in the history is the primary's.
      LEFT JOIN LATERAL (
           SELECT m.* FROM groundskeeper.metrics m
            WHERE m.sampled_at BETWEEN clock_timestamp() - interval '1 hour' AND clock_timestamp() AND m.wal_bytes IS NOT NULL
              AND NOT pg_is_in_recovery()
            ORDER BY m.sampled_at LIMIT 1) s ON true
  ),
  checkpoint AS (
    -- A counter that is less than it was has begun anew.
    SELECT x.*, x.timed + x.requested AS all_of_them
      FROM now n
     CROSS JOIN LATERAL (
           SELECT CASE WHEN n.checkpoints_requested >= n.requested_before AND n.checkpoints_timed >= n.timed_before
                       THEN n.checkpoints_timed - n.timed_before ELSE n.checkpoints_timed END AS timed,
                  CASE WHEN n.checkpoints_requested >= n.requested_before AND n.checkpoints_timed >= n.timed_before
                       THEN n.checkpoints_requested - n.requested_before ELSE n.checkpoints_requested END AS requested,
                  CASE WHEN n.checkpoints_requested >= n.requested_before AND n.checkpoints_timed >= n.timed_before
                       THEN n.sampled_at ELSE n.checkpoints_since END AS since) x
  ),
  wal AS (
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL
                -- A minute at least, or the rate is that of a moment.
                WHEN n.wal_bytes >= n.wal_before AND n.hours * 60 >= 1 THEN (n.wal_bytes - n.wal_before) / n.hours
                ELSE w.wal_bytes / nullif(extract(epoch FROM clock_timestamp() - w.stats_reset)::numeric / 3600, 0) END AS bytes,
           CASE WHEN n.wal_bytes >= n.wal_before AND n.hours * 60 >= 1 THEN n.sampled_at ELSE w.stats_reset END AS since
      FROM now n CROSS JOIN pg_stat_wal w
  ),
  temporary AS (
    SELECT m.temp_bytes / greatest(extract(epoch FROM m.measured_over)::numeric / 3600, 1.0 / 60) AS bytes, m.measured_over,
           (SELECT format('; %s files of %s now', count(*), pg_size_pretty(coalesce(sum(t.size), 0)))
              FROM pg_ls_tmpdir() t) AS files
      FROM groundskeeper.metrics_over('1 hour') m
  )
  SELECT 'checkpoints', round(100.0 * requested / nullif(all_of_them, 0), 1), 'percent',
         CASE WHEN requested >= 3 AND requested > timed THEN 'warning' ELSE 'ok' END,
         format('%s of %s came before their time%s', requested, all_of_them,
                coalesce(', since ' || date_trunc('second', since), '')),
         CASE WHEN requested >= 3 AND requested > timed
              THEN format('ALTER SYSTEM SET max_wal_size = %L; SELECT pg_catalog.pg_reload_conf()',
                          pg_size_bytes(current_setting('max_wal_size')) * 2 / 1048576 || 'MB') END
    FROM checkpoint
  UNION ALL
  SELECT 'wal_per_hour', round(bytes), 'bytes',
         CASE WHEN bytes IS NULL THEN 'unknown' ELSE 'ok' END,
         CASE WHEN pg_is_in_recovery() THEN 'a standby writes no WAL'
              ELSE format('%s an hour%s', pg_size_pretty(round(bytes)), coalesce(', since ' || date_trunc('second', since), '')) END,
         NULL
    FROM wal
  UNION ALL
  SELECT 'temporary_files', CASE WHEN NOT pg_is_in_recovery() THEN round(bytes) END, 'bytes per hour',
         CASE WHEN pg_is_in_recovery() OR bytes IS NULL THEN 'unknown' WHEN bytes > 10737418240 THEN 'warning' ELSE 'ok' END,
         CASE WHEN pg_is_in_recovery() THEN 'a standby keeps no history of its own'
              WHEN bytes IS NULL THEN 'two samples are needed: groundskeeper.record_metrics() takes them'
              ELSE format('%s an hour in this database', pg_size_pretty(round(bytes))) END || files,
         CASE WHEN bytes > 10737418240 AND NOT pg_is_in_recovery()
              THEN 'ALTER SYSTEM SET log_temp_files = ''100MB''; SELECT pg_catalog.pg_reload_conf() -- the log names the statements' END
    FROM temporary
  UNION ALL
  SELECT 'backend_fsyncs', backend_fsyncs, 'count',
         CASE WHEN backend_fsyncs IS NULL THEN 'unknown' WHEN backend_fsyncs > 0 THEN 'warning' ELSE 'ok' END,
         'times that a client had to wait for a data file to be on disk'
           || coalesce(', since ' || date_trunc('second', fsyncs_since), ''),
         CASE WHEN backend_fsyncs > 0 THEN 'ALTER SYSTEM SET checkpoint_completion_target = 0.9; SELECT pg_catalog.pg_reload_conf()' END
    FROM now
  UNION ALL
  SELECT 'archiver_failures',
         CASE WHEN current_setting('archive_mode') <> 'off' THEN a.failed_count END, 'count',
         CASE WHEN current_setting('archive_mode') = 'off' THEN 'ok'
              WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity') THEN 'critical'
              WHEN n.archive_failures > n.failures_before THEN 'warning'
              ELSE 'ok' END,
         CASE WHEN current_setting('archive_mode') = 'off' THEN 'archive_mode is off'
              WHEN a.last_failed_time IS NULL THEN 'no WAL file has failed'
              ELSE format('%s failed last, %s; %s', a.last_failed_wal, date_trunc('second', a.last_failed_time),
                          CASE WHEN a.last_archived_time IS NULL THEN 'none was ever archived'
                               ELSE format('%s was archived last, %s', a.last_archived_wal, date_trunc('second', a.last_archived_time)) END) END,
         CASE WHEN current_setting('archive_mode') <> 'off' AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
              THEN 'SHOW archive_command -- the server log says why it fails; WAL stays until it does not' END
    FROM pg_stat_archiver a CROSS JOIN now n
$$;

COMMENT ON FUNCTION groundskeeper_internal.server_flow() IS 'Those rows of monitoring.server_health that are about what is written';

CREATE FUNCTION groundskeeper_internal.server_holds()
RETURNS TABLE (component text, value numeric, unit text, status text, detail text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH here AS (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn,
           groundskeeper_internal.lag_allowed() AS allowed
  ),
  standby AS (
    SELECT count(*) AS standbys, max(lag.bytes) AS bytes, bool_and(r.state IS NOT NULL) AS visible,
           (array_agg(format('%s: %s behind%s', coalesce(nullif(quote_ident(r.application_name), '""'), r.client_addr::text, 'a standby'),
                             pg_size_pretty(lag.bytes), ', ' || date_trunc('milliseconds', r.replay_lag))
                      ORDER BY lag.bytes DESC NULLS LAST))[1:5] AS worst
      FROM here CROSS JOIN pg_stat_replication r
     CROSS JOIN LATERAL (SELECT pg_wal_lsn_diff(here.lsn, r.replay_lsn) AS bytes) lag
  ),
  received AS (
    SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS bytes,
           pg_last_xact_replay_timestamp() AS replayed,
           (SELECT count(*) FROM pg_stat_wal_receiver) AS receivers
  ),
  slot AS (
    SELECT s.slot_name, s.active, s.wal_status, greatest(pg_wal_lsn_diff(here.lsn, s.restart_lsn), 0) AS bytes,
           pg_size_bytes(current_setting('max_wal_size')) AS usual
      FROM here CROSS JOIN pg_replication_slots s
     WHERE NOT s.temporary
  ),
  slots AS (
    SELECT count(*) AS slots, max(bytes) AS bytes,
           (array_agg(format('%I: %s%s%s', slot_name, pg_size_pretty(bytes), CASE WHEN NOT active THEN ', used by nobody' END,
                             CASE WHEN wal_status IN ('unreserved', 'lost') THEN ', ' || wal_status END)
                      ORDER BY bytes DESC NULLS LAST, slot_name))[1:5] AS worst,
           bool_or(wal_status IN ('unreserved', 'lost') OR bytes > 10 * usual) AS is_critical,
           bool_or(NOT active OR bytes > usual) AS is_bad,
           (array_agg(slot_name ORDER BY bytes DESC NULLS LAST, slot_name) FILTER (WHERE NOT active))[1] AS idle
      FROM slot
  ),
  prepared AS (
    SELECT count(*) AS transactions, max(extract(epoch FROM clock_timestamp() - p.prepared)) AS seconds,
           (array_agg(format('%L of %s in database %s, %s', p.gid, quote_ident(p.owner), quote_ident(p.database), date_trunc('second', p.prepared))
                      ORDER BY p.prepared))[1] AS oldest,
           (array_agg(p.gid ORDER BY p.prepared))[1] AS gid
      FROM pg_prepared_xacts p
  ),
  began AS (
    SELECT a.pid, a.usename, a.datname, a.state, greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0) AS seconds
      FROM pg_stat_activity a
     WHERE a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type NOT IN ('walsender', 'autovacuum worker')
     ORDER BY a.xact_start
     LIMIT 1
  )
  SELECT 'replication_lag',
         CASE WHEN pg_is_in_recovery() THEN r.bytes ELSE s.bytes END, 'bytes',
         CASE WHEN pg_is_in_recovery() AND r.bytes IS NULL OR NOT s.visible THEN 'unknown'
              WHEN greatest(CASE WHEN pg_is_in_recovery() THEN r.bytes END, s.bytes) > 10 * h.allowed THEN 'critical'
              WHEN greatest(CASE WHEN pg_is_in_recovery() THEN r.bytes END, s.bytes) > h.allowed
                   OR pg_is_in_recovery() AND r.receivers = 0 THEN 'warning'
              ELSE 'ok' END,
         CASE WHEN pg_is_in_recovery()
              THEN format('%s received and not replayed%s%s', coalesce(pg_size_pretty(r.bytes), 'no WAL by streaming'),
                          coalesce('; the last transaction is of ' || date_trunc('second', r.replayed), ''),
                          CASE WHEN r.receivers = 0 THEN '; nothing is being received' END)
              WHEN s.standbys = 0 THEN 'no standby is connected'
              WHEN NOT s.visible THEN 'hidden without the rights of pg_monitor'
              ELSE array_to_string(s.worst, '; ') END,
         CASE WHEN pg_is_in_recovery() AND r.receivers = 0 THEN 'SHOW primary_conninfo -- the server log says why it is not connected'
              WHEN greatest(CASE WHEN pg_is_in_recovery() THEN r.bytes END, s.bytes) > h.allowed
              THEN 'SELECT pid, application_name, state, write_lag, flush_lag, replay_lag FROM pg_catalog.pg_stat_replication' END
    FROM standby s CROSS JOIN received r CROSS JOIN here h
  UNION ALL
  SELECT 'slot_retained_wal', coalesce(bytes, 0), 'bytes',
         CASE WHEN is_critical THEN 'critical' WHEN is_bad THEN 'warning' ELSE 'ok' END,
         CASE WHEN slots = 0 THEN 'there is no replication slot' ELSE array_to_string(worst, '; ') END,
         CASE WHEN idle IS NOT NULL THEN format('SELECT pg_catalog.pg_drop_replication_slot(%L) -- if nobody comes back for it', idle) END
    FROM slots
  UNION ALL
  SELECT 'prepared_transactions', transactions, 'count',
         CASE WHEN seconds > 3600 THEN 'critical' WHEN seconds > 300 THEN 'warning' ELSE 'ok' END,
         CASE WHEN transactions = 0 THEN 'none' ELSE groundskeeper_internal.one_line('the oldest: ' || oldest) END,
         CASE WHEN seconds > 300 THEN format('ROLLBACK PREPARED %L', gid) END
    FROM prepared
  UNION ALL
  SELECT 'oldest_transaction', round(coalesce(b.seconds, 0), 3), 'seconds',
         CASE WHEN b.seconds > 3600 THEN 'critical' WHEN b.seconds > 600 THEN 'warning' ELSE 'ok' END,
         CASE WHEN b.pid IS NULL THEN 'none is open'
              ELSE groundskeeper_internal.one_line(format('process %s, role %s, database %s, %s', b.pid, coalesce(quote_ident(b.usename), 'none'),
                                                              coalesce(quote_ident(b.datname), 'none'), b.state)) END,
         CASE WHEN b.seconds > 600
              THEN format(CASE WHEN b.state = 'active' THEN 'SELECT pg_catalog.pg_cancel_backend(%s)'
                               ELSE 'SELECT pg_catalog.pg_terminate_backend(%s)' END, b.pid) END
    FROM (VALUES (1)) one LEFT JOIN began b ON true
$$;

COMMENT ON FUNCTION groundskeeper_internal.server_holds() IS
  'Those rows of monitoring.server_health that are about standbys, slots and transactions';

CREATE VIEW monitoring.server_health WITH (security_invoker) AS
SELECT h.component, h.value, h.unit, h.status, h.detail, h.remedy
FROM (SELECT * FROM groundskeeper_internal.server_flow()
      UNION ALL SELECT * FROM groundskeeper_internal.server_holds()) h
ORDER BY CASE h.status WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END, h.component;

COMMENT ON VIEW monitoring.server_health IS
  'What of the server has to go on by itself: checkpoints, WAL, standbys, slots, the archiver, transactions that stay open, '
  'temporary files; what is wrong comes first';

COMMENT ON COLUMN monitoring.server_health.component IS
  'One of: archiver_failures, backend_fsyncs, checkpoints, oldest_transaction, prepared_transactions, replication_lag, '
  'slot_retained_wal, temporary_files, wal_per_hour';

COMMENT ON COLUMN monitoring.server_health.value IS 'The figure, of several standbys or slots the worst; NULL where it is not known, or there is nothing to measure';

COMMENT ON COLUMN monitoring.server_health.unit IS 'Of value';

COMMENT ON COLUMN monitoring.server_health.status IS 'ok, warning, critical or unknown';

COMMENT ON COLUMN monitoring.server_health.detail IS 'What it is made up of, or why it is not known';

COMMENT ON COLUMN monitoring.server_health.remedy IS 'The statement to begin with; NULL where none is needed';

GRANT EXECUTE ON FUNCTION
  groundskeeper_internal.lag_allowed(), groundskeeper_internal.server_flow(), groundskeeper_internal.server_holds()
TO pg_monitor;

GRANT SELECT ON monitoring.server_health TO pg_monitor;

CREATE OR REPLACE  FUNCTION groundskeeper."game_validation_status"(
	"books" bigint,
	"records" bigint,
	"rules" jsonb DEFAULT NULL
) RETURNS TEXT
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'game_validation_status_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."drop_unused_indexes"(
	"dry_run" bool DEFAULT true
) RETURNS TABLE (
	"item" text,
	"action" text,
	"state" text,
	"detail" text,
	"sql" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'drop_unused_indexes_wrapper';

COMMENT ON FUNCTION groundskeeper.reindex(regclass) IS 'Queues the rebuilding of an index without blocking writers, and returns the job''s number';

COMMENT ON FUNCTION groundskeeper.drop_unused_indexes(boolean) IS 'Queues the dropping of each index that monitoring.unused_indexes calls unused, without blocking writers; rollback_plan() builds them again. A dry run, the default, only says which';

CREATE OR REPLACE  FUNCTION groundskeeper."check_alerts"() RETURNS TABLE (
	"rule" text,
	"target" text,
	"state" text,
	"value" NUMERIC,
	"threshold" NUMERIC,
	"since" timestamp with time zone,
	"detail" text
)
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_alerts_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."undo_partitioning"(
	"relation" regclass
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'undo_partitioning_wrapper';

COMMENT ON FUNCTION groundskeeper.partition_preflight(regclass, name, text, text, integer, text, boolean) IS 'What stands in the way of partitioning a table by a column, and what changes with it; the other arguments are those of partition_table()';

COMMENT ON FUNCTION groundskeeper.partition_table(regclass, name, text, text, integer, text[], text, boolean) IS 'Queues the partitioning of a table while writers go on, and returns the job''s number; accept names the warnings that are acknowledged, key_format how a key that is no date has its moments';

COMMENT ON FUNCTION groundskeeper.undo_partitioning(regclass) IS 'Queues the way back to the unpartitioned table, with all that was written since, and returns the job''s number';

COMMENT ON FUNCTION groundskeeper.finalize_partitioning(regclass) IS 'Queues the dropping of the unpartitioned table after a last proof that nothing is lost, and returns the job''s number';

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

CREATE  FUNCTION groundskeeper."decline"(
	"item" text,
	"reason" text
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'decline_wrapper';

CREATE  FUNCTION groundskeeper."stop_managing"(
	"parent" text
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'stop_managing_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."apply_retention"(
	"dry_run" bool DEFAULT false
) RETURNS TABLE (
	"parent" text,
	"partition" text,
	"action" text,
	"detail" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'apply_retention_wrapper';

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

CREATE OR REPLACE  FUNCTION groundskeeper."resume"() RETURNS bigint
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'resume_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."maintain"(
	"relation" regclass
) RETURNS bool
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'maintain_wrapper';

CREATE OR REPLACE  FUNCTION groundskeeper."cancel_job"(
	"job_id" bigint
) RETURNS text
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'cancel_job_wrapper';

CREATE  FUNCTION groundskeeper."import_plan"(
	"plan" text,
	"dry_run" bool DEFAULT false
) RETURNS TABLE (
	"item" text,
	"action" text,
	"detail" text
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'import_plan_wrapper';

CREATE SCHEMA IF NOT EXISTS groundskeeper_internal;

CREATE  FUNCTION groundskeeper_internal."estimated_index_bloat"(
	"relations" oid[],
	"bytes" bigint[]
) RETURNS TABLE (
	"relation" oid,
	"bloat_percent" double precision,
	"reason" text
)
STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'estimated_index_bloat_wrapper';

CREATE  FUNCTION groundskeeper_internal."require_top_level"(
	"routine" text
) RETURNS VOID
STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'require_top_level_wrapper';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.require_top_level(text) TO PUBLIC;

COMMENT ON FUNCTION groundskeeper_internal.require_top_level(text) IS 'Raises an error unless the procedure that calls it may commit';

CREATE  FUNCTION groundskeeper_internal."fail_migration"() RETURNS VOID
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'fail_migration_0_2_wrapper';

CREATE  FUNCTION groundskeeper_internal."check_command"(
	"command" text
) RETURNS bool
IMMUTABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_command_wrapper';

CREATE  FUNCTION groundskeeper_internal."metrics"(
	"name" text
) RETURNS text
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'metrics_wrapper';

CREATE  FUNCTION groundskeeper_internal."check_schedule"(
	"schedule" text,
	"timezone" text
) RETURNS bool
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_schedule_wrapper';

CREATE  FUNCTION groundskeeper_internal."overdue_runs"() RETURNS text[]
STRICT STABLE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'overdue_runs_wrapper';

CREATE  FUNCTION groundskeeper_internal."metric_names"() RETURNS TABLE (
	"name" text,
	"kind" text,
	"help" text
)
IMMUTABLE STRICT PARALLEL SAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'metric_names_wrapper';

CREATE VIEW monitoring.metrics WITH (security_invoker) AS
SELECT m.name, m.kind, s.sample -> 'labels' AS labels, (s.sample ->> 'value')::double precision AS value, m.help
  FROM groundskeeper_internal.metric_names() m
 CROSS JOIN LATERAL jsonb_array_elements(groundskeeper_internal.metrics(m.name)::jsonb) s (sample);

COMMENT ON VIEW monitoring.metrics IS
  'Metrics for monitoring systems, the same as groundskeeper.prometheus_metrics(): at most 2,000 rows, labels are bounded';

COMMENT ON COLUMN monitoring.metrics.name IS 'As Prometheus has it, of a histogram with _bucket, _sum or _count';

COMMENT ON COLUMN monitoring.metrics.kind IS 'counter, gauge or histogram';

COMMENT ON COLUMN monitoring.metrics.labels IS 'What it is about: never a statement';

COMMENT ON COLUMN monitoring.metrics.value IS 'In seconds, bytes, shares of 1, or a number';

COMMENT ON COLUMN monitoring.metrics.help IS 'What it says';

COMMENT ON FUNCTION groundskeeper_internal.metric_names() IS 'What monitoring.metrics may have rows of';

COMMENT ON FUNCTION groundskeeper_internal.metrics(text) IS 'The samples of one name as an array of JSON: reads what that name asks for';

COMMENT ON FUNCTION groundskeeper.prometheus_metrics() IS 'Metrics in the text format 0.0.4 of Prometheus; the view monitoring.metrics has the same as rows';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.metric_names(), groundskeeper_internal.metrics(text),
    groundskeeper.prometheus_metrics() TO pg_monitor;

GRANT SELECT ON monitoring.metrics TO pg_monitor;

CREATE  FUNCTION groundskeeper_internal."migration_step"(
	"run" bigint,
	"tries" INT
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'migration_step_0_2_wrapper';

CREATE  FUNCTION groundskeeper_internal."home"() RETURNS text
STRICT STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'home_wrapper';

CREATE  FUNCTION groundskeeper_internal."latency_uncounted"() RETURNS text
STRICT STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'latency_uncounted_wrapper';

CREATE FUNCTION groundskeeper_internal.statement_texts() RETURNS TABLE (queryid bigint, query text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  source text;
BEGIN
  SELECT format('%I.pg_stat_statements', n.nspname) INTO source
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Without pg_read_all_stats the identifiers of others' statements are NULL.
  RETURN QUERY EXECUTE format($query$
    SELECT s.queryid, min(s.query)
      FROM %s s
     WHERE s.queryid IS NOT NULL
       AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
     GROUP BY s.queryid
    HAVING min(s.query) IS NOT NULL
    $query$, source);
EXCEPTION
  -- The library is not preloaded, or the caller may not read it.
  WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
    RETURN;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.statement_texts() IS
  'The texts of this database''s statements, as far as pg_stat_statements shows them to the caller; no rows where it '
  'is not to be had (see groundskeeper.prerequisites())';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.statement_texts(), groundskeeper_internal.latency_uncounted(),
    groundskeeper.query_latency(interval), groundskeeper.statement_latency(interval) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper_internal.latency_uncounted() IS 'Why latency is not counted in this database; NULL where it is';

COMMENT ON FUNCTION groundskeeper.query_latency(interval) IS 'How long clients of this database waited for statements and transactions: counted where the library is preloaded, no rows where it is not';

COMMENT ON FUNCTION groundskeeper.statement_latency(interval) IS 'The same for each of the 500 most expensive statements, and for all others together in a last row without queryid; query is NULL for whom pg_stat_statements does not show it to. One that always fails is there, too';

CREATE  FUNCTION groundskeeper_internal."check_column_name"(
	"relation" text,
	"role" text,
	"column_name" text
) RETURNS bool
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_column_name_wrapper';

CREATE  FUNCTION groundskeeper_internal."partition_health"() RETURNS TABLE (
	"parent" text,
	"partition_key" text,
	"partitions" bigint,
	"next_missing_month" text,
	"default_rows" bigint,
	"gap_count" bigint,
	"newest_bound" text,
	"status" text,
	"detail" text,
	"capture_backlog" bigint,
	"keys_status" text,
	"conversion" text,
	"problem" text,
	"remedy" text
)
STRICT STABLE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'partition_health_0_2_wrapper';

CREATE OR REPLACE VIEW monitoring.partition_health WITH (security_invoker = true) AS
SELECT h.parent, h.partition_key, h.partitions, h.next_missing_month::date AS next_missing_month, h.default_rows,
       h.gap_count, h.newest_bound, h.status, h.detail, h.capture_backlog,
       h.keys_status, h.conversion, h.problem, h.remedy
  FROM groundskeeper_internal.partition_health() h;

COMMENT ON VIEW monitoring.partition_health IS 'How each managed table stands with its partitions';

COMMENT ON COLUMN monitoring.partition_health.parent IS 'The partitioned table';

COMMENT ON COLUMN monitoring.partition_health.partition_key IS 'The column that it is partitioned by';

COMMENT ON COLUMN monitoring.partition_health.partitions IS 'How many partitions it has, the default one not counted';

COMMENT ON COLUMN monitoring.partition_health.next_missing_month IS
  'The first day of the first period, from the current one on, that has no partition';

COMMENT ON COLUMN monitoring.partition_health.default_rows IS
  'Rows in the default partition: counted, or the server''s estimate where there are many or the caller may not read them';

COMMENT ON COLUMN monitoring.partition_health.gap_count IS 'Periods without a partition between others';

COMMENT ON COLUMN monitoring.partition_health.newest_bound IS 'Where the newest partition ends';

COMMENT ON COLUMN monitoring.partition_health.status IS
  'ok, unknown, or what is wrong: missing, gaps, default_rows, misaligned, never_analyzed, keys, triggers, owner, columns, backlog, conversion';

COMMENT ON COLUMN monitoring.partition_health.capture_backlog IS
  'Changed rows that the former, unpartitioned table of a converted one still lacks; NULL where there is none';

COMMENT ON COLUMN monitoring.partition_health.detail IS 'The same in words, with what helps';

COMMENT ON COLUMN monitoring.partition_health.keys_status IS
  'Whether the keys that are kept apart are those of the rows: exact for up to 100,000 rows, else of a sample of both; unknown, with the reason, where they may not be read; NULL where there are none';

COMMENT ON COLUMN monitoring.partition_health.conversion IS
  'How far the conversion has come, and what its log has; NULL where the table was not converted';

COMMENT ON COLUMN monitoring.partition_health.problem IS 'What is wrong, in words; NULL where nothing is';

COMMENT ON COLUMN monitoring.partition_health.remedy IS 'What helps, in the same order';

COMMENT ON FUNCTION groundskeeper_internal.partition_health() IS 'The rows of monitoring.partition_health';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.partition_health() TO pg_monitor;

GRANT SELECT ON monitoring.partition_health TO pg_monitor;

CREATE  FUNCTION groundskeeper_internal."start_migration"(
	"bet_type" text,
	"batch_size" INT,
	"sweep" bool
) RETURNS bigint[]
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'start_migration_0_2_wrapper';

CREATE  FUNCTION groundskeeper_internal."estimated_bloat"(
	"relations" oid[],
	"bytes" bigint[]
) RETURNS TABLE (
	"relation" oid,
	"bloat_percent" double precision,
	"reason" text
)
STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'estimated_bloat_wrapper';

CREATE  FUNCTION groundskeeper_internal."library_version"() RETURNS TEXT
STRICT STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'library_version_wrapper';

CREATE  FUNCTION groundskeeper_internal."defaults"(
	"relation" text
) RETURNS SETOF jsonb
STABLE PARALLEL SAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'defaults_wrapper';

CREATE  FUNCTION groundskeeper_internal."watched_schemas"() RETURNS text[]
STRICT STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'watched_schemas_wrapper';

CREATE FUNCTION groundskeeper_internal.take_place() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key CONSTANT text := TG_ARGV[0];
    assignments CONSTANT text := (
        SELECT string_agg(format(CASE WHEN a.attnotnull THEN '%1$I = COALESCE(($1).%1$I, t.%1$I)' ELSE '%1$I = ($1).%1$I' END,
                                 a.attname), ', ')
          FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attnum > 0 AND NOT a.attisdropped);
    changed bigint;
BEGIN
    EXECUTE format('UPDATE %s t SET %s WHERE t.%I = ($1).%I', TG_RELID::regclass, assignments, key, key) USING NEW;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN CASE WHEN changed = 0 THEN NEW END;
END $$;

COMMENT ON FUNCTION groundskeeper_internal.take_place() IS
    'Trigger: a row that is inserted takes the place of the one with its key, the column that the trigger names';

CREATE FUNCTION groundskeeper_internal.put_back() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %1$s SELECT d.* FROM groundskeeper_internal.defaults(%2$L) r,
                                                     jsonb_populate_record(NULL::%1$s, r) d
                     WHERE NOT EXISTS (SELECT FROM %1$s t WHERE t.%3$I = d.%3$I)',
                   TG_RELID::regclass, TG_TABLE_NAME, TG_ARGV[0]);
    RETURN NULL;
END $$;

COMMENT ON FUNCTION groundskeeper_internal.put_back() IS
    'Trigger: defaults come back where they are missing, by the column that the trigger names';

CREATE PROCEDURE groundskeeper_internal.keep_defaults(relation regclass, key name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER take_place BEFORE INSERT ON %s
                        FOR EACH ROW EXECUTE FUNCTION groundskeeper_internal.take_place(%L)', relation, key);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER take_place', relation);
    EXECUTE format('COMMENT ON TRIGGER take_place ON %s IS %L', relation,
                   'Has an INSERT take the place of the row that is there, so that a dump restores over the defaults');
    EXECUTE format('CREATE TRIGGER put_back AFTER DELETE OR TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.put_back(%L)', relation, key);
    EXECUTE format('COMMENT ON TRIGGER put_back ON %s IS %L', relation, 'Puts the default of a deleted row back');
    -- Nothing is deleted; the trigger finds what is missing: all of it, or in an update what the table had no row for.
    EXECUTE format('DELETE FROM %s WHERE false', relation);
    PERFORM pg_extension_config_dump(relation, '');
END $$;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.defaults(text), groundskeeper_internal.watched_schemas() TO PUBLIC;

COMMENT ON FUNCTION groundskeeper_internal.defaults(text) IS 'What a table of configuration holds until it is edited, as rows';

COMMENT ON FUNCTION groundskeeper_internal.watched_schemas() IS
    'The schemas whose relations are watched: those of groundskeeper.watched_schemas, else the plan''s and those with a managed or maintained relation';

CREATE FUNCTION groundskeeper_internal.measured_bloat(relations oid[], bytes bigint[])
RETURNS TABLE (relation oid, bloat_percent double precision, reason text)
LANGUAGE plpgsql STABLE
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- What one look at the view may read and how long that may take. Pages that are all visible are not read.
  budget CONSTANT bigint := 128 * 1024 * 1024;
  deadline CONSTANT timestamptz := clock_timestamp() + interval '300 ms';
  spent bigint := 0;
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
  measure text;
  unmeasurable text;
  candidate record;
BEGIN
  SELECT format('SELECT 100 * greatest(dead_tuple_len + approx_free_space - table_len * (100 - $2) / 100.0, 0)
                          / nullif(table_len, 0)
                   FROM %I.pgstattuple_approx($1::regclass)', n.nspname),
         CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') OR f.oid IS NULL
                OR NOT has_function_privilege(f.oid, 'EXECUTE')
              THEN format('not measured: USAGE on schema %I and the rights of pg_stat_scan_tables are needed',
                          n.nspname) END
    INTO measure, unmeasurable
    FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace
    LEFT JOIN pg_proc f ON f.pronamespace = n.oid AND f.proname = 'pgstattuple_approx'
   WHERE e.extname = 'pgstattuple';
  IF NOT FOUND THEN
    unmeasurable := 'not measured: pgstattuple is not installed (CREATE EXTENSION pgstattuple)';
  END IF;

  -- The cheapest first: that way the budget covers the most tables.
  FOR candidate IN
    SELECT c.oid, am.amname, c.relpersistence,
           greatest(a.bytes - c.relallvisible::bigint * current_setting('block_size')::integer, 0) AS unseen,
           coalesce((SELECT o.option_value::integer FROM pg_options_to_table(c.reloptions) o
                      WHERE o.option_name = 'fillfactor'), 100) AS fillfactor
      FROM unnest(relations, bytes) a (relation, bytes)
      JOIN pg_class c ON c.oid = a.relation
      JOIN pg_am am ON am.oid = c.relam
     ORDER BY unseen, c.oid
  LOOP
    relation := candidate.oid;
    bloat_percent := NULL;
    reason := CASE
      WHEN unmeasurable IS NOT NULL THEN unmeasurable
      WHEN candidate.amname <> 'heap'
        THEN format('not measured: pgstattuple does not read access method %s', candidate.amname)
      WHEN candidate.relpersistence = 'u' AND pg_is_in_recovery()
        THEN 'not measured: an unlogged table has no content on a standby'
      WHEN spent + candidate.unseen > budget
        THEN format('not measured: one look reads no more than %s', pg_size_pretty(budget))
      WHEN clock_timestamp() > deadline THEN 'not measured: one look measures no longer than 300 ms'
      WHEN relation = ANY (locked) THEN 'not measured: locked by another session'
    END;
    IF reason IS NULL THEN
      BEGIN
        EXECUTE measure INTO bloat_percent USING relation, candidate.fillfactor;
        spent := spent + candidate.unseen;
      EXCEPTION
        WHEN lock_not_available THEN
          reason := 'not measured: locked by another session';
        WHEN OTHERS THEN  -- a table dropped meanwhile or damaged costs its own figure, not the others'
          reason := format('not measured: %s', SQLERRM);
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.measured_bloat(oid[], bigint[]) IS
  'Dead rows and free space of tables with so many bytes (TOAST not included), as pgstattuple_approx finds them within '
  'a budget of 128 MB and 300 ms; what fillfactor keeps free is left out. What is not measured is NULL with the reason';

COMMENT ON FUNCTION groundskeeper_internal.estimated_bloat(oid[], bigint[]) IS
  'The same from statistics alone: what rows of the average width, padded as alignment has it, would not need. What '
  'cannot be trusted is NULL with the reason';

CREATE FUNCTION groundskeeper_internal.unwatched_tables() RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(*)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
     AND n.nspname <> ALL ((SELECT groundskeeper_internal.watched_schemas())::text[])
     AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'groundskeeper', 'groundskeeper_internal')
$$;

COMMENT ON FUNCTION groundskeeper_internal.unwatched_tables() IS
  'How many tables and materialized views are in schemas that groundskeeper.watched_schemas leaves out, partitions not counted';

CREATE OR REPLACE VIEW monitoring.table_bloat WITH (security_invoker) AS
WITH RECURSIVE listed AS (
  SELECT c.oid, c.relkind, n.nspname, c.relname,
    (SELECT format('%I.%I', pn.nspname, p.relname)
       FROM pg_catalog.pg_inherits i
       JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
       JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
      WHERE i.inhrelid = c.oid AND c.relispartition) AS partition_of
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ((SELECT groundskeeper_internal.watched_schemas())::text[]) AND c.relkind IN ('r', 'p', 'm')
),
tree (root, relation, relkind) AS (
  SELECT oid, oid, relkind FROM listed
  UNION ALL
  SELECT t.root, c.oid, c.relkind
  FROM tree t
  JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relation
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  WHERE t.relkind = 'p'
),
heap AS (
  SELECT t.root, t.relation, c.reltoastrelid AS toast
  FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relation
  WHERE t.relkind IN ('r', 'm')
),
part (root, relation, kind) AS (
  SELECT root, relation, 'rows' FROM heap
  UNION ALL
  SELECT h.root, x.indexrelid, 'index' FROM heap h JOIN pg_catalog.pg_index x ON x.indrelid = h.relation
  UNION ALL
  SELECT h.root, r.oid, 'toast'
  FROM heap h
  LEFT JOIN pg_catalog.pg_index x ON x.indrelid = h.toast
  CROSS JOIN LATERAL (VALUES (h.toast), (x.indexrelid)) r (oid)
  WHERE h.toast <> 0 AND r.oid IS NOT NULL
),
measure AS MATERIALIZED (
  SELECT s.* FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT DISTINCT relation FROM part)) s
),
size AS (
  SELECT p.root,
    CASE WHEN bool_and(p.kind <> 'rows' OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.kind = 'rows'), 0)::bigint END AS table_bytes,
    CASE WHEN bool_and(p.kind <> 'index' OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.kind = 'index'), 0)::bigint END AS index_bytes,
    CASE WHEN bool_and(p.kind <> 'toast' OR s.bytes IS NOT NULL)
      THEN coalesce(sum(s.bytes) FILTER (WHERE p.kind = 'toast'), 0)::bigint END AS toast_bytes,
    max(s.reason) FILTER (WHERE p.kind <> 'toast') AS reason
  FROM part p JOIN measure s USING (relation)
  GROUP BY p.root
),
judgeable AS MATERIALIZED (
  SELECT array_agg(s.relation) AS relations, array_agg(s.main_bytes) AS bytes
  FROM measure s
  WHERE s.relation IN (SELECT relation FROM heap UNION SELECT toast FROM heap)
    AND s.main_bytes >= 20 * current_setting('block_size')::integer
),
measured AS MATERIALIZED (
  SELECT m.* FROM judgeable j, groundskeeper_internal.measured_bloat(j.relations, j.bytes) m
  WHERE j.relations IS NOT NULL
),
unmeasured AS MATERIALIZED (
  SELECT array_agg(s.relation) AS relations, array_agg(s.main_bytes) AS bytes
  FROM measured m JOIN measure s USING (relation)
  WHERE m.reason IS NOT NULL AND s.relation IN (SELECT relation FROM heap)
),
estimated AS MATERIALIZED (
  SELECT e.* FROM unmeasured u, groundskeeper_internal.estimated_bloat(u.relations, u.bytes) e
  WHERE u.relations IS NOT NULL
),
figure AS (
  SELECT s.relation, s.main_bytes,
    coalesce(m.bloat_percent, e.bloat_percent) AS percent,
    CASE WHEN m.bloat_percent IS NOT NULL THEN 'pgstattuple_approx'
         WHEN e.bloat_percent IS NOT NULL THEN 'estimate' END AS method,
    CASE WHEN s.in_shards THEN 'not judged: its rows are in shards, which each node judges'
         WHEN s.main_bytes IS NULL THEN 'not judged: locked by another session'
         WHEN m.bloat_percent IS NULL AND e.bloat_percent IS NULL
           THEN nullif(concat_ws('; ', e.reason, m.reason), '') END AS reason
  FROM measure s
  LEFT JOIN measured m USING (relation)
  LEFT JOIN estimated e USING (relation)
),
judged AS (
  SELECT p.root, p.kind, count(*) AS parts, count(f.reason) AS unknown, count(f.percent) AS known,
    sum(f.percent * f.main_bytes) / nullif(sum(f.main_bytes) FILTER (WHERE f.percent IS NOT NULL), 0) AS percent,
    string_agg(DISTINCT f.method, ', ') AS method,
    coalesce(min(f.reason) FILTER (WHERE f.main_bytes IS NULL), min(f.reason)) AS reason
  FROM (SELECT root, relation, 'rows' AS kind FROM heap
        UNION ALL SELECT root, toast, 'toast' FROM heap WHERE toast <> 0) p
  JOIN figure f USING (relation)
  GROUP BY p.root, p.kind
),
verdict AS (
  SELECT j.root, j.kind, j.percent, j.method,
    CASE
      WHEN j.unknown > 0 AND j.parts > 1
        THEN format('%s of %s partitions are not known, such as: %s', j.unknown, j.parts, j.reason)
      WHEN j.unknown > 0 THEN j.reason
      WHEN j.known = 0 THEN 'too small to judge: under 20 pages, the last of which is rarely full'
    END AS reason
  FROM judged j
)
SELECT
  l.nspname AS schemaname,
  l.relname AS tablename,
  pg_size_pretty(f.table_bytes + f.index_bytes) AS size,
  pg_size_pretty(f.table_bytes) AS table_size,
  pg_size_pretty(f.index_bytes) AS index_size,
  f.table_bytes + f.index_bytes AS size_bytes,
  f.table_bytes,
  f.index_bytes,
  CASE WHEN j.reason IS NULL THEN round(j.percent::numeric, 1) END AS bloat_percent,
  CASE WHEN j.reason IS NULL THEN j.method END AS bloat_method,
  CASE WHEN j.root IS NULL THEN 'holds no rows: partitioned without partitions' ELSE j.reason END AS bloat_reason,
  s.reason AS size_reason,
  l.partition_of,
  f.toast_bytes,
  CASE WHEN t.reason IS NULL THEN round(t.percent::numeric, 1) END AS toast_bloat_percent,
  CASE WHEN t.root IS NULL THEN 'there is no TOAST' ELSE t.reason END AS toast_bloat_reason
FROM listed l
LEFT JOIN size s ON s.root = l.oid
LEFT JOIN verdict j ON j.root = l.oid AND j.kind = 'rows'
LEFT JOIN verdict t ON t.root = l.oid AND t.kind = 'toast'
CROSS JOIN LATERAL (
  SELECT CASE WHEN s.root IS NULL THEN 0 ELSE s.table_bytes END AS table_bytes,
         CASE WHEN s.root IS NULL THEN 0 ELSE s.index_bytes END AS index_bytes,
         CASE WHEN s.root IS NULL THEN 0 ELSE s.toast_bytes END AS toast_bytes
) f
ORDER BY size_bytes DESC NULLS LAST, schemaname, tablename;

COMMENT ON VIEW monitoring.table_bloat IS
  'Size and bloat of the tables and materialized views of the watched schemas; a partitioned table has the sum of its '
  'partitions, which have rows of their own too. Where pgstattuple is installed, reading it scans up to 128 MB';

COMMENT ON COLUMN monitoring.table_bloat.size IS 'Table and indexes';

COMMENT ON COLUMN monitoring.table_bloat.table_size IS 'Rows, TOAST and the maps of free space and visibility';

COMMENT ON COLUMN monitoring.table_bloat.index_size IS 'All indexes of the table';

COMMENT ON COLUMN monitoring.table_bloat.size_bytes IS 'The same as size, in bytes';

COMMENT ON COLUMN monitoring.table_bloat.table_bytes IS 'The same as table_size, in bytes';

COMMENT ON COLUMN monitoring.table_bloat.index_bytes IS 'The same as index_size, in bytes';

COMMENT ON COLUMN monitoring.table_bloat.bloat_percent IS
  'Share of the table, TOAST and indexes not included, that is dead rows or free space, the rest of a page that '
  'is too short for another wide row among it, what fillfactor keeps free not; small partitions are left out; NULL '
  'where it cannot be trusted';

COMMENT ON COLUMN monitoring.table_bloat.bloat_method IS
  'pgstattuple_approx where it was measured, estimate where it comes from statistics';

COMMENT ON COLUMN monitoring.table_bloat.bloat_reason IS 'Why bloat_percent is NULL';

COMMENT ON COLUMN monitoring.table_bloat.size_reason IS
  'Why a size is not exact, or NULL; NULL when all are exact';

COMMENT ON COLUMN monitoring.table_bloat.partition_of IS
  'The partitioned table that this one is a partition of: leave such rows out of totals';

COMMENT ON COLUMN monitoring.table_bloat.toast_bytes IS
  'The part of table_bytes that is TOAST, its index included; NULL where it is not known';

COMMENT ON COLUMN monitoring.table_bloat.toast_bloat_percent IS
  'Share of TOAST, its index not included, that is dead or free space; measured by pgstattuple only, as there are no '
  'statistics of TOAST';

COMMENT ON COLUMN monitoring.table_bloat.toast_bloat_reason IS 'Why toast_bloat_percent is NULL';

COMMENT ON FUNCTION groundskeeper_internal.estimated_index_bloat(oid[], bigint[]) IS
  'What building B-trees with so many bytes anew would give back, from statistics alone; what cannot be trusted is '
  'NULL with the reason';

CREATE OR REPLACE VIEW monitoring.index_bloat WITH (security_invoker) AS
WITH listed AS MATERIALIZED (
  SELECT n.nspname, t.relname AS tablename, c.oid, c.relname, a.amname
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
  JOIN pg_catalog.pg_am a ON a.oid = c.relam
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid AND t.relkind IN ('r', 'm')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ((SELECT groundskeeper_internal.watched_schemas())::text[]) AND i.indisvalid
),
measure AS MATERIALIZED (
  SELECT s.* FROM groundskeeper_internal.sizes_without_waiting(ARRAY(SELECT oid FROM listed)) s
),
judgeable AS MATERIALIZED (
  SELECT array_agg(s.relation) AS relations, array_agg(s.main_bytes) AS bytes
  FROM measure s JOIN listed l ON l.oid = s.relation AND l.amname = 'btree'
  WHERE s.main_bytes >= 20 * current_setting('block_size')::integer
),
estimated AS MATERIALIZED (
  SELECT e.* FROM judgeable j, groundskeeper_internal.estimated_index_bloat(j.relations, j.bytes) e
  WHERE j.relations IS NOT NULL
)
SELECT
  l.nspname AS schemaname,
  l.tablename,
  l.relname AS indexname,
  pg_size_pretty(s.bytes) AS index_size,
  s.bytes AS index_bytes,
  round(e.bloat_percent::numeric, 1) AS bloat_percent,
  CASE WHEN e.bloat_percent IS NOT NULL THEN 'estimate' END AS bloat_method,
  CASE WHEN s.in_shards THEN 'not judged: its entries are in shards, which each node judges'
       WHEN s.main_bytes IS NULL THEN 'not judged: locked by another session'
       WHEN l.amname <> 'btree' THEN 'not judged: ' || CASE l.amname
         WHEN 'hash' THEN 'a hash index adds buckets ahead of its rows, and no statistics tell how full they are'
         WHEN 'gin' THEN 'how well a GIN index compresses its lists of rows is in no statistics'
         WHEN 'brin' THEN 'a BRIN index summarizes ranges of blocks, however many rows they hold'
         ELSE format('how access method %I fills its pages is in no statistics', l.amname) END
       WHEN e.relation IS NULL THEN 'too small to judge: under 20 pages, the last of which is rarely full'
       ELSE e.reason END COLLATE "default" AS bloat_reason,
  s.reason AS size_reason
FROM listed l
JOIN measure s ON s.relation = l.oid
LEFT JOIN estimated e ON e.relation = l.oid
ORDER BY index_bytes DESC NULLS LAST, schemaname, indexname;

COMMENT ON VIEW monitoring.index_bloat IS
  'Size and bloat of the valid indexes of the watched schemas, estimated from statistics where they are B-trees';

COMMENT ON COLUMN monitoring.index_bloat.index_bytes IS 'The same as index_size, in bytes';

COMMENT ON COLUMN monitoring.index_bloat.bloat_percent IS
  'How much smaller the index would be if it were built anew; NULL where that cannot be trusted';

COMMENT ON COLUMN monitoring.index_bloat.bloat_method IS 'What bloat_percent comes from';

COMMENT ON COLUMN monitoring.index_bloat.bloat_reason IS 'Why bloat_percent is NULL';

COMMENT ON COLUMN monitoring.index_bloat.size_reason IS 'Why index_size is not exact, or NULL; NULL when it is';

GRANT EXECUTE ON FUNCTION
  groundskeeper_internal.statement_statistics(name, boolean, interval),
  groundskeeper.slow_queries(text, name, boolean, interval, integer),
  groundskeeper_internal.relations_locked_by_others(),
  groundskeeper_internal.counting_since(),
  groundskeeper_internal.index_usage(),
  groundskeeper_internal.index_findings(),
  groundskeeper_internal.not_null_columns(text),
  groundskeeper_internal.definitions_without_waiting(oid[]),
  groundskeeper_internal.sizes_without_waiting(oid[]),
  groundskeeper_internal.measured_bloat(oid[], bigint[]),
  groundskeeper_internal.unwatched_tables(),
  groundskeeper_internal.estimated_bloat(oid[], bigint[]),
  groundskeeper_internal.estimated_index_bloat(oid[], bigint[])
TO pg_monitor;

GRANT SELECT ON
  monitoring.connection_stats, monitoring.slow_queries, monitoring.table_bloat, monitoring.index_bloat, monitoring.index_health,
  monitoring.unused_indexes, groundskeeper.index_observation
TO pg_monitor;

CREATE FUNCTION groundskeeper_internal.loaded_version() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN groundskeeper_internal.library_version();
EXCEPTION WHEN undefined_function THEN
    RETURN '0.1.0';
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.library_version() IS 'The version of the library that this session has loaded';

COMMENT ON FUNCTION groundskeeper_internal.loaded_version() IS 'The same for prerequisites(), of a library too old to have library_version(), too';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.library_version(), groundskeeper_internal.loaded_version() TO pg_monitor;

CREATE OR REPLACE FUNCTION groundskeeper.prerequisites()
RETURNS TABLE (component text, state text, needed_for text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH server AS (
  SELECT current_setting('server_version_num')::integer / 10000 AS major,
         CASE WHEN pg_is_in_recovery() THEN ' -- on the primary' ELSE '' END AS where_to_write,
         -- Who does not see what others do cannot tell; a standby has none.
         pg_has_role('pg_read_all_stats', 'USAGE') AND NOT pg_is_in_recovery()
             AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'pg_groundskeeper launcher') AS launcher_gone,
         -- through the view, which hides it from who may not see it, where current_setting() would fail
         (SELECT setting FROM pg_settings WHERE name = 'cron.database_name') AS cron_database
),
wanted (ordinal, name, preload, package, needed_for) AS (VALUES
  (1, 'pg_groundskeeper', true, NULL,
   'query latency and wait events; restart of jobs after a crash; scheduled maintenance without pg_cron'),
  (2, 'pg_stat_statements', true, 'postgresql-%s', 'monitoring.slow_queries; latency by statement'),
  (3, 'pg_cron', true, 'postgresql-%s-cron',
   'scheduled maintenance; not needed where pg_groundskeeper is preloaded'),
  (4, 'pgstattuple', false, 'postgresql-%s', 'bloat measured, not estimated, in monitoring.table_bloat'),
  (5, 'hypopg', false, 'postgresql-%s-hypopg', 'trying an index before it is built')
),
-- No row for who may not see the setting.
preload AS (
  SELECT source, pending_restart,
         ARRAY(SELECT btrim(e, ' "') FROM regexp_split_to_table(setting, ',') e WHERE btrim(e) <> '') AS entries
    FROM pg_settings
   WHERE name = 'shared_preload_libraries'
),
extension AS (
  SELECT w.*, x.extversion, a.name IS NOT NULL AS on_disk,
         (SELECT EXISTS (SELECT FROM unnest(p.entries) e
                          WHERE regexp_replace(e, '^.*/|\.[a-z]+$', '', 'g') = w.name)  -- it may be a path
            FROM preload p) AS preloaded
    FROM wanted w
    LEFT JOIN pg_available_extensions a ON a.name = w.name
    LEFT JOIN pg_extension x ON x.extname = w.name
),
-- One line for all libraries, because a second ALTER SYSTEM would undo the first; each a literal of its own,
-- because 'a, b' would be one name; none that is not on disk, because the server would not start again.
preload_remedy AS (
  SELECT CASE
           WHEN p.pending_restart THEN 'restart the server: shared_preload_libraries has been changed'
           WHEN p.source = 'command line' THEN format(
             'start the server with -c shared_preload_libraries=%s', string_agg(l.name, ',' ORDER BY l.ordinal))
           ELSE format('ALTER SYSTEM SET shared_preload_libraries = %s; -- then restart the server',
             string_agg(quote_literal(l.name), ', ' ORDER BY l.ordinal))
         END AS line
    FROM preload p
   CROSS JOIN LATERAL (
           SELECT e.name, e.ordinal FROM unnest(p.entries) WITH ORDINALITY e (name, ordinal)
           UNION ALL
           SELECT x.name, cardinality(p.entries) + x.ordinal
             FROM extension x WHERE x.preload AND x.on_disk AND NOT x.preloaded
         ) l (name, ordinal)
   GROUP BY p.source, p.pending_restart
),
extension_remedy AS (
  SELECT x.*, nullif(concat_ws(E'\n',
      CASE
        WHEN NOT x.on_disk AND x.package IS NOT NULL
          THEN format('apt install ' || x.package || ' # then call this function again', s.major)
        WHEN x.preload AND NOT x.preloaded THEN (SELECT line FROM preload_remedy)
      END,
      CASE
        WHEN NOT x.on_disk THEN NULL
        WHEN x.name = 'pg_cron' AND x.preloaded AND s.cron_database <> current_database()
          THEN format('ALTER SYSTEM SET cron.database_name = %L; -- then restart the server; or schedule from '
                      'database %I with cron.schedule_in_database()', current_database(), s.cron_database)
        WHEN x.extversion IS NULL THEN format('CREATE EXTENSION %I;%s', x.name, s.where_to_write)
      END,
      CASE WHEN x.name = 'pg_groundskeeper' AND x.preloaded AND s.launcher_gone
        THEN 'wait for its launcher, which the server starts again within seconds; if it does not, its log says why' END,
      CASE WHEN x.name = 'pg_stat_statements' THEN nullif(concat_ws(E'\n',
        CASE WHEN string_to_array(x.extversion, '.')::integer[] < '{1,9}'
          THEN 'ALTER EXTENSION pg_stat_statements UPDATE;' || s.where_to_write END,
        CASE WHEN x.preloaded AND current_setting('compute_query_id') = 'off'
          THEN 'ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();' END,
        CASE WHEN x.preloaded AND current_setting('pg_stat_statements.track') = 'none'
          THEN 'ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();' END), '')
      END), '') AS remedy
    FROM extension x CROSS JOIN server s
),
-- Slots that are always taken (launchers) or that our jobs want; parallel queries compete for the rest.
worker AS (
  SELECT current_setting('max_worker_processes')::integer AS slots, n.own, n.own + n.parallel AS ample
    FROM (SELECT 1 + coalesce(current_setting('groundskeeper.max_workers', true)::integer, 2)
                 + (current_setting('max_logical_replication_workers')::integer > 0)::integer
                 + (SELECT coalesce(preloaded, false)::integer FROM extension WHERE name = 'pg_cron'),
                 current_setting('max_parallel_workers')::integer) n (own, parallel)
),
-- Files and objects are installed apart, and a server keeps the library that it has preloaded until it is restarted.
versions AS (
  SELECT x.extversion AS objects, groundskeeper_internal.loaded_version() AS library, v.default_version AS files
    FROM pg_extension x JOIN pg_available_extensions v ON v.name = x.extname
   WHERE x.extname = 'pg_groundskeeper'
),
-- The worker of a job connects as the owner of the table.
owner AS (
  SELECT r.rolname, count(*) AS tables,
         CASE
           WHEN NOT r.rolcanlogin THEN format('ALTER ROLE %I LOGIN;', r.rolname)
           WHEN NOT has_database_privilege(r.oid, current_database(), 'CONNECT')
             THEN format('GRANT CONNECT ON DATABASE %I TO %I;', current_database(), r.rolname)
         END AS remedy
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_roles r ON r.oid = c.relowner
   WHERE n.nspname = ANY ((SELECT groundskeeper_internal.watched_schemas())::text[]) AND c.relkind IN ('r', 'p', 'm')
   GROUP BY r.oid, r.rolname, r.rolcanlogin
)
SELECT * FROM (
  SELECT x.name,
         CASE
           WHEN x.preload AND x.preloaded IS NULL THEN 'unknown'
           WHEN x.remedy IS NULL THEN 'ok'
           WHEN x.extversion IS NULL AND (NOT x.preload OR NOT x.preloaded) THEN 'missing'
           ELSE 'partial'
         END,
         x.needed_for,
         CASE WHEN x.preload AND x.preloaded IS NULL
           THEN 'call this function with the rights of pg_read_all_settings' ELSE x.remedy END
    FROM (SELECT * FROM extension_remedy ORDER BY ordinal) x
  UNION ALL
  SELECT 'version of pg_groundskeeper',
         CASE WHEN objects = library THEN 'ok' ELSE 'partial' END,
         format('everything: the extension is %s, the library that is loaded %s', objects, library),
         CASE
           WHEN objects = library THEN NULL
           WHEN files = objects THEN 'restart the server, or connect anew: the library on disk is another by now'
           WHEN files = library AND regexp_split_to_array(regexp_replace(objects, '[^0-9.].*', ''), '\.')::integer[]
                                  < regexp_split_to_array(regexp_replace(library, '[^0-9.].*', ''), '\.')::integer[]
             THEN 'ALTER EXTENSION pg_groundskeeper UPDATE;' || where_to_write
           ELSE format('install pg_groundskeeper %s again, and restart the server', objects)
         END
    FROM versions CROSS JOIN server
  UNION ALL
  SELECT 'max_worker_processes',
         CASE WHEN slots >= ample THEN 'ok' WHEN slots >= own THEN 'partial' ELSE 'missing' END,
         'background jobs while parallel queries run',
         CASE WHEN slots < ample THEN format(
           'ALTER SYSTEM SET max_worker_processes = %s; -- then restart the server, standbys first', ample) END
    FROM worker
  UNION ALL
  SELECT format('login of %I', rolname),
         CASE WHEN remedy IS NULL THEN 'ok' ELSE 'missing' END,
         format('background jobs on the tables and materialized views that it owns (%s)', tables),
         remedy || where_to_write
    FROM owner CROSS JOIN server
  UNION ALL
  SELECT 'access of pg_monitor',
         CASE WHEN has_schema_privilege('pg_monitor', 'monitoring', 'USAGE') THEN 'ok' ELSE 'missing' END,
         'the views in monitoring',
         CASE WHEN NOT has_schema_privilege('pg_monitor', 'monitoring', 'USAGE')
           THEN 'GRANT USAGE ON SCHEMA monitoring TO pg_monitor;' || where_to_write END
    FROM server
) report
$$;

COMMENT ON FUNCTION groundskeeper.prerequisites() IS
  'The optional parts that the extension makes use of: whether each is in place (ok, partial, missing, or unknown '
  'to the caller), what it is needed for, and the lines that fix it';

GRANT EXECUTE ON FUNCTION groundskeeper.prerequisites() TO pg_monitor;

CREATE  FUNCTION groundskeeper_internal."check_quality_rules"(
	"rules" jsonb
) RETURNS bool
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_quality_rules_wrapper';

DROP TRIGGER set_quality_rule ON groundskeeper.quality_rules;
DROP TRIGGER reset_quality_rules ON groundskeeper.quality_rules;
ALTER TABLE groundskeeper.quality_rules DROP CONSTRAINT quality_rules_valid;
ALTER TABLE groundskeeper.quality_rules
    ADD CONSTRAINT quality_rules_valid CHECK (groundskeeper_internal.check_quality_rules(jsonb_build_object(rule, points)));

CALL groundskeeper_internal.keep_defaults('groundskeeper.quality_rules', 'rule');

REVOKE ALL ON groundskeeper.quality_rules FROM PUBLIC;

GRANT SELECT ON groundskeeper.quality_rules TO pg_monitor;

GRANT EXECUTE ON FUNCTION
  groundskeeper.moneyline_quality_score,
  groundskeeper.spread_quality_score,
  groundskeeper.total_quality_score,
  groundskeeper.moneyline_quality_issues,
  groundskeeper.spread_quality_issues,
  groundskeeper.total_quality_issues,
  groundskeeper.validation_status,
  groundskeeper.base_quality_factor,
  groundskeeper.game_quality_score,
  groundskeeper.game_validation_status,
  groundskeeper.default_quality_rules,
  groundskeeper_internal.check_quality_rules,
  groundskeeper_internal.moneyline_verdict,
  groundskeeper_internal.spread_verdict,
  groundskeeper_internal.total_verdict
TO PUBLIC;

COMMENT ON TABLE groundskeeper.quality_rules IS
  'Weights and thresholds of the quality score; UPDATE points to change one, DELETE a row to get its default back; '
  'migration and rescoring pass them on as (SELECT jsonb_object_agg(rule, points) FROM groundskeeper.quality_rules)';

COMMENT ON COLUMN groundskeeper.quality_rules.rule IS 'Name of the rule, one of groundskeeper.default_quality_rules()';

COMMENT ON COLUMN groundskeeper.quality_rules.points IS
  'Points taken off or added, score from which a status applies, count, or percent; never negative, at most two decimals';

COMMENT ON COLUMN groundskeeper.quality_rules.description IS 'What the number does';

COMMENT ON CONSTRAINT quality_rules_valid ON groundskeeper.quality_rules IS
  'The rule exists and takes the number; raises an error that says what is wrong';

COMMENT ON FUNCTION groundskeeper.moneyline_quality_score IS
  'Quality score of a moneyline, 0.00 to 99.99; NULL rules mean the built-in ones, missing keys their defaults';

COMMENT ON FUNCTION groundskeeper.spread_quality_score IS
  'Quality score of a spread, 0.00 to 99.99; NULL rules mean the built-in ones, missing keys their defaults';

COMMENT ON FUNCTION groundskeeper.total_quality_score IS
  'Quality score of a total, 0.00 to 99.99; NULL rules mean the built-in ones, missing keys their defaults';

COMMENT ON FUNCTION groundskeeper.moneyline_quality_issues IS
  'Codes of what is missing, impossible, implausible or out of order in a moneyline; an empty array where nothing is';

COMMENT ON FUNCTION groundskeeper.spread_quality_issues IS
  'Codes of what is missing, impossible or out of order in a spread; an empty array where nothing is';

COMMENT ON FUNCTION groundskeeper.total_quality_issues IS
  'Codes of what is missing, impossible, implausible or out of order in a total; an empty array where nothing is';

COMMENT ON FUNCTION groundskeeper.validation_status IS
  'One of validated, needs_review or invalid, by score and thresholds; at best needs_review with a missing_ or invalid_ issue, '
  'implausible_market, line_rounded, conflicting_teams or swapped_sides';

COMMENT ON FUNCTION groundskeeper.base_quality_factor IS
  '1 where both odds and a sportsbook name are there, else 0: the plan''s factor';

COMMENT ON FUNCTION groundskeeper.game_quality_score IS
  'Quality score of a game by how many sportsbooks offer it and how many records tell of it, 0.00 to 99.99';

COMMENT ON FUNCTION groundskeeper.game_validation_status IS
  'low_coverage where too few sportsbooks offer the game, else validated, needs_review or invalid by its score';

COMMENT ON FUNCTION groundskeeper.default_quality_rules IS
  'The built-in quality rules, which hold for NULL rules and for keys that a set of rules lacks';

COMMENT ON FUNCTION groundskeeper_internal.check_quality_rules IS
  'True for rules that a score would accept; raises an error that says what is wrong otherwise';

COMMENT ON FUNCTION groundskeeper_internal.moneyline_verdict IS 'Score, issues and status of a moneyline, as the migration wants them';

COMMENT ON FUNCTION groundskeeper_internal.spread_verdict IS 'Score, issues and status of a spread, as the migration wants them';

COMMENT ON FUNCTION groundskeeper_internal.total_verdict IS 'Score, issues and status of a total, as the migration wants them';

CREATE  FUNCTION groundskeeper_internal."check_alert_rule"(
	"metric" text,
	"target" text,
	"comparison" text,
	"fire_threshold" NUMERIC,
	"clear_threshold" NUMERIC,
	"fire_after" interval,
	"clear_after" interval,
	"min_samples" bigint,
	"check_every" interval,
	"measured_over" interval
) RETURNS bool
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_alert_rule_0_2_wrapper';

CREATE  FUNCTION groundskeeper_internal."planned_relations"() RETURNS text[]
STRICT STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'planned_relations_wrapper';

COMMENT ON TABLE groundskeeper.maintained_relations IS
    'What update_table_statistics() looks after beside the plan''s and the managed partitioned tables; see groundskeeper.maintain()';

COMMENT ON COLUMN groundskeeper.maintained_relations.relation IS 'Table or materialized view, schema-qualified and quoted';

COMMENT ON COLUMN groundskeeper.maintained_relations.registered_by IS 'Who registered it';

COMMENT ON COLUMN groundskeeper.maintained_relations.registered_at IS 'When';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.maintained_relations', '');

COMMENT ON TABLE groundskeeper.relation_seen IS
    'What a materialized view or a partitioned table was made from when it was last refreshed or analyzed';

COMMENT ON COLUMN groundskeeper.relation_seen.relation_oid IS 'The materialized view or partitioned table';

COMMENT ON COLUMN groundskeeper.relation_seen.refreshes IS 'How often that was done; views above it are due when this has changed';

COMMENT ON COLUMN groundskeeper.relation_seen.seen IS 'Its sources with their files and counters just before';

COMMENT ON TABLE groundskeeper.maintenance_log IS
    'What update_table_statistics() did; what it skipped is not written down. Pruned after groundskeeper.job_history';

COMMENT ON COLUMN groundskeeper.maintenance_log.action IS 'analyzed, refreshed or failed';

COMMENT ON COLUMN groundskeeper.maintenance_log.reason IS 'Why it was due, or why it failed';

COMMENT ON COLUMN groundskeeper.maintenance_log.started_at IS 'When';

COMMENT ON COLUMN groundskeeper.maintenance_log.duration_ms IS 'How long it took';

COMMENT ON COLUMN groundskeeper.maintenance_log.run_by IS 'The role that ran it';

CREATE INDEX ON groundskeeper.maintenance_log (relation, started_at);

REVOKE ALL ON groundskeeper.maintained_relations, groundskeeper.relation_seen, groundskeeper.maintenance_log FROM PUBLIC;

GRANT SELECT ON groundskeeper.maintained_relations, groundskeeper.maintenance_log TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.planned_relations() TO pg_monitor;

COMMENT ON FUNCTION groundskeeper_internal.planned_relations() IS 'What update_table_statistics() looks after because the plan says so';

COMMENT ON FUNCTION @extschema@.update_table_statistics(boolean) IS 'Analyzes tables that have changed as much as autovacuum lets pass, and refreshes materialized views whose sources have changed; with force also those that have not';

COMMENT ON FUNCTION groundskeeper.update_table_statistics(boolean) IS 'Analyzes tables that have changed as much as autovacuum lets pass, and refreshes materialized views whose sources have changed; with force also those that have not';

COMMENT ON FUNCTION groundskeeper.maintain(regclass) IS 'Has update_table_statistics() look after one more table or materialized view; false if it does so already';

COMMENT ON FUNCTION groundskeeper.stop_maintaining(regclass) IS 'Takes a relation off groundskeeper.maintained_relations';

CREATE  FUNCTION groundskeeper_internal."next_run"(
	"schedule" text,
	"timezone" text,
	"since" timestamp with time zone,
	"last_run" timestamp with time zone,
	"failures" INT
) RETURNS timestamp with time zone
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'next_run_wrapper';

CREATE  FUNCTION groundskeeper_internal."local_time_of"(
	"text" text
) RETURNS timestamp
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'local_time_of_wrapper';

CREATE  FUNCTION groundskeeper_internal."unschedule_if_dropped"() RETURNS VOID
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'unschedule_if_dropped_wrapper';

CREATE  FUNCTION groundskeeper_internal."look_after_jobs"() RETURNS void
STRICT VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'look_after_jobs_wrapper';

CREATE OR REPLACE PROCEDURE groundskeeper.wait_for_job(job_id bigint, timeout interval DEFAULT '1 hour', INOUT state text DEFAULT NULL)
    LANGUAGE plpgsql
AS $$
DECLARE
    give_up pg_catalog.timestamptz;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('wait_for_job');
    COMMIT;
    IF wait_for_job.job_id IS NULL OR wait_for_job.timeout IS NULL THEN
        RAISE EXCEPTION 'job_id and timeout must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    give_up := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) wait_for_job.timeout;
    IF pg_catalog.has_function_privilege('groundskeeper_internal.look_after_jobs()', 'EXECUTE') THEN
        PERFORM groundskeeper_internal.look_after_jobs();
    END IF;
    LOOP
        SELECT j.state INTO wait_for_job.state
          FROM groundskeeper.jobs j WHERE j.job_id OPERATOR(pg_catalog.=) wait_for_job.job_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'job % does not exist', wait_for_job.job_id
                USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM groundskeeper.jobs shows those that do.';
        END IF;
        COMMIT;
        EXIT WHEN wait_for_job.state OPERATOR(pg_catalog.=) ANY (ARRAY['succeeded', 'failed', 'cancelled'])
               OR pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) give_up;
        PERFORM pg_catalog.pg_sleep(0.05);
        COMMIT;
    END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.look_after_jobs() TO pg_monitor;

GRANT EXECUTE ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) TO pg_monitor;

COMMENT ON PROCEDURE groundskeeper.wait_for_job(bigint, interval, text) IS 'Waits until a job has ended, committing between looks; not in a transaction block';

COMMENT ON FUNCTION groundskeeper.cancel_job(bigint) IS 'Cancels a job, queued or running, and returns its new state';

COMMENT ON FUNCTION groundskeeper.retry_job(bigint) IS 'Queues a failed or cancelled job again';

COMMENT ON FUNCTION groundskeeper.resume() IS 'Lets a restored copy of a database run the jobs that came with it';

COMMENT ON FUNCTION groundskeeper_internal.look_after_jobs() IS 'Starts a worker for jobs that have none, as after a crash where the library is not preloaded';

CREATE  FUNCTION groundskeeper_internal."patience"(
	"job_name" text
) RETURNS interval
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'patience_wrapper';

CREATE  FUNCTION groundskeeper_internal."performance_report"(
	"since" interval,
	"compared_with" timestamp with time zone
) RETURNS text
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'performance_report_wrapper';

CREATE FUNCTION groundskeeper.performance_report(since interval DEFAULT '24 hours', compared_with timestamptz DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
RETURN groundskeeper_internal.performance_report(performance_report.since, performance_report.compared_with)::jsonb;

GRANT EXECUTE ON FUNCTION groundskeeper.performance_report(interval, timestamptz),
    groundskeeper_internal.performance_report(interval, timestamptz),
    groundskeeper.performance_report_html(interval, timestamptz) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.performance_report(interval, timestamptz) IS 'How the database did since then, and what follows, as data; compared_with is where another interval of the same length ends';

COMMENT ON FUNCTION groundskeeper_internal.performance_report(interval, timestamptz) IS 'The text of groundskeeper.performance_report()';

COMMENT ON FUNCTION groundskeeper.performance_report_html(interval, timestamptz) IS 'The same as a page of HTML: one line, at most 300 kB, no script and nothing from elsewhere; psql -XAtqc "SELECT groundskeeper.performance_report_html()" > report.html';

CREATE  FUNCTION groundskeeper_internal."check_naming"(
	"naming" jsonb
) RETURNS bool
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_naming_wrapper';

CREATE TABLE groundskeeper.club_names (
  name text PRIMARY KEY,
  club text NOT NULL,
  CONSTRAINT club_names_valid CHECK (groundskeeper_internal.check_naming(
    pg_catalog.jsonb_build_object('clubs', pg_catalog.jsonb_build_object(name, club))))
);

CREATE TABLE groundskeeper.club_codes (
  club text PRIMARY KEY,
  code text NOT NULL,
  CONSTRAINT club_codes_valid CHECK (groundskeeper_internal.check_naming(
    pg_catalog.jsonb_build_object('codes', pg_catalog.jsonb_build_object(club, code))))
);

CREATE TABLE groundskeeper.sportsbook_names (
  name text PRIMARY KEY,
  sportsbook text NOT NULL,
  CONSTRAINT sportsbook_names_valid CHECK (groundskeeper_internal.check_naming(
    pg_catalog.jsonb_build_object('books', pg_catalog.jsonb_build_object(name, sportsbook))))
);

CREATE FUNCTION groundskeeper.naming() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_catalog.jsonb_build_object(
           'clubs', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.name, n.club), '{}'::pg_catalog.jsonb)
                       FROM groundskeeper.club_names n),
           'codes', (SELECT COALESCE(pg_catalog.jsonb_object_agg(c.club, c.code), '{}'::pg_catalog.jsonb)
                       FROM groundskeeper.club_codes c),
           'books', (SELECT COALESCE(pg_catalog.jsonb_object_agg(b.name, b.sportsbook), '{}'::pg_catalog.jsonb)
                       FROM groundskeeper.sportsbook_names b))
$$;

CREATE FUNCTION groundskeeper_internal.check_names() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  LOCK TABLE groundskeeper.club_names IN SHARE UPDATE EXCLUSIVE MODE;
  PERFORM groundskeeper_internal.check_naming(groundskeeper.naming());
  RETURN NULL;
END $$;

CREATE TRIGGER check_names AFTER INSERT OR UPDATE ON groundskeeper.club_names
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.check_names();

CREATE TRIGGER check_names AFTER INSERT OR UPDATE ON groundskeeper.club_codes
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.check_names();

CREATE TRIGGER check_names AFTER INSERT OR UPDATE ON groundskeeper.sportsbook_names
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.check_names();

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.club_names', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.club_codes', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.sportsbook_names', '');

REVOKE ALL ON groundskeeper.club_names, groundskeeper.club_codes, groundskeeper.sportsbook_names FROM PUBLIC;

GRANT SELECT ON groundskeeper.club_names, groundskeeper.club_codes, groundskeeper.sportsbook_names TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper.club_code, groundskeeper.sportsbook, groundskeeper_internal.check_naming TO PUBLIC;

COMMENT ON TABLE groundskeeper.club_names IS
  'Names that sources write for clubs, beside and before those that are built in';

COMMENT ON COLUMN groundskeeper.club_names.name IS
  'The name; case, blanks and punctuation do not matter, nor does the game of a doubleheader behind it';

COMMENT ON COLUMN groundskeeper.club_names.club IS 'Built-in code of the club that it means, like NYM';

COMMENT ON CONSTRAINT club_names_valid ON groundskeeper.club_names IS
  'There is a name and such a club; raises an error that says what is wrong';

COMMENT ON TRIGGER check_names ON groundskeeper.club_names IS
  'The rows of the tables of names do not contradict each other; raises an error that names the two that do';

COMMENT ON TABLE groundskeeper.club_codes IS
  'Codes that are written for clubs instead of those that are built in; each is understood as a name of its club, too';

COMMENT ON COLUMN groundskeeper.club_codes.club IS 'Built-in code of the club, like ATH';

COMMENT ON COLUMN groundskeeper.club_codes.code IS
  'The code in its place, like OAK: at most 10 bytes, and no name of another club';

COMMENT ON CONSTRAINT club_codes_valid ON groundskeeper.club_codes IS
  'There is such a club and the code can stand for it; raises an error that says what is wrong';

COMMENT ON TRIGGER check_names ON groundskeeper.club_codes IS
  'The rows of the tables of names do not contradict each other; raises an error that names the two that do';

COMMENT ON TABLE groundskeeper.sportsbook_names IS
  'How names that sources write for sportsbooks are spelled; a name of a built-in sportsbook has all of its names spelled so';

COMMENT ON COLUMN groundskeeper.sportsbook_names.name IS
  'The name; case, blanks and punctuation do not matter, nor does the word "Sportsbook" behind it';

COMMENT ON COLUMN groundskeeper.sportsbook_names.sportsbook IS 'The one spelling of the sportsbook that it means';

COMMENT ON CONSTRAINT sportsbook_names_valid ON groundskeeper.sportsbook_names IS
  'There is a name and a spelling; raises an error that says what is wrong';

COMMENT ON TRIGGER check_names ON groundskeeper.sportsbook_names IS
  'The rows of the tables of names do not contradict each other; raises an error that names the two that do';

COMMENT ON FUNCTION groundskeeper.naming() IS
  'The tables of names as one object with clubs, codes and books: what club_code() and sportsbook() take';

COMMENT ON FUNCTION groundskeeper_internal.check_names() IS 'Trigger: the tables of names make sense together';

COMMENT ON FUNCTION groundskeeper.club_code IS
  'Code in use for the club that the name means; NULL where it is no club''s. A NULL naming means the built-in names and codes';

COMMENT ON FUNCTION groundskeeper.sportsbook IS
  'The one spelling of a sportsbook''s name: its own where it is known, else in lower case; NULL for a blank name. A NULL naming means the built-in names';

COMMENT ON FUNCTION groundskeeper_internal.check_naming IS
  'True for a naming that club_code() and sportsbook() would accept; raises an error that says what is wrong otherwise';

CREATE  FUNCTION groundskeeper_internal."plan_items"() RETURNS TABLE (
	"item" text,
	"section" text,
	"definition" text,
	"origin" text,
	"added_by" text,
	"added_at" timestamp with time zone,
	"declined_reason" text
)
STRICT STABLE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'plan_items_wrapper';

CREATE TABLE groundskeeper.plan_item (
    item text PRIMARY KEY,
    definition jsonb NOT NULL,
    added_by text NOT NULL,
    added_by_oid oid NOT NULL,
    home text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

COMMENT ON TABLE groundskeeper.plan_item IS 'Items that users have added to the plan; groundskeeper.plan_items shows all';

COMMENT ON COLUMN groundskeeper.plan_item.item IS 'Its id';

COMMENT ON COLUMN groundskeeper.plan_item.definition IS 'Its fields, as those of the plan file';

COMMENT ON COLUMN groundskeeper.plan_item.added_by IS 'The role that has added it, with whose rights it is applied and taken back; by this name in a copy of the database';

COMMENT ON COLUMN groundskeeper.plan_item.added_by_oid IS 'The same role at home, whatever its name is by now';

COMMENT ON COLUMN groundskeeper.plan_item.home IS 'The cluster and database that it was added in';

COMMENT ON COLUMN groundskeeper.plan_item.added_at IS 'When';

CREATE TABLE groundskeeper.plan_decline (
    item text PRIMARY KEY,
    reason text NOT NULL,
    declined_by text NOT NULL,
    declined_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

COMMENT ON TABLE groundskeeper.plan_decline IS 'Items that apply_plan() is to leave out; see groundskeeper.decline()';

COMMENT ON COLUMN groundskeeper.plan_decline.item IS 'The item';

COMMENT ON COLUMN groundskeeper.plan_decline.reason IS 'Why it is not wanted';

COMMENT ON COLUMN groundskeeper.plan_decline.declined_by IS 'Who has said so';

COMMENT ON COLUMN groundskeeper.plan_decline.declined_at IS 'When';

CREATE TABLE groundskeeper.plan_wanted (
    item text PRIMARY KEY
);

COMMENT ON TABLE groundskeeper.plan_wanted IS 'Items that were asked for while a conversion was in their way, and are queued by the job that ends it';

COMMENT ON COLUMN groundskeeper.plan_wanted.item IS 'The item';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.plan_item', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.plan_decline', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.plan_wanted', '');

CREATE VIEW groundskeeper.plan_items AS
SELECT item, section, definition::pg_catalog.jsonb AS definition, origin, added_by, added_at, declined_reason
  FROM groundskeeper_internal.plan_items();

COMMENT ON VIEW groundskeeper.plan_items IS 'Each item of the plan as it is stated, built in or added, by whom, and why it is not wanted where somebody has said so';

COMMENT ON COLUMN groundskeeper.plan_items.origin IS 'built-in or own';

COMMENT ON COLUMN groundskeeper.plan_items.added_by IS 'The role with whose rights it is applied and taken back; NULL for what is built in, which takes the caller''s';

COMMENT ON COLUMN groundskeeper.plan_items.declined_reason IS 'Why apply_plan() leaves it out; NULL where it does not';

COMMENT ON FUNCTION groundskeeper_internal.plan_items() IS 'What groundskeeper.plan_items shows';

COMMENT ON FUNCTION groundskeeper.add_plan_item(jsonb) IS 'Adds an item to the plan, with the fields of the plan file, and returns its id; it is applied and taken back with the rights of the role that adds it';

COMMENT ON FUNCTION groundskeeper.drop_plan_item(text) IS 'Takes an item off the plan that was added to it and is not applied';

COMMENT ON FUNCTION groundskeeper.export_plan() IS 'The items that were added to the plan, in the TOML of the plan file';

COMMENT ON FUNCTION groundskeeper.import_plan(text, boolean) IS 'Adds the items of a plan file that are not there; action is add, keep (it is there) or conflict (with another definition). A dry run only says which';

COMMENT ON FUNCTION groundskeeper.decline(text, text) IS 'Has apply_plan() leave an item out that is not applied; a NULL reason has it take the item up again';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.plan_items(), groundskeeper.export_plan() TO pg_monitor;

GRANT SELECT ON groundskeeper.plan_items TO pg_monitor;

CREATE  FUNCTION groundskeeper_internal."moment_of"(
	"text" text
) RETURNS timestamp with time zone
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'moment_of_wrapper';

ALTER TABLE groundskeeper.migration_failures
    ADD COLUMN attempts integer NOT NULL DEFAULT 1,
    ADD COLUMN retry_at timestamptz NOT NULL DEFAULT '-infinity';

CREATE INDEX ON groundskeeper.migration_failures (raw_table, retry_at);

COMMENT ON TABLE groundskeeper.migration_failures IS 'Raw rows that could not be staged; runs try them again, at once when they have changed, and clear those that succeed';

COMMENT ON COLUMN groundskeeper.migration_failures.raw_table IS 'The raw table, with its schema';

COMMENT ON COLUMN groundskeeper.migration_failures.raw_id IS 'The raw row''s id';

COMMENT ON COLUMN groundskeeper.migration_failures.reason IS 'What kind of error it was, as a word';

COMMENT ON COLUMN groundskeeper.migration_failures.detail IS 'What was said';

COMMENT ON COLUMN groundskeeper.migration_failures.failed_at IS 'When it was tried last';

COMMENT ON COLUMN groundskeeper.migration_failures.attempts IS 'How often it has failed';

COMMENT ON COLUMN groundskeeper.migration_failures.retry_at IS 'When it is tried again though nothing has changed: after minutes at first, once a day at last';

-- How a run found what it had to do; notes tell that now.
ALTER TABLE groundskeeper.migration_runs
    DROP COLUMN after_id, DROP COLUMN upto_id, DROP COLUMN cursor_at, DROP COLUMN decided_id, DROP COLUMN moved_since,
    DROP COLUMN next_moved_since, DROP COLUMN writers, DROP COLUMN files;

COMMENT ON TABLE groundskeeper.migration_runs IS 'Each run of migrate_to_staging() over one market, written with each of its batches';

COMMENT ON COLUMN groundskeeper.migration_runs.execution_id IS 'What the runs of one call share; public.pipeline_execution_log has it too';

COMMENT ON COLUMN groundskeeper.migration_runs.processed IS 'Records that had to be staged: successful + failed';

COMMENT ON COLUMN groundskeeper.migration_runs.metadata IS 'What became of the games; failed_again, how many of the failures had failed in earlier runs; and not_logged, why public.pipeline_execution_log could not be written';

COMMENT ON COLUMN groundskeeper.migration_runs.cursor_id IS 'The last raw row that the phase has dealt with';

-- As it knows no mapping, the next run looks at everything once: until now nobody has written notes of what has changed.
ALTER TABLE groundskeeper.migration_progress
    DROP COLUMN confirmed_id, DROP COLUMN writers, DROP COLUMN moved_since,
    ADD COLUMN mapping text,
    ADD COLUMN definition text;

COMMENT ON TABLE groundskeeper.migration_progress IS 'How far each raw table has been migrated, so that no run looks at all of it again';

COMMENT ON COLUMN groundskeeper.migration_progress.home IS 'The cluster and database that this is true of; a copy begins anew';

COMMENT ON COLUMN groundskeeper.migration_progress.files IS 'The files of the raw and the staging table: where they are others, a table was emptied or written anew';

COMMENT ON COLUMN groundskeeper.migration_progress.mapping IS 'What columns, clubs and books are called: where that is otherwise, everything is looked at';

COMMENT ON COLUMN groundskeeper.migration_progress.definition IS 'What the tables are: once a constraint or trigger is another, what failed is tried again';

COMMENT ON COLUMN groundskeeper.migration_progress.seen_id IS 'The last row that there was when a run began: later ones are looked at, noted or not';

COMMENT ON COLUMN groundskeeper.migration_progress.staged_id IS 'The highest raw id in the staging table after the last run: where it is lower, staged rows were deleted';

COMMENT ON COLUMN groundskeeper.migration_progress.swept_at IS 'When a run was last told to look at everything, as one is each day';

CREATE TABLE groundskeeper.migration_notes (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    relation oid,
    ids int8multirange,
    games text[],
    facts text[],
    made boolean NOT NULL DEFAULT false,
    CHECK (pg_catalog.array_position(games, NULL) IS NULL),
    CHECK (pg_catalog.upper_inf(ids) OR pg_catalog.upper(ids) > -9223372036854775808 OR pg_catalog.isempty(ids))
);

CREATE INDEX ON groundskeeper.migration_notes (subject, made, note_id);

ALTER TABLE groundskeeper.migration_notes ENABLE ROW LEVEL SECURITY;

CREATE POLICY owners ON groundskeeper.migration_notes FOR INSERT TO PUBLIC
    WITH CHECK (NOT made
                AND relation = pg_catalog.to_regclass(CASE subject WHEN 'moneyline' THEN 'raw_data.moneylines_raw'
                                                                   WHEN 'spread' THEN 'raw_data.spreads_raw'
                                                                   WHEN 'total' THEN 'raw_data.totals_raw'
                                                                   WHEN 'games' THEN 'staging.games' END)
                AND EXISTS (SELECT FROM pg_catalog.pg_class c
                             WHERE c.oid = relation AND pg_catalog.pg_get_userbyid(c.relowner) = CURRENT_USER));

COMMENT ON TABLE groundskeeper.migration_notes IS 'What has changed since it was staged, as triggers tell in the transaction of the change; a run takes what it deals with';

COMMENT ON COLUMN groundskeeper.migration_notes.subject IS 'The market, or games';

COMMENT ON COLUMN groundskeeper.migration_notes.relation IS 'The table that was changed; none in notes of the migration''s own';

COMMENT ON COLUMN groundskeeper.migration_notes.ids IS 'The raw rows, by number; unbounded for all of them';

COMMENT ON COLUMN groundskeeper.migration_notes.games IS 'The external ids of games that records have left, or whose rows were changed';

COMMENT ON COLUMN groundskeeper.migration_notes.facts IS 'What somebody has corrected of these games (teams, date, time), or that all are gone (gone)';

COMMENT ON COLUMN groundskeeper.migration_notes.made IS 'Whether the games of these rows are made, so that the rows may be staged';

COMMENT ON POLICY owners ON groundskeeper.migration_notes IS 'A table''s owner may note that it has changed';

CREATE TABLE groundskeeper.migration_corrections (
    external_id text COLLATE "C" PRIMARY KEY,
    teams boolean NOT NULL,
    date boolean NOT NULL,
    "time" boolean NOT NULL
);

COMMENT ON TABLE groundskeeper.migration_corrections IS 'Games that somebody has corrected by hand: the migration leaves that as it is; delete a row to have it work it out again';

COMMENT ON COLUMN groundskeeper.migration_corrections.external_id IS 'The game, by its id at the source';

COMMENT ON COLUMN groundskeeper.migration_corrections.teams IS 'Whether home and away stay as they are';

COMMENT ON COLUMN groundskeeper.migration_corrections.date IS 'Whether day and season stay as they are';

COMMENT ON COLUMN groundskeeper.migration_corrections."time" IS 'Whether the moment stays as it is';

CREATE TABLE groundskeeper.column_names (
    relation text NOT NULL,
    role text NOT NULL,
    column_name text NOT NULL,
    PRIMARY KEY (relation, role),
    CONSTRAINT column_names_valid CHECK (groundskeeper_internal.check_column_name(relation, role, column_name))
);

COMMENT ON TABLE groundskeeper.column_names IS 'What a deployment calls the columns that the migration reads and writes, where the plan calls them otherwise';

COMMENT ON COLUMN groundskeeper.column_names.relation IS 'The table, as schema.name: a raw table, a staging table of a market, or staging.games';

COMMENT ON COLUMN groundskeeper.column_names.role IS 'What the plan calls the column (spread_odds, game_id, ...), or start_time';

COMMENT ON COLUMN groundskeeper.column_names.column_name IS 'What it is called here; for start_time also a key of raw_data';

COMMENT ON CONSTRAINT column_names_valid ON groundskeeper.column_names IS 'The relation has such a role; raises an error that says what is wrong';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.column_names', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_corrections', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_failures', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_runs', '');

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.migration_runs_run_id_seq', '');

CREATE PROCEDURE groundskeeper.migrate_to_staging(bet_type text DEFAULT NULL, batch_size integer DEFAULT 10000,
                                                  sweep boolean DEFAULT false)
    LANGUAGE plpgsql
AS $$
DECLARE
    runs bigint[];
    run bigint;
    outcome pg_catalog.text;
    tries integer;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('migrate_to_staging');
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    runs := groundskeeper_internal.start_migration(migrate_to_staging.bet_type, migrate_to_staging.batch_size,
                                          migrate_to_staging.sweep);
    FOREACH run IN ARRAY runs LOOP
        tries := 0;
        outcome := 'more';
        WHILE outcome OPERATOR(pg_catalog.=) 'more' OR outcome OPERATOR(pg_catalog.=) 'again' LOOP
            COMMIT;
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            tries := CASE WHEN outcome OPERATOR(pg_catalog.=) 'again' THEN tries OPERATOR(pg_catalog.+) 1 ELSE 0 END;
            outcome := groundskeeper_internal.migration_step(run, tries);
        END LOOP;
        EXIT WHEN outcome OPERATOR(pg_catalog.=) 'failed';
    END LOOP;
    COMMIT;
    PERFORM groundskeeper_internal.fail_migration();
END
$$;

REVOKE ALL ON groundskeeper.migration_failures, groundskeeper.migration_runs, groundskeeper.migration_progress,
    groundskeeper.migration_notes, groundskeeper.migration_corrections, groundskeeper.column_names FROM PUBLIC;

GRANT INSERT ON groundskeeper.migration_notes TO PUBLIC;

GRANT SELECT ON groundskeeper.migration_failures, groundskeeper.migration_runs, groundskeeper.migration_corrections,
    groundskeeper.column_names TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.moment_of(text), groundskeeper_internal.local_time_of(text),
    groundskeeper_internal.check_column_name(text, text, text) TO PUBLIC;

COMMENT ON PROCEDURE groundskeeper.migrate_to_staging(text, integer, boolean) IS 'Stages the raw rows that are new or have changed, and tries those again that failed and are due: one market, or all of them; commits each batch; sweep looks at everything again';

COMMENT ON FUNCTION groundskeeper_internal.start_migration(text, integer, boolean) IS 'For migrate_to_staging(): begins a run for each market that nobody is migrating, and returns the numbers of those with something to do';

COMMENT ON FUNCTION groundskeeper_internal.migration_step(bigint, integer) IS 'For migrate_to_staging(): does the next piece of a run''s work in this transaction, after a pause where it gave way before: more, again (it gave way), done, put_off (locks were not to be had) or failed';

COMMENT ON FUNCTION groundskeeper_internal.fail_migration() IS 'For migrate_to_staging(): raises the error that a step has written down, and lets requests to stop through again';

COMMENT ON FUNCTION groundskeeper.rescore(regclass) IS 'Queues the scoring of a staging table''s rows by the rules as they are now, and returns the job''s number';

COMMENT ON FUNCTION groundskeeper_internal.moment_of(text) IS 'The moment that a text in ISO 8601 tells with its offset; NULL for any other text';

COMMENT ON FUNCTION groundskeeper_internal.local_time_of(text) IS 'What clocks show by a text in ISO 8601 without an offset; NULL for any other text';

COMMENT ON FUNCTION groundskeeper_internal.check_column_name(text, text, text) IS 'True for a role that the migration knows of the relation; raises an error that says what is wrong otherwise';

CREATE  FUNCTION groundskeeper_internal."run_step"(
	"step" text,
	"job_name" text,
	"argument" text DEFAULT NULL
) RETURNS text
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'run_step_wrapper';

DROP TRIGGER set_schedule ON groundskeeper.schedule;
ALTER TABLE groundskeeper.schedule DROP CONSTRAINT schedule_valid;
-- A command that stands as the plan had it is as the plan has it now; one that somebody has edited stays.
UPDATE groundskeeper.schedule s SET command = d.command
  FROM (VALUES ('statistics', 'SELECT @extschema@.update_table_statistics()', 'SELECT groundskeeper.update_table_statistics(false)'),
               ('partitions', 'SELECT @extschema@.create_monthly_partitions()', 'SELECT groundskeeper.create_monthly_partitions(3)')
       ) d (job_name, before, command)
 WHERE s.job_name = d.job_name AND s.command = d.before;
ALTER TABLE groundskeeper.schedule
    ADD CONSTRAINT schedule_valid CHECK (groundskeeper_internal.check_schedule(schedule, timezone)),
    ADD CONSTRAINT schedule_command CHECK (groundskeeper_internal.check_command(command));

COMMENT ON TABLE groundskeeper.schedule IS
    'What is done when; call schedule_maintenance() after editing it. One of the plan''s entries that is not wanted is not enabled: deleted, it comes back as the plan states it';

COMMENT ON COLUMN groundskeeper.schedule.job_name IS 'Its name';

COMMENT ON COLUMN groundskeeper.schedule.schedule IS 'Five fields of cron, by the wall clock of its time zone';

COMMENT ON COLUMN groundskeeper.schedule.command IS 'One statement, also a CALL of what commits, run with the rights of run_as: whoever may edit it may do what that role may';

COMMENT ON CONSTRAINT schedule_command ON groundskeeper.schedule IS 'It is one statement; raises an error that says how many there are';

COMMENT ON COLUMN groundskeeper.schedule.scheduler IS 'pg_cron, launcher or none';

COMMENT ON COLUMN groundskeeper.schedule.enabled IS 'Whether it is run at all';

COMMENT ON COLUMN groundskeeper.schedule.timezone IS 'Set by schedule_maintenance()';

COMMENT ON COLUMN groundskeeper.schedule.run_as IS 'The role that called schedule_maintenance()';

COMMENT ON COLUMN groundskeeper.schedule.home IS 'The cluster and database that it was scheduled in; a copy does not run it until groundskeeper.resume()';

COMMENT ON COLUMN groundskeeper.schedule.scheduled_at IS 'When; NULL while it is not scheduled';

CALL groundskeeper_internal.keep_defaults('groundskeeper.schedule', 'job_name');

COMMENT ON TABLE groundskeeper.schedule_run IS 'What became of the entries of groundskeeper.schedule';

COMMENT ON COLUMN groundskeeper.schedule_run.slot IS 'The number of the lock that its run holds';

COMMENT ON COLUMN groundskeeper.schedule_run.unfinished IS 'A run has begun and has not written down how it ended';

CREATE OR REPLACE VIEW groundskeeper.schedule_state AS
SELECT s.job_name, s.schedule, s.command, s.scheduler, s.timezone, s.run_as, s.home, s.scheduled_at,
       s.enabled AND s.scheduled_at IS NOT NULL AND s.home = h.home AS active, r.last_run, r.last_success, l.running,
       COALESCE(r.failures + lost::integer, 0) AS failures,
       CASE WHEN lost THEN 'its run was lost; see the server log' ELSE r.last_error END AS last_error,
       s.enabled AND s.scheduled_at IS NOT NULL AND s.home <> h.home AS copied
  FROM groundskeeper.schedule s
 CROSS JOIN groundskeeper_internal.home() h (home)
  LEFT JOIN groundskeeper.schedule_run r USING (job_name)
 CROSS JOIN LATERAL (
       SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l
                       WHERE l.locktype = 'userlock' AND l.granted AND l.classid::bigint = 1735095139
                         AND l.objid::bigint = r.slot
                         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                            WHERE d.datname = pg_catalog.current_database()))
       OFFSET 0) l (running)
 CROSS JOIN LATERAL (SELECT r.unfinished AND NOT l.running AND NOT pg_catalog.pg_is_in_recovery()) lost (lost);

COMMENT ON VIEW groundskeeper.schedule_state IS 'The entries of the schedule with what became of them, seen live';

CREATE PROCEDURE groundskeeper_internal.run_one(job_name text, INOUT problem text)
    LANGUAGE plpgsql
AS $$
DECLARE
    command pg_catalog.text;
    kind pg_catalog.text;
    reason pg_catalog.text;
    code pg_catalog.text;
BEGIN
    COMMIT;
    command := groundskeeper_internal.run_step('begin', run_one.job_name);
    COMMIT;
    IF command IS NULL THEN
        RETURN;
    END IF;
    kind := groundskeeper_internal.run_step('hold', run_one.job_name);
    IF kind IS NULL THEN
        RETURN;
    END IF;
    IF kind OPERATOR(pg_catalog.=) 'CALL' THEN
        -- It may commit, as nothing can in EXECUTE: a worker runs it as a statement of its own.
        reason := groundskeeper_internal.run_step('call', run_one.job_name);
    ELSE
        BEGIN
            EXECUTE command;
        EXCEPTION WHEN OTHERS OR query_canceled THEN
            PERFORM groundskeeper_internal.run_step('failed', run_one.job_name);
            GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            reason := pg_catalog.format('%s (%s)', reason, code);
        END;
    END IF;
    PERFORM groundskeeper_internal.run_step('end', run_one.job_name, reason);
    COMMIT;
    IF reason IS NOT NULL THEN
        run_one.problem := pg_catalog.concat_ws('; ', run_one.problem, pg_catalog.format('%s: %s', run_one.job_name, reason));
    END IF;
END
$$;

COMMENT ON PROCEDURE groundskeeper_internal.run_one(text, text) IS 'One run of an entry of the schedule, if it is due; adds to problem why it failed';

CREATE OR REPLACE PROCEDURE groundskeeper.run_scheduled(job_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    problem pg_catalog.text;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('run_scheduled');
    CALL groundskeeper_internal.run_one(run_scheduled.job_name, problem);
    IF problem OPERATOR(pg_catalog.<>) '' THEN
        RAISE EXCEPTION 'scheduled maintenance failed' USING DETAIL = problem;
    END IF;
END
$$;

COMMENT ON PROCEDURE groundskeeper.run_scheduled(text) IS 'Runs an entry of the schedule if it is due, and writes down what became of it';

CREATE OR REPLACE PROCEDURE groundskeeper.run_overdue()
    LANGUAGE plpgsql
AS $$
DECLARE
    job_name pg_catalog.text;
    problem pg_catalog.text;
BEGIN
    PERFORM groundskeeper_internal.require_top_level('run_overdue');
    COMMIT;
    FOREACH job_name IN ARRAY groundskeeper_internal.overdue_runs() LOOP
        CALL groundskeeper_internal.run_one(job_name, problem);
    END LOOP;
    IF problem OPERATOR(pg_catalog.<>) '' THEN
        RAISE EXCEPTION 'scheduled maintenance failed' USING DETAIL = problem;
    END IF;
END
$$;

COMMENT ON PROCEDURE groundskeeper.run_overdue() IS
    'Makes up for runs that were missed or failed; called every minute by a system cron, it is a scheduler by itself';

CREATE VIEW groundskeeper.failing_relations AS
SELECT f.relation, f.failures, f.failed_at, f.reason, c.relkind = 'm' AS is_view
  FROM (SELECT l.relation, pg_catalog.count(*) AS failures, pg_catalog.max(l.started_at) AS failed_at,
               (pg_catalog.array_agg(l.reason ORDER BY l.started_at DESC))[1] AS reason
          FROM groundskeeper.maintenance_log l
         WHERE l.action = 'failed'
           AND NOT EXISTS (SELECT FROM groundskeeper.maintenance_log later
                            WHERE later.relation = l.relation AND later.started_at > l.started_at AND later.action <> 'failed')
         GROUP BY l.relation) f
 CROSS JOIN pg_catalog.parse_ident(f.relation) i (name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = i.name[1]
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = i.name[2]
 WHERE f.relation = ANY (groundskeeper_internal.planned_relations())
    OR EXISTS (SELECT FROM groundskeeper.maintained_relations m WHERE m.relation = f.relation)
    OR EXISTS (SELECT FROM groundskeeper.managed_tables m WHERE m.parent = f.relation);

COMMENT ON VIEW groundskeeper.failing_relations IS
    'Relations whose last attempts in groundskeeper.maintenance_log failed, with how many did in a row';

CREATE OR REPLACE VIEW monitoring.maintenance_status AS
SELECT s.job_name AS task, s.scheduler, s.schedule, s.last_run, s.last_success, n.next_run,
       GREATEST(s.failures, f.failures)::integer AS consecutive_failures,
       NULLIF(pg_catalog.concat_ws('; ', w.why, COALESCE(s.last_error, f.reasons)), '') AS last_error,
       s.timezone, s.run_as, s.running,
       w.why IS NOT NULL AND NOT s.copied AS overdue
  FROM groundskeeper.schedule_state s
 CROSS JOIN LATERAL (
       SELECT CASE WHEN s.active THEN
           groundskeeper_internal.next_run(s.schedule, s.timezone, s.scheduled_at, s.last_run, s.failures) END) n (next_run)
 CROSS JOIN LATERAL (
       SELECT pg_catalog.max(r.failures), pg_catalog.string_agg(r.relation || ': ' || r.reason, '; ' ORDER BY r.relation)
         FROM groundskeeper.failing_relations r
        WHERE s.command ~ '\.update_table_statistics\(') f (failures, reasons)
 CROSS JOIN (
       SELECT sees AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'pg_groundskeeper launcher'),
              sees AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.backend_type ~ '^pg_cron')
         FROM pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') sees) p (launcher_gone, cron_gone)
 CROSS JOIN LATERAL (
       SELECT CASE
              WHEN s.copied THEN 'this database is a copy, which runs nothing until groundskeeper.resume()'
              WHEN NOT s.active OR s.running THEN NULL
              WHEN pg_catalog.pg_is_in_recovery() THEN NULL
              WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = s.run_as)
              THEN pg_catalog.format('role %I does not exist any more: groundskeeper.schedule_maintenance() has it run as another', s.run_as)
              WHEN s.scheduler = 'launcher' AND p.launcher_gone
              THEN 'the launcher of pg_groundskeeper does not run; it comes back within seconds, or the server log says why not'
              WHEN s.scheduler = 'pg_cron' AND p.cron_gone THEN 'pg_cron does not run; the server log says why'
              WHEN n.next_run < pg_catalog.clock_timestamp() - groundskeeper_internal.patience(s.job_name)
              THEN pg_catalog.concat('due since ', pg_catalog.date_trunc('second', n.next_run), ', and not begun: ', CASE s.scheduler
                   WHEN 'launcher' THEN pg_catalog.format('no background worker is free for it; max_worker_processes is %s',
                                                          pg_catalog.current_setting('max_worker_processes'))
                   WHEN 'pg_cron' THEN 'pg_cron has not called it; groundskeeper.schedule_maintenance() enters its jobs anew'
                   ELSE 'nobody has called groundskeeper.run_overdue()' END)
              END) w (why);

COMMENT ON VIEW monitoring.maintenance_status IS 'Scheduled maintenance: when it last ran and succeeded, when it runs next, and what is wrong with it';

COMMENT ON COLUMN monitoring.maintenance_status.task IS 'An entry of groundskeeper.schedule';

COMMENT ON COLUMN monitoring.maintenance_status.scheduler IS 'pg_cron, launcher or none';

COMMENT ON COLUMN monitoring.maintenance_status.schedule IS 'Cron by the wall clock of timezone';

COMMENT ON COLUMN monitoring.maintenance_status.last_run IS 'When its last run began';

COMMENT ON COLUMN monitoring.maintenance_status.last_success IS 'When its last run that succeeded ended';

COMMENT ON COLUMN monitoring.maintenance_status.next_run IS 'When it is due next, a repetition after a failure included; NULL where it is not scheduled';

COMMENT ON COLUMN monitoring.maintenance_status.consecutive_failures IS 'How many runs have failed since the last success, or how often a relation of it has, also by hand';

COMMENT ON COLUMN monitoring.maintenance_status.last_error IS 'Why it does not run, why the last run failed, or which relations fail';

COMMENT ON COLUMN monitoring.maintenance_status.overdue IS 'Whether it does not run as it should';

CREATE FUNCTION groundskeeper_internal.unschedule_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM groundskeeper.schedule WHERE scheduler = 'pg_cron') THEN
        PERFORM groundskeeper_internal.unschedule_if_dropped();
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pg_groundskeeper cannot tell whether it has jobs of pg_cron: %', SQLERRM USING ERRCODE = SQLSTATE;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.unschedule_dropped() IS 'Has pg_cron''s jobs go with the extension';

CREATE EVENT TRIGGER groundskeeper_unschedule ON ddl_command_start WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION groundskeeper_internal.unschedule_dropped();

COMMENT ON EVENT TRIGGER groundskeeper_unschedule IS 'Takes the jobs of the schedule off pg_cron when the extension is dropped';

REVOKE ALL ON groundskeeper.schedule, groundskeeper.schedule_run, groundskeeper.schedule_state, groundskeeper.failing_relations FROM PUBLIC;

GRANT SELECT ON groundskeeper.schedule, monitoring.maintenance_status TO pg_monitor;

GRANT SELECT ON groundskeeper.failing_relations TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.next_run(text, text, timestamptz, timestamptz, integer),
    groundskeeper_internal.home(), groundskeeper_internal.patience(text) TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.schedule_maintenance(text) IS 'Puts the entries of groundskeeper.schedule on pg_cron, else on the launcher; returns what is scheduled where';

COMMENT ON FUNCTION groundskeeper.unschedule_maintenance() IS 'Takes the entries of groundskeeper.schedule off their scheduler';

COMMENT ON FUNCTION groundskeeper_internal.run_step(text, text, text) IS 'One step of groundskeeper_internal.run_one()';

COMMENT ON FUNCTION groundskeeper_internal.overdue_runs() IS 'The entries of the schedule that run as the caller and are overdue';

COMMENT ON FUNCTION groundskeeper.prune_history() IS 'Deletes what is older than groundskeeper.job_history from the histories; how many rows';

COMMENT ON FUNCTION groundskeeper_internal.check_schedule(text, text) IS 'True for a schedule and a time zone that can be followed; raises an error that says what is wrong otherwise';

COMMENT ON FUNCTION groundskeeper_internal.next_run(text, text, timestamptz, timestamptz, integer) IS 'When an entry of the schedule is due next, given when it was scheduled, when it last ran, and how many runs have failed in a row';

COMMENT ON FUNCTION groundskeeper_internal.check_command(text) IS 'True for one statement; raises an error that says what is wrong otherwise';

COMMENT ON FUNCTION groundskeeper_internal.home() IS 'Which cluster and database this is, as a copy''s rows say of where they came from';

COMMENT ON FUNCTION groundskeeper_internal.patience(text) IS 'How late an entry of the schedule may be before that is said';

COMMENT ON FUNCTION groundskeeper_internal.unschedule_if_dropped() IS 'Has pg_cron''s jobs for this database removed if the extension is gone when the transaction commits';

CREATE  FUNCTION groundskeeper_internal."sampled_waits"() RETURNS TABLE (
	"sampled_hour" timestamp with time zone,
	"began" bigint,
	"wait_event_type" text,
	"wait_event" text,
	"samples" bigint,
	"max_sessions" INT
)
STRICT STABLE PARALLEL RESTRICTED
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'sampled_waits_wrapper';

CREATE TABLE groundskeeper.wait_sample (
  sampled_hour timestamptz,
  began bigint,
  wait_event_type text,
  wait_event text,
  samples bigint NOT NULL,
  max_sessions integer NOT NULL,
  PRIMARY KEY (sampled_hour, began, wait_event_type, wait_event)
) WITH (fillfactor = 50);

COMMENT ON TABLE groundskeeper.wait_sample IS
  'What record_metrics() has written down of waits that were sampled in this database; pruned after groundskeeper.metrics_retention';

COMMENT ON COLUMN groundskeeper.wait_sample.sampled_hour IS 'The hour, by its beginning';

COMMENT ON COLUMN groundskeeper.wait_sample.began IS 'By which counters: those that began at this moment, with the server';

COMMENT ON COLUMN groundskeeper.wait_sample.wait_event_type IS 'As in pg_stat_activity; CPU for sessions that waited for nothing';

COMMENT ON COLUMN groundskeeper.wait_sample.wait_event IS 'As in pg_stat_activity';

COMMENT ON COLUMN groundskeeper.wait_sample.samples IS 'Sessions that waited so, over all looks';

COMMENT ON COLUMN groundskeeper.wait_sample.max_sessions IS 'The most that one look has found';

COMMENT ON FUNCTION groundskeeper_internal.sampled_waits() IS
  'What was sampled of waits in this database in the last three hours; no rows where the library is not preloaded';

CREATE VIEW monitoring.wait_events WITH (security_invoker) AS
WITH known AS (
  SELECT s.sampled_hour, s.began, s.wait_event_type, s.wait_event, s.samples, s.max_sessions
  FROM groundskeeper.wait_sample s
  WHERE s.sampled_hour <= clock_timestamp() AND NOT pg_is_in_recovery()
  UNION ALL
  SELECT w.sampled_hour, w.began, w.wait_event_type, w.wait_event, w.samples, w.max_sessions
  FROM groundskeeper_internal.sampled_waits() w
),
counted AS (
  SELECT k.sampled_hour, k.began, k.wait_event_type, k.wait_event, max(k.samples) AS samples, max(k.max_sessions) AS max_sessions
  FROM known k
  GROUP BY k.sampled_hour, k.began, k.wait_event_type, k.wait_event
)
SELECT
  c.sampled_hour,
  c.wait_event_type,
  c.wait_event,
  sum(c.samples)::bigint AS samples,
  round(sum(c.samples) / sum(sum(c.samples)) OVER (PARTITION BY c.sampled_hour), 4) AS share,
  max(c.max_sessions) AS max_sessions
FROM counted c
GROUP BY c.sampled_hour, c.wait_event_type, c.wait_event
ORDER BY c.sampled_hour DESC, samples DESC, c.wait_event_type, c.wait_event;

COMMENT ON VIEW monitoring.wait_events IS
  'What clients'' sessions of the current database waited for, hour by hour, from looks once a second; empty where the '
  'library is not preloaded, and on a standby';

COMMENT ON COLUMN monitoring.wait_events.sampled_hour IS 'The hour, by its beginning';

COMMENT ON COLUMN monitoring.wait_events.wait_event_type IS
  'As in pg_stat_activity; CPU for sessions that waited for nothing. Idle sessions are not looked at, those in a transaction are';

COMMENT ON COLUMN monitoring.wait_events.wait_event IS 'As in pg_stat_activity';

COMMENT ON COLUMN monitoring.wait_events.samples IS 'Sessions that waited so, over all looks: about as many seconds of waiting';

COMMENT ON COLUMN monitoring.wait_events.share IS 'Of all samples of that hour, from 0 to 1';

COMMENT ON COLUMN monitoring.wait_events.max_sessions IS 'The most that waited so at once';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.sampled_waits() TO pg_monitor;

GRANT SELECT ON groundskeeper.wait_sample, monitoring.wait_events TO pg_monitor;

CREATE  FUNCTION groundskeeper_internal."check_kpi_target"(
	"kpi" text,
	"target" NUMERIC,
	"comparison" text,
	"min_samples" bigint,
	"measured_over" interval
) RETURNS bool
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'check_kpi_target_wrapper';

DROP TRIGGER set_kpi_target ON groundskeeper.kpi_targets;
DROP TRIGGER reset_kpi_targets ON groundskeeper.kpi_targets;
ALTER TABLE groundskeeper.kpi_targets DROP CONSTRAINT kpi_targets_valid;
ALTER TABLE groundskeeper.kpi_targets
    ADD CONSTRAINT kpi_targets_valid
        CHECK (groundskeeper_internal.check_kpi_target(kpi, target, comparison, min_samples, measured_over));

COMMENT ON TABLE groundskeeper.kpi_targets IS
    'What the KPIs are to be; UPDATE one to change it, DELETE it to get the plan''s target back';

COMMENT ON COLUMN groundskeeper.kpi_targets.kpi IS 'One of the six';

COMMENT ON COLUMN groundskeeper.kpi_targets.target IS 'What its value must lie beyond';

COMMENT ON COLUMN groundskeeper.kpi_targets.comparison IS 'On which side: > or <';

COMMENT ON COLUMN groundskeeper.kpi_targets.min_samples IS 'With fewer samples the KPI is unknown';

COMMENT ON COLUMN groundskeeper.kpi_targets.measured_over IS 'The time that it is measured over; NULL for what is measured now';

COMMENT ON CONSTRAINT kpi_targets_valid ON groundskeeper.kpi_targets IS
    'The KPI exists and can have that target; raises an error that says what is wrong';

CALL groundskeeper_internal.keep_defaults('groundskeeper.kpi_targets', 'kpi');

CREATE OR REPLACE VIEW monitoring.idle_transactions WITH (security_invoker) AS
SELECT a.pid,
       a.usename AS role_name,
       a.application_name,
       a.client_addr AS client_address,
       a.state,
       round(greatest(extract(epoch FROM clock_timestamp() - a.state_change), 0), 3) AS idle_seconds,
       CASE WHEN a.xact_start IS NOT NULL
            THEN round(greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0), 3) END AS transaction_seconds,
       age(a.backend_xmin) AS xmin_age,
       (SELECT count(*) FROM pg_catalog.pg_locks l
         WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock') AS locks_held
  FROM pg_catalog.pg_stat_activity a
 WHERE a.datname = current_database() AND a.backend_type = 'client backend'
   AND a.state IN ('idle in transaction', 'idle in transaction (aborted)')
 ORDER BY a.state_change;

COMMENT ON VIEW monitoring.idle_transactions IS
    'Clients of the current database that keep a transaction open and do nothing, the longest first';

COMMENT ON COLUMN monitoring.idle_transactions.pid IS 'For pg_terminate_backend()';

COMMENT ON COLUMN monitoring.idle_transactions.idle_seconds IS 'How long it has done nothing';

COMMENT ON COLUMN monitoring.idle_transactions.transaction_seconds IS 'How long its transaction has been open; NULL where that has failed';

COMMENT ON COLUMN monitoring.idle_transactions.xmin_age IS
    'How many transactions back VACUUM must keep dead rows for it; NULL where it has no snapshot';

COMMENT ON COLUMN monitoring.idle_transactions.locks_held IS 'Locks on relations that it holds, other than to read';

REVOKE ALL ON groundskeeper.kpi_targets FROM PUBLIC;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.check_kpi_target(text, numeric, text, bigint, interval) TO PUBLIC;

GRANT SELECT ON groundskeeper.kpi_targets, monitoring.idle_transactions TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper.kpi_report() TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.kpi_report() IS
    'The six KPIs against their targets: pass, fail, or unknown with the reason in detail; percentages run from 0 to 100';

COMMENT ON FUNCTION groundskeeper_internal.check_kpi_target(text, numeric, text, bigint, interval) IS
    'True for a target that a KPI can have; raises an error that says what is wrong otherwise';

DROP TRIGGER set_alert_rule ON groundskeeper.alert_rules;
ALTER TABLE groundskeeper.alert_rules DROP CONSTRAINT alert_rules_valid;
ALTER TABLE groundskeeper.alert_rules ADD COLUMN measured_over interval;
-- What stands as the plan had it is as the plan has it now; each value that somebody has edited stays.
UPDATE groundskeeper.alert_rules SET measured_over = '2 hours' WHERE rule = 'migration_success_rate' AND metric = rule;
UPDATE groundskeeper.alert_rules SET measured_over = '4 minutes'
 WHERE rule IN ('query_latency_p95_ms', 'index_hit_ratio', 'cache_hit_ratio') AND metric = rule;
UPDATE groundskeeper.alert_rules SET fire_after = '0', clear_after = '1 minute'
 WHERE rule = 'maintenance_overdue' AND (fire_after, clear_after) = ('5 minutes', '0');
UPDATE groundskeeper.alert_rules SET fire_threshold = 120, clear_threshold = 90
 WHERE rule = 'heartbeat' AND (fire_threshold, clear_threshold) = (300, 120);
ALTER TABLE groundskeeper.alert_rules
    ADD CONSTRAINT alert_rules_valid CHECK (groundskeeper_internal.check_alert_rule(
        metric, target, comparison, fire_threshold, clear_threshold, fire_after, clear_after, min_samples, check_every, measured_over));

COMMENT ON TABLE groundskeeper.alert_rules IS
    'What check_alerts() watches. One of the plan''s rules that is not wanted is not enabled: deleted, it comes back as the plan states it';

COMMENT ON COLUMN groundskeeper.alert_rules.rule IS 'Its name';

COMMENT ON COLUMN groundskeeper.alert_rules.metric IS 'One of the six KPIs, or what docs/kpis.md lists';

COMMENT ON COLUMN groundskeeper.alert_rules.target IS 'The one thing that it watches; NULL for all';

COMMENT ON COLUMN groundskeeper.alert_rules.comparison IS 'On which side of fire_threshold a value is bad: > or <';

COMMENT ON COLUMN groundskeeper.alert_rules.fire_threshold IS 'A value beyond it is bad; NULL takes the target of the KPI';

COMMENT ON COLUMN groundskeeper.alert_rules.clear_threshold IS
    'A value that comes back to it is good again; NULL is fire_threshold, for a KPI that takes its target a tenth of the way from there to perfect';

COMMENT ON COLUMN groundskeeper.alert_rules.fire_after IS 'How long it must be bad before it fires';

COMMENT ON COLUMN groundskeeper.alert_rules.clear_after IS 'How long it must be good before it clears';

COMMENT ON COLUMN groundskeeper.alert_rules.min_samples IS 'With fewer samples there is no data; a KPI has a floor of its own in kpi_targets';

COMMENT ON COLUMN groundskeeper.alert_rules.enabled IS 'Whether it is watched at all';

COMMENT ON COLUMN groundskeeper.alert_rules.check_every IS 'How often it is measured: at each check, or less often where measuring is dear';

COMMENT ON COLUMN groundskeeper.alert_rules.measured_over IS
    'The time that a KPI is measured over here; NULL for that of kpi_targets, and for connections as they are now';

COMMENT ON CONSTRAINT alert_rules_valid ON groundskeeper.alert_rules IS 'The rule makes sense; raises an error that says what is wrong';

CALL groundskeeper_internal.keep_defaults('groundskeeper.alert_rules', 'rule');

CREATE FUNCTION groundskeeper_internal.missing_target(metric text, target text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation "char" := (SELECT c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE format('%I.%I', n.nspname, c.relname) = target);
BEGIN
    RETURN CASE missing_target.metric
        WHEN 'unhealthy_partitions' THEN
            CASE WHEN NOT EXISTS (SELECT FROM groundskeeper.managed_tables m WHERE m.parent = target)
                 THEN format('there is no managed table %s', target) END
        WHEN 'failed_jobs' THEN
            CASE WHEN relation IS NULL AND NOT EXISTS (SELECT FROM groundskeeper.job j WHERE j.target = missing_target.target)
                 THEN format('there is no relation %s, and no job on it', target) END
        WHEN 'invalid_indexes' THEN
            CASE WHEN COALESCE(relation NOT IN ('r', 'p', 'm', 't'), true) THEN format('there is no table %s', target) END
        WHEN 'wraparound_distance' THEN
            CASE WHEN NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = target)
                 THEN format('there is no database %I', target) END
        WHEN 'idle_in_transaction_seconds' THEN
            CASE WHEN NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = target) THEN format('there is no role %I', target) END
        WHEN 'overdue_maintenance' THEN
            CASE WHEN NOT EXISTS (SELECT FROM groundskeeper.schedule s WHERE s.job_name = target)
                 THEN format('groundskeeper.schedule has no entry %s', target) END
        WHEN 'failing_views' THEN
            CASE WHEN relation IS DISTINCT FROM 'm' THEN format('there is no materialized view %s', target) END
        WHEN 'failing_relations' THEN
            CASE WHEN COALESCE(relation NOT IN ('r', 'p', 'm'), true)
                 THEN format('there is no table or materialized view %s', target) END
        WHEN 'failed_migration_runs' THEN
            CASE WHEN target <> ALL ('{moneyline,spread,total}') THEN format('there is no market %s', target) END
    END;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.missing_target(text, text) IS
    'Why there is nothing that a rule with this target could watch; NULL where there is';

CREATE FUNCTION groundskeeper_internal.refuse_missing_target() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing text;
BEGIN
    IF NEW.target IS NOT NULL AND current_setting('check_function_bodies')::boolean
       AND (TG_OP = 'INSERT' OR (OLD.metric, OLD.target) IS DISTINCT FROM (NEW.metric, NEW.target)) THEN
        missing := groundskeeper_internal.missing_target(NEW.metric, NEW.target);
    END IF;
    IF missing IS NOT NULL THEN
        RAISE undefined_object USING MESSAGE = format('alert rule "%s" would watch nothing', NEW.rule), DETAIL = initcap(left(missing, 1)) || substr(missing, 2) || '.',
            HINT = 'Name it as the views show it: a relation with its schema, quoted where it must be.';
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.refuse_missing_target() IS 'Trigger: refuses a rule on what does not exist';

CREATE TRIGGER refuse_missing_target BEFORE INSERT OR UPDATE OF metric, target ON groundskeeper.alert_rules
    FOR EACH ROW EXECUTE FUNCTION groundskeeper_internal.refuse_missing_target();

COMMENT ON TRIGGER refuse_missing_target ON groundskeeper.alert_rules IS 'Refuses a rule on what does not exist';

COMMENT ON TABLE groundskeeper.alert_state IS 'How each rule stood at the last check; groundskeeper.alerts shows it';

COMMENT ON COLUMN groundskeeper.alert_state.good_since IS 'While firing: since when all has been good';

COMMENT ON COLUMN groundskeeper.alert_state.announced IS 'Whether listeners were last told that it fires';

COMMENT ON COLUMN groundskeeper.alert_state.observed_at IS 'When it was measured last, of a rule that is not measured at each check';

COMMENT ON TABLE groundskeeper.alert_check IS 'When check_alerts() last ran, in one row';

COMMENT ON TABLE groundskeeper.alert_history IS
    'Each time that an alert fired, was resolved, or had data again or no more; pruned after groundskeeper.job_history';

COMMENT ON COLUMN groundskeeper.alert_history.state IS 'The state that it entered';

COMMENT ON TABLE groundskeeper.alert_silences IS 'Whom silence_alert() has silenced; DELETE a row to end it early';

CREATE VIEW groundskeeper.silence AS
SELECT c.since, c.checked_at IS NOT NULL AS checked,
       pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - c.since)) AS seconds
  FROM (SELECT k.checked_at,
               COALESCE(k.checked_at, (SELECT pg_catalog.min(s.scheduled_at) FROM groundskeeper.schedule_state s
                                        WHERE s.active AND s.command ~ '\.check_alerts\(')) AS since
          FROM (SELECT pg_catalog.max(checked_at) AS checked_at FROM groundskeeper.alert_check) k) c;

COMMENT ON VIEW groundskeeper.silence IS 'For how long check_alerts() has not run, in one row';

CREATE OR REPLACE VIEW groundskeeper.alerts WITH (security_barrier) AS
WITH late AS MATERIALIZED (
    SELECT t.task, t.next_run, t.last_error FROM monitoring.maintenance_status t
     WHERE (SELECT c.seconds > 75 FROM groundskeeper.silence c) AND t.overdue)
SELECT r.rule, r.target,
       CASE WHEN h.fires THEN 'firing' ELSE COALESCE(s.state, 'no_data') END AS state,
       CASE WHEN h.fires THEN h.value ELSE s.value END AS value,
       COALESCE(s.threshold, r.fire_threshold) AS threshold,
       CASE WHEN h.fires AND s.state IS DISTINCT FROM 'firing' THEN h.since ELSE s.since END AS since,
       pg_catalog.concat(
           CASE WHEN h.fires THEN h.detail
                WHEN s.rule IS NULL THEN 'not checked yet: call groundskeeper.check_alerts()' ELSE s.detail END,
           CASE WHEN q.rule IS NOT NULL THEN
               pg_catalog.format(' (silenced until %s by %s: %s)', q.until, q.silenced_by, q.reason) END) AS detail
  FROM groundskeeper.alert_rules r
  LEFT JOIN groundskeeper.alert_state s USING (rule)
  LEFT JOIN groundskeeper.alert_silences q ON q.rule = r.rule AND q.until > pg_catalog.clock_timestamp()
 CROSS JOIN groundskeeper.silence c
  LEFT JOIN LATERAL (
       SELECT c.seconds > r.fire_threshold, c.seconds,
              c.since + pg_catalog.make_interval(secs => r.fire_threshold::double precision),
              CASE WHEN c.checked THEN 'check_alerts() has not run since ' || c.since
                   ELSE 'check_alerts() has never run, and is scheduled since ' || c.since END
        WHERE r.metric = 'heartbeat_seconds'
       UNION ALL
       SELECT m.late > r.fire_threshold, m.late, m.since, 'late: ' || m.words
         FROM (SELECT pg_catalog.count(*) AS late, pg_catalog.min(t.next_run) AS since,
                      pg_catalog.string_agg(pg_catalog.format('%s (%s)', t.task, t.last_error), ', ' ORDER BY t.task) AS words
                 FROM late t WHERE r.target IS NULL OR t.task = r.target) m
        WHERE r.metric = 'overdue_maintenance') h (fires, value, since, detail) ON true
 WHERE r.enabled
 ORDER BY pg_catalog.array_position('{firing,pending,no_data,resolved}'::text[],
                                    CASE WHEN h.fires THEN 'firing' ELSE COALESCE(s.state, 'no_data') END), r.rule;

COMMENT ON VIEW groundskeeper.alerts IS
    'How each rule stood at the last check; the heartbeat and late maintenance also while no check runs';

COMMENT ON COLUMN groundskeeper.alerts.rule IS 'The rule';

COMMENT ON COLUMN groundskeeper.alerts.target IS 'The one thing that it watches; NULL for all';

COMMENT ON COLUMN groundskeeper.alerts.state IS
    'ok; pending (bad, not for long enough); firing; resolved (cleared within the hour); no_data';

COMMENT ON COLUMN groundskeeper.alerts.value IS 'What was measured';

COMMENT ON COLUMN groundskeeper.alerts.threshold IS 'Beyond which the value is bad';

COMMENT ON COLUMN groundskeeper.alerts.since IS 'Since when it is in this state';

COMMENT ON COLUMN groundskeeper.alerts.detail IS 'What is wrong, or why there is no data; no text of statements';

REVOKE ALL ON groundskeeper.alert_rules, groundskeeper.alert_state, groundskeeper.alert_check, groundskeeper.alert_history,
    groundskeeper.alert_silences, groundskeeper.alerts, groundskeeper.silence FROM PUBLIC;

GRANT SELECT ON groundskeeper.alert_rules, groundskeeper.alert_history, groundskeeper.alert_silences, groundskeeper.alerts
    TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.missing_target(text, text) TO pg_monitor;

GRANT EXECUTE ON FUNCTION groundskeeper_internal.check_alert_rule(text, text, text, numeric, numeric, interval, interval, bigint, interval, interval)
    TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.check_alerts() IS
    'Measures what the rules watch, and tells who listens on groundskeeper_alerts what has begun or ceased to fire; to be called once a minute';

COMMENT ON FUNCTION groundskeeper.silence_alert(text, timestamptz, text) IS
    'Tells listeners nothing of a rule until then; what still fires then is told then';

COMMENT ON FUNCTION groundskeeper_internal.check_alert_rule(text, text, text, numeric, numeric, interval, interval, bigint, interval, interval) IS
    'True for a rule that makes sense; raises an error that says what is wrong otherwise';

DROP PROCEDURE groundskeeper_internal.keep_defaults(regclass, name);

GRANT USAGE ON SCHEMA groundskeeper, groundskeeper_internal TO PUBLIC;

DROP FUNCTION groundskeeper.relations_locked_by_others();

DROP FUNCTION groundskeeper.sizes_without_waiting(oid[]);

DROP FUNCTION groundskeeper.index_findings();

DROP FUNCTION groundskeeper.counting_since();

DROP FUNCTION groundskeeper.definitions_without_waiting(oid[]);

DROP FUNCTION groundskeeper.index_usage();

DROP FUNCTION groundskeeper.statement_statistics(name,boolean,interval);

DROP FUNCTION groundskeeper.statement_texts();

DROP FUNCTION groundskeeper.complete_partitions();

DROP FUNCTION groundskeeper.guard_partitions();

DROP FUNCTION groundskeeper.check_quality_rules(jsonb);

DROP FUNCTION groundskeeper.next_run(text,text,timestamp with time zone,timestamp with time zone,integer);

DROP FUNCTION groundskeeper.partition_health();

DROP FUNCTION groundskeeper.start_migration(text,integer);

DROP FUNCTION groundskeeper.check_schedule(text,text);

DROP FUNCTION groundskeeper.run_step(text,text,text);

DROP FUNCTION groundskeeper.fail_migration(bigint[],text);

DROP FUNCTION groundskeeper.check_kpi_target(text,numeric,text,bigint,interval);

DROP FUNCTION groundskeeper.check_alert_rule(text,text,text,numeric,numeric,interval,interval,bigint,interval);

DROP FUNCTION groundskeeper.look_after_jobs();

DROP FUNCTION groundskeeper.estimated_bloat(oid[],bigint[]);

DROP FUNCTION groundskeeper.measured_bloat(oid[],bigint[]);

DROP FUNCTION groundskeeper.migration_step(bigint);

DROP FUNCTION groundskeeper.overdue_runs();

DROP FUNCTION groundskeeper.set_schedule();

DROP PROCEDURE groundskeeper.run_one(text,text);

DROP FUNCTION groundskeeper.require_top_level(text);

DROP FUNCTION groundskeeper.default_kpi_targets();

DROP FUNCTION groundskeeper.set_quality_rule();

DROP FUNCTION groundskeeper.reset_quality_rules();

DROP FUNCTION groundskeeper.estimated_index_bloat(oid[],bigint[]);

DROP FUNCTION groundskeeper.busy_connections();

DROP FUNCTION groundskeeper.peak_busy(interval);

DROP FUNCTION groundskeeper.slots_of_other_databases();

DROP FUNCTION groundskeeper.set_kpi_target();

DROP FUNCTION groundskeeper.reset_kpi_targets();

DROP FUNCTION groundskeeper.set_alert_rule();

-- As at the end of the installation, but for what users have granted since: it is not what we say of a function.
DO $$
DECLARE
    routines text := (
        SELECT pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::text, ', ')
          FROM pg_catalog.pg_proc p
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
         WHERE e.extname = 'pg_groundskeeper'
           AND (p.proacl IS NULL
             OR EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) a
                         WHERE a.grantee NOT IN (0, p.proowner)
                           AND NOT EXISTS (SELECT FROM groundskeeper.grants_before b
                                            WHERE b.given AND b.classid = d.classid AND b.objid = d.objid
                                              AND b.grantee = a.grantee))));
BEGIN
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routines);
END
$$;

-- What somebody has deleted comes back with the defaults, and is not wanted.
UPDATE groundskeeper.alert_rules r SET enabled = false
 WHERE r.rule IN ('migration_success_rate', 'query_latency_p95_ms', 'connection_pool_utilization', 'index_hit_ratio',
                  'table_bloat_max', 'cache_hit_ratio', 'partition_health', 'failed_jobs', 'invalid_indexes',
                  'wraparound_distance', 'idle_in_transaction', 'maintenance_overdue', 'heartbeat')
   AND NOT EXISTS (SELECT FROM groundskeeper.entries_before b WHERE b.kind = 'rule' AND b.name = r.rule);
UPDATE groundskeeper.schedule s SET enabled = false
 WHERE s.job_name IN ('statistics', 'partitions', 'retention', 'alerts', 'metrics', 'history')
   AND NOT EXISTS (SELECT FROM groundskeeper.entries_before b WHERE b.kind = 'job' AND b.name = s.job_name);
DROP TABLE groundskeeper.entries_before;

DO $$
DECLARE
    entry record;
BEGIN
    FOR entry IN SELECT b.evtname, b.evtenabled FROM groundskeeper.enabled_before b WHERE b.evtenabled <> 'O' LOOP
        EXECUTE pg_catalog.format('ALTER EVENT TRIGGER %I %s', entry.evtname,
                                  CASE entry.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                                        ELSE 'ENABLE ALWAYS' END);
    END LOOP;
END
$$;
DROP TABLE groundskeeper.enabled_before;

-- What users have granted is there again on what was made anew, by its name, and what they have taken away is gone. A grant
-- in a script counts as the extension's from then on, and no dump would carry it: it is written down as theirs.
CREATE TABLE groundskeeper.grants_now AS
SELECT b.given, b.grantee, b.privilege_type, b.is_grantable, b.kind, b.attname, o.classid, o.objid, COALESCE(a.attnum, 0) AS objsubid,
       o.object
  FROM groundskeeper.grants_before b
 CROSS JOIN LATERAL (
       SELECT 'pg_catalog.pg_proc'::regclass, p.oid, p.oid::regprocedure::text
         FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         JOIN pg_catalog.pg_depend m ON m.classid = 'pg_catalog.pg_proc'::regclass AND m.objid = p.oid AND m.deptype = 'e'
         JOIN pg_catalog.pg_extension e ON m.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = m.refobjid
        WHERE b.kind = 'ROUTINE' AND e.extname = 'pg_groundskeeper'
          AND (p.oid = b.objid
            OR p.proname = b.name AND n.nspname IN (b.nspname, 'groundskeeper_internal')
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc s WHERE s.oid = b.objid))
       UNION ALL
       SELECT 'pg_catalog.pg_class'::regclass, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)
         FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE b.kind IN ('TABLE', 'SEQUENCE') AND n.nspname = b.nspname AND c.relname = b.name
       UNION ALL
       SELECT 'pg_catalog.pg_namespace'::regclass, n.oid, pg_catalog.quote_ident(n.nspname)
         FROM pg_catalog.pg_namespace n
        WHERE b.kind = 'SCHEMA' AND n.oid = b.objid) o (classid, objid, object)
  LEFT JOIN pg_catalog.pg_attribute a ON b.attname IS NOT NULL AND a.attrelid = o.objid AND a.attname = b.attname AND NOT a.attisdropped
 WHERE b.attname IS NULL OR a.attnum IS NOT NULL;

DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT pg_catalog.format(CASE WHEN g.given THEN 'GRANT %s%s ON %s %s TO %s%s' ELSE 'REVOKE %s%s ON %s %s FROM %s' END,
                                 g.privilege_type, ' (' || pg_catalog.quote_ident(g.attname) || ')', g.kind, g.object,
                                 COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC'),
                                 CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
          FROM groundskeeper.grants_now g
          LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

CREATE TABLE groundskeeper.initial_now AS
WITH privileges AS (
    SELECT i.classoid, i.objoid, i.objsubid, a.grantor, a.grantee, a.privilege_type, a.is_grantable
      FROM pg_catalog.pg_init_privs i
     CROSS JOIN LATERAL pg_catalog.aclexplode(i.initprivs) a
     WHERE i.privtype = 'e'
       AND EXISTS (SELECT FROM groundskeeper.grants_now g WHERE (g.classid, g.objid, g.objsubid) = (i.classoid, i.objoid, i.objsubid))
       AND NOT EXISTS (SELECT FROM groundskeeper.grants_now g
                        WHERE (g.classid, g.objid, g.objsubid) = (i.classoid, i.objoid, i.objsubid) AND g.given
                          AND (g.grantee, g.privilege_type) = (a.grantee, a.privilege_type))
    UNION
    SELECT g.classid, g.objid, g.objsubid, i.grantor, g.grantee, g.privilege_type, g.is_grantable
      FROM groundskeeper.grants_now g
     CROSS JOIN LATERAL (SELECT a.grantor FROM pg_catalog.pg_init_privs p CROSS JOIN LATERAL pg_catalog.aclexplode(p.initprivs) a
                          WHERE (p.classoid, p.objoid, p.objsubid) = (g.classid, g.objid, g.objsubid) LIMIT 1) i
     WHERE NOT g.given),
items AS (
    SELECT p.classoid, p.objoid, p.objsubid,
           pg_catalog.format('%s=%s/%s', CASE WHEN p.grantee <> 0 THEN p.grantee::regrole::text END,
                             pg_catalog.string_agg(CASE p.privilege_type
                                     WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w' WHEN 'DELETE' THEN 'd'
                                     WHEN 'TRUNCATE' THEN 'D' WHEN 'REFERENCES' THEN 'x' WHEN 'TRIGGER' THEN 't'
                                     WHEN 'MAINTAIN' THEN 'm' WHEN 'EXECUTE' THEN 'X' WHEN 'USAGE' THEN 'U' WHEN 'CREATE' THEN 'C' END
                                 || CASE WHEN p.is_grantable THEN '*' ELSE '' END, ''),
                             p.grantor::regrole)::aclitem AS item
      FROM privileges p
     GROUP BY p.classoid, p.objoid, p.objsubid, p.grantor, p.grantee),
lists AS (SELECT classoid, objoid, objsubid, pg_catalog.array_agg(item) AS acl FROM items GROUP BY classoid, objoid, objsubid)
SELECT o.classid, o.objid, o.objsubid, l.acl
  FROM (SELECT DISTINCT g.classid, g.objid, g.objsubid FROM groundskeeper.grants_now g) o
  LEFT JOIN lists l ON (l.classoid, l.objoid, l.objsubid) = (o.classid, o.objid, o.objsubid);
UPDATE pg_catalog.pg_init_privs i SET initprivs = n.acl
  FROM groundskeeper.initial_now n
 WHERE (i.classoid, i.objoid, i.objsubid) = (n.classid, n.objid, n.objsubid) AND n.acl IS NOT NULL;
-- of columns, of which an installation says nothing
DELETE FROM pg_catalog.pg_init_privs i
 USING groundskeeper.initial_now n
 WHERE (i.classoid, i.objoid, i.objsubid) = (n.classid, n.objid, n.objsubid) AND n.acl IS NULL;

-- Since 17 the roles in there are depended on.
DELETE FROM pg_catalog.pg_shdepend d
 USING groundskeeper.grants_now g
 WHERE d.deptype = 'i' AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
   AND (d.classid, d.objid, d.objsubid) = (g.classid, g.objid, g.objsubid)
   AND d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = g.grantee AND g.given
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i CROSS JOIN LATERAL pg_catalog.aclexplode(i.initprivs) a
                    WHERE (i.classoid, i.objoid, i.objsubid) = (d.classid, d.objid, d.objsubid) AND a.grantee = d.refobjid);

DROP TABLE groundskeeper.grants_before, groundskeeper.grants_now, groundskeeper.initial_now;

-- Jobs that may still run are for what has the name by now, and for no other that may have it later. Whose that is may have
-- been put there since by whoever owns the schema: it is worked on as its owner, never with greater rights. Where no worker
-- can be the owner, a member of that role goes on, and any other job finds that its relation is another one.
UPDATE groundskeeper.job j
   SET target_oid = CASE WHEN w.run_as IS NULL THEN 0 ELSE w.relation END,
       target_owner = CASE WHEN w.run_as IS NULL THEN 0 ELSE w.owner END,
       run_as = COALESCE(w.run_as, j.run_as)
  FROM groundskeeper.job k
  LEFT JOIN LATERAL (
       SELECT c.oid, c.relowner,
              CASE WHEN o.rolcanlogin THEN o.rolname::text
                   WHEN NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE') THEN k.run_as END
         FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
         LEFT JOIN pg_catalog.pg_roles r ON r.rolname = k.run_as
        WHERE c.oid = pg_catalog.to_regclass(k.target)) w (relation, owner, run_as) ON true
 WHERE k.job_id = j.job_id AND j.state <> 'succeeded' AND j.home = groundskeeper_internal.home();

-- Of a default partition that was being drained there may be a table with copies of its rows, which the job would have
-- dropped. Nobody can tell by now that all are copies: it gets out of the way, and is its owner's to drop.
DO $$
DECLARE
    copies record;
BEGIN
    FOR copies IN
        SELECT c.oid::regclass AS relation, pg_catalog.left(c.relname, 40) || '_copies_' || c.oid AS name
          FROM groundskeeper.job j
          JOIN pg_catalog.pg_class p ON p.oid = j.target_oid
          JOIN pg_catalog.pg_class c ON c.relnamespace = p.relnamespace AND c.relowner = p.relowner AND c.relkind = 'r'
                                    AND NOT c.relispartition AND pg_catalog.starts_with(c.relname, pg_catalog.left(p.relname, 40))
         WHERE j.kind = 'drain_default' AND j.state IN ('queued', 'running')
           AND EXISTS (SELECT FROM pg_catalog.pg_constraint k
                        WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conname = 'groundskeeper_within_bounds')
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s RENAME TO %I', copies.relation, copies.name);
        RAISE WARNING 'table % has copies of rows that were being moved, and is % now', copies.relation, copies.name
            USING HINT = 'The rows are where they were. Drop it once you have looked.';
    END LOOP;
END
$$;

DO $$
BEGIN
    PERFORM groundskeeper_internal.look_after_jobs();
    RAISE INFO 'pg_groundskeeper is updated; of the plan nothing is applied that was not before'
        USING HINT = 'SELECT * FROM groundskeeper.plan_status() WHERE state = ''pending''; says what is new in it, SELECT * FROM groundskeeper.apply_plan(); applies that.';
END
$$;
