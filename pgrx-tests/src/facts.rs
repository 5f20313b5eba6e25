//! The user's schemas as the catalogs have them, which is more than a dump shows: NULL ACLs, entries in their
//! order, whether a materialized view is filled.

use anyhow::Result;
use postgres::Client;

use crate::sql::texts;

const FACTS: &str = "
    WITH relation AS (
        SELECT c.*, pg_get_userbyid(relowner) AS owner, obj_description(c.oid, 'pg_class') AS comment
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE nspname !~ '^pg_'
           AND nspname NOT IN ('information_schema', 'groundskeeper', 'groundskeeper_internal', 'monitoring'))
    SELECT format('%s %s: owner %s, acl %s, options %s, filled %s, comment %s', relkind, oid::regclass, owner,
                  coalesce(relacl::text, 'NULL'), reloptions, relispopulated, comment)
      FROM relation
    UNION ALL
    SELECT format('%s.%s %s: type %s, acl %s, options %s, target %s, storage %s, comment %s',
                  r.oid::regclass, attnum, attname, format_type(atttypid, atttypmod),
                  coalesce(attacl::text, 'NULL'),
                  -- some servers keep options of their own there
                  ARRAY(SELECT o FROM unnest(attoptions) o WHERE NOT starts_with(o, 'pg_')), attstattarget, attstorage,
                  col_description(r.oid, attnum))
      FROM relation r JOIN pg_attribute ON attrelid = r.oid AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT format('%s as %s', oid::regclass, pg_get_viewdef(oid)) FROM relation WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT format('%s, valid %s, clustered %s', pg_get_indexdef(indexrelid), indisvalid, indisclustered)
      FROM relation r JOIN pg_index ON indrelid = r.oid
    UNION ALL
    SELECT format('%s on %s: %s, comment %s', conname, r.oid::regclass, pg_get_constraintdef(k.oid),
                  obj_description(k.oid, 'pg_constraint'))
      FROM relation r JOIN pg_constraint k ON conrelid = r.oid
    UNION ALL
    SELECT format('%s, enabled %s', pg_get_triggerdef(g.oid), tgenabled)
      FROM relation r JOIN pg_trigger g ON tgrelid = r.oid AND NOT tgisinternal
    ORDER BY 1";

/// One line per fact, sorted.
pub fn facts(client: &mut Client) -> Result<String> {
    Ok(texts(client, FACTS)?.join("\n"))
}
