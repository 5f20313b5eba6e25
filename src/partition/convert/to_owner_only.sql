-- The statements that leave tables, their partitions and identity sequences, and functions to their owner alone.
-- $1 the tables, $2 the functions
WITH ours AS (
    SELECT 'TABLE' AS kind, c.oid::pg_catalog.regclass::text AS name, c.relowner AS owner, c.relacl AS acl
      FROM pg_catalog.pg_class c
     WHERE c.oid IN (SELECT pg_catalog.to_regclass(t) FROM pg_catalog.unnest($1::text[]) t
                     UNION ALL
                     SELECT p.relid FROM pg_catalog.unnest($1::text[]) t,
                            LATERAL pg_catalog.pg_partition_tree(pg_catalog.to_regclass(t)) p)
    UNION ALL
    SELECT 'SEQUENCE', s.oid::pg_catalog.regclass::text, s.relowner, s.relacl
      FROM pg_catalog.unnest($1::text[]) t
      JOIN pg_catalog.pg_depend d ON d.refobjid = pg_catalog.to_regclass(t) AND d.deptype = 'i'
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    UNION ALL
    SELECT 'FUNCTION', p.oid::pg_catalog.regprocedure::text, p.proowner, p.proacl
      FROM pg_catalog.unnest($2::text[]) f JOIN pg_catalog.pg_proc p ON p.oid = pg_catalog.to_regprocedure(f)
)
SELECT pg_catalog.format('REVOKE ALL ON %s %s FROM %s', kind, name, grantees.list)
  FROM ours CROSS JOIN LATERAL (
       SELECT pg_catalog.string_agg(DISTINCT COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC'), ', ')
         FROM pg_catalog.aclexplode(acl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
        WHERE a.grantee <> owner) grantees (list)
 WHERE grantees.list IS NOT NULL
UNION ALL
SELECT pg_catalog.format('GRANT ALL ON %s %s TO %I', kind, name, r.rolname)
  FROM ours JOIN pg_catalog.pg_roles r ON r.oid = owner
 WHERE acl IS NOT NULL AND kind <> 'FUNCTION'
