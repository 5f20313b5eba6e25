-- How many transactions, of either kind, are left before the server refuses to write; in millions, as it always sinks.
SELECT trunc(min(d.distance), -6)::text, count(*),
       format('nearest: database %I', (array_agg(d.datname ORDER BY d.distance))[1])
  FROM (SELECT datname::text, 2147483648::numeric - 3000000 - greatest(age(datfrozenxid), mxid_age(datminmxid)) AS distance
          FROM pg_database) d
 WHERE $1 IS NULL OR d.datname = $1
