-- No error is repeated here: it may hold what is not for listeners.
SELECT count(*)::text, count(*),
       CASE WHEN count(*) = 0 THEN 'no job has failed within a day' ELSE
            format('failed within a day: %s; groundskeeper.jobs has the errors, retry_job() queues one again',
                   string_agg(format('job %s (%s %s)', j.job_id, j.kind, j.target), ', ' ORDER BY j.job_id)) END
  FROM groundskeeper.jobs j
 WHERE j.state = 'failed' AND ($1 IS NULL OR j.target = $1)
   AND coalesce(j.finished_at, j.queued_at) >= now() - interval '1 day'
