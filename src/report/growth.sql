-- The largest first.
SELECT coalesce(jsonb_agg(to_jsonb(g) ORDER BY g.bytes DESC NULLS LAST), '[]')::text, NULL::text
  FROM (SELECT format('%I.%I', v.schemaname, v.tablename) AS relation, v.bytes::bigint AS bytes, v.bytes_per_day,
               v.forecast_30d_bytes, v.measured_over::text AS measured_over
          FROM monitoring.growth v
         ORDER BY v.bytes DESC NULLS LAST LIMIT 30) g
