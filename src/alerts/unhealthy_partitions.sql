SELECT CASE WHEN count(*) = 0 OR count(*) > count(*) FILTER (WHERE h.status = 'unknown')
            THEN count(*) FILTER (WHERE h.status NOT IN ('ok', 'unknown')) END::text,
       count(*),
       CASE WHEN count(*) = 0 THEN 'no managed table' ELSE
            concat_ws('; ', format('%s managed tables', count(*)),
                      string_agg(format('%s: %s', h.parent, h.status), ', ') FILTER (WHERE h.status <> 'ok')) END
  FROM monitoring.partition_health h
 WHERE $1 IS NULL OR h.parent = $1
