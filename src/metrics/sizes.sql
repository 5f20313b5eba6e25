-- The sizes of tables, where it is time: with the second sample at once, then once an hour. A sample that is not exact
-- is none.
INSERT INTO groundskeeper.relation_size (sampled_at, relation_oid, bytes)
SELECT s.now, t.relation, t.bytes
  FROM (SELECT min(sampled_at) AS first, max(sampled_at) AS last, clock_timestamp() AS now FROM groundskeeper.relation_size) s,
       groundskeeper_internal.total_sizes() t
 WHERE (s.last IS NULL OR s.last = s.first OR s.last <= now() - interval '1 hour') AND t.exact
