SELECT count(*)::text, count(*),
       CASE WHEN count(*) = 0 THEN 'all indexes are valid' ELSE
            'invalid: ' || string_agg(format('%I.%I', n.nspname, c.relname), ', ') END
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace tn ON tn.oid = t.relnamespace
 WHERE NOT i.indisvalid AND ($1 IS NULL OR format('%I.%I', tn.nspname, t.relname) = $1)
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
