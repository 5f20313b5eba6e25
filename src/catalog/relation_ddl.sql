-- The statements that make a view or materialized view again exactly as it is, in order; run as a superuser or
-- as its owner. A materialized view is filled after it has its owner, so that its query runs with the owner's
-- rights, and indexed after it is filled.
-- $1 relation, $2 the role that is to create it (NULL: the current one)
WITH r AS (
    SELECT c.*, n.nspname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS q,
           CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS what,
           a.rolname AS owner
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles a ON a.oid = c.relowner
     WHERE c.oid = $1
),
options AS (
    SELECT pg_catalog.string_agg(prefix || pg_catalog.quote_ident(pg_catalog.split_part(o, '=', 1)) || '='
               || pg_catalog.quote_literal(pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1)), ', ' ORDER BY place) AS list
      FROM (SELECT '' AS prefix, o, place FROM r, pg_catalog.unnest(r.reloptions) WITH ORDINALITY u(o, place)
            UNION ALL
            SELECT 'toast.', o, 1000 + place
              FROM r JOIN pg_catalog.pg_class t ON t.oid = r.reltoastrelid,
                   pg_catalog.unnest(t.reloptions) WITH ORDINALITY u(o, place)) all_options
),
-- ACL entries in their stored order, so that the array comes out the same
acl AS (
    SELECT 0 AS attnum, NULL::name AS attname, r.relowner, r.q, e.*
      FROM r, pg_catalog.unnest(r.relacl) WITH ORDINALITY u(item, place),
           LATERAL (SELECT u.place, x.* FROM pg_catalog.aclexplode(ARRAY[u.item]) x) e
    UNION ALL
    SELECT a.attnum, a.attname, r.relowner, r.q, e.*
      FROM r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped,
           pg_catalog.unnest(a.attacl) WITH ORDINALITY u(item, place),
           LATERAL (SELECT u.place, x.* FROM pg_catalog.aclexplode(ARRAY[u.item]) x) e
),
-- Who would have something of it by default privileges of its creator, which is taken from them again.
defaults AS (
    SELECT r.q, r.owner, r.relowner, r.relacl, x.grantee
      FROM r
      JOIN pg_catalog.pg_default_acl d ON d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, r.relnamespace)
      JOIN pg_catalog.pg_roles me ON me.oid = d.defaclrole AND me.rolname = CURRENT_USER
      LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) x ON true
     WHERE $2::text IS NULL
),
grants AS (
    SELECT attnum, place, is_grantable, g.rolname AS grantor, acl.grantor = relowner AS by_owner,
           pg_catalog.format('GRANT %s ON %s TO %s%s',
               pg_catalog.string_agg(privilege_type
                   || CASE WHEN attname IS NULL THEN '' ELSE pg_catalog.format(' (%I)', attname) END, ', ' ORDER BY privilege_type),
               q, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(t.rolname) END,
               CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS stmt
      FROM acl
      LEFT JOIN pg_catalog.pg_roles g ON g.oid = acl.grantor
      LEFT JOIN pg_catalog.pg_roles t ON t.oid = acl.grantee
     GROUP BY attnum, attname, place, is_grantable, grantor, g.rolname, relowner, q, grantee, t.rolname
),
indexes AS (
    SELECT i.*, ic.relname, ic.reltablespace, pg_catalog.format('%I.%I', r.nspname, ic.relname) AS q, r.q AS relation, r.what
      FROM r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
             JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
),
statistics AS (
    SELECT s.*, pg_catalog.format('%I.%I', n.nspname, s.stxname) AS q
      FROM r JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = r.oid
             JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
),
triggers AS (
    SELECT t.*, r.q FROM r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
),
rules AS (
    SELECT w.*, r.q FROM r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'
),
steps(stage, place, stmt) AS (
    SELECT 10, 0, 'SET ROLE ' || pg_catalog.quote_ident($2::text) WHERE $2::text IS NOT NULL
    UNION ALL
    SELECT 11, 0, pg_catalog.concat('CREATE ', r.what, ' ', r.q,
               CASE WHEN r.relkind = 'm' AND am.amname <> 'heap' THEN ' USING ' || pg_catalog.quote_ident(am.amname) END,
               ' WITH (' || options.list || ')',
               CASE WHEN r.reltablespace <> 0 THEN ' TABLESPACE ' || pg_catalog.quote_ident(ts.spcname) END,
               ' AS', pg_catalog.chr(10), pg_catalog.rtrim(pg_catalog.pg_get_viewdef(r.oid), ';'),
               CASE WHEN r.relkind = 'm' THEN pg_catalog.chr(10) || 'WITH NO DATA' END)
      FROM r CROSS JOIN options
      LEFT JOIN pg_catalog.pg_am am ON am.oid = r.relam
      LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = r.reltablespace
    UNION ALL
    SELECT 12, 0, 'SET ROLE ' || CASE pg_catalog.current_setting('role') WHEN 'none' THEN 'NONE'
                                 ELSE pg_catalog.quote_ident(pg_catalog.current_setting('role')) END
     WHERE $2::text IS NOT NULL
    UNION ALL
    SELECT 13, 0, pg_catalog.format('ALTER %s %s OWNER TO %I', what, q, owner)
      FROM r WHERE owner <> COALESCE($2::text, CURRENT_USER)
    UNION ALL
    SELECT 20, a.attnum, pg_catalog.format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', r.q, a.attname,
                                           pg_catalog.pg_get_expr(d.adbin, d.adrelid))
      FROM r JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid
             JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.adnum
    UNION ALL
    SELECT 21, a.attnum, pg_catalog.format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I %s', r.q, a.attname, change)
      FROM r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND r.relkind = 'm' AND a.attnum > 0 AND NOT a.attisdropped
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
             CROSS JOIN LATERAL (VALUES
                 (CASE WHEN COALESCE(a.attstattarget, -1) >= 0 THEN 'SET STATISTICS ' || a.attstattarget END),
                 (CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE '
                       || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
                 (CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
                 -- options that the server keeps for itself are not the user's to set
                 ((SELECT 'SET (' || pg_catalog.string_agg(o, ', ' ORDER BY place) || ')'
                     FROM pg_catalog.unnest(a.attoptions) WITH ORDINALITY u(o, place)
                    WHERE NOT pg_catalog.starts_with(o, 'pg_')))) changes(change)
     WHERE change IS NOT NULL
    UNION ALL
    SELECT 30, 0, 'REFRESH MATERIALIZED VIEW ' || q FROM r WHERE relkind = 'm' AND relispopulated
    UNION ALL
    SELECT 40, i.indexrelid::bigint, pg_catalog.pg_get_indexdef(i.indexrelid) FROM indexes i
    UNION ALL
    SELECT 41, i.indexrelid::bigint, pg_catalog.format('ALTER INDEX %s SET TABLESPACE %I', i.q, ts.spcname)
      FROM indexes i JOIN pg_catalog.pg_tablespace ts ON ts.oid = i.reltablespace
    UNION ALL
    SELECT 42, i.indexrelid::bigint, pg_catalog.format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', i.q, a.attnum, a.attstattarget)
      FROM indexes i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND COALESCE(a.attstattarget, -1) >= 0
    UNION ALL
    SELECT 43, 0, pg_catalog.format('ALTER %s %s CLUSTER ON %I', i.what, i.relation, i.relname) FROM indexes i WHERE i.indisclustered
    UNION ALL
    SELECT 44, i.indexrelid::bigint, pg_catalog.format('COMMENT ON INDEX %s IS %L', i.q, pg_catalog.obj_description(i.indexrelid, 'pg_class'))
      FROM indexes i WHERE pg_catalog.obj_description(i.indexrelid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT 45, s.oid::bigint, pg_catalog.pg_get_statisticsobjdef(s.oid) FROM statistics s
    UNION ALL
    SELECT 46, s.oid::bigint, pg_catalog.format('ALTER STATISTICS %s SET STATISTICS %s', s.q, s.stxstattarget)
      FROM statistics s WHERE COALESCE(s.stxstattarget, -1) >= 0
    UNION ALL
    SELECT 47, s.oid::bigint, pg_catalog.format('COMMENT ON STATISTICS %s IS %L', s.q, pg_catalog.obj_description(s.oid, 'pg_statistic_ext'))
      FROM statistics s WHERE pg_catalog.obj_description(s.oid, 'pg_statistic_ext') IS NOT NULL
    UNION ALL
    SELECT 50, w.oid::bigint, pg_catalog.rtrim(pg_catalog.pg_get_ruledef(w.oid), ';') FROM rules w
    UNION ALL
    SELECT 51, w.oid::bigint, pg_catalog.format('COMMENT ON RULE %I ON %s IS %L', w.rulename, w.q, pg_catalog.obj_description(w.oid, 'pg_rewrite'))
      FROM rules w WHERE pg_catalog.obj_description(w.oid, 'pg_rewrite') IS NOT NULL
    UNION ALL
    SELECT 52, t.oid::bigint, pg_catalog.pg_get_triggerdef(t.oid) FROM triggers t
    UNION ALL
    SELECT 53, t.oid::bigint, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, t.q, pg_catalog.obj_description(t.oid, 'pg_trigger'))
      FROM triggers t WHERE pg_catalog.obj_description(t.oid, 'pg_trigger') IS NOT NULL
    UNION ALL
    SELECT 60, 0, pg_catalog.format('REVOKE ALL ON %s FROM %I, PUBLIC', q, owner) FROM r WHERE relacl IS NOT NULL
    UNION ALL
    SELECT DISTINCT 60, 1, pg_catalog.format('REVOKE ALL ON %s FROM %s', d.q,
               CASE WHEN d.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(a.rolname) END)
      FROM defaults d LEFT JOIN pg_catalog.pg_roles a ON a.oid = d.grantee
     WHERE d.grantee <> d.relowner
    UNION ALL
    -- as if there were none: catalog::forget_default_acls() makes that none
    SELECT DISTINCT 60, 2, pg_catalog.format('GRANT ALL ON %s TO %I', q, owner) FROM defaults WHERE relacl IS NULL
    UNION ALL
    SELECT 61, g.attnum * 100000 + g.place * 10 + n, s
      FROM grants g
     CROSS JOIN LATERAL (VALUES
         (1, CASE WHEN NOT g.by_owner THEN 'SET ROLE ' || pg_catalog.quote_ident(g.grantor) END),
         (2, g.stmt),
         (3, CASE WHEN NOT g.by_owner THEN 'SET ROLE '
                  || CASE pg_catalog.current_setting('role') WHEN 'none' THEN 'NONE'
                     ELSE pg_catalog.quote_ident(pg_catalog.current_setting('role')) END END)) v(n, s)
     WHERE s IS NOT NULL
    UNION ALL
    SELECT 70, 0, pg_catalog.format('COMMENT ON %s %s IS %L', what, q, pg_catalog.obj_description(oid, 'pg_class'))
      FROM r WHERE pg_catalog.obj_description(oid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT 71, a.attnum, pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', r.q, a.attname, pg_catalog.col_description(r.oid, a.attnum))
      FROM r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
     WHERE pg_catalog.col_description(r.oid, a.attnum) IS NOT NULL
)
SELECT stmt FROM steps ORDER BY stage, place
