-- The indexes of a table: name, whether it is unique, what follows USING in its definition, the constraint that it
-- carries, whether it is unique and lacks the partition key, and whether it is the primary key.
-- $1 the table, $2 the partition key
SELECT i.relname::text, x.indisunique,
       pg_catalog.substr(d.definition, pg_catalog.length(pg_catalog.format('CREATE %sINDEX %I ON %s%s USING ',
           CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname,
           CASE WHEN t.relkind = 'p' THEN 'ONLY ' ELSE '' END,
           pg_catalog.format('%I.%I', n.nspname, t.relname))) + 1)
       || CASE WHEN x.indpred IS NULL THEN COALESCE(' TABLESPACE ' || pg_catalog.quote_ident(ts.spcname), '') ELSE '' END,
       c.parts[1] || pg_catalog.concat(' WITH (' || options.list || ')', ' USING INDEX TABLESPACE ' || pg_catalog.quote_ident(ts.spcname), c.parts[2]),
       x.indisunique AND NOT x.indisexclusion AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = t.oid AND a.attname = $2 AND a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])),
       x.indisprimary
  FROM pg_catalog.pg_index x
  JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
  JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = i.reltablespace
  LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.oid AND k.contype IN ('p', 'u', 'x')
 CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_indexdef(i.oid)) d (definition)
 -- Options (but for those of an exclusion) and tablespace, which PostgreSQL does not tell with a constraint, belong before its predicate and before what
 -- says when it is checked.
 CROSS JOIN LATERAL (
      SELECT pg_catalog.regexp_match(pg_catalog.pg_get_constraintdef(k.oid), CASE k.contype
          WHEN 'x' THEN '^(.*?)((?: WHERE \(.*\))?(?: DEFERRABLE(?: INITIALLY DEFERRED)?)?)$'
          ELSE '^(.*?)((?: DEFERRABLE(?: INITIALLY DEFERRED)?)?)$' END)) c (parts)
 CROSS JOIN LATERAL (
      SELECT pg_catalog.string_agg(pg_catalog.format('%I = %L', pg_catalog.split_part(o, '=', 1),
                                                     pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1)), ', ' ORDER BY place)
        FROM pg_catalog.unnest(i.reloptions) WITH ORDINALITY u (o, place) WHERE k.contype <> 'x') options (list)
 WHERE x.indrelid = pg_catalog.to_regclass($1) AND x.indisvalid
 ORDER BY NOT x.indisprimary, i.oid
