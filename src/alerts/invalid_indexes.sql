-- What a concurrent build leaves on a TOAST table is of the table whose values stand there.
SELECT count(*)::text, count(*),
       CASE WHEN count(*) = 0 THEN 'all indexes are valid' ELSE
            'invalid: ' || string_agg(format('%I.%I', n.nspname, c.relname)
                || CASE WHEN o.oid IS NULL THEN '' ELSE format(' (TOAST of %I.%I)', tn.nspname, t.relname) END, ', ') END
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class o ON o.reltoastrelid = i.indrelid
  JOIN pg_class t ON t.oid = coalesce(o.oid, i.indrelid)
  JOIN pg_namespace tn ON tn.oid = t.relnamespace
 WHERE NOT i.indisvalid AND ($1 IS NULL OR format('%I.%I', tn.nspname, t.relname) = $1)
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
