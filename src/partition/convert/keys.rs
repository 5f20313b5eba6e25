//! The key table: one row for each row of a partitioned table, with its primary key and the columns of all unique
//! indexes that lack the partition key. It has these indexes, by their names, and foreign keys refer to it, so
//! uniqueness across partitions, ON DELETE and ON UPDATE, deferrability and concurrency stay PostgreSQL's own.
//!
//! The functions are the table's owner's, not the extension's: writers need no new grants, and the tables go on
//! working without the extension.

use super::record::{Conversion, KEYS};
use super::shadow::{function, inside_format};
use crate::sql::quote_literal;

/// Sorts before the triggers of foreign keys, whose check of a row that refers to itself must find the key.
pub const INSERTED: &str = "A_groundskeeper_key_insert";
/// Sorts after all others that run before an update and may still change the key.
pub const UPDATED: &str = "zz_groundskeeper_key_update";
/// Takes the key of a deleted row.
pub const DELETED: &str = "groundskeeper_key_delete";
/// Takes the keys of truncated rows.
pub const TRUNCATED: &str = "groundskeeper_key_truncate";
/// Lets rows in that are restored after the table's own, whose triggers have made them already.
pub const RESTORED: &str = "groundskeeper_key_restore";

/// The suffixes of the functions behind them.
pub const FUNCTIONS: [&str; 5] = ["key_insert", "key_update", "key_delete", "key_truncate", "key_restore"];

/// The statements that make the functions, and the trigger of the key table itself.
pub fn functions(conversion: &Conversion) -> Vec<String> {
    let [insert, update, delete, truncate, restore] =
        FUNCTIONS.map(|suffix| conversion.beside_quoted(suffix));
    let keys = conversion.beside_quoted(KEYS);
    let mut statements = vec![
        function(&insert, &insert_body(conversion)),
        function(&update, &update_body(conversion)),
        function(&delete, &delete_body(conversion)),
        function(&truncate, &truncate_body(conversion)),
        function(&restore, &restore_body(conversion)),
    ];
    let revokes = [insert, update, delete, truncate, restore.clone()]
        .map(|function| format!("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"));
    statements.extend(revokes);
    // Only a restore, or somebody's own hand, inserts here directly.
    statements.push(format!(
        "CREATE TRIGGER {RESTORED} BEFORE INSERT ON {keys} FOR EACH ROW WHEN (pg_catalog.pg_trigger_depth() = 0)
            EXECUTE FUNCTION {restore}()"
    ));
    statements.push(always(&keys, RESTORED));
    statements
}

/// A trigger that fires for what replication applies too, and for sessions that have switched ordinary ones off: a
/// unique index would not be switched off either.
fn always(table: &str, trigger: &str) -> String {
    format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER \"{trigger}\"")
}

/// The statements that put the triggers on a table.
pub fn triggers(conversion: &Conversion, table: &str) -> Vec<String> {
    let [insert, update, delete, truncate, _] = FUNCTIONS.map(|suffix| conversion.beside_quoted(suffix));
    // By their bytes, as foreign keys see it: equal values may differ, and some types know no equality. A call, as a dump
    // would not bring an operator between rows back.
    let of = |row: &str| format!("ROW({})", conversion.kept_list(row));
    let changed = format!("pg_catalog.record_image_ne({}, {})", of("OLD."), of("NEW."));
    let mut statements = vec![
        format!(
            "CREATE TRIGGER \"{INSERTED}\" AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {insert}()"
        ),
        format!(
            "CREATE TRIGGER {UPDATED} BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION {update}()"
        ),
        format!("CREATE TRIGGER {DELETED} AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {delete}()"),
        truncated(table, &truncate),
    ];
    statements.extend([INSERTED, UPDATED, DELETED, TRUNCATED].map(|trigger| always(table, trigger)));
    statements
}

/// The trigger that truncating the whole fires; a partition that is truncated alone needs one of its own.
fn truncated(table: &str, function: &str) -> String {
    format!(
        "CREATE TRIGGER {TRUNCATED} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    )
}

/// A new row brings its key. A key that is there may be that of a row that moves between partitions, whose old
/// version is gone by the time that this statement is over: so the rows are counted, in a statement of its own that
/// sees what others have committed while this one waited for them. What else must be unique is refused by the key
/// table's own indexes.
fn insert_body(conversion: &Conversion) -> String {
    let (table, keys, list) = (conversion.quoted(), conversion.beside_quoted(KEYS), conversion.key_list(""));
    let (new, same) = (conversion.key_list("NEW."), conversion.same_key("x", "NEW"));
    let (kept, kept_new) = (conversion.kept_list(""), conversion.kept_list("NEW."));
    format!(
        "BEGIN
    LOOP
        INSERT INTO {keys} ({kept}) VALUES ({kept_new}) ON CONFLICT ({list}) DO NOTHING;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        PERFORM FROM {keys} x WHERE {same} FOR KEY SHARE;
        EXIT WHEN FOUND;
    END LOOP;
    IF (SELECT pg_catalog.count(*) FROM {table} x WHERE {same}) > 1 THEN
        RAISE unique_violation USING
            MESSAGE = {message},
            DETAIL = pg_catalog.format('Key ({columns})=(%s) already exists.', pg_catalog.concat_ws(', ', {new})),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END",
        message = quote_literal(format!("duplicate key value violates the unique key of {table}")),
        columns = inside_format(&list),
    )
}

fn update_body(conversion: &Conversion) -> String {
    let keys = conversion.beside_quoted(KEYS);
    format!(
        "BEGIN
    UPDATE {keys} x SET ({}) = ROW ({}) WHERE {};
    RETURN NEW;
END",
        conversion.kept_list(""),
        conversion.kept_list("NEW."),
        conversion.same_key("x", "OLD")
    )
}

/// A deleted row takes its key along, unless it has only moved.
fn delete_body(conversion: &Conversion) -> String {
    let (table, keys) = (conversion.quoted(), conversion.beside_quoted(KEYS));
    format!(
        "BEGIN
    DELETE FROM {keys} x WHERE {} AND NOT EXISTS (SELECT FROM {table} y WHERE {});
    RETURN NULL;
END",
        conversion.same_key("x", "OLD"),
        conversion.same_key("y", "OLD")
    )
}

/// Truncating must not reach into what refers to the rows, as ON DELETE CASCADE or SET NULL would: PostgreSQL refuses
/// to truncate a table that is referred to. Here it is refused only where a truncated row is.
fn truncate_body(conversion: &Conversion) -> String {
    let (table, keys) = (conversion.quoted(), conversion.beside_quoted(KEYS));
    let gone = format!("NOT EXISTS (SELECT FROM {table} y WHERE {})", conversion.same_key("y", "x"));
    format!(
        "DECLARE
    referring record;
    is_referred_to boolean;
BEGIN
    FOR referring IN
        SELECT k.conname, k.conrelid::pg_catalog.regclass::text AS child, pg_catalog.string_agg(
                   pg_catalog.format('x.%I OPERATOR(%I.%s) c.%I', b.attname, n.nspname, o.oprname, a.attname), ' AND ') AS same
          FROM pg_catalog.pg_constraint k
         CROSS JOIN pg_catalog.generate_subscripts(k.conkey, 1) place
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[place]
          JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[place]
          JOIN pg_catalog.pg_operator o ON o.oid = k.conpfeqop[place]
          JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
         WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = {keys_literal}::pg_catalog.regclass
         GROUP BY k.oid
    LOOP
        EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %s c JOIN {keys_in} x ON %s WHERE {gone_in})',
                                  referring.child, referring.same) INTO is_referred_to;
        IF is_referred_to THEN
            RAISE foreign_key_violation USING
                MESSAGE = pg_catalog.format('cannot truncate %s: rows of %s refer to its rows', TG_RELID::pg_catalog.regclass, referring.child),
                DETAIL = pg_catalog.format('The foreign key is %I.', referring.conname),
                HINT = pg_catalog.format('Delete or truncate those of %s first.', referring.child);
        END IF;
    END LOOP;
    DELETE FROM {keys} x WHERE {gone};
    RETURN NULL;
END",
        keys_literal = quote_literal(&keys),
        keys_in = inside_format(&keys),
        gone_in = inside_format(&gone),
    )
}

/// A key that is there is skipped where the row is there too, whose trigger has made it: that is a restore. Any other is a
/// duplicate, which the primary key refuses.
fn restore_body(conversion: &Conversion) -> String {
    let (table, keys) = (conversion.quoted(), conversion.beside_quoted(KEYS));
    format!(
        "BEGIN
    -- the table is looked at, partition by partition, only where that matters
    IF EXISTS (SELECT FROM {keys} x WHERE {}) THEN
        IF EXISTS (SELECT FROM {table} y WHERE {}) THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN NEW;
END",
        conversion.same_key("x", "NEW"),
        conversion.same_key("y", "NEW")
    )
}

/// The triggers on TRUNCATE that a partition needs beside those that it has from the whole.
pub fn of_partition(conversion: &Conversion, partition: &str) -> Vec<String> {
    vec![truncated(partition, &conversion.beside_quoted("key_truncate")), always(partition, TRUNCATED)]
}
