-- What LIKE leaves behind of the columns, and partitions do not get from the whole: statistics targets and options.
-- $1 the table, $2 its twin and the twin's partitions
SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I %s', twin.name, a.attname, change)
  FROM pg_catalog.pg_attribute a
 CROSS JOIN pg_catalog.unnest($2::text[]) twin (name)
 CROSS JOIN LATERAL (VALUES
     (CASE WHEN COALESCE(a.attstattarget, -1) >= 0 THEN 'SET STATISTICS ' || a.attstattarget END),
     -- options that the server keeps for itself are not the user's to set
     ((SELECT 'SET (' || pg_catalog.string_agg(o, ', ' ORDER BY place) || ')'
         FROM pg_catalog.unnest(a.attoptions) WITH ORDINALITY u(o, place)
        WHERE NOT pg_catalog.starts_with(o, 'pg_')))) changes(change)
 WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND change IS NOT NULL
