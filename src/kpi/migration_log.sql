-- Finished runs of the pipeline's own log. Rows whose figures contradict each other count as what is worst. What
-- failed again in a later run counts once: few bad records would outweigh all others, tried often enough.
SELECT round(100.0 * sum(r.successful) / nullif(sum(r.processed), 0), 2)::text,
       coalesce(sum(r.processed), 0)::bigint,
       $1::interval,
       'records of finished runs in {log}',
       format('%s of %s records migrated in %s runs of {log}, %s of which failed', coalesce(sum(r.successful), 0),
              coalesce(sum(r.processed), 0), count(*), count(*) FILTER (WHERE r.status = 'failed')),
       CASE WHEN count(*) = 0 THEN 'no run of the pipeline has finished'
            WHEN sum(r.processed) = 0 THEN
                format('%s runs have finished, %s of which failed, and none processed a record', count(*),
                       count(*) FILTER (WHERE r.status = 'failed'))
       END
  FROM (SELECT l.status, greatest(l.records_successful, 0)::bigint AS successful,
               greatest(l.records_processed, l.records_successful::bigint + l.records_failed, l.records_successful,
                        l.records_failed, 0)::bigint
                   - CASE WHEN jsonb_typeof(to_jsonb(l) #> '{metadata,failed_again}') = 'number'
                          THEN least(greatest((to_jsonb(l) #>> '{metadata,failed_again}')::numeric, 0),
                                     greatest(l.records_failed, 0))::bigint
                          ELSE 0 END AS processed
          FROM {log} l
         WHERE l.pipeline_stage IN ('staging', 'curated') AND l.status IN ('completed', 'failed')
           AND coalesce(l.end_time, l.start_time) >= now() - $1) r
