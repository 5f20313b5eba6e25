-- What the counters say of indexes since the last look; only what changed is written. A counter that is less than it
-- was has been reset. What was counted before a reset and after the last look is lost: where that is more than a
-- short while, observation begins anew.
WITH look AS (
  SELECT groundskeeper_internal.counting_since() AS since,
         (SELECT max(sampled_at) FROM groundskeeper.metrics WHERE sampled_at BETWEEN now() - interval '2 days' AND clock_timestamp()) AS last
),
current AS (
  SELECT i.indexrelid, CASE WHEN s.relation IS NULL THEN coalesce(pg_stat_get_numscans(i.indexrelid), 0) ELSE s.scans END AS scans
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    -- scanned on the nodes; those that are not known now are left for the next look
    LEFT JOIN groundskeeper_internal.on_nodes(ARRAY(SELECT indexrelid FROM pg_index)) s ON s.relation = i.indexrelid
   WHERE c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'groundskeeper')
     AND (s.relation IS NULL OR s.scans IS NOT NULL)
),
gone AS (
  DELETE FROM groundskeeper.index_observation o
   WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = o.indexrelid)
)
INSERT INTO groundskeeper.index_observation AS o (indexrelid, first_seen, idx_scan, scans, last_scan)
SELECT c.indexrelid, now(), c.scans, c.scans, CASE WHEN c.scans > 0 THEN now() END
  FROM current c CROSS JOIN look l
  LEFT JOIN groundskeeper.index_observation k USING (indexrelid)
 WHERE k.indexrelid IS NULL OR c.scans <> k.idx_scan
    OR l.since > k.first_seen AND (l.last IS NULL OR l.since > l.last + interval '15 minutes')
ON CONFLICT (indexrelid) DO UPDATE
   SET first_seen = CASE WHEN EXISTS (SELECT FROM look l
                                       WHERE l.since > o.first_seen
                                         AND (l.last IS NULL OR l.since > l.last + interval '15 minutes'))
                         THEN (SELECT since FROM look) ELSE o.first_seen END,
       idx_scan = excluded.idx_scan,
       scans = o.scans + CASE WHEN excluded.idx_scan >= o.idx_scan THEN excluded.idx_scan - o.idx_scan
                              ELSE excluded.idx_scan END,
       last_scan = CASE WHEN excluded.idx_scan > 0 AND excluded.idx_scan <> o.idx_scan THEN now()
                        ELSE o.last_scan END
