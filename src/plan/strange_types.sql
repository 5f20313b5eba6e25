-- A type whose checks would run when a constant of it is read, and its owner: another ordinary role than the one that reads
-- and than those that it trusts anyway.
-- $1, $2 the schemas and names that may be named, $3 who reads
WITH RECURSIVE named AS (
    SELECT n.oid AS schema, u.name FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) u (schema, name)
      JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema),
held (type) AS (
    SELECT t.oid FROM named JOIN pg_catalog.pg_type t ON t.typnamespace = named.schema AND t.typname = named.name
    UNION
    -- a constant beside a column is read as its type, but for a domain, which is read as what it is over
    SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
      FROM named
      JOIN pg_catalog.pg_class c ON c.relnamespace = named.schema AND c.relname = named.name
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    UNION
    SELECT p.part
      FROM held
      JOIN pg_catalog.pg_type t ON t.oid = held.type
     CROSS JOIN LATERAL (
          SELECT t.typelem UNION ALL SELECT t.typbasetype
           UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
           UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p (part)
     WHERE p.part >= 16384)
SELECT pg_catalog.format_type(t.oid, NULL), o.rolname::text
  FROM held
  JOIN pg_catalog.pg_type t ON t.oid = held.type
  JOIN pg_catalog.pg_roles o ON o.oid = t.typowner
 WHERE t.typtype = 'd' AND o.oid <> $3 AND NOT o.rolsuper AND NOT pg_catalog.pg_has_role(o.oid, $3, 'USAGE')
   AND EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')
 ORDER BY t.oid LIMIT 1
