-- The indexes that a partition is to have and a table lacks: those of the partitioned table, and what makes rows unique in
-- one of its partitions. Each by the name of the one that it is like, with what follows USING in its definition, whether it
-- is unique, and the constraint that it is to carry.
-- $1 the partitioned table, $2 the table, $3 another partition (0: none)
WITH indexes AS (
    SELECT x.indrelid, i.oid, i.relname, x.indisunique, k.contype, k.condeferrable, k.condeferred,
           pg_catalog.substr(pg_catalog.pg_get_indexdef(i.oid),
               pg_catalog.strpos(pg_catalog.pg_get_indexdef(i.oid), ' USING ') + 7) AS tail,
           -- what PostgreSQL compares before it takes an index for the same as another
           pg_catalog.concat_ws(' ', i.relam, x.indnatts, x.indnkeyatts, x.indisunique, x.indnullsnotdistinct, x.indcollation, f.families, c.columns,
                                pg_catalog.pg_get_expr(x.indexprs, x.indrelid), 'where', pg_catalog.pg_get_expr(x.indpred, x.indrelid),
                                k.contype) AS what
      FROM pg_catalog.pg_index x
      JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
      LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.oid AND k.contype IN ('p', 'u', 'x')
     CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(o.opcfamily::text, ' ' ORDER BY u.place)
                           FROM pg_catalog.unnest(x.indclass::oid[]) WITH ORDINALITY u (class, place)
                           JOIN pg_catalog.pg_opclass o ON o.oid = u.class) f (families)
     CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(COALESCE(a.attname, '(expression)')::text, ' ' ORDER BY u.place)
                           FROM pg_catalog.unnest(x.indkey::int2[]) WITH ORDINALITY u (attnum, place)
                           LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.attnum) c (columns)
     WHERE x.indrelid = $1
        OR x.indrelid = $2 AND x.indisvalid
        OR x.indrelid = $3 AND x.indisunique AND x.indisvalid
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = x.indexrelid)
)
SELECT w.relname::text, w.tail, w.indisunique,
       CASE w.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END,
       CASE WHEN w.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN w.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END
  FROM indexes w
 WHERE w.indrelid IN ($1, $3) AND w.contype IS DISTINCT FROM 'x'
   AND NOT EXISTS (SELECT FROM indexes o WHERE o.indrelid = $2 AND o.what = w.what)
 ORDER BY w.contype = 'p' DESC NULLS LAST, w.oid
