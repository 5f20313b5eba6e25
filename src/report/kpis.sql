-- The six, in their order.
SELECT coalesce(jsonb_agg(to_jsonb(k)), '[]')::text, NULL::text FROM groundskeeper.kpi_report() k
