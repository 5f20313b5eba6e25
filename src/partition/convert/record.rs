//! What is written down of a conversion, and the names of what it makes.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::Argument;
use crate::sql::{self, qualified, quote_identifier, required};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::{Interval, KeyFormat};
use groundskeeper_core::plan::Qualified;

/// A row of `groundskeeper.conversion`.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// The table.
    pub table: Qualified,
    /// The item of the plan that it carries out, if the plan asks for it.
    pub item: Option<String>,
    /// The column that it is, or will be, partitioned by.
    pub key: String,
    /// What one partition covers.
    pub interval: Interval,
    /// The zone of its days.
    pub timezone: String,
    /// How many partitions are kept ready.
    pub premake: u32,
    /// How the key has its moments, where it is no date.
    pub format: Option<KeyFormat>,
    /// Whether there is a default partition.
    pub has_default: bool,
    /// How far it has come.
    pub stage: Stage,
    /// The columns that tell rows apart: of the primary key, or of another unique index.
    pub key_columns: Vec<String>,
    /// Whether a key table keeps unique across partitions what lacks the partition key.
    pub has_key_table: bool,
    /// The columns that the key table has: those that tell rows apart first, then those of unique indexes.
    pub kept: Vec<String>,
    /// The primary key of the last row that was copied, as texts.
    pub copied_to: Option<Vec<String>>,
    /// How many rows there were.
    pub rows_expected: i64,
}

impl Conversion {
    /// The table, quoted.
    pub fn quoted(&self) -> String {
        qualified(&self.table.schema, &self.table.name)
    }

    /// The name of something made beside the table.
    pub fn beside(&self, suffix: &str) -> Qualified {
        Qualified { schema: self.table.schema.clone(), name: suffixed(&self.table.name, suffix) }
    }

    /// The same, quoted.
    pub fn beside_quoted(&self, suffix: &str) -> String {
        let name = self.beside(suffix);
        qualified(&name.schema, &name.name)
    }

    /// Whether what tells rows apart is not to be had as a whole.
    pub fn loses_identity(&self) -> bool {
        !self.key_columns.contains(&self.key)
    }

    /// The primary key's columns, quoted, each after `prefix`.
    pub fn key_list(&self, prefix: &str) -> String {
        list(&self.key_columns, prefix)
    }

    /// The key table's columns, quoted, each after `prefix`.
    pub fn kept_list(&self, prefix: &str) -> String {
        list(&self.kept, prefix)
    }

    /// That two rows have the same primary key.
    pub fn same_key(&self, one: &str, other: &str) -> String {
        let pairs: Vec<String> = self
            .key_columns
            .iter()
            .map(|c| format!("{one}.{0} = {other}.{0}", quote_identifier(c)))
            .collect();
        pairs.join(" AND ")
    }
}

fn list(columns: &[String], prefix: &str) -> String {
    let columns: Vec<String> = columns.iter().map(|c| format!("{prefix}{}", quote_identifier(c))).collect();
    columns.join(", ")
}

/// The suffix of the shadow, until it has the table's name and after it has lost it.
pub const SHADOW: &str = "partitioned";
/// The suffix of the unpartitioned table, while the shadow has its name.
pub const FORMER: &str = "unpartitioned";
/// The suffix of the key table.
pub const KEYS: &str = "key";
/// The suffix of the log of changes.
pub const LOG: &str = "changes";
/// The suffix of the function that writes the log.
pub const CAPTURE: &str = "capture";

const CONVERSION: &str = r#"
    SELECT schema_name, table_name, partition_key, "interval", timezone, premake, stage, key_columns, key_table,
           copied_to, rows_expected, item,
           CASE WHEN kept_columns = '{}' AND key_table THEN key_columns ELSE kept_columns END, key_format, default_partition
      FROM groundskeeper.conversion WHERE relation = $1"#;

/// The conversion of a table, if there is one.
pub fn find(table: &Qualified) -> Result<Option<Conversion>> {
    as_owner(|| {
        sql::kept_first(CONVERSION, &[qualified(&table.schema, &table.name).into()], |row| {
            let (interval, stage): (String, String) = (required(row, 4)?, required(row, 7)?);
            let format = row.get::<String>(14)?;
            let unreadable = |what: &str| Failure::internal(format!("\"{what}\" cannot be read"));
            Ok(Conversion {
                table: Qualified { schema: required(row, 1)?, name: required(row, 2)? },
                key: required(row, 3)?,
                interval: Interval::parse(&interval).ok_or_else(|| unreadable(&interval))?,
                timezone: required(row, 5)?,
                premake: u32::try_from(required::<i32>(row, 6)?).unwrap_or(1),
                stage: Stage::parse(&stage).ok_or_else(|| unreadable(&stage))?,
                key_columns: required(row, 8)?,
                has_key_table: required(row, 9)?,
                copied_to: row.get(10)?,
                rows_expected: required(row, 11)?,
                item: row.get(12)?,
                kept: required(row, 13)?,
                format: format
                    .map(|name| KeyFormat::parse(&name).ok_or_else(|| unreadable(&name)))
                    .transpose()?,
                has_default: required(row, 15)?,
            })
        })
    })
}

/// The tables of a schema that have one.
pub fn tables_in(schema: &str) -> Result<Vec<Qualified>> {
    let query =
        "SELECT schema_name, table_name FROM groundskeeper.conversion WHERE schema_name = $1 ORDER BY 2";
    as_owner(|| {
        sql::rows(query, &[schema.into()], |row| {
            Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? })
        })
    })
}

/// The conversion of a table that must have one.
pub fn get(table: &Qualified) -> Result<Conversion> {
    find(table)?.ok_or_else(|| missing(table))
}

/// What to say of a table that has none.
pub fn missing(table: &Qualified) -> Failure {
    Failure::new(
        pgrx::PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{table} was not converted by groundskeeper.partition_table()"),
    )
}

/// Writes a new one down.
pub fn begin(conversion: &Conversion) -> Result<()> {
    as_owner(|| {
        sql::run(
            r#"INSERT INTO groundskeeper.conversion
                   (relation, schema_name, table_name, partition_key, "interval", timezone, premake, key_columns, key_table, item,
                    kept_columns, key_format, default_partition)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"#,
            &[
                conversion.quoted().into(),
                conversion.table.schema.as_str().into(),
                conversion.table.name.as_str().into(),
                conversion.key.as_str().into(),
                conversion.interval.as_str().into(),
                conversion.timezone.as_str().into(),
                i32::try_from(conversion.premake).unwrap_or(i32::MAX).into(),
                conversion.key_columns.clone().into(),
                conversion.has_key_table.into(),
                conversion.item.clone().into(),
                conversion.kept.clone().into(),
                conversion.format.map(|format| format.as_str().to_owned()).into(),
                conversion.has_default.into(),
            ],
        )
    })
}

/// Writes down that a stage is reached, in the transaction that reaches it.
pub fn reach(conversion: &Conversion, stage: Stage) -> Result<()> {
    set(conversion, "stage = $2, stage_reached_at = pg_catalog.clock_timestamp()", stage.as_str().into())?;
    crate::jobs::step_done()
}

/// Writes down how far the copy has come.
pub fn copied(conversion: &Conversion, to: Option<Vec<String>>, rows: i64) -> Result<()> {
    set(conversion, "copied_to = COALESCE($2, copied_to)", to.into())?;
    set(conversion, "rows_copied = rows_copied + $2", rows.into())
}

/// Writes down how many rows are to be expected.
pub fn expect(conversion: &Conversion, rows: i64) -> Result<()> {
    set(conversion, "rows_expected = $2", rows.into())
}

/// Writes down whether changes were not logged for a while.
pub fn unlogged(conversion: &Conversion, is_so: bool) -> Result<()> {
    set(conversion, "unlogged = $2", is_so.into())
}

/// Whether that is written down.
pub fn is_unlogged(conversion: &Conversion) -> Result<bool> {
    is(conversion, "unlogged")
}

/// Writes down that a conversion is known by its triggers alone.
pub fn recognize(conversion: &Conversion) -> Result<()> {
    set(conversion, "recognized = $2", true.into())
}

/// Whether that is written down.
pub fn is_recognized(conversion: &Conversion) -> Result<bool> {
    is(conversion, "recognized")
}

fn is(conversion: &Conversion, column: &str) -> Result<bool> {
    let query = format!("SELECT {column} FROM groundskeeper.conversion WHERE relation = $1");
    let found =
        as_owner(|| sql::first(&query, &[conversion.quoted().into()], |row| required::<bool>(row, 1)));
    Ok(found? == Some(true))
}

/// Changes one thing that is written down.
fn set(conversion: &Conversion, change: &str, value: Argument) -> Result<()> {
    as_owner(|| {
        sql::run(
            &format!("UPDATE groundskeeper.conversion SET {change} WHERE relation = $1"),
            &[conversion.quoted().into(), value],
        )
    })
}

/// Strikes a conversion off.
pub fn forget(conversion: &Conversion) -> Result<()> {
    as_owner(|| {
        sql::run("DELETE FROM groundskeeper.conversion WHERE relation = $1", &[conversion.quoted().into()])
    })
}

/// An index of the table that its shadow has, by both names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Carried {
    /// As it is called on the table, whichever has the table's name.
    pub name: String,
    /// Whether the unpartitioned table has one of its own; a primary key that lacks the partition key has none on the
    /// partitioned one.
    pub on_shadow: bool,
    /// Whether the key table has it instead, by that name while the partitioned table has the table's.
    #[serde(default)]
    pub on_keys: bool,
}

/// Writes down which indexes there are.
pub fn carry(conversion: &Conversion, indexes: &[Carried]) -> Result<()> {
    let text = serde_json::to_string(indexes).map_err(|e| Failure::internal(e.to_string()))?;
    set(conversion, "indexes = $2::pg_catalog.jsonb", text.into())
}

/// The indexes that are written down.
pub fn carried(conversion: &Conversion) -> Result<Vec<Carried>> {
    from_json(conversion, "indexes")
}

/// Writes down what is to follow the exchange: lists of statements, a transaction each.
pub fn follow(conversion: &Conversion, later: &[Vec<String>]) -> Result<()> {
    let text = serde_json::to_string(later).map_err(|e| Failure::internal(e.to_string()))?;
    set(conversion, "later = $2::pg_catalog.jsonb", text.into())
}

/// What is still to follow.
pub fn later(conversion: &Conversion) -> Result<Vec<Vec<String>>> {
    from_json(conversion, "later")
}

fn from_json<T: serde::de::DeserializeOwned + Default>(conversion: &Conversion, column: &str) -> Result<T> {
    let query = format!("SELECT {column}::text FROM groundskeeper.conversion WHERE relation = $1");
    let text =
        as_owner(|| sql::first(&query, &[conversion.quoted().into()], |row| required::<String>(row, 1)))?;
    text.map_or_else(
        || Ok(T::default()),
        |text| serde_json::from_str(&text).map_err(|e| Failure::internal(e.to_string())),
    )
}

/// How many rows a job of this kind has copied.
pub fn rows_copied(table: &Qualified) -> Result<i64> {
    let query = "SELECT rows_copied FROM groundskeeper.conversion WHERE relation = $1";
    let rows = as_owner(|| {
        sql::first(query, &[qualified(&table.schema, &table.name).into()], |row| required::<i64>(row, 1))
    })?;
    Ok(rows.unwrap_or(0))
}
