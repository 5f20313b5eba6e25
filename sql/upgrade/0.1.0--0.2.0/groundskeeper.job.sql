ALTER TABLE groundskeeper.job
    ADD COLUMN entry jsonb,
    ADD COLUMN target_oid oid,
    ADD COLUMN target_owner oid,
    ADD COLUMN error_detail text,
    ADD COLUMN gives_way boolean NOT NULL DEFAULT false;
-- What the change log is to say of an open job stands with it; before, the worker looked that up when it was done.
UPDATE groundskeeper.job j
   SET entry = pg_catalog.jsonb_build_object('item', j.item, 'forward', pg_catalog.jsonb_build_array(w.forward),
                                             'inverse', w.inverse, 'prior_definition', NULL, 'undo', w.undo)
  FROM (SELECT i.job_id,
               pg_catalog.format('CREATE %sINDEX %I ON %s (%s)%s', CASE WHEN (i.task->>'unique')::boolean THEN 'UNIQUE ' END,
                                 i.task->'index'->>'name', t.name,
                                 (SELECT pg_catalog.string_agg(k.key, ', ' ORDER BY k.place)
                                    FROM pg_catalog.jsonb_array_elements_text(i.task->'keys') WITH ORDINALITY k (key, place)),
                                 ' WHERE ' || (i.task->>'predicate')),
               pg_catalog.jsonb_build_array(pg_catalog.format('DROP INDEX %I.%I', i.task->'index'->>'schema', i.task->'index'->>'name')),
               CASE WHEN i.item LIKE pg_catalog.concat('%.', i.task->'table'->>'schema', '.', i.task->'table'->>'name', '.%') THEN '{}'
                    ELSE pg_catalog.jsonb_build_object('relation', i.task->'table') END
          FROM groundskeeper.job i
         CROSS JOIN LATERAL pg_catalog.format('%I.%I', i.task->'table'->>'schema', i.task->'table'->>'name') t (name)
         WHERE i.kind = 'create_index' AND i.task ? 'keys'
        UNION ALL
        SELECT v.job_id,
               pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t.name, v.task->>'constraint'),
               pg_catalog.jsonb_build_array(
                   pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, v.task->>'constraint'),
                   pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', t.name, v.task->>'constraint',
                                     v.task->>'expression')),
               pg_catalog.jsonb_build_object('was_not_valid', v.task->>'constraint')
          FROM groundskeeper.job v
         CROSS JOIN LATERAL pg_catalog.format('%I.%I', v.task->'table'->>'schema', v.task->'table'->>'name') t (name)
         WHERE v.kind = 'validate_constraint') w (job_id, forward, inverse, undo)
 WHERE w.job_id = j.job_id AND j.state IN ('queued', 'running') AND j.item IS NOT NULL;
