-- Jobs of ours that nobody can run, or that nobody wants: database or role are gone; they are this database's, and not
-- among those wanted. $1 is the database's name, $2 the role that runs them, $3 their names.
WITH gone AS (
    DELETE FROM cron.job j
     WHERE (pg_catalog.starts_with(j.command, 'CALL groundskeeper.run_')
               AND pg_catalog.starts_with(j.jobname::text, pg_catalog.concat('groundskeeper ', j.database, ' '))
            OR pg_catalog.strpos(j.command, '/* pg_groundskeeper */') > 0 AND j.jobname::text ~ '^groundskeeper .* tidy$')
       AND (NOT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = j.database)
            -- The one that looks on says in its name for which database it does.
         OR j.jobname::text ~ ' tidy$'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_database d
                             WHERE pg_catalog.concat('groundskeeper ', d.datname, ' tidy') = j.jobname::text)
         OR NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = j.username)
         OR (j.database = $1 AND (j.username <> $2) IS NOT FALSE
             OR j.database = $1 AND j.jobname::text <> ALL ($3)
             -- Whoever entered it last runs the one that looks on.
             OR j.jobname::text = pg_catalog.concat('groundskeeper ', $1, ' tidy')
                AND (j.jobname::text <> ALL ($3)
                     OR EXISTS (SELECT FROM cron.job k WHERE k.jobname = j.jobname AND k.jobid > j.jobid)))
             AND pg_catalog.starts_with(j.jobname::text, pg_catalog.concat('groundskeeper ', $1, ' ')))
    RETURNING j.jobname::text AS name)
SELECT pg_catalog.count(*), pg_catalog.string_agg(name, ', ' ORDER BY name) FROM gone
