-- The worst of those tables that waste as much as matters: of a small one all may be bloat, and nobody is the worse for it.
-- One that is smaller than that is known well enough.
SELECT coalesce(max(b.bloat_percent) FILTER (WHERE b.matters), 0)::text,
       count(*) FILTER (WHERE b.known),
       NULL::interval,
       'monitoring.table_bloat',
       CASE WHEN bool_or(b.matters) THEN
                'worst: ' || (array_agg(format('%I.%I (%s %%, about %s)', b.schemaname, b.tablename, b.bloat_percent,
                                               pg_size_pretty(b.wasted)) ORDER BY b.bloat_percent DESC) FILTER (WHERE b.matters))[1]
            ELSE format('none of %s tables wastes %s', count(*) FILTER (WHERE b.known), pg_size_pretty(min(b.floor))) END,
       CASE WHEN count(*) = 0 THEN format('the schemas %s have no tables', array_to_string(groundskeeper_internal.watched_schemas(), ', '))
            WHEN count(*) FILTER (WHERE b.known) = 0 THEN
                format('none of %s tables has a figure that can be trusted: %s', count(*), min(b.bloat_reason)) END
  FROM (SELECT t.*, w.wasted, f.floor, coalesce(w.wasted >= f.floor AND t.bloat_percent > 0, false) AS matters,
               coalesce(t.bloat_percent IS NOT NULL OR t.table_bytes < f.floor, false) AS known
          FROM monitoring.table_bloat t
         CROSS JOIN LATERAL (SELECT round(t.table_bytes * t.bloat_percent / 100)) w (wasted)
         CROSS JOIN (SELECT pg_size_bytes(current_setting('groundskeeper.bloat_floor'))::numeric) f (floor)) b
