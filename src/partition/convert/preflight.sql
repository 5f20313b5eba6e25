-- What stands in the way of partitioning a table, or changes with it: check, severity, detail, remedy, and whether the
-- warning must be acknowledged. A check without a finding is said to be ok by the caller.
-- Owners are compared, not memberships: a superuser is a member of every role, and would fill a stranger's view.
-- $1 the table, $2 the partition key, $3 the names that will be taken, $4 whether its rows are told apart,
-- $5 the type that its key is to have, NULL for dates and times
WITH release (release) AS (
    SELECT pg_catalog.current_setting('server_version_num')::integer / 10000
),
t AS (
    SELECT c.*, n.nspname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS q, o.rolname AS owner,
           ty.typarray
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
      LEFT JOIN pg_catalog.pg_type ty ON ty.oid = c.reltype
     WHERE c.oid = $1
),
key AS (
    SELECT a.*, pg_catalog.format_type(a.atttypid, NULL) AS shown,
           CASE WHEN y.typnamespace = 'pg_catalog'::pg_catalog.regnamespace THEN y.typname END AS typname
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
     WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
),
indexes AS (
    SELECT x.*, i.relname,
           -- what is INCLUDEd is no part of the key
           COALESCE((SELECT attnum FROM key) = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1]), false) AS has_key
      FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
     WHERE x.indrelid = $1
),
-- unique, and nothing that a partitioned table can have as a whole
apart AS (
    SELECT * FROM indexes WHERE indisunique AND indisvalid AND NOT indisexclusion AND NOT has_key
),
-- foreign keys to the table, and from it
incoming AS (
    SELECT k.*, k.conrelid::pg_catalog.regclass::text AS child, c.relowner AS child_owner, r.rolname AS child_owner_name
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
     WHERE k.contype = 'f' AND k.confrelid = $1 AND k.conparentid = 0
),
outgoing AS (
    SELECT k.*, k.confrelid::pg_catalog.regclass::text AS referred, c.relowner AS owner
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.confrelid
     WHERE k.contype = 'f' AND k.conrelid = $1 AND k.confrelid <> $1 AND k.conparentid = 0
),
-- what stands on the table and is defined again: views, materialized views, functions with SQL bodies
dependents AS (
    SELECT 'view' AS what, c.oid, c.oid::pg_catalog.regclass::text AS name, c.relkind, c.relowner AS owner, r.oid AS rule, r.ev_action::text AS tree,
           c.relnamespace AS schema
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
     WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND c.relkind IN ('v', 'm')
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1
    UNION
    SELECT 'function', p.oid, p.oid::pg_catalog.regprocedure::text, 'f', p.proowner, 0, COALESCE(p.prosqlbody::text, ''), p.pronamespace
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.objid
     WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1
),
unknown AS (
    SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS name
      FROM t, pg_catalog.pg_depend d
     WHERE (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid
            OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (t.reltype, t.typarray))
       AND d.deptype <> 'i'
       AND CASE d.classid
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_index x WHERE x.indexrelid = d.objid AND x.indrelid = t.oid)
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s WHERE s.oid = d.objid AND s.relkind IN ('S', 't') )
           WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN d.objid NOT IN (t.reltype, t.typarray)
           WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_attrdef a WHERE a.oid = d.objid AND a.adrelid = t.oid)
           WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid AND (k.conrelid = t.oid OR k.confrelid = t.oid))
           WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_trigger g WHERE g.oid = d.objid AND (g.tgrelid = t.oid OR g.tgisinternal))
           WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM pg_catalog.pg_policy p WHERE p.oid = d.objid AND p.polrelid = t.oid)
           WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN NOT EXISTS (
               SELECT FROM dependents v WHERE v.rule = d.objid) AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_rewrite w WHERE w.oid = d.objid AND w.ev_class = t.oid)
           WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN
               d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
               OR NOT EXISTS (SELECT FROM dependents f WHERE f.what = 'function' AND f.oid = d.objid)
           WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN false
           WHEN 'pg_catalog.pg_publication_rel'::pg_catalog.regclass THEN false
           ELSE true
       END
),
publications AS (
    SELECT p.pubname, p.pubviaroot, p.puballtables, p.pubowner, p.pubupdate OR p.pubdelete AS by_identity,
           EXISTS (SELECT FROM pg_catalog.pg_publication_rel r
                    WHERE r.prpubid = p.oid AND r.prrelid = $1 AND r.prattrs IS NOT NULL) AS has_list
      FROM pg_catalog.pg_publication p
     WHERE p.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = $1)
        OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n JOIN t ON t.relnamespace = n.pnnspid WHERE n.pnpubid = p.oid)
)
-- the table itself
SELECT 'ordinary_table', 'blocker', pg_catalog.format('%s is no ordinary, permanent table', t.q),
       'Only such a table can be converted.', false
  FROM t WHERE t.relkind <> 'r' OR t.relpersistence <> 'p' OR t.reloftype <> 0 OR t.relispartition OR t.nspname LIKE 'pg\_%'
UNION ALL
SELECT 'extension_member', 'blocker', pg_catalog.format('it belongs to extension %s', e.extname), 'It is for that extension to change it.', false
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = $1
   AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
UNION ALL
SELECT 'partition_key', 'blocker',
       COALESCE((SELECT CASE WHEN attgenerated <> '' THEN pg_catalog.format('column %I is generated', attname)
                             ELSE pg_catalog.format('column %I is of type %s', attname, shown) END FROM key),
                pg_catalog.format('there is no column %I', $2)),
       COALESCE(pg_catalog.format('Name a column of type %s that is not generated, or another key_format.', $5),
                'Name a column of type date, timestamp or timestamptz that is not generated; for a uuid or bigint that has a moment in it, '
                'say how by key_format.'), false
 WHERE NOT EXISTS (SELECT FROM key WHERE attgenerated = ''
                      AND CASE WHEN $5 IS NULL THEN typname IN ('date', 'timestamp', 'timestamptz') ELSE typname = $5 END)
UNION ALL
SELECT 'schema_privilege', 'blocker', pg_catalog.format('%I may not create in schema %I', t.owner, t.nspname),
       pg_catalog.format('GRANT CREATE ON SCHEMA %I TO %I', t.nspname, t.owner), false
  FROM t WHERE NOT pg_catalog.has_schema_privilege(t.relowner, t.relnamespace, 'CREATE')
UNION ALL
SELECT 'inheritance', 'blocker', 'it inherits, or is inherited from: ' || pg_catalog.string_agg(i::text, ', '),
       'ALTER TABLE ... NO INHERIT ... on each', false
  FROM (SELECT inhparent::pg_catalog.regclass FROM pg_catalog.pg_inherits WHERE inhrelid = $1
        UNION SELECT inhrelid::pg_catalog.regclass FROM pg_catalog.pg_inherits WHERE inhparent = $1) h (i)
HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'rules', 'blocker', 'it has rules: ' || pg_catalog.string_agg(pg_catalog.quote_ident(r.rulename), ', '),
       'Make triggers of them; rules do not move.', false
  FROM pg_catalog.pg_rewrite r WHERE r.ev_class = $1 HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'distributed', 'blocker', 'it is a distributed table, on which triggers are refused',
       'Partition it before it is distributed; its partitions are maintained all the same.', false
 WHERE pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL
   AND EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid AND p.proname = 'citus_truncate_trigger'
                 JOIN pg_catalog.pg_trigger g ON g.oid = d.objid AND g.tgrelid = $1
                WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass)
UNION ALL
SELECT 'security_labels', 'blocker', 'it has security labels, which would be lost', 'SECURITY LABEL ... IS NULL', false
 WHERE EXISTS (SELECT FROM pg_catalog.pg_seclabel WHERE classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objoid = $1)
UNION ALL
-- keys and indexes
SELECT 'primary_key', 'blocker', 'it has neither a primary key nor another unique index that no two rows share, so its rows cannot be told apart',
       pg_catalog.format('ALTER TABLE %s ADD PRIMARY KEY (...); without columns for it, ALTER TABLE %s ADD COLUMN ... bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', t.q, t.q), false
  FROM t WHERE NOT $4
UNION ALL
SELECT 'primary_key', 'ok', 'it has none; its rows are told apart by another unique index', NULL, false
  FROM t WHERE $4 AND NOT EXISTS (SELECT FROM indexes WHERE indisprimary AND indisvalid AND indimmediate)
UNION ALL
-- keys are compared where no search_path leads to another schema's operators
SELECT 'primary_key', 'blocker', pg_catalog.format('column %I of the primary key is of type %s, whose equality is not PostgreSQL''s own', a.attname,
           pg_catalog.format_type(a.atttypid, a.atttypmod)), 'Use a type of PostgreSQL''s own for it.', false
  FROM indexes x CROSS JOIN pg_catalog.generate_series(0, x.indnkeyatts - 1) place
  JOIN pg_catalog.pg_opclass c ON c.oid = x.indclass[place]
  JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = x.indkey[place]
 WHERE x.indisprimary AND c.opcnamespace <> 'pg_catalog'::pg_catalog.regnamespace
UNION ALL
-- a generated column has no value yet when the key table is told
SELECT 'unique_constraints', 'blocker',
       'unique without the partition key, over the generated column '
           || pg_catalog.string_agg(DISTINCT pg_catalog.format('%I: %I', a.attname, x.relname), ', '),
       'Drop them, index the expression instead, or make the partition key part of them.', false
  FROM apart x JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attgenerated <> ''
   AND (a.attnum = ANY (x.indkey)
     OR pg_catalog.concat(x.indexprs::text, x.indpred::text) LIKE '%:varattno ' || a.attnum || ' %')
HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'unique_constraints', 'blocker',
       'unique for times that do not overlap, without the partition key: ' || pg_catalog.string_agg(pg_catalog.quote_ident(relname), ', '),
       'Drop them, or make the partition key part of them: nothing can keep others across partitions.', false
  FROM indexes WHERE indisunique AND indisexclusion AND NOT has_key HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'exclusion_constraints', 'blocker', 'exclusion constraints: ' || pg_catalog.string_agg(pg_catalog.quote_ident(relname), ', '),
       CASE WHEN pg_catalog.max(release) < 17 THEN 'Drop them: PostgreSQL has none across partitions.'
            ELSE 'Drop them, or let them compare the partition key WITH =: PostgreSQL has no others across partitions.' END, false
  FROM release, indexes x
 WHERE x.indisexclusion AND NOT (release >= 17 AND EXISTS (
           -- not WITHOUT OVERLAPS, which are unique as well
           SELECT FROM pg_catalog.pg_constraint k
            CROSS JOIN pg_catalog.generate_series(0, x.indnkeyatts - 1) place
             JOIN pg_catalog.pg_operator o ON o.oid = k.conexclop[place + 1]
            WHERE k.conindid = x.indexrelid AND k.contype = 'x' AND x.indkey[place] = (SELECT attnum FROM key)
              AND o.oprname = '=' AND o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace))
HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'invalid_indexes', 'warning', 'not carried over, as their builds have failed or are not done (one that a job of ours is building is waited for): ' || pg_catalog.string_agg(pg_catalog.quote_ident(relname), ', '),
       'DROP INDEX CONCURRENTLY, where nobody builds it', false
  FROM indexes WHERE NOT indisvalid HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'clustered', 'warning', pg_catalog.format('it is clustered on %I; a partitioned table cannot be', relname), 'CLUSTER its partitions', false
  FROM indexes WHERE indisclustered
UNION ALL
SELECT 'on_conflict', 'warning',
       pg_catalog.format('the %s %I lacks the partition key: INSERT ... ON CONFLICT (%s) fails on the partitioned table, and '
                         'ON CONFLICT DO NOTHING raises an error for a key that %s', CASE WHEN indisprimary THEN 'primary key' ELSE 'unique index' END, relname,
           (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(indexrelid, place, false), ', ' ORDER BY place)
              FROM pg_catalog.generate_series(1, indnkeyatts) place),
           CASE WHEN indisprimary THEN 'another partition has' ELSE 'is there' END),
       'Insert without it, or MERGE; duplicates raise unique_violation as before.', true
  FROM apart
UNION ALL
SELECT 'key_table', 'ok', pg_catalog.format('a key table keeps %s unique across partitions',
           pg_catalog.string_agg(pg_catalog.quote_ident(relname), ', ' ORDER BY NOT indisprimary, relname)), NULL, false
  FROM apart HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'checks', 'blocker', 'NO INHERIT: ' || pg_catalog.string_agg(pg_catalog.quote_ident(k.conname), ', '),
       'Drop them, or make them ordinary checks: partitioned tables have no others.', false
  FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'c' AND k.connoinherit HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'checks', 'blocker', pg_catalog.format('%I asks for the whole row or for tableoid, which are others in a partition', k.conname),
       'Let it name the columns.', false
  FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'c' AND k.conbin::text ~ ':varattno (0|-[0-9]+) '
UNION ALL
SELECT 'checks', 'blocker', pg_catalog.format('the generated column %I is made of tableoid, which is another in a partition', a.attname),
       'Let it name other columns, or drop it.', false
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = $1 AND a.attgenerated <> '' AND d.adbin::text ~ ':varattno (0|-[0-9]+) '
UNION ALL
SELECT 'indexes', 'blocker', pg_catalog.format('%I is over whole rows, whose type is the table''s', relname), 'Let it name the columns, or drop it.', false
  FROM indexes WHERE indisvalid AND pg_catalog.concat(indexprs::text, indpred::text) LIKE '%:varattno 0 %'
UNION ALL
-- foreign keys
SELECT 'incoming_foreign_keys', 'blocker', pg_catalog.format('%I of %s is another owner''s', i.conname, i.child),
       pg_catalog.format('Give both tables the same owner: %s is %I''s.', i.child, i.child_owner_name), false
  FROM t, incoming i WHERE t.relowner <> i.child_owner
UNION ALL
SELECT 'incoming_foreign_keys', 'ok', pg_catalog.string_agg(pg_catalog.format('%I of %s', conname, child), ', '), NULL, false
  FROM incoming HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'outgoing_foreign_keys', 'blocker', pg_catalog.format('%I may not refer to %s', t.owner, o.referred),
       pg_catalog.format('GRANT REFERENCES ON %s TO %I', o.referred, t.owner), false
  FROM t, outgoing o WHERE NOT pg_catalog.has_table_privilege(t.relowner, o.confrelid, 'REFERENCES')
UNION ALL
SELECT 'outgoing_foreign_keys', 'blocker', pg_catalog.format('%I to %s is not validated; a partitioned table has only valid ones', k.conname, k.confrelid::pg_catalog.regclass),
       pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t.q, k.conname), false
  FROM release, t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' AND NOT k.convalidated
 WHERE release < 18
UNION ALL
SELECT 'outgoing_foreign_keys', 'ok', pg_catalog.string_agg(pg_catalog.format('%I to %s', conname, referred), ', '), NULL, false
  FROM outgoing HAVING pg_catalog.count(*) > 0
UNION ALL
-- triggers, policies, replication
SELECT 'triggers', 'blocker', 'row triggers with transition tables: ' || pg_catalog.string_agg(pg_catalog.quote_ident(g.tgname), ', '),
       'Make them FOR EACH STATEMENT: a partitioned table has no others.', false
  FROM pg_catalog.pg_trigger g
 WHERE g.tgrelid = $1 AND NOT g.tgisinternal AND (g.tgtype & 1) = 1 AND (g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL)
HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'triggers', 'blocker', pg_catalog.format('%I comes after the trigger that keeps the keys, which would not see what it changes or refuses', g.tgname),
       pg_catalog.format('ALTER TRIGGER %I ON %s RENAME TO %I', g.tgname, t.q, 'b_' || pg_catalog.left(g.tgname, 50)), false
  FROM t, pg_catalog.pg_trigger g
 WHERE g.tgrelid = $1 AND NOT g.tgisinternal AND g.tgtype::integer & 19 = 19 AND EXISTS (SELECT FROM apart)
   AND g.tgname::text COLLATE "C" > 'zz_groundskeeper_key_update'
UNION ALL
SELECT 'triggers', 'ok', pg_catalog.string_agg(pg_catalog.quote_ident(g.tgname), ', '), NULL, false
  FROM pg_catalog.pg_trigger g WHERE g.tgrelid = $1 AND NOT g.tgisinternal HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'row_security', 'blocker', 'row level security is forced on its owner, who could not copy the rows',
       pg_catalog.format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', t.q), false
  FROM t WHERE t.relforcerowsecurity
UNION ALL
SELECT 'publications', 'blocker', pg_catalog.format('publication %I would publish the partitions under their own names', p.pubname),
       pg_catalog.format('ALTER PUBLICATION %I SET (publish_via_partition_root = true)', p.pubname), false
  FROM publications p WHERE NOT p.pubviaroot
UNION ALL
SELECT 'publications', 'blocker', pg_catalog.format('publication %I is another owner''s', p.pubname),
       pg_catalog.format('ALTER PUBLICATION %I OWNER TO %I', p.pubname, t.owner), false
  FROM t, publications p WHERE NOT p.puballtables AND NOT pg_catalog.pg_has_role(t.relowner, p.pubowner, 'USAGE')
UNION ALL
SELECT 'publications', 'warning',
       pg_catalog.format('publication %I publishes whole schemas: what is copied reaches its subscribers, who lack the new tables', p.pubname),
       'Create the tables that preflight names there first, or publish by table.', true
  FROM publications p
 WHERE p.puballtables OR NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication o ON o.oid = r.prpubid
                                      WHERE o.pubname = p.pubname AND r.prrelid = $1)
UNION ALL
SELECT 'replica_identity', 'blocker', 'its replica identity is an index', pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', t.q), false
  FROM t WHERE t.relreplident = 'i'
UNION ALL
SELECT 'replica_identity', 'blocker',
       pg_catalog.format('publication %I sends UPDATE and DELETE by the primary key, which the whole will not have: subscribers would stop at the first', p.pubname),
       CASE WHEN p.has_list THEN pg_catalog.format('ALTER PUBLICATION %I SET (publish = ''insert, truncate''); or publish all columns, and ALTER TABLE %s REPLICA IDENTITY FULL', p.pubname, t.q)
            ELSE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY FULL', t.q) END, false
  FROM t, publications p
 WHERE p.by_identity AND t.relreplident = 'd' AND EXISTS (SELECT FROM indexes WHERE indisprimary AND NOT has_key)
UNION ALL
SELECT 'subscription', 'blocker', 'it is the target of a subscription, which goes on writing the former table',
       'Drop it from the subscription, and let it be the target again afterwards: ALTER SUBSCRIPTION ... REFRESH PUBLICATION.', false
 WHERE EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = $1)
UNION ALL
-- what stands on it
SELECT 'views', 'blocker', pg_catalog.format('%s groups by the primary key, which the partitioned table has not as a whole', v.name),
       'Let it group by all the columns that it shows.', false
  FROM dependents v JOIN indexes x ON x.indisprimary AND NOT x.has_key
  JOIN pg_catalog.pg_constraint k ON k.conindid = x.indexrelid AND k.contype = 'p'
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = v.rule
   AND d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.refobjid = k.oid
UNION ALL
SELECT 'views', 'blocker', pg_catalog.format('%s refers to whole rows, whose type is the table''s', v.name),
       'Let it name the columns.', false
  FROM t, dependents v WHERE v.what = 'view' AND v.tree LIKE pg_catalog.format('%%:varattno 0 :vartype %s %%', t.reltype)
UNION ALL
SELECT 'views', 'blocker', pg_catalog.format('%s reads the table itself and not its partitions: it says ONLY', v.name),
       'Let it do without ONLY.', false
  FROM t, dependents v
 WHERE v.tree ~ pg_catalog.format(':relid %s [^{}]*:inh false [^{}]*:inFromCl true', t.oid)
UNION ALL
SELECT 'views', 'blocker', pg_catalog.format('%s is another owner''s', v.name),
       pg_catalog.format('Give it to %I.', t.owner), false
  FROM t, dependents v WHERE t.relowner <> v.owner
UNION ALL
SELECT 'views', 'blocker', pg_catalog.format('%s stands on %s, which has to be made again', o.oid::pg_catalog.regclass, v.name),
       'Drop it, and create it again afterwards.', false
  FROM dependents v
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid
   AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> v.oid
  JOIN pg_catalog.pg_class o ON o.oid = r.ev_class AND o.relkind = 'm'
 WHERE v.relkind = 'm'
UNION ALL
SELECT 'views', 'blocker', pg_catalog.format('%s is temporary, and so another session''s than that of the job', v.name),
       'Drop it, or end the session that made it.', false
  FROM dependents v JOIN pg_catalog.pg_namespace n ON n.oid = v.schema WHERE n.nspname LIKE 'pg\_temp\_%'
UNION ALL
SELECT DISTINCT 'views', 'warning', pg_catalog.format('%s shows %s, which is one of each partition', v.name, a.attname),
       'Let it show the primary key, or tableoid and ctid together.', true
  FROM dependents v
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = v.rule
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1
  JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = d.refobjsubid AND a.attname IN ('ctid', 'tableoid')
UNION ALL
SELECT DISTINCT 'functions', 'blocker',
       CASE WHEN v.tree LIKE pg_catalog.format('%%:constraint %s %%', k.oid)
            THEN pg_catalog.format('%s inserts with ON CONFLICT ON CONSTRAINT %I, which the partitioned table has not as a whole', v.name, k.conname)
            ELSE pg_catalog.format('%s groups by the primary key, which the partitioned table has not as a whole', v.name) END,
       CASE WHEN v.tree LIKE pg_catalog.format('%%:constraint %s %%', k.oid) THEN 'Let it insert without ON CONFLICT, or drop it.'
            ELSE 'Let it group by all the columns that it shows.' END, false
  FROM dependents v JOIN indexes x ON x.indisprimary AND NOT x.has_key
  JOIN pg_catalog.pg_constraint k ON k.conindid = x.indexrelid AND k.contype = 'p'
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = v.oid
   AND d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.refobjid = k.oid
 WHERE v.what = 'function'
UNION ALL
SELECT 'views', 'ok', pg_catalog.string_agg(DISTINCT v.name, ', '), NULL, false FROM dependents v HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'other_dependents', 'blocker', u.name, 'Drop it, and create it again afterwards; or let it do without the table''s row type.', false FROM unknown u
UNION ALL
SELECT 'names', 'blocker', 'names that are needed are taken: ' || pg_catalog.string_agg(n::text, ', '), 'Rename what has them.', false
  FROM t, pg_catalog.unnest($3::text[]) n
 WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = t.relnamespace AND c.relname = n)
    OR EXISTS (SELECT FROM pg_catalog.pg_type y WHERE y.typnamespace = t.relnamespace AND y.typname = n)
    OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = t.relnamespace AND p.proname = n AND p.pronargs = 0)
HAVING pg_catalog.count(*) > 0
