-- What hangs on one table is moved to its twin, which takes its name: the statements, those to be run before the
-- tables are renamed, those after, and those that need no strong lock and follow in transactions of their own.
-- Each text names the table by the name that both have in turn, so what is read off the one applies to the other.
-- $1 the table, $2 its twin, $3 the table that incoming foreign keys refer to (0: none beside the table itself),
-- $4 the table that they are to refer to, quoted, $5 triggers of our own, which do not move, $6 the partition key
WITH f AS (
    SELECT c.*, n.nspname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS q, o.rolname AS owner
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
     WHERE c.oid = $1
),
t AS (
    SELECT c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS q
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = $2
),
triggers AS (
    SELECT g.*, f.q FROM f JOIN pg_catalog.pg_trigger g ON g.tgrelid = f.oid AND NOT g.tgisinternal AND g.tgparentid = 0
),
policies AS (
    SELECT p.*, f.q FROM f JOIN pg_catalog.pg_policy p ON p.polrelid = f.oid
),
statistics AS (
    SELECT s.*, pg_catalog.format('%I.%I', n.nspname, s.stxname) AS q
      FROM f JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = f.oid
             JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
),
-- what a column's own sequence is: identity ('i') or serial ('a')
sequences AS (
    SELECT d.deptype, a.attname, d.refobjid, pg_catalog.format('%I.%I', n.nspname, s.relname) AS q, s.relacl, s.relowner
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid IN ($1, $2) AND d.deptype IN ('i', 'a')
),
-- unique with the partition key, other than the primary key: the whole has it, and foreign keys refer to that
whole AS (
    SELECT x.indexrelid
      FROM pg_catalog.pg_index x
      JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attname = $6
     WHERE x.indrelid = $1 AND x.indisunique AND NOT x.indisprimary AND a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])
),
foreign_keys AS (
    SELECT k.oid, k.conname, k.convalidated, k.conrelid IS DISTINCT FROM $1 AS incoming,
           pg_catalog.format('%I.%I', cn.nspname, c.relname) AS child,
           CASE WHEN k.conrelid = $1 THEN $2 ELSE k.conrelid END AS child_then,
           pg_catalog.format('FOREIGN KEY (%s) REFERENCES %s(%s)%s%s%s%s',
               (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.place)
                  FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u (n, place)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n),
               CASE WHEN k.confrelid = $1 AND EXISTS (SELECT FROM whole w WHERE w.indexrelid = k.conindid) THEN (SELECT q FROM f)
                    WHEN k.confrelid IN ($1, $3) THEN $4
                    ELSE (SELECT pg_catalog.format('%I.%I', n.nspname, r.relname) FROM pg_catalog.pg_class r
                            JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = k.confrelid) END,
               (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.place)
                  FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u (n, place)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n),
               CASE k.confmatchtype WHEN 'f' THEN ' MATCH FULL' ELSE '' END,
               CASE k.confupdtype WHEN 'a' THEN '' WHEN 'r' THEN ' ON UPDATE RESTRICT' WHEN 'c' THEN ' ON UPDATE CASCADE'
                    WHEN 'n' THEN ' ON UPDATE SET NULL' ELSE ' ON UPDATE SET DEFAULT' END,
               CASE k.confdeltype WHEN 'a' THEN '' WHEN 'r' THEN ' ON DELETE RESTRICT' WHEN 'c' THEN ' ON DELETE CASCADE'
                    WHEN 'n' THEN ' ON DELETE SET NULL' ELSE ' ON DELETE SET DEFAULT' END
               || COALESCE((SELECT ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.place) || ')'
                              FROM pg_catalog.unnest(k.confdelsetcols) WITH ORDINALITY u (n, place)
                              JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n), ''),
               CASE WHEN k.condeferrable THEN ' DEFERRABLE' || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END
                    ELSE '' END) AS definition,
           -- the column is there since 18
           CASE pg_catalog.to_jsonb(k) ->> 'conenforced' WHEN 'false' THEN 'NOT ENFORCED' ELSE 'NOT VALID' END AS unproven,
           pg_catalog.obj_description(k.oid, 'pg_constraint') AS description
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
     WHERE k.contype = 'f' AND k.conparentid = 0
       AND (k.confrelid IN ($1, NULLIF($3, 0::oid)) OR k.conrelid = $1) AND k.conrelid <> $2
),
-- What is to be valid is put on each partition as NOT VALID, and on the whole once all of them are validated, which
-- then reads nothing. What is not is put on the whole, which is possible since 18
referencing AS (
    SELECT k.oid, c.relkind = 'p' AS partitioned,
           CASE WHEN k.child_then = $2 THEN f.q ELSE k.child END AS child,
           COALESCE((SELECT pg_catalog.array_agg(pg_catalog.format('%I.%I', n.nspname, l.relname) ORDER BY l.oid)
                       FROM pg_catalog.pg_partition_tree(k.child_then) p
                       JOIN pg_catalog.pg_class l ON l.oid = p.relid AND p.isleaf AND c.relkind = 'p' AND k.convalidated
                       JOIN pg_catalog.pg_namespace n ON n.oid = l.relnamespace),
                    ARRAY[CASE WHEN k.child_then = $2 THEN f.q ELSE k.child END]) AS leaves
      FROM f, foreign_keys k JOIN pg_catalog.pg_class c ON c.oid = k.child_then
),
acl AS (
    SELECT 0 AS attnum, NULL::name AS attname, u.place, e.*
      FROM f, pg_catalog.unnest(f.relacl) WITH ORDINALITY u(item, place),
           LATERAL (SELECT x.* FROM pg_catalog.aclexplode(ARRAY[u.item]) x) e
    UNION ALL
    SELECT a.attnum, a.attname, u.place, e.*
      FROM f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped,
           pg_catalog.unnest(a.attacl) WITH ORDINALITY u(item, place),
           LATERAL (SELECT x.* FROM pg_catalog.aclexplode(ARRAY[u.item]) x) e
),
grants AS (
    SELECT attnum, place,
           pg_catalog.format('GRANT %s ON %s TO %s%s',
               pg_catalog.string_agg(privilege_type
                   || CASE WHEN attname IS NULL THEN '' ELSE pg_catalog.format(' (%I)', attname) END, ', ' ORDER BY privilege_type),
               f.q, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END,
               CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS stmt
      FROM f, acl LEFT JOIN pg_catalog.pg_roles r ON r.oid = acl.grantee
     GROUP BY attnum, attname, place, is_grantable, grantee, r.rolname, f.q
),
-- identity columns have a sequence each; the twin's takes the name, and is to have the grants
sequence_grants AS (
    SELECT s.q, s.attname, u.place, CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS grantee,
           e.privilege_type || ' ON SEQUENCE ' || s.q AS granted, e.is_grantable
      FROM sequences s JOIN sequences i ON i.attname = s.attname AND i.refobjid = $2 AND i.deptype = 'i'
     CROSS JOIN LATERAL pg_catalog.unnest(s.relacl) WITH ORDINALITY u (item, place)
     CROSS JOIN LATERAL pg_catalog.aclexplode(ARRAY[u.item]) e
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = e.grantee
     WHERE s.refobjid = $1 AND s.deptype = 'i' AND s.relacl IS DISTINCT FROM i.relacl
),
steps(phase, stage, place, stmt) AS (
    SELECT 'before', 10, tgname::text, pg_catalog.format('DROP TRIGGER %I ON %s', tgname, q) FROM triggers
    UNION ALL
    SELECT 'before', 11, polname::text, pg_catalog.format('DROP POLICY %I ON %s', polname, q) FROM policies
    UNION ALL
    SELECT 'before', 12, stxname::text, pg_catalog.format('DROP STATISTICS %s', q) FROM statistics
    UNION ALL
    SELECT 'before', 13, k.oid::text, pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', child, conname) FROM foreign_keys k
    UNION ALL
    SELECT 'before', 14, s.attname::text,
           pg_catalog.format('SELECT pg_catalog.setval(%L, last_value, is_called) FROM %s', i.q, s.q)
      FROM sequences s JOIN sequences i ON i.attname = s.attname AND i.refobjid = $2 AND i.deptype = 'i'
     WHERE s.refobjid = $1 AND s.deptype = 'i'
    UNION ALL
    SELECT 'before', 15, p.pubname::text, pg_catalog.format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, f.q)
      FROM f, pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
     WHERE r.prrelid = f.oid
    UNION ALL
    SELECT 'after', 20, s.attname::text, pg_catalog.format('ALTER SEQUENCE %s OWNED BY %s.%I', s.q, f.q, s.attname)
      FROM f, sequences s WHERE s.refobjid = $1 AND s.deptype = 'a'
    UNION ALL
    SELECT 'after', 21, k.conname::text,
           pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', f.q, k.conname, pg_catalog.pg_get_constraintdef(k.oid),
                             CASE WHEN k.convalidated THEN ' NOT VALID' ELSE '' END)
      FROM f JOIN pg_catalog.pg_constraint k ON k.conrelid = f.oid AND k.contype = 'c'
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o
                        WHERE o.conrelid = $2 AND o.contype = 'c' AND o.conname = k.conname)
    UNION ALL
    -- what the whole cannot have is nobody's to comment on
    SELECT 'after', 22, k.conname::text, pg_catalog.format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, f.q, pg_catalog.obj_description(k.oid, 'pg_constraint'))
      FROM f JOIN pg_catalog.pg_constraint k ON k.conrelid = f.oid
     WHERE pg_catalog.obj_description(k.oid, 'pg_constraint') IS NOT NULL
       AND (k.contype = 'c' OR EXISTS (SELECT FROM whole w WHERE w.indexrelid = k.conindid)
         OR k.contype = 'u' AND f.relkind = 'p' OR k.contype = 'p' AND EXISTS (
               SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = $2 AND o.contype = 'p'))
    UNION ALL
    SELECT 'after', 22, k.conname::text, pg_catalog.format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, $4, pg_catalog.obj_description(k.oid, 'pg_constraint'))
      FROM f JOIN pg_catalog.pg_constraint k ON k.conrelid = f.oid AND k.contype = 'u'
     WHERE pg_catalog.obj_description(k.oid, 'pg_constraint') IS NOT NULL AND f.relkind = 'r'
       AND NOT EXISTS (SELECT FROM whole w WHERE w.indexrelid = k.conindid)
    UNION ALL
    -- so it is on theirs, and on the key table's
    SELECT 'after', 22, l.relid::text || d.what,
           CASE d.what WHEN 'index' THEN pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', n.nspname, o.conname, d.description)
                       ELSE pg_catalog.format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', o.conname, n.nspname, c.relname, d.description) END
      FROM pg_catalog.pg_constraint k
     CROSS JOIN LATERAL (VALUES ('constraint', pg_catalog.obj_description(k.oid, 'pg_constraint')),
                                ('index', pg_catalog.obj_description(k.conindid, 'pg_class'))) d (what, description)
     CROSS JOIN LATERAL (SELECT p.relid FROM pg_catalog.pg_partition_tree($2) p WHERE p.isleaf
                         UNION ALL SELECT NULLIF($3, 0::oid)) l (relid)
      JOIN pg_catalog.pg_constraint o ON o.conrelid = l.relid AND o.contype = 'p' AND o.conparentid = 0
      JOIN pg_catalog.pg_class c ON c.oid = l.relid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.conrelid = $1 AND k.contype = 'p' AND d.description IS NOT NULL
       AND (SELECT relkind FROM t) = 'p'
    UNION ALL
    SELECT 'after', 22, '', pg_catalog.format('REVOKE ALL ON %s FROM %s', f.q,
               (SELECT pg_catalog.string_agg(DISTINCT CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END, ', ')
                  FROM (SELECT grantee FROM pg_catalog.aclexplode(COALESCE(t.relacl, pg_catalog.acldefault('r', t.relowner)))
                        UNION SELECT 0) e LEFT JOIN pg_catalog.pg_roles r ON r.oid = e.grantee))
      FROM f, t WHERE f.relacl IS DISTINCT FROM t.relacl
    UNION ALL
    SELECT 'after', 23, '', pg_catalog.format('GRANT ALL ON %s TO %I', f.q, f.owner)
      FROM f, t WHERE f.relacl IS NULL AND t.relacl IS NOT NULL
    UNION ALL
    SELECT 'after', 24, pg_catalog.to_char(g.attnum * 10000 + g.place, '0000000000'), g.stmt
      FROM f, t, grants g WHERE g.attnum > 0 OR f.relacl IS DISTINCT FROM t.relacl
    UNION ALL
    SELECT 'after', 24, attname || place, pg_catalog.format('GRANT %s TO %s%s', granted, grantee, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
      FROM sequence_grants
    UNION ALL
    SELECT 'after', 25, '', pg_catalog.format('COMMENT ON TABLE %s IS %L', f.q, pg_catalog.obj_description(f.oid, 'pg_class'))
      FROM f, t WHERE pg_catalog.obj_description(f.oid, 'pg_class') IS DISTINCT FROM pg_catalog.obj_description(t.oid, 'pg_class')
    UNION ALL
    SELECT 'after', 26, a.attname::text,
           pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', f.q, a.attname, pg_catalog.col_description(f.oid, a.attnum))
      FROM f, pg_catalog.pg_attribute a, pg_catalog.pg_attribute b
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND b.attrelid = $2 AND b.attname = a.attname
       AND pg_catalog.col_description(f.oid, a.attnum) IS DISTINCT FROM pg_catalog.col_description(b.attrelid, b.attnum)
    UNION ALL
    SELECT 'after', 27, '', pg_catalog.format('ALTER TABLE %s %s ROW LEVEL SECURITY', f.q, CASE WHEN f.relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END)
      FROM f, t WHERE f.relrowsecurity <> t.relrowsecurity
    UNION ALL
    SELECT 'after', 29, p.polname::text,
           pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, p.q,
               CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               (SELECT pg_catalog.string_agg(CASE WHEN u.role = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END, ', ' ORDER BY u.place)
                  FROM pg_catalog.unnest(p.polroles) WITH ORDINALITY u (role, place) LEFT JOIN pg_catalog.pg_roles r ON r.oid = u.role),
               ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
               ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')
      FROM policies p
    UNION ALL
    SELECT 'after', 30, p.polname::text, pg_catalog.format('COMMENT ON POLICY %I ON %s IS %L', p.polname, p.q, pg_catalog.obj_description(p.oid, 'pg_policy'))
      FROM policies p WHERE pg_catalog.obj_description(p.oid, 'pg_policy') IS NOT NULL
    UNION ALL
    SELECT 'after', 31, s.oid::text, pg_catalog.pg_get_statisticsobjdef(s.oid) FROM statistics s
    UNION ALL
    SELECT 'after', 32, s.oid::text, pg_catalog.format('ALTER STATISTICS %s SET STATISTICS %s', s.q, s.stxstattarget)
      FROM statistics s WHERE COALESCE(s.stxstattarget, -1) >= 0
    UNION ALL
    SELECT 'after', 33, s.oid::text, pg_catalog.format('COMMENT ON STATISTICS %s IS %L', s.q, pg_catalog.obj_description(s.oid, 'pg_statistic_ext'))
      FROM statistics s WHERE pg_catalog.obj_description(s.oid, 'pg_statistic_ext') IS NOT NULL
    UNION ALL
    SELECT 'after', 34, g.tgname::text, pg_catalog.pg_get_triggerdef(g.oid) FROM triggers g WHERE g.tgname <> ALL ($5)
    UNION ALL
    SELECT 'after', 35, g.tgname::text, pg_catalog.format('ALTER TABLE %s %s TRIGGER %I', g.q,
               CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, g.tgname)
      FROM triggers g WHERE g.tgname <> ALL ($5) AND g.tgenabled <> 'O'
    UNION ALL
    SELECT 'after', 36, g.tgname::text, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', g.tgname, g.q, pg_catalog.obj_description(g.oid, 'pg_trigger'))
      FROM triggers g WHERE g.tgname <> ALL ($5) AND pg_catalog.obj_description(g.oid, 'pg_trigger') IS NOT NULL
    UNION ALL
    SELECT 'after', 37, k.oid::text || l.leaf,
           pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s %s', l.leaf, k.conname, k.definition, k.unproven)
      FROM foreign_keys k JOIN referencing r ON r.oid = k.oid CROSS JOIN LATERAL pg_catalog.unnest(r.leaves) l (leaf)
    UNION ALL
    SELECT 'after', 38, k.oid::text, pg_catalog.format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, r.child, k.description)
      FROM foreign_keys k JOIN referencing r ON r.oid = k.oid WHERE k.description IS NOT NULL AND NOT (r.partitioned AND k.convalidated)
    UNION ALL
    SELECT 'after', 40, p.pubname::text,
           pg_catalog.format('ALTER PUBLICATION %I ADD TABLE %s%s%s', p.pubname, f.q,
               (SELECT ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
                  FROM pg_catalog.unnest(r.prattrs) u (n) JOIN pg_catalog.pg_attribute a ON a.attrelid = f.oid AND a.attnum = u.n),
               ' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')')
      FROM f, pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
     WHERE r.prrelid = f.oid
    UNION ALL
    SELECT 'later', 49, k.conname::text, pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', f.q, k.conname)
      FROM f JOIN pg_catalog.pg_constraint k ON k.conrelid = f.oid AND k.contype = 'c' AND k.convalidated
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o
                        WHERE o.conrelid = $2 AND o.contype = 'c' AND o.conname = k.conname)
    UNION ALL
    SELECT 'later', 50, k.oid::text || l.leaf, pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', l.leaf, k.conname)
      FROM foreign_keys k JOIN referencing r ON r.oid = k.oid CROSS JOIN LATERAL pg_catalog.unnest(r.leaves) l (leaf)
     WHERE k.convalidated
    UNION ALL
    SELECT 'later', 51, k.oid::text, pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', r.child, k.conname, k.definition)
      FROM foreign_keys k JOIN referencing r ON r.oid = k.oid WHERE r.partitioned AND k.convalidated
    UNION ALL
    SELECT 'later', 52, k.oid::text, pg_catalog.format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, r.child, k.description)
      FROM foreign_keys k JOIN referencing r ON r.oid = k.oid WHERE k.description IS NOT NULL AND r.partitioned AND k.convalidated
    UNION ALL
    -- the partitions have been analyzed already, the statistics objects are new
    SELECT 'later', 60, '', pg_catalog.format('ANALYZE %s', f.q) FROM f
     WHERE f.relkind = 'p' OR EXISTS (SELECT FROM statistics)
)
SELECT phase, stmt FROM steps WHERE stmt IS NOT NULL ORDER BY stage, place
