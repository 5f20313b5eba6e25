SELECT max(b.bloat_percent)::text,
       count(b.bloat_percent),
       NULL::interval,
       coalesce((array_agg(b.bloat_method ORDER BY b.bloat_percent DESC NULLS LAST))[1], 'monitoring.table_bloat'),
       format('worst: %s; %s; the worst wastes about %s%s',
              (array_agg(format('%I.%I', b.schemaname, b.tablename) ORDER BY b.bloat_percent DESC NULLS LAST))[1],
              CASE WHEN count(*) = count(b.bloat_percent) THEN format('all %s tables have a figure', count(*))
                   ELSE format('%s of %s tables have no figure that can be trusted', count(*) - count(b.bloat_percent),
                               count(*)) END,
              (array_agg(pg_size_pretty(round(b.table_bytes * b.bloat_percent / 100))
                         ORDER BY b.bloat_percent DESC NULLS LAST))[1],
              (SELECT format('; %s in other schemas are not watched (groundskeeper.watched_schemas)', o.tables)
                 FROM groundskeeper_internal.unwatched_tables() o (tables) WHERE o.tables > 0)),
       CASE WHEN count(*) = 0 THEN format('the schemas %s have no tables', array_to_string(groundskeeper_internal.watched_schemas(), ', '))
            WHEN count(b.bloat_percent) = 0 THEN
                format('none of %s tables has a figure that can be trusted: %s', count(*), min(b.bloat_reason)) END
  FROM monitoring.table_bloat b
