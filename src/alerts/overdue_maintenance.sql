SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE late) END::text, count(*),
       CASE WHEN count(*) = 0 THEN coalesce((SELECT min(c.last_error) FROM monitoring.maintenance_status c WHERE c.last_error ~ 'resume\(\)$'),
                                            'nothing is scheduled: groundskeeper.schedule_maintenance() does it')
            WHEN count(*) FILTER (WHERE late) = 0 THEN format('%s tasks run as scheduled', count(*))
            ELSE format('late or failing: %s; see monitoring.maintenance_status', string_agg(task, ', ') FILTER (WHERE late)) END
  FROM (SELECT s.task, s.consecutive_failures >= 3 OR s.overdue AS late
          FROM monitoring.maintenance_status s
         WHERE s.next_run IS NOT NULL AND ($1 IS NULL OR s.task = $1)) m
