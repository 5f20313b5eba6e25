-- The largest tables by what the catalog says of them, where nothing measures how they grow.
SELECT coalesce(jsonb_agg(jsonb_build_object('relation', t.relation, 'bytes', t.bytes) ORDER BY t.bytes DESC, t.relation), '[]')::text, NULL::text
  FROM (SELECT format('%I.%I', n.nspname, c.relname) AS relation,
               (greatest(c.relpages, 0)::bigint + greatest(coalesce(o.relpages, 0), 0) + coalesce(x.pages, 0))
                   * current_setting('block_size')::bigint AS bytes
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_class o ON o.oid = c.reltoastrelid
          LEFT JOIN (SELECT i.indrelid, sum(greatest(p.relpages, 0))::bigint AS pages
                       FROM pg_index i JOIN pg_class p ON p.oid = i.indexrelid GROUP BY i.indrelid) x ON x.indrelid = c.oid
         WHERE n.nspname = ANY (groundskeeper_internal.watched_schemas()) AND c.relkind IN ('r', 'm')
         ORDER BY 2 DESC, 1 LIMIT 30) t
