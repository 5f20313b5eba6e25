-- What LIKE leaves behind of the columns: statistics targets and options.
-- $1 the table, $2 its twin
SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I %s', $2, a.attname, change)
  FROM pg_catalog.pg_attribute a
 CROSS JOIN LATERAL (VALUES
     (CASE WHEN COALESCE(a.attstattarget, -1) >= 0 THEN 'SET STATISTICS ' || a.attstattarget END),
     -- options that the server keeps for itself are not the user's to set
     ((SELECT 'SET (' || pg_catalog.string_agg(o, ', ' ORDER BY place) || ')'
         FROM pg_catalog.unnest(a.attoptions) WITH ORDINALITY u(o, place)
        WHERE NOT pg_catalog.starts_with(o, 'pg_')))) changes(change)
 WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND change IS NOT NULL
