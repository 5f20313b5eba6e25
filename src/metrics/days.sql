-- Today and tomorrow (UTC), where they have no partition yet: its name and its bounds.
SELECT b.name, to_char(b.day, 'YYYY-MM-DD 00:00:00+00'), to_char(b.day + 1, 'YYYY-MM-DD 00:00:00+00')
  FROM (SELECT d.day, to_char(d.day, '"metrics_"YYYY_MM_DD') AS name
          FROM (SELECT (now() AT TIME ZONE 'UTC')::date + n AS day FROM generate_series(0, 1) n) d) b
 WHERE to_regclass('groundskeeper.' || b.name) IS NULL
