-- Each table of defaults has been made.
DROP PROCEDURE groundskeeper_internal.keep_defaults(regclass, name);

-- The rest of the grants, before the plan is applied: what is applied then belongs to the user, not to us.

-- Procedures run with their caller's rights, and so does what they call by name in groundskeeper_internal.
GRANT USAGE ON SCHEMA groundskeeper, groundskeeper_internal TO PUBLIC;

-- PUBLIC may call what a capability has granted to PUBLIC, and to nobody else. Of all that was said nothing of, or that
-- was granted to others, it has what PostgreSQL gives it when a function is made, and loses that here.
DO $$
BEGIN
    EXECUTE (
        SELECT pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC',
                                 pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::text, ', '))
          FROM pg_catalog.pg_proc p
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
         WHERE e.extname = 'pg_groundskeeper'
           AND (p.proacl IS NULL
             OR EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) WHERE grantee NOT IN (0, p.proowner))));
END
$$;

-- Citus has the nodes of a cluster make the extension, too, over one connection to each: it refuses where the plan has used
-- several, and changes to a table where its rows were read without one. Where there are no such settings, none is made.
DO $$
BEGIN
    IF pg_catalog.current_setting('citus.multi_shard_modify_mode', true) IS NOT NULL THEN
        PERFORM pg_catalog.set_config('citus.multi_shard_modify_mode', 'sequential', true),
                pg_catalog.set_config('citus.enable_local_execution', 'off', true);
    END IF;
END
$$;

-- The installation itself: all of the plan that is safe in this transaction, the rest as jobs; nothing of it for who looks
-- first.
DO $$
BEGIN
    IF pg_catalog.current_setting('groundskeeper.apply_at_install')::boolean THEN
        PERFORM FROM groundskeeper.apply_plan();
    ELSE
        RAISE INFO 'nothing of the plan is applied, as groundskeeper.apply_at_install is off'
            USING HINT = 'SELECT * FROM groundskeeper.plan_status(); says what it would change, SELECT * FROM groundskeeper.apply_plan(); does.';
    END IF;
END
$$;
