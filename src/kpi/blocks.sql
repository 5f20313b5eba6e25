-- Block hits among block accesses, between the samples of the window: {blocks} is heap or idx.
SELECT round(100.0 * m.{blocks}_blks_hit / nullif(m.{blocks}_blks_hit + m.{blocks}_blks_read, 0), 2)::text,
       coalesce(m.{blocks}_blks_hit + m.{blocks}_blks_read, 0)::bigint,
       m.measured_over,
       'block hits / (hits + reads) of user tables, increase between samples',
       format('%s blocks found in the buffer cache, %s read, over %s samples', m.{blocks}_blks_hit, m.{blocks}_blks_read, m.samples),
       CASE WHEN pg_is_in_recovery() THEN 'a standby keeps no history of its own'
            WHEN m.{blocks}_blks_hit IS NULL THEN
                format('%s samples in this time, and two are needed: groundskeeper.record_metrics() takes them', m.samples)
            WHEN m.{blocks}_blks_hit + m.{blocks}_blks_read = 0 THEN 'no block was accessed' END
  FROM groundskeeper.metrics_over($1) m
