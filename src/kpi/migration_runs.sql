-- The same of our own runs.
SELECT round(100.0 * sum(r.successful) / nullif(sum(r.processed), 0), 2)::text,
       coalesce(sum(r.processed), 0)::bigint,
       $1::interval,
       'records of finished runs in groundskeeper.migration_runs',
       format('%s of %s records migrated in %s runs, %s of which failed', coalesce(sum(r.successful), 0),
              coalesce(sum(r.processed), 0), count(*), count(*) FILTER (WHERE r.state = 'failed')),
       CASE WHEN count(*) = 0 THEN 'no run of migrate_to_staging() has finished'
            WHEN sum(r.processed) = 0 THEN
                format('%s runs have finished, %s of which failed, and none processed a record', count(*),
                       count(*) FILTER (WHERE r.state = 'failed'))
       END
  FROM (SELECT m.state, m.successful,
               m.processed - coalesce((m.metadata ->> 'failed_again')::bigint, 0) AS processed
          FROM groundskeeper.migration_runs m
         WHERE m.state IN ('completed', 'failed') AND coalesce(m.finished_at, m.started_at) >= now() - $1) r
