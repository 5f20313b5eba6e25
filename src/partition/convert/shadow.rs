//! The shadow of a table: made empty, and filled.

use super::record::{self, CAPTURE, Conversion, KEYS, LOG, SHADOW};
use super::sync;
use crate::error::{Failure, Result};
use crate::jobs::pace;
use crate::partition::bounds::{KeyType, literals};
use crate::settings;
use crate::sql::{self, qualified, quote_identifier, quote_literal, required};
use groundskeeper_core::partition::{
    KeyFormat, NaiveDate, default_name, extent, from_epoch_days, partition_name,
};
use groundskeeper_core::plan::Qualified;

/// The trigger that logs changed rows.
pub const CAPTURE_ROWS: &str = "groundskeeper_capture";
/// The trigger that logs all rows before they are truncated.
pub const CAPTURE_TRUNCATE: &str = "groundskeeper_capture_truncate";

/// The most rows that one transaction copies.
const BATCH: i64 = 50_000;
/// The same where others are to notice little: what they commit waits for at most so much.
const SMALL_BATCH: i64 = 10_000;

/// The statements that make the shadow and its partitions, empty and without indexes.
pub fn make(conversion: &Conversion, key_type: KeyType, starts: &[NaiveDate]) -> Result<Vec<String>> {
    let (table, shadow) = (conversion.quoted(), conversion.beside_quoted(SHADOW));
    let mut statements = vec![format!(
        "CREATE TABLE {shadow} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS) PARTITION BY RANGE ({})",
        quote_identifier(&conversion.key)
    )];
    statements
        .extend(sql::texts(include_str!("unlike.sql"), &[table.as_str().into(), shadow.as_str().into()])?);
    let storage = storage(&table)?;
    let ends: Vec<NaiveDate> = starts
        .iter()
        .map(|start| conversion.interval.next(*start).ok_or_else(|| Failure::internal("the calendar ends")))
        .collect::<Result<_>>()?;
    let from = literals(key_type, &conversion.timezone, starts)?;
    let to = literals(key_type, &conversion.timezone, &ends)?;
    let schema = &conversion.table.schema;
    let mut tables = vec![shadow.clone()];
    for (start, (from, to)) in starts.iter().zip(from.into_iter().zip(to)) {
        let name = partition_name(&conversion.table.name, conversion.interval, *start);
        let name = qualified(schema, &name);
        statements.push(format!(
            "CREATE TABLE {name} PARTITION OF {shadow} FOR VALUES FROM ({}) TO ({}){storage}",
            quote_literal(&from),
            quote_literal(&to)
        ));
        tables.push(name);
    }
    if conversion.has_default {
        let default = qualified(schema, &default_name(&conversion.table.name));
        statements.push(format!("CREATE TABLE {default} PARTITION OF {shadow} DEFAULT{storage}"));
        tables.push(default);
    }
    statements.extend(sql::texts(include_str!("columns.sql"), &[table.as_str().into(), tables.into()])?);
    if conversion.has_key_table {
        let keys = conversion.beside_quoted(KEYS);
        statements.push(format!(
            "CREATE TABLE {keys} AS SELECT {} FROM {table} WITH NO DATA",
            conversion.kept_list("")
        ));
    }
    Ok(statements)
}

/// The statements that give the shadow and its partitions the table's replica identity.
pub fn replica_identity(conversion: &Conversion) -> Result<Vec<String>> {
    let shadow = conversion.beside_quoted(SHADOW);
    sql::texts(include_str!("identity.sql"), &[conversion.quoted().into(), shadow.into()])
}

/// The first days of the partitions that the table is to have, by its oldest row and the clock.
///
/// The rows that the calendar has no day for are left aside by the table's zone, not by the session's.
pub fn starts(conversion: &Conversion, key_type: KeyType) -> Result<Vec<NaiveDate>> {
    let key = quote_identifier(&conversion.key);
    let zone = quote_literal(&conversion.timezone);
    let of_table =
        if key_type == KeyType::Timestamptz { format!(" AT TIME ZONE {zone}") } else { String::new() };
    let in_calendar = match key_type {
        KeyType::Coded(_) => key_type.is_dated(&key),
        _ => {
            format!("{key} >= timestamp '0001-01-01'{of_table} AND {key} < timestamp '9999-01-01'{of_table}")
        }
    };
    let query = format!(
        "SELECT (pg_catalog.min({}) - date '1970-01-01'), ((pg_catalog.now() AT TIME ZONE {zone})::date - date '1970-01-01')
           FROM {} WHERE {in_calendar}",
        key_type.day(&key, &conversion.timezone),
        conversion.quoted()
    );
    let (oldest, today) = sql::first(&query, &[], |row| Ok((row.get::<i32>(1)?, required::<i32>(row, 2)?)))?
        .unwrap_or((None, 0));
    let today = from_epoch_days(today).ok_or_else(|| Failure::internal("today is not in the calendar"))?;
    let oldest = oldest.and_then(from_epoch_days);
    let mut starts =
        extent(conversion.interval, oldest, today, conversion.premake, settings::max_partitions());
    if conversion.format.is_some() {
        starts.retain(|start| *start > KeyFormat::first_day());
    }
    Ok(starts)
}

/// The statements that begin to log changes to a table; under the lock of the trigger's creation every transaction
/// that has written the table has ended.
pub fn capture(conversion: &Conversion) -> Vec<String> {
    let mut statements = log(conversion);
    statements.extend(capture_triggers(conversion, &conversion.quoted()));
    statements
}

/// The log of changed keys, and the function that writes it.
pub fn log(conversion: &Conversion) -> Vec<String> {
    let mut statements = log_table(conversion);
    statements.push(capture_function(conversion));
    statements.push(format!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", conversion.beside_quoted(CAPTURE)));
    statements
}

/// The log alone.
pub fn log_table(conversion: &Conversion) -> Vec<String> {
    let (table, log) = (conversion.quoted(), conversion.beside_quoted(LOG));
    vec![
        format!("CREATE TABLE {log} AS SELECT {} FROM {table} WITH NO DATA", conversion.key_list("")),
        // consumed from the front all the time: what is dead must not pile up
        format!(
            "ALTER TABLE {log} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)"
        ),
        // a publication of all tables must not refuse to delete from it
        format!("ALTER TABLE {log} REPLICA IDENTITY FULL"),
    ]
}

/// The function that the triggers call: keys alone, so that the log is small and order does not matter.
pub fn capture_function(conversion: &Conversion) -> String {
    let log = conversion.beside_quoted(LOG);
    let changed: Vec<String> = conversion
        .key_columns
        .iter()
        .map(|c| format!("NEW.{0} IS DISTINCT FROM OLD.{0}", quote_identifier(c)))
        .collect();
    let body = format!(
        "BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE pg_catalog.format('INSERT INTO {log_literal} SELECT {keys} FROM %s', TG_RELID::pg_catalog.regclass);
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {log} VALUES ({old});
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {log} VALUES ({new});
    ELSIF TG_OP = 'UPDATE' AND ({changed}) THEN
        INSERT INTO {log} VALUES ({new});
    END IF;
    RETURN NULL;
END",
        log_literal = inside_format(&log),
        keys = inside_format(&conversion.key_list("")),
        old = conversion.key_list("OLD."),
        new = conversion.key_list("NEW."),
        changed = changed.join(" OR "),
    );
    function(&conversion.beside_quoted(CAPTURE), &body)
}

/// A text inside a literal that `format()` reads.
pub fn inside_format(text: &str) -> String {
    text.replace('\'', "''").replace('%', "%%")
}

/// A trigger function that runs with its owner's rights: who writes the table needs none on what it keeps.
pub fn function(quoted: &str, body: &str) -> String {
    format!(
        "CREATE FUNCTION {quoted}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS {}",
        quote_literal(body)
    )
}

/// The triggers that log changes to a table, whoever writes it: what replication applies too.
pub fn capture_triggers(conversion: &Conversion, table: &str) -> [String; 4] {
    triggers(conversion, table, [CAPTURE_ROWS, CAPTURE_TRUNCATE])
}

/// The same by other names.
pub fn triggers(conversion: &Conversion, table: &str, [rows, truncate]: [&str; 2]) -> [String; 4] {
    let function = conversion.beside_quoted(CAPTURE);
    let [truncated, always] = truncate_trigger(conversion, table, truncate);
    [
        format!(
            "CREATE TRIGGER {rows} AFTER INSERT OR UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION {function}()"
        ),
        format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {rows}"),
        truncated,
        always,
    ]
}

/// The one of them that a partition does not have from the whole.
pub fn capture_truncate(conversion: &Conversion, table: &str) -> [String; 2] {
    truncate_trigger(conversion, table, CAPTURE_TRUNCATE)
}

fn truncate_trigger(conversion: &Conversion, table: &str, name: &str) -> [String; 2] {
    [
        format!(
            "CREATE TRIGGER {name} BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION {}()",
            conversion.beside_quoted(CAPTURE)
        ),
        format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"),
    ]
}

/// Access method, storage options and tablespace of a table, as they end a CREATE TABLE.
pub fn storage(table: &str) -> Result<String> {
    Ok(sql::texts(include_str!("storage.sql"), &[table.into()])?.concat())
}

/// The statements that leave tables and functions to their owner alone.
pub fn to_owner_only(tables: &[String], functions: &[String]) -> Result<Vec<String>> {
    sql::texts(include_str!("to_owner_only.sql"), &[tables.to_vec().into(), functions.to_vec().into()])
}

/// Copies the next rows in the order of the primary key; how many, and the key of the last unless there are no more.
pub fn copy(conversion: &Conversion) -> Result<(i64, Option<Vec<String>>)> {
    let table = conversion.quoted();
    let columns = sync::columns(conversion, &table)?;
    let keys = conversion.key_list("");
    let bound = |values: &[String]| {
        let values = values.iter().zip(&columns.key_types);
        let cast: Vec<String> = values.map(|(v, t)| format!("{}::{t}", quote_literal(v))).collect();
        format!("({})", cast.join(", "))
    };
    let after = conversion.copied_to.as_ref().map(|last| format!("({keys}) > {}", bound(last)));
    let texts: Vec<String> =
        conversion.key_columns.iter().map(|c| format!("{}::text", quote_identifier(c))).collect();
    let last = format!(
        "SELECT ARRAY[{}] FROM {table} WHERE {} ORDER BY {keys} OFFSET {} LIMIT 1",
        texts.join(", "),
        after.as_deref().unwrap_or("true"),
        if pace::is_considerate() { SMALL_BATCH } else { BATCH } - 1
    );
    let last = sql::first(&last, &[], |row| required::<Vec<String>>(row, 1))?;
    let upto = last.as_ref().map(|last| format!("({keys}) <= {}", bound(last)));
    let range: Vec<String> = after.into_iter().chain(upto).collect();
    let range = if range.is_empty() { "true".to_owned() } else { range.join(" AND ") };
    let rows = sql::affected(
        &format!(
            "INSERT INTO {} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM {table} WHERE {range}",
            conversion.beside_quoted(SHADOW),
            columns.written
        ),
        &[],
    )?;
    if conversion.has_key_table {
        let (beside, kept) = (conversion.beside_quoted(KEYS), conversion.kept_list(""));
        sql::run(&format!("INSERT INTO {beside} ({kept}) SELECT {kept} FROM {table} WHERE {range}"), &[])?;
    }
    Ok((rows, last))
}

/// The partitions of a table.
pub fn partitions(parent: &str) -> Result<Vec<Qualified>> {
    sql::rows(
        "SELECT n.nspname::text, c.relname::text
           FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) p
           JOIN pg_catalog.pg_class c ON c.oid = p.relid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE p.isleaf ORDER BY c.oid",
        &[parent.into()],
        |row| Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? }),
    )
}

/// Whether there is a relation of that name.
pub fn exists(schema: &str, name: &str) -> Result<bool> {
    let query = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
    Ok(sql::first(query, &[qualified(schema, name).into()], |row| required::<bool>(row, 1))? == Some(true))
}

/// Writes down how many rows there are to copy.
pub fn expect_rows(conversion: &Conversion) -> Result<()> {
    let query = "SELECT GREATEST(c.reltuples, 0)::bigint FROM pg_catalog.pg_class c
                  WHERE c.oid = pg_catalog.to_regclass($1)";
    let rows = sql::first(query, &[conversion.quoted().into()], |row| required::<i64>(row, 1))?;
    record::expect(conversion, rows.unwrap_or(0))
}
