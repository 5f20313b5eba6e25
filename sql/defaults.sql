-- What is to hold until somebody says otherwise, in one way for each table of such rows: the plan states them, an INSERT
-- takes the place of the row that is there, so that a dump restores over them, and a deleted one comes back.

-- Columns that must have a value keep theirs where the new row has none.
CREATE FUNCTION groundskeeper_internal.take_place() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key CONSTANT text := TG_ARGV[0];
    assignments CONSTANT text := (
        SELECT string_agg(format(CASE WHEN a.attnotnull THEN '%1$I = COALESCE(($1).%1$I, t.%1$I)' ELSE '%1$I = ($1).%1$I' END,
                                 a.attname), ', ')
          FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attnum > 0 AND NOT a.attisdropped);
    changed bigint;
BEGIN
    EXECUTE format('UPDATE %s t SET %s WHERE t.%I = ($1).%I', TG_RELID::regclass, assignments, key, key) USING NEW;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN CASE WHEN changed = 0 THEN NEW END;
END $$;
COMMENT ON FUNCTION groundskeeper_internal.take_place() IS
    'Trigger: a row that is inserted takes the place of the one with its key, the column that the trigger names';

CREATE FUNCTION groundskeeper_internal.put_back() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %1$s SELECT d.* FROM groundskeeper_internal.defaults(%2$L) r,
                                                     jsonb_populate_record(NULL::%1$s, r) d
                     WHERE NOT EXISTS (SELECT FROM %1$s t WHERE t.%3$I = d.%3$I)',
                   TG_RELID::regclass, TG_TABLE_NAME, TG_ARGV[0]);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION groundskeeper_internal.put_back() IS
    'Trigger: defaults come back where they are missing, by the column that the trigger names';

-- For the installation, which drops it at the end: a table holds its defaults until they are edited, and a dump carries
-- what is in it. A restore may run with triggers off for replicas; it needs the first one all the same.
CREATE PROCEDURE groundskeeper_internal.keep_defaults(relation regclass, key name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER take_place BEFORE INSERT ON %s
                        FOR EACH ROW EXECUTE FUNCTION groundskeeper_internal.take_place(%L)', relation, key);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER take_place', relation);
    EXECUTE format('COMMENT ON TRIGGER take_place ON %s IS %L', relation,
                   'Has an INSERT take the place of the row that is there, so that a dump restores over the defaults');
    EXECUTE format('CREATE TRIGGER put_back AFTER DELETE OR TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.put_back(%L)', relation, key);
    EXECUTE format('COMMENT ON TRIGGER put_back ON %s IS %L', relation, 'Puts the default of a deleted row back');
    -- Nothing is deleted; the trigger finds what is missing: all of it, or in an update what the table had no row for.
    EXECUTE format('DELETE FROM %s WHERE false', relation);
    PERFORM pg_extension_config_dump(relation, '');
END $$;
-- The first only computes, the second tells what the catalogs tell everybody.
GRANT EXECUTE ON FUNCTION groundskeeper_internal.defaults(text), groundskeeper_internal.watched_schemas() TO PUBLIC;

COMMENT ON FUNCTION groundskeeper_internal.defaults(text) IS 'What a table of configuration holds until it is edited, as rows';
COMMENT ON FUNCTION groundskeeper_internal.watched_schemas() IS
    'The schemas whose relations are watched: those of groundskeeper.watched_schemas, else the plan''s and those with a managed or maintained relation';
