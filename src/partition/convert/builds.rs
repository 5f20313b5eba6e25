//! The indexes of a table, and how its shadow gets them: as a whole, partition by partition, or kept apart.

use super::record::{self, Carried, Conversion, KEYS, SHADOW};
use super::sync::quoted;
use crate::error::Result;
use crate::sql::{self, qualified, quote_identifier, required};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::plan::Qualified;

/// An index of the table, as its shadow is to have it.
pub struct Wanted {
    /// Its name on the table.
    pub name: String,
    /// Whether it is unique.
    pub unique: bool,
    /// What follows `USING` in its definition.
    pub tail: String,
    /// The constraint behind it, as a clause.
    pub constraint: Option<String>,
    /// Whether it is unique and lacks the partition key, so that the whole cannot have it: the key table has it, and
    /// each partition one of its own.
    pub apart: bool,
    /// Whether it is the primary key.
    pub primary: bool,
}

/// The indexes of the table.
pub fn wanted(conversion: &Conversion) -> Result<Vec<Wanted>> {
    sql::rows(
        include_str!("indexes.sql"),
        &[conversion.quoted().into(), conversion.key.as_str().into()],
        |row| {
            Ok(Wanted {
                name: required(row, 1)?,
                unique: required(row, 2)?,
                tail: required(row, 3)?,
                constraint: row.get(4)?,
                apart: required(row, 5)?,
                primary: required(row, 6)?,
            })
        },
    )
}

/// What to write down of them.
pub fn carried(wanted: &[Wanted]) -> Vec<Carried> {
    let carried = |index: &Wanted| Carried {
        name: index.name.clone(),
        on_shadow: !index.apart,
        on_keys: index.apart && !index.primary,
    };
    wanted.iter().map(carried).collect()
}

/// The names of those that the shadow does not have yet.
pub fn missing_indexes(conversion: &Conversion) -> Result<Vec<String>> {
    let carried = record::carried(conversion)?;
    let names = wanted(conversion)?.into_iter().map(|index| index.name);
    Ok(names.filter(|name| !carried.iter().any(|c| c.name == *name)).collect())
}

/// An index to be built, in a transaction of its own.
pub struct Build {
    /// The table that it is built on, quoted.
    pub table: String,
    /// Its name, by which it is known to be there.
    pub name: String,
    /// The statements that build it.
    pub statements: Vec<String>,
}

/// All indexes that the shadow gets, the key table's first.
pub fn builds(conversion: &Conversion, wanted: &[Wanted], partitions: &[Qualified]) -> Vec<Build> {
    let keys = conversion.has_key_table.then(|| primary_key(conversion, &conversion.beside(KEYS)));
    let builds = wanted.iter().flat_map(|index| builds_of(conversion, index, partitions));
    keys.into_iter().chain(builds).collect()
}

/// What the key table keeps unique is told by it alone, by the name that applications know: the partitions have plain
/// indexes to find rows by.
fn builds_apart(conversion: &Conversion, index: &Wanted, partitions: &[Qualified]) -> Vec<Build> {
    let keys = conversion.beside_quoted(KEYS);
    let name = suffixed(&index.name, KEYS);
    let (quoted_name, tail) = (quote_identifier(&name), &index.tail);
    let unique = match &index.constraint {
        Some(constraint) => format!("ALTER TABLE {keys} ADD CONSTRAINT {quoted_name} {constraint}"),
        None => format!("CREATE UNIQUE INDEX {quoted_name} ON {keys} USING {tail}"),
    };
    let parts = partitions.iter().map(|partition| {
        let own = suffixed(&partition.name, &index.name);
        let (own_name, table) = (quote_identifier(&own), quoted(partition));
        let create = format!("CREATE INDEX {own_name} ON {table} USING {tail}");
        Build { table, name: own, statements: vec![create] }
    });
    std::iter::once(Build { table: keys, name, statements: vec![unique] }).chain(parts).collect()
}

fn builds_of(conversion: &Conversion, index: &Wanted, partitions: &[Qualified]) -> Vec<Build> {
    match (index.apart, index.primary) {
        (true, true) => {
            let clause = index.constraint.clone().unwrap_or_else(|| primary_key_of(conversion));
            return partitions.iter().map(|partition| primary_key_as(partition, &clause)).collect();
        }
        (true, false) => return builds_apart(conversion, index, partitions),
        _ => {}
    }
    let (schema, shadow) = (&conversion.table.schema, conversion.beside_quoted(SHADOW));
    let name = suffixed(&index.name, SHADOW);
    let quoted_name = quote_identifier(&name);
    if let Some(constraint) = &index.constraint {
        let statement = format!("ALTER TABLE {shadow} ADD CONSTRAINT {quoted_name} {constraint}");
        return vec![Build { table: shadow, name, statements: vec![statement] }];
    }
    let (unique, tail) = (if index.unique { "UNIQUE " } else { "" }, &index.tail);
    let whole = format!("CREATE {unique}INDEX {quoted_name} ON ONLY {shadow} USING {tail}");
    let attach = |own: &str| {
        format!("ALTER INDEX {} ATTACH PARTITION {}", qualified(schema, &name), qualified(schema, own))
    };
    let parts = partitions.iter().map(|partition| {
        let own = suffixed(&partition.name, &index.name);
        let (own_name, table) = (quote_identifier(&own), quoted(partition));
        let create = format!("CREATE {unique}INDEX {own_name} ON {table} USING {tail}");
        Build { table, statements: vec![create, attach(&own)], name: own }
    });
    let mut builds: Vec<Build> = parts.collect();
    builds.insert(0, Build { table: shadow, name: name.clone(), statements: vec![whole] });
    builds
}

/// The primary key of the key table.
pub fn primary_key(conversion: &Conversion, table: &Qualified) -> Build {
    primary_key_as(table, &primary_key_of(conversion))
}

fn primary_key_of(conversion: &Conversion) -> String {
    format!("PRIMARY KEY ({})", conversion.key_list(""))
}

/// The primary key of one partition, where the whole cannot have it: as the table's own, which may have more to it than
/// its columns.
fn primary_key_as(table: &Qualified, clause: &str) -> Build {
    let name = suffixed(&table.name, "pkey");
    let table = quoted(table);
    let statement = format!("ALTER TABLE {table} ADD CONSTRAINT {} {clause}", quote_identifier(&name));
    Build { table, name, statements: vec![statement] }
}

/// Whether a table has an index of that name.
pub fn is_of(table: &str, index: &str) -> Result<bool> {
    let query =
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
                                 WHERE x.indrelid = pg_catalog.to_regclass($1) AND i.relname = $2)";
    Ok(sql::first(query, &[table.into(), index.into()], |row| required::<bool>(row, 1))? == Some(true))
}
