-- A row that is the same is not written again. Whether it was.
INSERT INTO groundskeeper.alert_state AS s
    (rule, target, state, since, good_since, announced, value, threshold, detail, observed_at)
VALUES ($1, $2, $3, pg_catalog.to_timestamp($4::double precision / 1000000),
        pg_catalog.to_timestamp($5::double precision / 1000000), $6, $7, $8, $9,
        pg_catalog.to_timestamp($10::double precision / 1000000))
ON CONFLICT (rule) DO UPDATE
   SET target = EXCLUDED.target, state = EXCLUDED.state, since = EXCLUDED.since, good_since = EXCLUDED.good_since,
       announced = EXCLUDED.announced, value = EXCLUDED.value, threshold = EXCLUDED.threshold, detail = EXCLUDED.detail,
       observed_at = EXCLUDED.observed_at
 WHERE (s.target, s.state, s.since, s.good_since, s.announced, s.value, s.threshold, s.detail, s.observed_at)
       IS DISTINCT FROM
       (EXCLUDED.target, EXCLUDED.state, EXCLUDED.since, EXCLUDED.good_since, EXCLUDED.announced, EXCLUDED.value,
        EXCLUDED.threshold, EXCLUDED.detail, EXCLUDED.observed_at)
