-- KPIs as the last check of alerts found them. $1 those that are percentages, the others are milliseconds.
WITH kpi AS (
    SELECT DISTINCT ON (t.kpi) t.kpi, t.kpi = ANY ($1) AS is_percentage, t.target::double precision AS target, t.comparison,
           CASE WHEN s.state <> 'no_data' THEN s.value::double precision END AS value
      FROM groundskeeper.kpi_targets t
      LEFT JOIN groundskeeper.alert_rules r ON r.metric = t.kpi AND r.enabled
      LEFT JOIN groundskeeper.alert_state s ON s.rule = r.rule
     ORDER BY t.kpi, r.rule <> t.kpi
)
SELECT CASE WHEN k.is_percentage THEN 'groundskeeper_kpi_ratio' ELSE 'groundskeeper_kpi_latency_seconds' END,
       jsonb_build_object('kpi', k.kpi), k.value / CASE WHEN k.is_percentage THEN 100 ELSE 1000 END
  FROM kpi k WHERE k.value IS NOT NULL
UNION ALL
SELECT CASE WHEN k.is_percentage THEN 'groundskeeper_kpi_target_ratio' ELSE 'groundskeeper_kpi_target_latency_seconds' END,
       jsonb_build_object('kpi', k.kpi), k.target / CASE WHEN k.is_percentage THEN 100 ELSE 1000 END
  FROM kpi k
UNION ALL
SELECT 'groundskeeper_kpi_met', jsonb_build_object('kpi', k.kpi),
       (CASE k.comparison WHEN '>' THEN k.value > k.target ELSE k.value < k.target END)::integer
  FROM kpi k WHERE k.value IS NOT NULL
