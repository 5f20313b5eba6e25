//! Two tables kept equal: the log of changed keys is applied to the one that lacks them, and both are compared.
//!
//! The log is consumed by deletion. An entry that is visible was committed together with its change, so the rows read
//! after it are at least as new; what comes later has an entry of its own.

use super::record::{Conversion, FORMER, KEYS, LOG, SHADOW};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::partition::bounds::KeyType;
use crate::sql::Argument;
use crate::sql::{self, qualified, quote_identifier, required};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// What is read and written of a row.
pub struct Columns {
    /// The columns that can be written, quoted.
    pub written: String,
    /// The same of `x`, for a checksum: what cannot be hashed as it is, as text.
    hashed: String,
    /// Those of them that the key table has.
    hashed_kept: String,
    /// The type of each column of the primary key.
    pub key_types: Vec<String>,
}

/// The columns of a table.
pub fn columns(conversion: &Conversion, table: &str) -> Result<Columns> {
    let found = sql::first(
        "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attname),
                pg_catalog.string_agg(h.hashed, ', ' ORDER BY a.attname),
                pg_catalog.string_agg(h.hashed, ', ' ORDER BY a.attname) FILTER (WHERE a.attname = ANY ($2))
           FROM pg_catalog.pg_attribute a
          CROSS JOIN LATERAL (
              SELECT pg_catalog.format(
                  CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
                                     WHERE m.amname = 'hash' AND o.opcdefault AND o.opcintype = a.atttypid
                                       AND o.opcintype < 16384)
                       THEN 'x.%I' ELSE 'x.%I::text' END, a.attname)) h (hashed)
          WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
        &[table.into(), conversion.kept.clone().into()],
        |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?, row.get::<String>(3)?)),
    )?;
    let key_types = sql::texts(
        "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod)
           FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY k (name, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass($1) AND a.attname = k.name
          ORDER BY k.place",
        &[table.into(), conversion.key_columns.clone().into()],
    )?;
    let (written, hashed, hashed_kept) =
        found.ok_or_else(|| Failure::internal(format!("{table} has no columns")))?;
    Ok(Columns { written, hashed, hashed_kept: hashed_kept.unwrap_or_default(), key_types })
}

/// Which table lacks what the log names: the shadow before the exchange, the unpartitioned table after it.
pub struct Pair {
    /// The table that is written to, quoted.
    pub source: String,
    /// The one that follows it, quoted.
    pub target: String,
    /// Whether the key table follows it too; afterwards its own triggers keep it.
    pub keys: bool,
}

impl Pair {
    /// The pair at the conversion's stage.
    pub fn of(conversion: &Conversion) -> Self {
        let partitioned = conversion.stage.is_partitioned();
        Self {
            source: conversion.quoted(),
            target: conversion.beside_quoted(if partitioned { FORMER } else { SHADOW }),
            keys: conversion.has_key_table && !partitioned,
        }
    }
}

/// Keys taken off the log, a list of texts for each column of the primary key.
pub struct Taken {
    lists: Vec<Vec<String>>,
}

impl Taken {
    /// How many.
    pub fn len(&self) -> usize {
        self.lists.first().map_or(0, Vec::len)
    }

    fn arguments(&self) -> Vec<Argument> {
        self.lists.iter().map(|list| list.clone().into()).collect()
    }

    /// The keys as rows named `k`.
    fn rows(conversion: &Conversion, columns: &Columns) -> String {
        let lists: Vec<String> = columns
            .key_types
            .iter()
            .enumerate()
            .map(|(at, key_type)| format!("pg_catalog.unnest(${}::text[]::{key_type}[])", at + 1))
            .collect();
        format!("(SELECT DISTINCT * FROM ROWS FROM ({}) u ({})) k", lists.join(", "), conversion.key_list(""))
    }
}

/// Takes at most that many entries off the log.
fn take(conversion: &Conversion, limit: usize) -> Result<Taken> {
    let log = conversion.beside_quoted(LOG);
    let aggregates: Vec<String> = conversion
        .key_columns
        .iter()
        .map(|c| format!("COALESCE(pg_catalog.array_agg({}::text), '{{}}')", quote_identifier(c)))
        .collect();
    let statement = format!(
        "WITH gone AS (DELETE FROM {log} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {log} LIMIT {limit})) RETURNING *)
         SELECT {} FROM gone",
        aggregates.join(", ")
    );
    let lists = sql::returned(&statement, &[], |row| {
        (1..=conversion.key_columns.len())
            .map(|at| required::<Vec<String>>(row, at))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Taken { lists: lists.unwrap_or_default() })
}

/// Applies at most that many entries of the log; the keys that it named.
pub fn apply(conversion: &Conversion, pair: &Pair, limit: usize) -> Result<Taken> {
    let taken = take(conversion, limit)?;
    if taken.len() == 0 {
        return Ok(taken);
    }
    let columns = columns(conversion, &pair.source)?;
    let (keys, arguments) = (Taken::rows(conversion, &columns), taken.arguments());
    let Pair { source, target, .. } = pair;
    let matching = |table: &str| conversion.same_key(table, "k");
    let selected = columns.written.split(", ").map(|c| format!("x.{c}")).collect::<Vec<_>>().join(", ");
    by_index(|| {
        sql::run(&format!("DELETE FROM {target} x USING {keys} WHERE {}", matching("x")), &arguments)?;
        sql::run(
            &format!(
                "INSERT INTO {target} ({}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {source} x JOIN {keys} ON {}",
                columns.written,
                matching("x")
            ),
            &arguments,
        )?;
        if pair.keys {
            keep_keys(conversion, source, &keys, &arguments)?;
        }
        Ok(())
    })?;
    Ok(taken)
}

/// Takes away all rows that the log names, and leaves the log: what one of them has that must be unique, the row that
/// has it by now can get, though its entry comes first.
pub fn set_aside(conversion: &Conversion, pair: &Pair) -> Result<()> {
    let log = conversion.beside_quoted(LOG);
    let keys = pair.keys.then(|| conversion.beside_quoted(KEYS));
    std::iter::once(pair.target.clone()).chain(keys).try_for_each(|target| {
        let same = conversion.same_key("x", "l");
        sql::run(&format!("DELETE FROM {target} x USING {log} l WHERE {same}"), &[])
    })
}

/// Nothing refers to the keys before the exchange, so those of changed rows are made anew.
fn keep_keys(conversion: &Conversion, source: &str, keys: &str, arguments: &[Argument]) -> Result<()> {
    let (table, same) = (conversion.beside_quoted(KEYS), conversion.same_key("x", "k"));
    sql::run(&format!("DELETE FROM {table} x USING {keys} WHERE {same}"), arguments)?;
    sql::run(
        &format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {source} x JOIN {keys} ON {same}",
            conversion.kept_list(""),
            conversion.kept_list("x.")
        ),
        arguments,
    )
}

/// Few keys are looked for in large tables, whose statistics may not say so yet.
fn by_index<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let off = [(c"enable_seqscan", c"off"), (c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")];
    crate::guc::pinned(&off, work)
}

/// How many entries the log has, counted no further than that.
pub fn backlog(conversion: &Conversion, limit: usize) -> Result<usize> {
    let query = format!(
        "SELECT pg_catalog.count(*) FROM (SELECT FROM {} LIMIT {limit}) l",
        conversion.beside_quoted(LOG)
    );
    let entries = sql::first(&query, &[], |row| required::<i64>(row, 1))?.unwrap_or(0);
    usize::try_from(entries).map_err(|e| Failure::internal(e.to_string()))
}

/// That the rows of these keys are the same in both tables.
pub fn verify(conversion: &Conversion, pair: &Pair, taken: &Taken) -> Result<()> {
    if taken.len() == 0 {
        return Ok(());
    }
    let columns = columns(conversion, &pair.source)?;
    let keys = Taken::rows(conversion, &columns);
    let side = |table: &str| {
        format!("SELECT {} FROM {table} x JOIN {keys} ON {}", columns.hashed, conversion.same_key("x", "k"))
    };
    let (source, target) = (side(&pair.source), side(&pair.target));
    let query = format!(
        "SELECT pg_catalog.count(*)
           FROM (({source} EXCEPT ALL {target}) UNION ALL ({target} EXCEPT ALL {source})) d"
    );
    let different = by_index(|| sql::first(&query, &taken.arguments(), |row| required::<i64>(row, 1)))?;
    if different != Some(0) {
        return Err(differ(
            conversion,
            pair,
            &format!("{} of the rows last changed differ.", different.unwrap_or(0)),
        ));
    }
    Ok(())
}

/// What is to be done about rows that the table has no more and its twin has: whether that can be for want of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// They may have been deleted while nothing was logged.
    MayBe,
    /// They must not be taken off the twin, which may be the only one that has them.
    MustNotBe,
}

/// Writes to the log the keys of all rows that are not the same in both tables, as of one snapshot; how many.
pub fn note_differences(conversion: &Conversion, pair: &Pair, lost: Lost) -> Result<i64> {
    let columns = columns(conversion, &pair.source)?;
    let (log, keys) = (conversion.beside_quoted(LOG), conversion.key_list(""));
    let rows = |table: &str| {
        let checksum = format!("pg_catalog.hash_record_extended(ROW({}), 0)", columns.hashed);
        format!("SELECT {}, {checksum} FROM {table} x", conversion.key_list("x."))
    };
    let apart = |one: &str, other: &str| {
        format!("SELECT {keys} FROM ({one} EXCEPT ALL {other}) d ({keys}, checksum)")
    };
    let (source, target) = (rows(&pair.source), rows(&pair.target));
    let mut parts = vec![apart(&source, &target)];
    if lost == Lost::MayBe {
        parts.push(apart(&target, &source));
    }
    if pair.keys {
        let of_table = catalog::columns_of(&pair.source)?;
        let mut kept = catalog::columns_of(&conversion.beside_quoted(KEYS))?;
        kept.retain(|column| of_table.contains(column));
        let kept = kept.iter().map(quote_identifier).collect::<Vec<_>>().join(", ");
        let keys_of = |table: &str| format!("SELECT {keys}, ROW({kept})::text FROM {table}");
        let (rows, kept) = (keys_of(&pair.source), keys_of(&conversion.beside_quoted(KEYS)));
        parts.extend([apart(&rows, &kept), apart(&kept, &rows)]);
    }
    sql::affected(&format!("INSERT INTO {log} ({keys}) {}", parts.join(" UNION ")), &[])
}

/// How many rows the twin has that the log does not name and the table has not, as of one snapshot.
pub fn only_in_target(conversion: &Conversion, pair: &Pair) -> Result<i64> {
    let columns = columns(conversion, &pair.target)?;
    let log = conversion.beside_quoted(LOG);
    let side = |table: &str| {
        format!(
            "SELECT {}, pg_catalog.hash_record_extended(ROW({}), 0)
               FROM {table} x WHERE NOT EXISTS (SELECT FROM {log} l WHERE {})",
            conversion.key_list("x."),
            columns.hashed,
            conversion.same_key("l", "x")
        )
    };
    let query = format!(
        "SELECT pg_catalog.count(*) FROM ({} EXCEPT ALL {}) d",
        side(&pair.target),
        side(&pair.source)
    );
    Ok(sql::first(&query, &[], |row| required::<i64>(row, 1))?.unwrap_or(0))
}

/// Compares count and checksum of both tables, month by month, over all rows that the log does not name, as of one
/// snapshot.
pub fn prove(conversion: &Conversion, pair: &Pair, key_type: KeyType) -> Result<()> {
    let columns = columns(conversion, &pair.source)?;
    let key = format!("x.{}", quote_identifier(&conversion.key));
    let local = key_type.local(&key, &conversion.timezone);
    let finite = match key_type {
        KeyType::Coded(_) => key_type.is_dated(&key),
        // not every date is a timestamp too
        _ => format!("{key} >= '4000-01-01 BC' AND {key} < '290000-01-01'"),
    };
    let log = conversion.beside_quoted(LOG);
    let side = |table: &str| {
        format!(
            "SELECT CASE WHEN {finite} THEN pg_catalog.date_trunc('{}', {local}) END, pg_catalog.count(*),
                    pg_catalog.sum(pg_catalog.hash_record_extended(ROW({}), 0))
               FROM {table} x WHERE NOT EXISTS (SELECT FROM {log} l WHERE {}) GROUP BY 1",
            conversion.interval.as_str(),
            columns.hashed,
            conversion.same_key("l", "x")
        )
    };
    let (source, target) = (side(&pair.source), side(&pair.target));
    let query = format!(
        "WITH s (period, rows, checksum) AS MATERIALIZED ({source}),
              t (period, rows, checksum) AS MATERIALIZED ({target})
         SELECT pg_catalog.string_agg(DISTINCT COALESCE(period::text, 'no date'), ', ')
           FROM ((TABLE s EXCEPT TABLE t) UNION ALL (TABLE t EXCEPT TABLE s)) d"
    );
    let different = sql::first(&query, &[], |row| row.get::<String>(1))?.flatten();
    match different {
        Some(periods) => Err(differ(conversion, pair, &format!("Rows differ in: {periods}."))),
        None if pair.keys => prove_keys(conversion, pair, &columns),
        None => Ok(()),
    }
}

/// That the key table has the keys of all rows, and no others, outside of what the log names: both hold each once.
fn prove_keys(conversion: &Conversion, pair: &Pair, columns: &Columns) -> Result<()> {
    let side = |table: &str| {
        format!(
            "SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hash_record_extended(ROW({}), 0))
               FROM {table} x WHERE NOT EXISTS (SELECT FROM {} l WHERE {})",
            columns.hashed_kept,
            conversion.beside_quoted(LOG),
            conversion.same_key("l", "x")
        )
    };
    let keys = conversion.beside_quoted(KEYS);
    let query = format!(
        "SELECT s.rows - k.rows, s IS NOT DISTINCT FROM k
           FROM ({}) s (rows, checksum), ({}) k (rows, checksum)",
        side(&pair.source),
        side(&keys)
    );
    match sql::first(&query, &[], |row| Ok((required::<i64>(row, 1)?, required::<bool>(row, 2)?)))? {
        Some((0, true)) => Ok(()),
        different => {
            let more = different.map_or(0, |(more, _)| more);
            let detail = format!("The keys in {keys} are others, or {more} too few.");
            Err(differ(conversion, pair, &detail))
        }
    }
}

fn differ(conversion: &Conversion, pair: &Pair, detail: &str) -> Failure {
    let (source, target, keys) = (&pair.source, &pair.target, conversion.key_list(""));
    Failure::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, format!("{source} and {target} are not equal"))
        .detail(format!(
            "{detail} Nothing was exchanged or dropped. Writes that bypassed the triggers are one cause. All rows are brought \
             over again after INSERT INTO {} SELECT {keys} FROM {source} UNION SELECT {keys} FROM {target};",
            conversion.beside_quoted(LOG)
        ))
}

/// `schema.name`, quoted.
pub fn quoted(name: &Qualified) -> String {
    qualified(&name.schema, &name.name)
}
