-- Twice in a row: the first time may be a lock that was not to be had. The errors are not for listeners.
SELECT count(*) FILTER (WHERE f.failures >= 2)::text, count(*),
       CASE WHEN count(*) FILTER (WHERE f.failures >= 2) = 0 THEN 'materialized views are refreshed'
            ELSE format('not refreshed: %s; groundskeeper.maintenance_log has the errors',
                        string_agg(format('%s (%s times in a row)', f.relation, f.failures), ', ' ORDER BY f.relation)
                            FILTER (WHERE f.failures >= 2)) END
  FROM groundskeeper.failing_relations f
 WHERE f.is_view AND ($1 IS NULL OR f.relation = $1)
