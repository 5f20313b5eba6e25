-- Functions and procedures in the schemas that people look into, relations that members of pg_monitor may read, settings.
WITH members AS (
    SELECT d.classid, d.objid
      FROM pg_depend d
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'pg_groundskeeper' AND d.deptype = 'e')
SELECT json_build_object(
    'routines', (
        SELECT json_agg(json_build_object(
                   'name', p.oid::regproc::text,
                   'arguments', regexp_replace(pg_get_function_arguments(p.oid), '::[a-z]+( with time zone)?(\[\])?', '', 'g'),
                   'result', pg_get_function_result(p.oid),
                   'comment', obj_description(p.oid, 'pg_proc'),
                   'may', ARRAY(SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
                                  FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a
                                 WHERE a.grantee <> p.proowner ORDER BY 1)))
          FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
         WHERE p.pronamespace <> 'groundskeeper_internal'::regnamespace),
    'relations', (
        SELECT json_agg(json_build_object(
                   'name', c.oid::regclass::text,
                   'comment', obj_description(c.oid, 'pg_class'),
                   'columns', (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                                                                 'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
                                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
                   'may', ARRAY(SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
                                  FROM aclexplode(c.relacl) a
                                 WHERE a.grantee <> c.relowner AND a.privilege_type = 'SELECT' ORDER BY 1)))
          FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
         WHERE c.relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege('pg_monitor', c.oid, 'SELECT')),
    'settings', (
        SELECT json_agg(json_build_object(
                   'name', s.name,
                   'default', CASE WHEN COALESCE(s.boot_val, '') = '' THEN 'none' ELSE concat(s.boot_val, ' ' || s.unit) END,
                   'range', COALESCE(array_to_string(s.enumvals, ', '), s.min_val || ' to ' || s.max_val),
                   'context', s.context,
                   'comment', concat_ws(' ', s.short_desc, s.extra_desc)) ORDER BY s.name)
          FROM pg_settings s WHERE s.name LIKE 'groundskeeper.%'))
