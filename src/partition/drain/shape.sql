-- What must not have changed of a partitioned table and its default partition since its copy was made, as one text;
-- nothing where the one is no longer the other's.
-- $1 the table, $2 the default partition, $3 what gives it its storage, $4 the names of all that is worked on
SELECT pg_catalog.concat_ws(E'\n',
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', name, pg_catalog.to_regclass(name)::oid), ',' ORDER BY name)
       FROM pg_catalog.unnest($4::text[]) name),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, relkind, relpersistence, relam, relowner, relrowsecurity), ',' ORDER BY oid)
       FROM pg_catalog.pg_class WHERE oid IN ($1, $2, pg_catalog.to_regclass($3))),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attcollation,
                                                       attlen, attalign, attnotnull, attgenerated, attisdropped), ',' ORDER BY attrelid, attnum)
       FROM pg_catalog.pg_attribute WHERE attrelid IN ($1, $2, pg_catalog.to_regclass($3)) AND attnum > 0),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', indexrelid, indisvalid), ',' ORDER BY indexrelid)
       FROM pg_catalog.pg_index WHERE indrelid IN ($1, $2, pg_catalog.to_regclass($3))),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, convalidated), ',' ORDER BY oid)
       FROM pg_catalog.pg_constraint WHERE conrelid IN ($1, $2)))
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent AND p.partdefid = i.inhrelid
 WHERE i.inhparent = $1 AND i.inhrelid = $2 AND NOT i.inhdetachpending
   AND $2 IN (SELECT pg_catalog.to_regclass(name) FROM pg_catalog.unnest($4::text[]) name)
   AND $1 IN (SELECT pg_catalog.to_regclass(name) FROM pg_catalog.unnest($4::text[]) name)
