-- Optional parts that are not in place, or of which the caller cannot know.
SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.component), '[]')::text, NULL::text
  FROM groundskeeper.prerequisites() p
 WHERE p.state <> 'ok'
