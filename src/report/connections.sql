-- Clients now, and the most of them between $1 and $2.
SELECT jsonb_build_object(
           'usable_slots', (SELECT max(s.usable_slots) FROM monitoring.connection_stats s),
           'pool_size', (SELECT max(s.pool_size) FROM monitoring.connection_stats s),
           'utilization_percent', (SELECT max(s.utilization_percent) FROM monitoring.connection_stats s),
           'peak_busy', (SELECT max(m.database_busy_connections) FROM groundskeeper.metrics m
                          WHERE m.sampled_at >= $1 AND m.sampled_at <= $2),
           'peak', (SELECT max(m.connections) FROM groundskeeper.metrics m WHERE m.sampled_at >= $1 AND m.sampled_at <= $2),
           'states', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                 'state', s.state, 'connections', s.connection_count,
                                 'longest_seconds', s.max_duration_seconds) ORDER BY s.connection_count DESC), '[]')
                        FROM monitoring.connection_stats s))::text,
       NULL::text
