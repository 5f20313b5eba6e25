-- One that was locked is tried again with the next run, and counts when that failed, too.
SELECT count(*)::text, count(*),
       CASE WHEN count(*) = 0 THEN 'all relations are maintained'
            ELSE format('failed in the last run: %s; groundskeeper.maintenance_log has the errors',
                        string_agg(f.relation, ', ' ORDER BY f.relation)) END
  FROM groundskeeper.failing_relations f
 WHERE (f.failures >= 2 OR f.reason !~ '\(55P03\)$') AND ($1 IS NULL OR f.relation = $1)
