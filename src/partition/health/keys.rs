//! Whether the key table has the keys of the rows, and no others: all of them where there are few, else a sample of both
//! sides, whose time does not grow with the table.

use crate::error::Result;
use crate::guc::pinned;
use crate::owner;
use crate::partition::bounds::Parent;
use crate::partition::convert::record::{Conversion, KEYS};
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;

/// The most rows that are all looked at.
const ALL: i64 = 100_000;

/// How many rows are looked for among the keys.
const ROWS: i64 = 500;

/// How many partitions they are taken from.
const PARTITIONS: i64 = 8;

/// How many lookups the keys of a sample may take: one in each partition.
const LOOKUPS: i64 = 8_000;

/// What was found.
pub struct Keys {
    /// In words.
    pub status: String,
    /// What is wrong, if something is.
    pub wrong: Option<String>,
}

/// Looks at the keys of a table that has them apart.
pub fn look(conversion: &Conversion, parent: &Parent) -> Keys {
    let both = || {
        let columns = Columns::of(conversion)?;
        match few(parent)? {
            true => all(conversion, &columns),
            false => sample(conversion, parent, &columns),
        }
    };
    // Another role's table by the name of the keys is not read as this one's owner.
    let as_owner = || owner::of_named(&conversion.beside_quoted(KEYS), both);
    let looked = isolated(|| {
        with_lock_timeout(10, || {
            owner::reading(parent.oid, || pinned(&[(c"row_security", c"off")], as_owner))
        })
    });
    looked.unwrap_or_else(|failure| Keys { status: format!("unknown: {}", failure.one_line()), wrong: None })
}

/// The columns of the key table that the table has, too.
struct Columns {
    /// Quoted.
    list: String,
    /// Of `x`, for a checksum.
    hashed: String,
    /// That they are the same of `x` and `y`; by index where they are the primary key's.
    same: String,
}

impl Columns {
    fn of(conversion: &Conversion) -> Result<Self> {
        let args = [
            conversion.beside_quoted(KEYS).into(),
            conversion.quoted().into(),
            conversion.key_columns.clone().into(),
        ];
        let found = sql::first(include_str!("key_columns.sql"), &args, |row| {
            Ok(Self { list: required(row, 1)?, hashed: required(row, 2)?, same: required(row, 3)? })
        })?;
        found.ok_or_else(|| crate::error::Failure::internal("a key table without columns"))
    }
}

/// Whether there are so few rows that all of them are looked at. The server's statistics may not know of them yet.
fn few(parent: &Parent) -> Result<bool> {
    let guess = "SELECT COALESCE(pg_catalog.sum(GREATEST(pg_catalog.pg_stat_get_live_tuples(c.oid), c.reltuples::bigint, 0)), 0)::bigint
                   FROM pg_catalog.pg_partition_tree($1::oid) p JOIN pg_catalog.pg_class c ON c.oid = p.relid WHERE p.isleaf";
    if sql::first(guess, &[parent.oid.into()], |row| required::<i64>(row, 1))?.unwrap_or(0) > ALL {
        return Ok(false);
    }
    let more = format!("SELECT EXISTS (SELECT FROM {} OFFSET {ALL})", parent.quoted);
    Ok(sql::first(&more, &[], |row| required::<bool>(row, 1))? == Some(false))
}

fn all(conversion: &Conversion, columns: &Columns) -> Result<Keys> {
    let (table, keys) = (conversion.quoted(), conversion.beside_quoted(KEYS));
    let side = |table: &str| {
        let checksum = format!("pg_catalog.sum(pg_catalog.hash_record_extended(ROW({}), 0))", columns.hashed);
        format!("SELECT pg_catalog.count(*), {checksum} FROM {table} x")
    };
    let query = format!(
        "SELECT s.rows, s IS NOT DISTINCT FROM k FROM ({}) s (rows, checksum), ({}) k (rows, checksum)",
        side(&table),
        side(&keys)
    );
    let found = sql::first(&query, &[], |row| Ok((required::<i64>(row, 1)?, required::<bool>(row, 2)?)))?;
    let (rows, same) = found.unwrap_or_default();
    if same {
        return Ok(Keys { status: format!("exact: the keys of {rows} rows, and no others"), wrong: None });
    }
    let (hashed, key_list) = (&columns.hashed, conversion.key_list(""));
    let apart = |one: &str, other: &str| {
        format!(
            "(SELECT pg_catalog.count(*) FROM (SELECT {hashed} FROM {one} x EXCEPT SELECT {hashed} FROM {other} x) d)"
        )
    };
    let query = format!(
        "SELECT {}, {}, (SELECT pg_catalog.count(*) FROM (SELECT FROM {table} GROUP BY {key_list} HAVING pg_catalog.count(*) > 1) d)",
        apart(&table, &keys),
        apart(&keys, &table)
    );
    let found = sql::first(&query, &[], |row| {
        Ok((required::<i64>(row, 1)?, required::<i64>(row, 2)?, required::<i64>(row, 3)?))
    })?;
    Ok(wrong("exact", found.unwrap_or_default(), &format!("among {rows} rows")))
}

/// What there is of what kind, in words.
fn wrong(how: &str, (missing, stale, twice): (i64, i64, i64), of: &str) -> Keys {
    let kinds = [(missing, "missing"), (stale, "without a row"), (twice, "there more than once")];
    let named = kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}"));
    let named = named.collect::<Vec<_>>().join(", ");
    if named.is_empty() {
        return Keys { status: format!("{how}: none wrong {of}"), wrong: None };
    }
    Keys { status: format!("{how}: {named} {of}"), wrong: Some(format!("keys are wrong: {named} {of}")) }
}

/// Rows of some partitions are looked for among the keys, and keys among the rows of all.
fn sample(conversion: &Conversion, parent: &Parent, columns: &Columns) -> Result<Keys> {
    let off = [(c"enable_seqscan", c"off"), (c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")];
    pinned(&off, || {
        let (rows, missing) = sampled_rows(conversion, parent, columns)?;
        let (keys, stale, twice) = sampled_keys(conversion, parent, columns)?;
        let of = format!("in a sample of {rows} rows and {keys} keys");
        Ok(wrong("sampled", (missing, stale, twice), &of))
    })
}

fn sampled_rows(conversion: &Conversion, parent: &Parent, columns: &Columns) -> Result<(i64, i64)> {
    let leaves = sql::rows(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.reltuples::float8
           FROM pg_catalog.pg_partition_tree($1::oid) p JOIN pg_catalog.pg_class c ON c.oid = p.relid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE p.isleaf AND c.relkind = 'r' AND c.reltuples > 0 ORDER BY pg_catalog.random() LIMIT $2",
        &[parent.oid.into(), PARTITIONS.into()],
        |row| Ok((required::<String>(row, 1)?, required::<f64>(row, 2)?)),
    )?;
    if leaves.is_empty() {
        return Ok((0, 0));
    }
    let each = ROWS / i64::try_from(leaves.len()).unwrap_or(1);
    let part = |(leaf, rows): &(String, f64)| {
        format!(
            "(SELECT {} FROM {leaf} TABLESAMPLE SYSTEM ({}) LIMIT {each})",
            columns.list,
            percent(each, *rows)
        )
    };
    let parts = leaves.iter().map(part).collect::<Vec<_>>().join(" UNION ALL ");
    let query = format!(
        "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE k.found IS NULL)
           FROM ({parts}) x LEFT JOIN LATERAL (SELECT true FROM {} y WHERE {} LIMIT 1) k (found) ON true",
        conversion.beside_quoted(KEYS),
        columns.same
    );
    Ok(sql::first(&query, &[], |row| Ok((required(row, 1)?, required(row, 2)?)))?.unwrap_or_default())
}

fn sampled_keys(conversion: &Conversion, parent: &Parent, columns: &Columns) -> Result<(i64, i64, i64)> {
    let keys = conversion.beside_quoted(KEYS);
    let known = "SELECT reltuples::float8 FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)";
    let rows = sql::first(known, &[keys.as_str().into()], |row| required::<f64>(row, 1))?.unwrap_or(0.0);
    let partitions = i64::try_from(parent.all().count()).unwrap_or(1).max(1);
    let many = (LOOKUPS / partitions).clamp(10, ROWS);
    let query = format!(
        "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE r.rows = 0), pg_catalog.count(*) FILTER (WHERE r.rows > 1)
           FROM (SELECT {list} FROM {keys} TABLESAMPLE SYSTEM ({percent}) LIMIT {many}) x
          CROSS JOIN LATERAL (SELECT pg_catalog.count(*) FROM (SELECT FROM {table} y WHERE {same} LIMIT 2) l) r (rows)",
        list = columns.list,
        percent = percent(many, rows),
        table = conversion.quoted(),
        same = columns.same
    );
    let found = sql::first(&query, &[], |row| Ok((required(row, 1)?, required(row, 2)?, required(row, 3)?)))?;
    Ok(found.unwrap_or_default())
}

/// The part of the blocks that holds that many rows, twice over, as blocks are chosen by chance.
fn percent(rows: i64, all: f64) -> f64 {
    (200.0 * rows as f64 / all.max(1.0)).clamp(0.0001, 100.0)
}
