-- Who they are is in the view, for those who may see it.
SELECT coalesce(trunc(max(t.idle_seconds)), 0)::text, count(*),
       CASE WHEN count(*) = 0 THEN 'no transaction idles'
            ELSE format('%s transactions idle; monitoring.idle_transactions names them', count(*)) END
  FROM monitoring.idle_transactions t
 WHERE $1 IS NULL OR t.role_name = $1
