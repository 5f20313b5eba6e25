-- What is done with the plan.

GRANT EXECUTE ON FUNCTION groundskeeper.plan_status() TO pg_monitor;

COMMENT ON FUNCTION groundskeeper.plan_status() IS 'Each item of the plan: whether it is applied here, and if not, why not, what would do it, and at which cost';
COMMENT ON FUNCTION groundskeeper.apply_plan(boolean, text[], text[]) IS 'Applies what is pending, of the sections or single items asked for; a dry run only says what it would do';
COMMENT ON FUNCTION groundskeeper.rollback_plan(boolean, text[]) IS 'Takes back what the change log records, newest first; a dry run only says what it would do';
