-- Where and when the report is made. $1 whether the library is preloaded.
SELECT jsonb_build_object(
           'database', current_database(),
           'role', current_user,
           'server_version', current_setting('server_version'),
           'extension_version', coalesce((SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_groundskeeper'), '?'),
           'generated_at', clock_timestamp(),
           'server_started_at', pg_postmaster_start_time(),
           'on_standby', pg_is_in_recovery(),
           'preloaded', $1::boolean,
           'sees_all_statements', pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'))::text,
       NULL::text
