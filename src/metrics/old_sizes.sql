-- Sizes that are past their time ($1 minutes), were taken by a clock that was ahead, or are one of many of a day.
DELETE FROM groundskeeper.relation_size r
 WHERE r.sampled_at < now() - make_interval(mins => $1)
    OR r.sampled_at > clock_timestamp()
    OR r.sampled_at < now() - interval '2 days'
       AND EXISTS (SELECT FROM groundskeeper.relation_size e
                    WHERE e.relation_oid = r.relation_oid AND e.sampled_at < r.sampled_at
                      AND e.sampled_at >= date_trunc('day', r.sampled_at, 'UTC'))
