-- What keeps a column's type from being changed, though its views can be recreated: what stands on the column
-- and is no view, index, statistics object or plain check, and what stands on the views and would be lost.
-- $1 relation, $2 column number, $3 the views
WITH views AS (
    SELECT c.oid, c.reltype, t.typarray
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_type t ON t.oid = c.reltype
     WHERE c.oid = ANY ($3)
),
on_column AS (
    SELECT d.classid, d.objid, d.objsubid
      FROM pg_catalog.pg_depend d
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = $1 AND d.refobjsubid = $2
       AND CASE d.classid
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN false
           WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN false
           WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_rewrite r
                WHERE r.oid = d.objid AND r.ev_class IN (SELECT oid FROM views) AND r.rulename = '_RETURN')
           -- the column's own default moves with it; a generated column does not
           WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN EXISTS (
               SELECT FROM pg_catalog.pg_attrdef a
                WHERE a.oid = d.objid AND (a.adrelid, a.adnum) <> ($1, $2))
           -- a check may be taken off and put back unless it is inherited, or calls what is not PostgreSQL's own
           WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN EXISTS (
               SELECT FROM pg_catalog.pg_constraint con
                WHERE con.oid = d.objid
                  AND (con.contype NOT IN ('c', 'u', 'p') OR con.contype = 'c' AND (con.coninhcount > 0 OR EXISTS (
                          SELECT FROM pg_catalog.pg_depend f
                           WHERE f.classid = d.classid AND f.objid = con.oid AND f.refobjid >= 16384
                             AND f.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
                                                  'pg_catalog.pg_operator'::pg_catalog.regclass,
                                                  -- a cast to a domain calls its checks
                                                  'pg_catalog.pg_type'::pg_catalog.regclass)))))
           ELSE true
       END
),
on_views AS (
    SELECT d.classid, d.objid, d.objsubid
      FROM pg_catalog.pg_depend d
      JOIN views v ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid
                   OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (v.reltype, v.typarray)
     WHERE d.deptype <> 'i'
       AND CASE d.classid
           -- its type's array, its toast table
           WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN d.objid NOT IN (SELECT typarray FROM views)
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = d.objid AND i.indrelid = ANY ($3))
           WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_rewrite r WHERE r.oid = d.objid AND r.ev_class = ANY ($3))
           WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN false
           WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_trigger t WHERE t.oid = d.objid AND t.tgrelid = ANY ($3))
           ELSE true
       END
),
on_members AS (
    SELECT d.classid, d.objid, d.objsubid, e.extname
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = ANY ($3)
       AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
       -- what our own install script has just made again is the user's, and is let go of at its end
       AND e.extname <> 'pg_groundskeeper'
)
SELECT pg_catalog.pg_describe_object(classid, objid, objsubid)
  FROM (SELECT * FROM on_column UNION SELECT * FROM on_views) o
UNION
SELECT pg_catalog.format('%s, a member of extension %s', pg_catalog.pg_describe_object(classid, objid, objsubid), extname)
  FROM on_members
UNION
-- Reading a constant of such a type may call a function of the user's, with the rights of who recreates the view.
SELECT pg_catalog.format('%s, which uses %s', pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0),
                         pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0))
  FROM pg_catalog.pg_rewrite w
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
   AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid >= 16384
  JOIN pg_catalog.pg_type t ON t.oid = d.refobjid AND t.typtype IN ('c', 'd', 'r', 'm')
 WHERE w.ev_class = ANY ($3)
UNION
SELECT pg_catalog.format('security label on %s', pg_catalog.pg_describe_object(classoid, objoid, objsubid))
  FROM pg_catalog.pg_seclabel
 WHERE classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objoid = ANY ($3)
UNION
SELECT pg_catalog.format('inheritance from %s', inhparent::pg_catalog.regclass)
  FROM pg_catalog.pg_inherits
 WHERE inhrelid = $1
UNION
SELECT pg_catalog.format('inheritance by %s', inhrelid::pg_catalog.regclass)
  FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'r'
 WHERE inhparent = $1
 ORDER BY 1
