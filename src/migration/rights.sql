-- What keeps the owner of the staging table $2 from reading the raw table $1 and writing the games $3, as statements that
-- mend it. Nothing where the caller is that owner, or has not its rights: then the caller's own count.
WITH t AS (
    SELECT s.oid, s.relowner, pg_catalog.pg_get_userbyid(s.relowner) AS owner, g.oid AS games, g.relowner AS games_owner,
           r.oid AS raw, r.relnamespace AS raw_schema
      FROM pg_catalog.pg_class s, pg_catalog.pg_class g, pg_catalog.pg_class r
     WHERE s.oid = pg_catalog.to_regclass($2) AND g.oid = pg_catalog.to_regclass($3) AND r.oid = pg_catalog.to_regclass($1)
       AND pg_catalog.pg_has_role(s.relowner, 'USAGE'))
SELECT pg_catalog.format('ALTER TABLE %s OWNER TO %I', $3, owner) FROM t
 WHERE games_owner <> relowner AND pg_catalog.pg_has_role(games_owner, 'USAGE')
UNION ALL
SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, owner)
  FROM t JOIN pg_catalog.pg_namespace n ON n.oid = raw_schema
 WHERE owner <> CURRENT_USER AND NOT pg_catalog.has_schema_privilege(relowner, n.oid, 'USAGE')
UNION ALL
SELECT pg_catalog.format('GRANT SELECT ON %s TO %I', $1, owner) FROM t
 WHERE owner <> CURRENT_USER AND NOT pg_catalog.has_table_privilege(relowner, raw, 'SELECT')
