-- What a new partition takes over. $1 are the parents, $2 the newest partition of each that is an ordinary table,
-- or 0. Statements are returned in two halves, between which the new partition's name belongs.
WITH model AS (
    SELECT w.place, w.parent, NULLIF(w.sibling, 0::oid) AS sibling, COALESCE(NULLIF(w.sibling, 0::oid), w.parent) AS source
      FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[])) WITH ORDINALITY w (parent, sibling, place)
)
SELECT model.place,
       pg_catalog.format('%I.%I', sn.nspname, s.relname) AS source,
       -- a partition of its own may have a CHECK that no other partition's rows pass
       ARRAY(SELECT pg_catalog.format('CONSTRAINT %I %s', con.conname, pg_catalog.pg_get_constraintdef(con.oid))
               FROM pg_catalog.pg_constraint con
              WHERE model.sibling IS NOT NULL AND con.contype = 'c'
                AND (con.conrelid = model.parent AND NOT con.connoinherit
                  OR con.conrelid = model.sibling AND con.conislocal AND con.coninhcount = 0 AND con.convalidated
                     AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute k
                                       JOIN pg_catalog.pg_partitioned_table pt ON pt.partrelid = model.parent
                                       JOIN pg_catalog.pg_attribute pk ON pk.attrelid = model.parent AND pk.attnum = pt.partattrs[0]
                                      WHERE k.attrelid = model.sibling AND k.attname = pk.attname AND k.attnum = ANY (con.conkey)))
              ORDER BY con.conname) AS checks,
       pg_catalog.concat(
           ' USING ' || pg_catalog.quote_ident(am.amname),
           ' WITH (' || NULLIF(pg_catalog.array_to_string(ARRAY(
               SELECT pg_catalog.format('%s%I = %L', o.prefix, pg_catalog.split_part(o.option, '=', 1),
                                        pg_catalog."substring"(o.option, '=(.*)$'))
                 FROM (SELECT '' AS prefix, pg_catalog.unnest(s.reloptions) AS option
                       UNION ALL SELECT 'toast.', pg_catalog.unnest(t.reloptions)) o), ', '), '') || ')',
           ' TABLESPACE ' || pg_catalog.quote_ident(COALESCE(
               (SELECT spcname FROM pg_catalog.pg_tablespace WHERE oid = COALESCE(NULLIF(p.reltablespace, 0), s.reltablespace)),
               (SELECT ts.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace ts ON ts.oid = d.dattablespace
                 WHERE d.datname = pg_catalog.current_database())))) AS storage,
       st.heads, st.tails
  FROM model
  JOIN pg_catalog.pg_class p ON p.oid = model.parent
  JOIN pg_catalog.pg_class s ON s.oid = model.source
  JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
  LEFT JOIN pg_catalog.pg_am am ON am.oid = s.relam
  LEFT JOIN pg_catalog.pg_class t ON t.oid = s.reltoastrelid
 CROSS JOIN LATERAL (
    SELECT COALESCE(pg_catalog.array_agg(x.head ORDER BY x.rank, x.tail), '{}') AS heads,
           COALESCE(pg_catalog.array_agg(x.tail ORDER BY x.rank, x.tail), '{}') AS tails
      FROM (
        SELECT 1 AS rank, 'ALTER TABLE ' AS head, ' ' || pg_catalog.string_agg(c.clause, ', ') AS tail
          FROM (SELECT pg_catalog.format('ALTER COLUMN %I SET STATISTICS %s', a.attname, a.attstattarget)
                  FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = model.source AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0
                UNION ALL
                -- options that the server keeps for itself are not the user's to set
                SELECT pg_catalog.format('ALTER COLUMN %I SET (%s)', a.attname, pg_catalog.string_agg(o, ', '))
                  FROM pg_catalog.pg_attribute a, pg_catalog.unnest(a.attoptions) o
                 WHERE a.attrelid = model.source AND a.attnum > 0 AND NOT a.attisdropped AND NOT pg_catalog.starts_with(o, 'pg_')
                 GROUP BY a.attname
                UNION ALL
                SELECT 'REPLICA IDENTITY ' || CASE s.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END
                 WHERE s.relreplident IN ('f', 'n')
                UNION ALL SELECT 'ENABLE ROW LEVEL SECURITY' WHERE s.relrowsecurity
                UNION ALL SELECT 'FORCE ROW LEVEL SECURITY' WHERE s.relforcerowsecurity) c (clause)
        HAVING pg_catalog.count(*) > 0
        UNION ALL
        SELECT 2, 'ALTER TABLE ', pg_catalog.format(' ADD CONSTRAINT %I %s', con.conname, pg_catalog.pg_get_constraintdef(con.oid))
          FROM pg_catalog.pg_constraint con
         WHERE con.conrelid = model.sibling AND con.contype = 'f' AND con.conparentid = 0 AND con.convalidated
        UNION ALL
        SELECT 3, pg_catalog.format('CREATE POLICY %I ON ', pol.polname),
               pg_catalog.concat(
                   CASE WHEN NOT pol.polpermissive THEN ' AS RESTRICTIVE' END,
                   ' FOR ' || CASE pol.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                              WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                   ' TO ' || pg_catalog.array_to_string(ARRAY(
                       SELECT COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC')
                         FROM pg_catalog.unnest(pol.polroles) u LEFT JOIN pg_catalog.pg_roles r ON r.oid = u), ', '),
                   ' USING (' || pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) || ')',
                   ' WITH CHECK (' || pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid) || ')')
          FROM pg_catalog.pg_policy pol
         WHERE pol.polrelid = model.sibling
        UNION ALL
        -- the triggers that it does not get from the whole, such as those of TRUNCATE
        SELECT 3, pg_catalog.substr(g.definition, 1, g.place + 3),
               pg_catalog.substr(g.definition, g.place + 4 + pg_catalog.length(g.name))
          FROM (SELECT d.definition, d.name, pg_catalog.strpos(d.definition, ' ON ' || d.name || ' ') AS place
                  FROM pg_catalog.pg_trigger t
                  JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
                  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_triggerdef(t.oid), pg_catalog.format('%I.%I', n.nspname, c.relname)) d (definition, name)
                 WHERE t.tgrelid = model.sibling AND NOT t.tgisinternal AND t.tgparentid = 0 AND (t.tgtype & 1) = 0) g
        UNION ALL
        SELECT 4, 'ALTER TABLE ', pg_catalog.format(' ENABLE ALWAYS TRIGGER %I', t.tgname)
          FROM pg_catalog.pg_trigger t
         WHERE t.tgrelid = model.sibling AND NOT t.tgisinternal AND t.tgparentid = 0 AND (t.tgtype & 1) = 0 AND t.tgenabled = 'A'
        UNION ALL
        -- it is granted to whom the sibling is, whatever new tables are granted by default
        SELECT 3, 'REVOKE ALL ON TABLE ', ' FROM ' || pg_catalog.string_agg(DISTINCT COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC'), ', ')
          FROM pg_catalog.pg_default_acl da
         CROSS JOIN LATERAL pg_catalog.aclexplode(da.defaclacl) acl
          LEFT JOIN pg_catalog.pg_roles r ON r.oid = acl.grantee
         WHERE da.defaclobjtype = 'r' AND da.defaclnamespace IN (0, p.relnamespace) AND acl.grantee <> da.defaclrole
           AND da.defaclrole = p.relowner
        HAVING pg_catalog.count(*) > 0
        UNION ALL
        SELECT 4, pg_catalog.format('GRANT %s%s ON TABLE ', acl.privilege_type, g.columns),
               pg_catalog.format(' TO %s%s', COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC'),
                                 CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' END)
          FROM (SELECT s.relacl AS acl, '' AS columns
                UNION ALL
                SELECT a.attacl, pg_catalog.format(' (%I)', a.attname) FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = model.source AND a.attnum > 0 AND NOT a.attisdropped) g
         CROSS JOIN LATERAL pg_catalog.aclexplode(g.acl) acl
          LEFT JOIN pg_catalog.pg_roles r ON r.oid = acl.grantee
         WHERE acl.grantee <> s.relowner) x) st
 ORDER BY model.place
