-- It only looks.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.require_top_level(text) TO PUBLIC;

COMMENT ON FUNCTION groundskeeper_internal.require_top_level(text) IS 'Raises an error unless the procedure that calls it may commit';
