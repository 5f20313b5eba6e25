//! A conversion that nothing is written down of, as the extension was dropped in its middle and made again: known by the
//! trigger that logs changes, and by what stands beside the table. All of it must be the table's owner's: whoever may
//! create in the schema could have planted it.

use super::record::{self, CAPTURE, Conversion, KEYS, LOG, SHADOW};
use super::sync::{self, Pair};
use super::{columns, exchange, known, lost, shadow};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::jobs;
use crate::partition::bounds;
use crate::settings;
use crate::sql::{self, quote_identifier, quote_literal, required};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::Interval;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// What the way back does not ask for, and nobody can tell any more.
const INTERVAL: Interval = Interval::Month;
const PREMAKE: u32 = 3;

/// The conversion of a table, by its traces; written down anew.
pub fn recognized(relation: Oid, table: &Qualified) -> Result<Option<Conversion>> {
    let quoted = sql::qualified(&table.schema, &table.name);
    if let Some(parent) = bounds::parent_named(&quoted, &settings::timezone())? {
        return known::recognized(&parent, INTERVAL, PREMAKE);
    }
    let Some(found) = traces(relation, table)? else { return Ok(None) };
    record::begin(&found)?;
    record::reach(&found, found.stage)?;
    record::recognize(&found)?;
    Ok(Some(found))
}

/// Refuses to begin anew with a table that has them.
pub fn refuse(relation: Oid, table: &Qualified) -> Result<()> {
    // What they look like is no reason to refuse anything, where another's are among them.
    let Ok(Some(found)) = traces(relation, table) else { return Ok(()) };
    Err(refusal(&found))
}

/// Why nothing is begun or gone on with: how far the copy had come is not known any more.
pub fn refusal(found: &Conversion) -> Failure {
    let call = format!("SELECT groundskeeper.undo_partitioning({});", quote_literal(found.quoted()));
    Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{} is in the middle of a conversion that nothing is written down of", found.table),
    )
    .detail(match found.stage {
        Stage::Shadowed => {
            format!("The extension was dropped meanwhile. {} is left of it.", found.beside_quoted(SHADOW))
        }
        _ => format!(
            "The extension was dropped meanwhile. Every write to the table still goes to {}.",
            found.beside_quoted(LOG)
        ),
    })
    .hint(format!(
        "{call} compares what was made beside it with the table, and clears it away. Then begin anew."
    ))
}

/// What the traces of a conversion on a table that is not partitioned tell.
fn traces(relation: Oid, table: &Qualified) -> Result<Option<Conversion>> {
    let beside = |suffix: &str| sql::qualified(&table.schema, &suffixed(&table.name, suffix));
    let capture = format!("{}()", beside(CAPTURE));
    let is_watched = "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
                                      WHERE g.tgrelid = $1 AND c.relkind = 'r' AND NOT c.relispartition AND g.tgname = ANY ($2)
                                        AND g.tgfoid = pg_catalog.to_regprocedure($3))";
    let triggers = vec![shadow::CAPTURE_ROWS.to_owned(), shadow::CAPTURE_TRUNCATE.to_owned()];
    let args = [relation.into(), triggers.into(), capture.as_str().into()];
    let tables = [LOG, SHADOW, KEYS].map(beside);
    if sql::first(is_watched, &args, |row| required::<bool>(row, 1))? != Some(true) {
        return match untouched(relation, table, &tables)? {
            None => came_back(relation, table, &tables, &capture),
            found => Ok(found),
        };
    }
    refuse_strangers(relation, table, &tables, &capture)?;
    let [log, shadow, keys] = &tables;
    let (key_columns, key) = (catalog::columns_of(log)?, key_of(shadow)?);
    let kept = kept(keys, &key_columns)?;
    let key = key.unwrap_or_default();
    let found = begun(table, key, Stage::Captured);
    Ok(Some(Conversion { key_columns, has_key_table: !kept.is_empty(), kept, ..found }))
}

fn begun(table: &Qualified, key: String, stage: Stage) -> Conversion {
    Conversion {
        table: table.clone(),
        item: None,
        key,
        interval: INTERVAL,
        timezone: settings::timezone(),
        premake: PREMAKE,
        format: None,
        has_default: true,
        stage,
        key_columns: Vec::new(),
        has_key_table: false,
        kept: Vec::new(),
        copied_to: None,
        rows_expected: 0,
    }
}

/// The column that a table is partitioned by.
fn key_of(table: &str) -> Result<Option<String>> {
    sql::first(
        "SELECT a.attname::text FROM pg_catalog.pg_partitioned_table p
           JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
          WHERE p.partrelid = pg_catalog.to_regclass($1) AND p.partstrat = 'r' AND p.partnatts = 1",
        &[table.into()],
        |row| required::<String>(row, 1),
    )
}

/// One that had come no further than to make what is beside the table: the copy has its columns and its owner, and nothing
/// is in it.
fn untouched(
    relation: Oid,
    table: &Qualified,
    [_, shadow, keys]: &[String; 3],
) -> Result<Option<Conversion>> {
    let Some(key) = key_of(shadow)? else { return Ok(None) };
    let ours = "SELECT t.relkind = 'r' AND s.relowner = t.relowner AND COALESCE(k.relowner = t.relowner AND k.relkind = 'r', true)
                  FROM pg_catalog.pg_class t JOIN pg_catalog.pg_class s ON s.oid = pg_catalog.to_regclass($2)
                  LEFT JOIN pg_catalog.pg_class k ON k.oid = pg_catalog.to_regclass($3) WHERE t.oid = $1";
    let args = [relation.into(), shadow.as_str().into(), keys.as_str().into()];
    if sql::first(ours, &args, |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(None);
    }
    let quoted = sql::qualified(&table.schema, &table.name);
    let kept = catalog::columns_of(keys)?;
    if !columns::differing(&quoted, shadow)?.is_empty() || lost::has_rows(shadow)? {
        return Ok(None);
    }
    let has_key_table = !kept.is_empty() && !lost::has_rows(keys)?;
    Ok(Some(Conversion { has_key_table, kept, ..begun(table, key, Stage::Shadowed) }))
}

/// One on its way back, whose table has its name again: what was the partitioned one has the triggers still.
fn came_back(
    relation: Oid,
    table: &Qualified,
    tables: &[String; 3],
    capture: &str,
) -> Result<Option<Conversion>> {
    let [log, shadow, keys] = tables;
    let is_so = "SELECT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($2)) p
                                  JOIN pg_catalog.pg_trigger g ON g.tgrelid = p.relid AND g.tgfoid = pg_catalog.to_regprocedure($3)
                                  JOIN pg_catalog.pg_class c ON c.oid = $1 AND c.relkind = 'r')";
    let args = [relation.into(), shadow.as_str().into(), capture.into()];
    if sql::first(is_so, &args, |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(None);
    }
    refuse_strangers(relation, table, tables, capture)?;
    let Some(key) = key_of(shadow)? else { return Ok(None) };
    let key_columns = catalog::columns_of(log)?;
    let kept = kept(keys, &key_columns)?;
    Ok(Some(Conversion {
        key_columns,
        has_key_table: !kept.is_empty(),
        kept,
        ..begun(table, key, Stage::Restored)
    }))
}

/// The columns of a key table: those that tell rows apart come first. None where what has its name is something else.
fn kept(keys: &str, key_columns: &[String]) -> Result<Vec<String>> {
    let columns = catalog::columns_of(keys)?;
    Ok(if columns.starts_with(key_columns) { columns } else { Vec::new() })
}

/// What another role owns, or what is of another kind, by the names of a conversion's is not believed.
fn refuse_strangers(relation: Oid, table: &Qualified, tables: &[String; 3], capture: &str) -> Result<()> {
    let strange = sql::texts(
        "WITH own AS (SELECT relowner FROM pg_catalog.pg_class WHERE oid = $1)
         SELECT t.name FROM own, pg_catalog.unnest($2::text[]) WITH ORDINALITY t (name, place)
           JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name)
          WHERE c.relowner <> own.relowner OR c.relkind::text <> CASE t.place WHEN 2 THEN 'p' ELSE 'r' END
         UNION ALL
         SELECT p.oid::pg_catalog.regprocedure::text FROM own, pg_catalog.pg_proc p
          WHERE p.oid = pg_catalog.to_regprocedure($3) AND p.proowner <> own.relowner",
        &[relation.into(), tables.to_vec().into(), capture.into()],
    )?;
    if strange.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("{table} has triggers of a conversion that was not its owner's"),
    )
    .detail(format!("Another role owns, or something else is, {}.", strange.join(", "))))
}

/// The statements that clear away what is left of it. What was copied goes where all of it is in the table; a table that has
/// its name back has been written since, so there the old copy stays where that is not so, and it is said.
pub fn clearing(conversion: &Conversion) -> Result<Vec<String>> {
    match prove_copy(conversion) {
        Ok(()) => Ok(exchange::leftovers(conversion)),
        Err(differ) if conversion.stage == Stage::Restored => {
            let lost::Remains { statements, kept } = lost::remains(conversion)?;
            jobs::remark(&format!("{}; kept: {}", differ.message, kept.join("; ")))?;
            Ok(statements)
        }
        Err(differ) => Err(differ),
    }
}

/// That the copy has no row that the table has not: outside of what the log names both are the same.
fn prove_copy(conversion: &Conversion) -> Result<()> {
    let pair = Pair::of(conversion);
    let (log, shadow) = (conversion.beside_quoted(LOG), &conversion.beside(SHADOW));
    if !shadow::exists(&shadow.schema, &shadow.name)? {
        return Ok(());
    }
    prove_keys(conversion)?;
    let rows = match conversion.key_columns.as_slice() {
        // without a log nothing says which of them were changed since
        [] => sql::first(&format!("SELECT pg_catalog.count(*) FROM {}", pair.target), &[], |row| {
            required(row, 1)
        })?
        .unwrap_or(0),
        _ => sync::only_in_target(conversion, &pair)?,
    };
    if rows == 0 {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        format!("{} has {rows} rows that {} has not", pair.target, pair.source),
    )
    .detail(format!(
        "They are not named by {log} either, so nobody has changed them since they were copied, unless its trigger was off. \
         Nothing was dropped. Look at them; where they are not needed, DROP TABLE {}, then try again.",
        pair.target
    )))
}

/// That the key table is one: it has nothing that the table has not, but for what the log names.
fn prove_keys(conversion: &Conversion) -> Result<()> {
    if !conversion.has_key_table || conversion.key_columns.is_empty() {
        return Ok(());
    }
    let (keys, log) = (conversion.beside_quoted(KEYS), conversion.beside_quoted(LOG));
    let texts: Vec<String> =
        conversion.kept.iter().map(|column| format!("x.{}::text", quote_identifier(column))).collect();
    let texts = texts.join(", ");
    let query = format!(
        "SELECT pg_catalog.count(*)
           FROM (SELECT {texts} FROM {keys} x WHERE NOT EXISTS (SELECT FROM {log} l WHERE {}) EXCEPT SELECT {texts} FROM {} x) d",
        conversion.same_key("l", "x"),
        conversion.quoted()
    );
    match sql::first(&query, &[], |row| required::<i64>(row, 1))? {
        Some(0) | None => Ok(()),
        Some(rows) => Err(Failure::new(
            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
            format!("{keys} has {rows} rows that are no keys of {}", conversion.quoted()),
        )
        .detail(format!(
            "Nothing was dropped. Look at them; where they are not needed, DROP TABLE {keys}, then try again."
        ))),
    }
}
