-- Drops what interrupted rebuilds have left on the shards of a table ($1), which waits for no lock longer than that ($2). What
-- failed, in words. Citus puts the name of each shard into the statement, as a literal by %L, and makes one % of two.
SELECT pg_catalog.format('shard %s: %s', r.shardid, r.result)
  FROM pg_catalog.run_command_on_shards($1::pg_catalog.regclass, pg_catalog.format($shards$
DO $do$
DECLARE
    leftover record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('lock_timeout', %L, true),
            pg_catalog.set_config('citus.enable_manual_changes_to_shards', 'on', true);
    FOR leftover IN
        SELECT n.nspname, c.relname FROM pg_index x
          JOIN pg_class c ON c.oid = x.indexrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE x.indrelid = %%L::regclass AND NOT x.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
    LOOP
        EXECUTE format('DROP INDEX %%%%I.%%%%I', leftover.nspname, leftover.relname);
    END LOOP;
END
$do$ $shards$, $2)) r
 WHERE NOT r.success
