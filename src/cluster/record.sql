-- Runs on each node as the owner of the extension, in a session whose path is not ours. Where the extension is not, somebody
-- else may have a function of that name: the lock keeps ours from being dropped once it is seen to be a member.
DO $do$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('lock_timeout', '1s', true);
    IF to_regclass('groundskeeper.metrics') IS NULL THEN
        RETURN;
    END IF;
    LOCK TABLE groundskeeper.metrics IN ACCESS SHARE MODE;
    IF EXISTS (SELECT FROM pg_depend d
                 JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
                 JOIN pg_roles r ON r.oid = e.extowner AND r.rolsuper
                WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND e.extname = 'pg_groundskeeper'
                  AND d.objid = to_regprocedure('groundskeeper_internal.record_as_worker()')) THEN
        PERFORM groundskeeper_internal.record_as_worker();
    END IF;
END
$do$
