-- What of a table keeps it from being a partition, each with the statement that helps.
-- $1 the partitioned table, $2 the table, $3 names beside a converted one that are no partitions
WITH p AS (
    SELECT c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS q, pg_catalog.pg_get_userbyid(c.relowner) AS owner
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1
),
t AS (
    SELECT c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS q, pg_catalog.pg_get_userbyid(c.relowner) AS owner
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2
),
columns_of_p AS (
    SELECT a.*, d.generated, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
      FROM pg_catalog.pg_attribute a
     CROSS JOIN LATERAL (SELECT (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
                                  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> '')) d (generated)
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
),
columns_of_t AS (
    SELECT a.*, d.generated
      FROM pg_catalog.pg_attribute a
     CROSS JOIN LATERAL (SELECT (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
                                  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> '')) d (generated)
     WHERE a.attrelid = $2 AND a.attnum > 0 AND NOT a.attisdropped
),
problems (place, problem, remedy) AS (
    SELECT 1, 'it is no ordinary table', NULL FROM t WHERE relkind <> 'r' OR reloftype <> 0
    UNION ALL
    SELECT 1, 'it is temporary', NULL FROM t WHERE relpersistence = 't'
    UNION ALL
    SELECT 1, 'it is the table itself, or kept beside a converted one', NULL FROM t WHERE q = ANY ($3) OR oid = $1
    UNION ALL
    SELECT 1, 'it is a partition of ' || i.inhparent::pg_catalog.regclass,
           CASE WHEN t.relispartition THEN pg_catalog.format('SELECT groundskeeper.detach_partition(%L)', t.q) END
      FROM t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.oid
    UNION ALL
    SELECT 1, pg_catalog.format('%s inherits from it', i.inhrelid::pg_catalog.regclass), NULL
      FROM t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid AND t.relkind = 'r'
    UNION ALL
    SELECT 1, 'it is a system catalog, or an extension''s', NULL FROM t
     WHERE t.oid < 16384
        OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                                        AND d.objid = t.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 1, 'it is being converted itself', pg_catalog.format('SELECT groundskeeper.undo_partitioning(%L)', t.q)
      FROM t WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t.oid AND g.tgname = 'groundskeeper_capture')
    UNION ALL
    SELECT 2, pg_catalog.format('it belongs to %I, and %s to %I', t.owner, p.q, p.owner),
           pg_catalog.format('ALTER TABLE %s OWNER TO %I', t.q, p.owner)
      FROM p, t WHERE t.relowner <> p.relowner
    UNION ALL
    SELECT 3, pg_catalog.format('it has no column %I', a.attname),
           CASE WHEN a.attgenerated = '' THEN pg_catalog.format('ALTER TABLE %s ADD COLUMN %I %s', t.q, a.attname, a.type) END
      FROM t, columns_of_p a WHERE a.attname NOT IN (SELECT attname FROM columns_of_t)
    UNION ALL
    SELECT 3, pg_catalog.format('it has a column %I', b.attname), pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', t.q, b.attname)
      FROM t, columns_of_t b WHERE b.attname NOT IN (SELECT attname FROM columns_of_p)
    UNION ALL
    SELECT 3, pg_catalog.format('column %I is of another type, collation or generation', a.attname),
           CASE WHEN a.generated IS NOT DISTINCT FROM b.generated AND a.attgenerated = b.attgenerated
                THEN pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE %s%s', t.q, a.attname, a.type,
                         (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, o.collname)
                            FROM pg_catalog.pg_collation o JOIN pg_catalog.pg_namespace n ON n.oid = o.collnamespace
                           WHERE o.oid = a.attcollation)) END
      FROM t, columns_of_p a JOIN columns_of_t b USING (attname)
     WHERE (a.atttypid, a.atttypmod, a.attcollation, a.attgenerated) IS DISTINCT FROM (b.atttypid, b.atttypmod, b.attcollation, b.attgenerated)
        OR a.generated IS DISTINCT FROM b.generated
    UNION ALL
    SELECT 3, pg_catalog.format('column %I may be null', a.attname),
           pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', t.q, a.attname)
      FROM t, columns_of_p a JOIN columns_of_t b USING (attname) WHERE a.attnotnull AND NOT b.attnotnull
    UNION ALL
    SELECT 3, pg_catalog.format('column %I is an identity column', b.attname),
           pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', t.q, b.attname)
      FROM t, columns_of_t b
     WHERE b.attidentity <> '' AND pg_catalog.current_setting('server_version_num')::integer >= 170000
    UNION ALL
    SELECT 4, pg_catalog.format('it lacks the constraint %I', k.conname),
           pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.q, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
      FROM t, pg_catalog.pg_constraint k
     WHERE k.conrelid = $1 AND k.contype = 'c' AND NOT k.connoinherit
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = $2 AND o.contype = 'c' AND o.conname = k.conname)
    UNION ALL
    SELECT 4, pg_catalog.format('its constraint %I is another', k.conname),
           pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %3$s', t.q, k.conname, d.wanted)
      FROM t, pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_constraint o ON o.conrelid = $2 AND o.contype = 'c' AND o.conname = k.conname
     CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_constraintdef(k.oid),
                                pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(o.oid), ' NOT VALID$', '')) d (wanted, there)
     WHERE k.conrelid = $1 AND k.contype = 'c' AND NOT k.connoinherit
       AND (pg_catalog.regexp_replace(d.wanted, ' NOT VALID$', '') <> d.there OR o.connoinherit)
    UNION ALL
    SELECT 4, pg_catalog.format('its constraint %I is not valid', k.conname),
           pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t.q, k.conname)
      FROM t, pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_constraint o ON o.conrelid = $2 AND o.contype = 'c' AND o.conname = k.conname
     WHERE k.conrelid = $1 AND k.contype = 'c' AND NOT k.connoinherit AND NOT o.convalidated
    UNION ALL
    SELECT 4, pg_catalog.format('it lacks the exclusion constraint %I', k.conname),
           pg_catalog.format('ALTER TABLE %s ADD %s', t.q, pg_catalog.pg_get_constraintdef(k.oid))
      FROM t, pg_catalog.pg_constraint k
     WHERE k.conrelid = $1 AND k.contype = 'x'
       AND pg_catalog.pg_get_constraintdef(k.oid) NOT IN (SELECT pg_catalog.pg_get_constraintdef(o.oid) FROM pg_catalog.pg_constraint o
                                                           WHERE o.conrelid = $2 AND o.contype = 'x')
    UNION ALL
    SELECT 5, pg_catalog.format('it has a trigger %I, which it gets from the table', g.tgname),
           pg_catalog.format('DROP TRIGGER %I ON %s', g.tgname, t.q)
      FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
      JOIN pg_catalog.pg_trigger o ON o.tgrelid = $1 AND o.tgname = g.tgname AND NOT o.tgisinternal AND (o.tgtype & 1) = 1
    UNION ALL
    SELECT 5, pg_catalog.format('its row trigger %I has a transition table', g.tgname), pg_catalog.format('DROP TRIGGER %I ON %s', g.tgname, t.q)
      FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
     WHERE (g.tgtype & 1) = 1 AND (g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL)
)
-- what no statement mends is the whole answer
SELECT problem, remedy FROM problems p
 WHERE p.place = 1 OR NOT EXISTS (SELECT FROM problems WHERE place = 1)
 ORDER BY p.place, p.problem
