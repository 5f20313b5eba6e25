-- One that failed without a record is in no success rate.
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE r.state = 'failed') END::text, count(*),
       CASE WHEN count(*) = 0 THEN 'no run of migrate_to_staging() has finished'
            WHEN count(*) FILTER (WHERE r.state = 'failed') = 0 THEN 'the last run of each market completed'
            ELSE format('the last run failed: %s; groundskeeper.migration_runs has the errors',
                        string_agg(format('%s (%s records)', r.bet_type, r.processed), ', ' ORDER BY r.bet_type)
                            FILTER (WHERE r.state = 'failed')) END
  FROM (SELECT DISTINCT ON (m.bet_type) m.bet_type, m.state, m.processed
          FROM groundskeeper.migration_runs m
         WHERE m.state IN ('completed', 'failed') AND m.home = groundskeeper_internal.home()
         ORDER BY m.bet_type, m.run_id DESC) r
 WHERE $1 IS NULL OR r.bet_type = $1
