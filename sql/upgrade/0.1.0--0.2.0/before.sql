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
