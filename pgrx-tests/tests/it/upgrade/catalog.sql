-- All that the catalogs have of the extension, a fact a line. OIDs and numbers of columns are left out, their order is not.
WITH RECURSIVE member (classid, objid) AS (
    SELECT d.classid, d.objid
      FROM pg_depend d
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
     WHERE e.extname = 'pg_groundskeeper' AND d.deptype = 'e'
    UNION
    -- what goes with them: constraints, indexes, triggers, defaults, rules, row types, sequences
    SELECT d.classid, d.objid
      FROM member m
      JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid
     WHERE d.deptype IN ('a', 'i')),
object AS (
    SELECT m.classid, m.objid, i.type, i.identity
      FROM member m
     CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, 0) i),
privileges (classid, objid, objsubid, kind, acl) AS (
    SELECT 'pg_proc'::regclass, oid, 0, 'acl', COALESCE(proacl, acldefault('f', proowner)) FROM pg_proc
    UNION ALL SELECT 'pg_class'::regclass, oid, 0, 'acl', COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) FROM pg_class
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, 'acl', attacl FROM pg_attribute WHERE NOT attisdropped
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, 'acl', nspacl FROM pg_namespace
    UNION ALL SELECT 'pg_type'::regclass, oid, 0, 'acl', typacl FROM pg_type
    UNION ALL SELECT classoid, objoid, objsubid, 'initial acl', initprivs FROM pg_init_privs)
SELECT format('%s %s', type, identity) FROM object
 WHERE identity NOT LIKE 'pg_toast%'
   AND identity NOT LIKE '%RI_ConstraintTrigger%'
UNION ALL
SELECT format('%s %s: comment %s', o.type, o.identity, d.description)
  FROM object o
  JOIN pg_description d ON (d.classoid, d.objoid, d.objsubid) = (o.classid, o.objid, 0)
UNION ALL
SELECT format('%s %s, %s: %s', o.type, o.identity, p.kind,
              (SELECT string_agg(format('%s %s%s by %s', a.privilege_type, COALESCE(NULLIF(a.grantee, 0)::regrole::text, 'PUBLIC'),
                                        CASE WHEN a.is_grantable THEN ' grantable' END, a.grantor::regrole), ', '
                                 ORDER BY a.grantee::regrole::text, a.privilege_type)
                 FROM aclexplode(p.acl) a))
  FROM object o
  JOIN privileges p ON (p.classid, p.objid) = (o.classid, o.objid)
 WHERE p.acl IS NOT NULL AND o.identity NOT LIKE 'pg_toast%'
UNION ALL
SELECT format('%s owner %s library %s: %s', o.identity, proowner::regrole, probin, pg_get_functiondef(p.oid))
  FROM object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
UNION ALL
SELECT format('%s: kind %s owner %s persistence %s options %s security %s %s am %s identity %s', o.identity, relkind, relowner::regrole,
              relpersistence, reloptions, relrowsecurity, relforcerowsecurity, am.amname, relreplident)
  FROM object o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE relkind <> 't' AND relnamespace <> 'pg_toast'::regnamespace
UNION ALL
SELECT format('%s column %s: %s %s not null %s default %s identity %s generated %s collation %s storage %s options %s comment %s',
              o.identity, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
              NULLIF(a.attcollation, 0)::regcollation, a.attstorage,
              -- some servers keep options of their own there
              ARRAY(SELECT v FROM unnest(a.attoptions) v WHERE NOT starts_with(v, 'pg_')), col_description(a.attrelid, a.attnum))
  FROM object o
  JOIN pg_attribute a ON o.classid = 'pg_class'::regclass AND a.attrelid = o.objid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE o.identity NOT LIKE 'pg_toast%'
UNION ALL
SELECT format('%s: %s, valid %s', o.identity, pg_get_constraintdef(k.oid), k.convalidated)
  FROM object o JOIN pg_constraint k ON o.classid = 'pg_constraint'::regclass AND k.oid = o.objid
UNION ALL
SELECT format('%s, valid %s', pg_get_indexdef(x.indexrelid), x.indisvalid)
  FROM object o JOIN pg_index x ON o.classid = 'pg_class'::regclass AND x.indexrelid = o.objid
 WHERE o.identity NOT LIKE 'pg_toast%'
UNION ALL
SELECT format('%s, enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
  FROM object o JOIN pg_trigger t ON o.classid = 'pg_trigger'::regclass AND t.oid = o.objid
 WHERE NOT t.tgisinternal
UNION ALL
SELECT format('event trigger %s on %s tags %s calls %s enabled %s owner %s', evtname, evtevent, evttags, evtfoid::regprocedure,
              evtenabled, evtowner::regrole)
  FROM object o JOIN pg_event_trigger t ON o.classid = 'pg_event_trigger'::regclass AND t.oid = o.objid
UNION ALL
SELECT format('%s: %s', o.identity, pg_get_viewdef(o.objid))
  FROM object o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid AND c.relkind = 'v'
UNION ALL
SELECT format('%s: for %s, to %s, using %s, check %s', o.identity, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid),
              pg_get_expr(polwithcheck, polrelid))
  FROM object o JOIN pg_policy p ON o.classid = 'pg_policy'::regclass AND p.oid = o.objid
UNION ALL
SELECT format('%s: %s %s %s %s %s %s', o.identity, seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcycle)
  FROM object o JOIN pg_sequence s ON o.classid = 'pg_class'::regclass AND s.seqrelid = o.objid
UNION ALL
SELECT format('dumped with its rows: %s %s', c.config::regclass, e.extcondition[c.place])
  FROM pg_extension e CROSS JOIN LATERAL unnest(e.extconfig) WITH ORDINALITY c (config, place)
 WHERE e.extname = 'pg_groundskeeper'
UNION ALL
SELECT format('version %s', extversion) FROM pg_extension WHERE extname = 'pg_groundskeeper'
UNION ALL
SELECT format('%s %s depends on %s %s: %s', f.type, f.identity, t.type, t.identity, d.deptype)
  FROM object o
  JOIN pg_depend d ON (d.classid, d.objid) = (o.classid, o.objid)
 CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) f
 CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) t
 WHERE f.identity NOT LIKE '%RI_ConstraintTrigger%' AND t.identity NOT LIKE 'pg_toast%' AND f.identity NOT LIKE 'pg_toast%'
ORDER BY 1
