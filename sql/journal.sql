-- What was changed, and what is still to be done. Written by the extension only; restored with the database.

CREATE TABLE groundskeeper.change (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    applied_by text NOT NULL,
    forward_sql text NOT NULL,
    inverse_sql text NOT NULL,
    prior_definition text,
    undo jsonb NOT NULL DEFAULT '{}',
    reverted_at timestamptz
);
COMMENT ON TABLE groundskeeper.change IS 'Every change that carried out an item of the plan, recorded in the transaction that made it';
COMMENT ON COLUMN groundskeeper.change.change_id IS 'In the order in which the changes were made';
COMMENT ON COLUMN groundskeeper.change.item IS 'The item of the plan';
COMMENT ON COLUMN groundskeeper.change.applied_at IS 'When';
COMMENT ON COLUMN groundskeeper.change.applied_by IS 'The role that asked for it';
COMMENT ON COLUMN groundskeeper.change.forward_sql IS 'The statements that were run';
COMMENT ON COLUMN groundskeeper.change.inverse_sql IS 'The statements that took it back then; rollback_plan() looks again at what stands on the object by now';
COMMENT ON COLUMN groundskeeper.change.prior_definition IS 'The definition of each object that was there before; NULL where there was none';
COMMENT ON COLUMN groundskeeper.change.undo IS 'What rollback_plan() must know that the catalogs no longer tell';
COMMENT ON COLUMN groundskeeper.change.reverted_at IS 'When it was taken back; NULL while it stands';
CREATE INDEX ON groundskeeper.change (item) WHERE reverted_at IS NULL;

CREATE VIEW groundskeeper.change_log AS
SELECT change_id, item, applied_at, applied_by, forward_sql, inverse_sql, prior_definition, reverted_at
  FROM groundskeeper.change;
COMMENT ON VIEW groundskeeper.change_log IS 'Every change that carried out an item of the plan, with its inverse and what was there before';

CREATE TABLE groundskeeper.job (
    job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    target text NOT NULL,
    item text,
    task jsonb NOT NULL,
    run_as text NOT NULL,
    requested_by text NOT NULL,
    home text NOT NULL,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    detail text,
    phase text,
    progress double precision NOT NULL DEFAULT 0,
    error text,
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT pg_catalog.now(),
    worker_pid integer,
    queued_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    started_at timestamptz,
    finished_at timestamptz,
    entry jsonb,
    target_oid oid,
    target_owner oid,
    error_detail text,
    gives_way boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE groundskeeper.job IS 'Work for background workers; groundskeeper.jobs shows it';
COMMENT ON COLUMN groundskeeper.job.task IS 'What is to be brought about';
COMMENT ON COLUMN groundskeeper.job.entry IS 'What the change log is to say once that is done; NULL where the job writes none';
COMMENT ON COLUMN groundskeeper.job.run_as IS 'The role that the worker connects as';
COMMENT ON COLUMN groundskeeper.job.home IS 'The cluster and database that the job was queued in; a copy does not run it until groundskeeper.resume()';
COMMENT ON COLUMN groundskeeper.job.phase IS 'What the worker is at';
COMMENT ON COLUMN groundskeeper.job.progress IS 'How much of it is done, 0 to 1';
COMMENT ON COLUMN groundskeeper.job.not_before IS 'When the next attempt may start';
COMMENT ON COLUMN groundskeeper.job.target_oid IS 'The relation that the job was queued for: another by its name is left alone; true of the home alone';
COMMENT ON COLUMN groundskeeper.job.target_owner IS 'Its owner then';
COMMENT ON COLUMN groundskeeper.job.gives_way IS 'It waits for a lock and is told to give its place to another role''s job; it goes back to the queue';
COMMENT ON COLUMN groundskeeper.job.error_detail IS 'What else was said, which may hold values of rows: for the requester and the role that the job runs as';
COMMENT ON COLUMN groundskeeper.job.worker_pid IS 'The worker that has it, if that worker still lives';
CREATE UNIQUE INDEX ON groundskeeper.job (item, kind) WHERE state IN ('queued', 'running');
CREATE INDEX ON groundskeeper.job (state, not_before);

CREATE TABLE groundskeeper.job_attempt (
    job_id bigint NOT NULL REFERENCES groundskeeper.job ON DELETE CASCADE,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    state text NOT NULL,
    error text,
    lock_waits integer NOT NULL DEFAULT 0,
    rows_done bigint NOT NULL DEFAULT 0,
    error_detail text,
    PRIMARY KEY (job_id, attempt)
);
COMMENT ON TABLE groundskeeper.job_attempt IS 'One row per attempt at a job';
COMMENT ON COLUMN groundskeeper.job_attempt.error_detail IS 'As in groundskeeper.job';

-- A detail may hold keys and values of rows that not everybody who may look at jobs may read.
CREATE FUNCTION groundskeeper_internal.error_shown(error text, detail text, requested_by text, run_as text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN SESSION_USER IN (requested_by, run_as)
              OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)
              OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = run_as AND pg_catalog.pg_has_role(r.oid, 'USAGE'))
            THEN error || COALESCE(': ' || detail, '') ELSE error END;
COMMENT ON FUNCTION groundskeeper_internal.error_shown(text, text, text, text) IS 'An error with its detail for the requester of the job and the role that it runs as, without it for others';
GRANT EXECUTE ON FUNCTION groundskeeper_internal.error_shown(text, text, text, text) TO PUBLIC;

-- Everybody sees their own jobs, members of pg_monitor all.
CREATE VIEW groundskeeper.jobs WITH (security_barrier = true) AS
SELECT j.job_id, j.kind, j.target,
       CASE WHEN j.state = 'running' AND a.wait_event_type = 'Lock' THEN 'waiting' ELSE j.state END AS state,
       CASE j.state
           WHEN 'succeeded' THEN 1.0
           WHEN 'running' THEN pg_catalog.round(COALESCE(b.progress, j.progress::numeric), 3)
           ELSE 0.0
       END AS progress,
       CASE WHEN j.state = 'running' THEN COALESCE(p.phase, j.phase) END AS phase,
       CASE WHEN j.state = 'running' AND a.wait_event_type = 'Lock'
            THEN 'waits for ' || COALESCE(NULLIF(pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', '), ''), 'a lock')
            -- the dispatcher's lock, as src/worker/locks.rs takes it
            WHEN j.state = 'queued' AND j.detail IS NULL AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_locks l
                 WHERE l.locktype = 'userlock' AND l.classid::bigint = 1735092834 AND l.objid::bigint = 0
                   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                      WHERE d.datname = pg_catalog.current_database()))
            THEN 'no background worker looks after jobs yet: the next call of plan_status() or wait_for_job() starts '
                 'one, if max_worker_processes leaves room'
            WHEN j.state = 'running' THEN COALESCE(b.work, j.detail)
            -- what it has left half-way, as long as that is so
            WHEN j.state IN ('failed', 'cancelled') AND j.kind IN ('partition_table', 'undo_partitioning', 'finalize_partitioning')
            THEN COALESCE((SELECT pg_catalog.format('unfinished: nobody works on the conversion of %s, which is %s: groundskeeper.retry_job(%s) goes on, groundskeeper.undo_partitioning(%L) takes it back',
                                                    c.relation, c.stage, j.job_id, c.relation)
                             FROM groundskeeper.conversion c
                            WHERE c.relation = j.target AND c.stage NOT IN ('converted', 'finalized')
                              AND NOT EXISTS (SELECT FROM groundskeeper.job o
                                               WHERE o.target = j.target AND (o.state IN ('queued', 'running') OR o.job_id > j.job_id)
                                                 AND o.kind IN ('partition_table', 'undo_partitioning', 'finalize_partitioning'))),
                          j.detail)
            ELSE j.detail
       END AS detail,
       j.attempts, j.queued_at, j.started_at, j.finished_at, groundskeeper_internal.error_shown(j.error, j.error_detail, j.requested_by, j.run_as) AS error
  FROM groundskeeper.job j
  LEFT JOIN pg_catalog.pg_stat_activity a ON j.state = 'running' AND a.pid = j.worker_pid
  LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = a.pid
  -- A concurrent build reads the table twice, and the index in between; each phase counts its blocks from 0.
  LEFT JOIN LATERAL (
      SELECT COALESCE(p.blocks_done::numeric / NULLIF(p.blocks_total, 0), 0) AS blocks,
             COALESCE(p.tuples_done::numeric / NULLIF(p.tuples_total, 0), 0) AS tuples) f ON p.pid IS NOT NULL
  LEFT JOIN LATERAL (
      SELECT CASE
                 WHEN p.phase = 'building index: loading tuples in tree' THEN 0.5 + 0.1 * f.tuples
                 WHEN p.phase LIKE 'building index: sorting%' THEN 0.5
                 WHEN p.phase LIKE 'building index%' THEN 0.5 * f.blocks
                 WHEN p.phase = 'waiting for writers before validation' THEN 0.6
                 WHEN p.phase = 'index validation: scanning index' THEN 0.6 + 0.15 * f.blocks
                 WHEN p.phase = 'index validation: sorting tuples' THEN 0.75
                 WHEN p.phase = 'index validation: scanning table' THEN 0.75 + 0.25 * f.blocks
                 WHEN p.phase IN ('waiting for old snapshots', 'waiting for readers before marking dead',
                                  'waiting for readers before dropping') THEN 1.0
                 ELSE 0.0
             END AS progress,
             CASE WHEN p.tuples_total > 0
                  THEN pg_catalog.format('%s of %s rows', p.tuples_done, p.tuples_total)
                  WHEN p.blocks_total > 0
                  THEN pg_catalog.format('%s of %s',
                           pg_catalog.pg_size_pretty(p.blocks_done * pg_catalog.current_setting('block_size')::bigint),
                           pg_catalog.pg_size_pretty(p.blocks_total * pg_catalog.current_setting('block_size')::bigint))
             END AS work) b ON p.pid IS NOT NULL
 WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE') OR j.requested_by = SESSION_USER
    OR j.run_as = SESSION_USER;
COMMENT ON VIEW groundskeeper.jobs IS 'Jobs with their state, seen live';
COMMENT ON COLUMN groundskeeper.jobs.state IS 'queued, running, waiting (for a lock), succeeded, failed or cancelled';
COMMENT ON COLUMN groundskeeper.jobs.progress IS '0 to 1; for builds from pg_stat_progress_create_index, over all phases';
COMMENT ON COLUMN groundskeeper.jobs.detail IS 'For a waiting job the pids that it waits for, for a build the rows or bytes of its phase; of a failed or cancelled conversion what it has left half-way, and what ends that';

CREATE VIEW groundskeeper.job_history WITH (security_barrier = true) AS
SELECT h.job_id, h.attempt, h.started_at, h.finished_at, h.state,
       groundskeeper_internal.error_shown(h.error, h.error_detail, j.requested_by, j.run_as) AS error, h.lock_waits, h.rows_done
  FROM groundskeeper.job_attempt h
  JOIN groundskeeper.job j USING (job_id)
 WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE') OR j.requested_by = SESSION_USER
    OR j.run_as = SESSION_USER;
COMMENT ON VIEW groundskeeper.job_history IS 'One row per attempt at a job';

-- Restored with the database. Jobs keep the home they were queued in, so a copy leaves them alone.
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.change', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.change_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.job', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.job_job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.job_attempt', '');

-- A name can hold a newline, which would end the comment that it stands in: what follows would be run.
CREATE FUNCTION groundskeeper_internal.one_line(text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
RETURN regexp_replace(one_line.text, '[[:cntrl:]]+', ' ', 'g');
COMMENT ON FUNCTION groundskeeper_internal.one_line(text) IS 'A text without what could end a line, for comments in scripts';
GRANT EXECUTE ON FUNCTION groundskeeper_internal.one_line(text) TO PUBLIC;

-- The whole log as one script, newest change first: the schema as it was before, for a backup or for rehearsal.
CREATE FUNCTION groundskeeper.rollback_script() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT COALESCE(string_agg(
               format(E'-- change %s: %s, applied %s by %s\n%s%s\n',
                      change_id, groundskeeper_internal.one_line(item), to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
                      groundskeeper_internal.one_line(applied_by),
                      COALESCE('-- before: ' || (SELECT string_agg(groundskeeper_internal.one_line(w.line), E'\n--         ' ORDER BY w.place)
                                                   FROM regexp_split_to_table(prior_definition, '[\r\n]+') WITH ORDINALITY w (line, place)) || E'\n', ''),
                      inverse_sql),
               E'\n' ORDER BY change_id DESC), '')
      FROM groundskeeper.change_log
     WHERE reverted_at IS NULL;
END;
COMMENT ON FUNCTION groundskeeper.rollback_script() IS 'The change log as one script that brings back the schema as it was, with what each object was before';

GRANT SELECT ON groundskeeper.change_log TO pg_monitor;
GRANT EXECUTE ON FUNCTION groundskeeper.rollback_script() TO pg_monitor;
GRANT SELECT ON groundskeeper.jobs, groundskeeper.job_history TO PUBLIC;
