-- Access method, storage options and tablespace of a table, as they end a CREATE TABLE.
-- $1 the table
WITH c AS (SELECT * FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)),
options AS (
    SELECT pg_catalog.string_agg(prefix || pg_catalog.quote_ident(pg_catalog.split_part(o, '=', 1)) || '='
               || pg_catalog.quote_literal(pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1)), ', ' ORDER BY place) AS list
      FROM (SELECT '' AS prefix, o, place FROM c, pg_catalog.unnest(c.reloptions) WITH ORDINALITY u(o, place)
            UNION ALL
            SELECT 'toast.', o, 1000 + place
              FROM c JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid,
                   pg_catalog.unnest(t.reloptions) WITH ORDINALITY u(o, place)) all_options
)
SELECT pg_catalog.concat(
           CASE WHEN am.amname <> 'heap' THEN ' USING ' || pg_catalog.quote_ident(am.amname) END,
           ' WITH (' || options.list || ')',
           ' TABLESPACE ' || pg_catalog.quote_ident(ts.spcname))
  FROM c CROSS JOIN options
  LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
  LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
