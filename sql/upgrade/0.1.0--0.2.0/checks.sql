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
