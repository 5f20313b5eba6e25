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
