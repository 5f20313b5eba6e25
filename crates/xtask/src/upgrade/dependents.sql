-- What stands on a function that goes, or comes with other columns, is named before anything is changed.
DO $$
DECLARE
    dependents text;
BEGIN
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('%s uses %s', o.what, g.function), E'\n')
      INTO dependents
      FROM pg_catalog.unnest(ARRAY[
        -- signatures
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

