//! `rebuild_keys`: the key table of a converted table gets the keys of its rows again, online. Writers go on, and their
//! triggers keep the keys of what they write meanwhile.
//!
//! A row whose key is missing is locked against being deleted while the key is made, and a key without a row against being
//! referred to; whether it has one by then is looked up anew, under that lock, by a statement of its own that sees what others
//! have committed while it waited.

use super::convert::record::{self, Conversion, KEYS};
use super::convert::{self, heal, shadow, sync, unfinished};
use super::release::{Child, children};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::jobs::{self, pace, remark, report};
use crate::settings;
use crate::sql::{self, Argument, quote_identifier, quote_literal, required};
use crate::target;
use crate::waiting::with_lock_timeout;
use crate::worker::Between;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// How many rows one transaction looks at.
const BATCH: i64 = 20_000;

/// Queues it; the number of its job.
pub fn ask(relation: Oid) -> Result<i64> {
    let table = catalog::relation_by_oid(relation)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
    })?;
    catalog::must_own(relation, &table.quoted)?;
    let known = match record::find(&table.name)? {
        Some(known) => Some(known),
        None => unfinished::recognized(relation, &table.name)?,
    };
    must_have_keys(&known.ok_or_else(|| record::missing(&table.name))?)?;
    let task = Task::RebuildKeys { table: table.name.clone() };
    match jobs::open_of_kind(&table.quoted, task.kind())? {
        Some(open) => Ok(open),
        None => jobs::enqueue(&JobRequest::plain(table.name, task)),
    }
}

fn must_have_keys(conversion: &Conversion) -> Result<()> {
    let wrong = if !conversion.has_key_table {
        format!("{} has no keys apart", conversion.quoted())
    } else if !conversion.stage.is_partitioned() {
        format!("{} is not partitioned yet", conversion.quoted())
    } else {
        return Ok(());
    };
    Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, wrong))
}

/// What was done.
#[derive(Default)]
struct Done {
    added: i64,
    removed: i64,
    corrected: i64,
}

/// Brings the keys in order, or says why not. Nothing is changed where a key is there twice.
pub fn rebuild_keys(between: &mut Between, table: &Qualified) -> Result<()> {
    let conversion = between.transaction(|| record::get(table))?;
    must_have_keys(&conversion)?;
    target::beside([KEYS, record::LOG, record::FORMER].map(|suffix| conversion.beside(suffix)));
    between.transaction(|| report("looking for keys that are there twice", 0.0))?;
    between.transaction(|| refuse_duplicates(&conversion))?;
    between.transaction(|| heal::mend(&conversion))?;
    between.transaction(|| convert::bind::bind(&conversion))?;
    let columns = between.transaction(|| Columns::of(&conversion))?;
    let mut done = Done::default();
    let leaves = between.transaction(|| shadow::partitions(&conversion.quoted()))?;
    for (at, leaf) in leaves.iter().enumerate() {
        let part = 0.1 + 0.5 * at as f64 / leaves.len().max(1) as f64;
        between.transaction(|| report("adding keys that are missing", part))?;
        add_missing(between, &conversion, &columns, &sync::quoted(leaf), &mut done)?;
    }
    between.transaction(|| report("removing keys without a row", 0.6))?;
    remove_stale(between, &conversion, &columns, &mut done)?;
    between.transaction(|| report("comparing keys", 0.9))?;
    between.transaction(|| {
        prove(&conversion, &columns)?;
        let Done { added, removed, corrected } = done;
        remark(&format!(
            "{added} keys added, {removed} removed, {corrected} corrected; all of them are those of the rows"
        ))
    })
}

fn refuse_duplicates(conversion: &Conversion) -> Result<()> {
    heal::refuse_duplicates(conversion, &sync::Pair::of(conversion))
}

/// The columns of the key table.
struct Columns {
    /// All that the table has, too, quoted.
    all: Vec<String>,
    /// Those of them that are not the primary key's.
    other: Vec<String>,
    /// The types of the primary key's.
    key_types: Vec<String>,
}

impl Columns {
    fn of(conversion: &Conversion) -> Result<Self> {
        let of_table = catalog::columns_of(&conversion.quoted())?;
        let mut all = catalog::columns_of(&conversion.beside_quoted(KEYS))?;
        all.retain(|column| of_table.contains(column));
        let other = all.iter().filter(|column| !conversion.key_columns.contains(column));
        let other = other.map(quote_identifier).collect();
        let all = all.iter().map(quote_identifier).collect();
        let key_types = sync::columns(conversion, &conversion.quoted())?.key_types;
        Ok(Self { all, other, key_types })
    }

    fn list(&self, prefix: &str) -> String {
        self.all.iter().map(|column| format!("{prefix}{column}")).collect::<Vec<_>>().join(", ")
    }

    /// That the primary key of a row is beyond these values, or at most these.
    fn bound(&self, conversion: &Conversion, row: &str, how: &str, values: &[String]) -> String {
        let cast = values.iter().zip(&self.key_types).map(|(v, t)| format!("{}::{t}", quote_literal(v)));
        let keys = conversion.key_list(&format!("{row}."));
        format!("({keys}) {how} ({})", cast.collect::<Vec<_>>().join(", "))
    }
}

/// A part of the keys, in their order.
struct Part<'a> {
    conversion: &'a Conversion,
    columns: &'a Columns,
    after: Option<Vec<String>>,
    upto: Option<Vec<String>>,
}

impl Part<'_> {
    /// That a row is of it. Both sides of a comparison are held to it, so that neither is read beyond.
    fn has(&self, row: &str) -> String {
        let bound = |how: &str, values: &Vec<String>| self.columns.bound(self.conversion, row, how, values);
        let after = self.after.iter().map(|last| bound(">", last));
        let all: Vec<String> = after.chain(self.upto.iter().map(|last| bound("<=", last))).collect();
        if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
    }
}

/// Walks a table in the order of the primary key, a transaction for each part.
fn in_order(
    between: &mut Between,
    conversion: &Conversion,
    columns: &Columns,
    table: &str,
    mut work: impl FnMut(&Part) -> Result<()>,
) -> Result<()> {
    let keys = conversion.key_list("x.");
    let texts: Vec<String> =
        conversion.key_columns.iter().map(|c| format!("x.{}::text", quote_identifier(c))).collect();
    let mut part = Part { conversion, columns, after: None, upto: None };
    let mut pace = pace::begin();
    loop {
        part.upto = None;
        between.transaction(|| {
            let query = format!(
                "SELECT ARRAY[{}] FROM {table} x WHERE {} ORDER BY {keys} OFFSET {} LIMIT 1",
                texts.join(", "),
                part.has("x"),
                BATCH - 1
            );
            part.upto = sql::first(&query, &[], |row| required::<Vec<String>>(row, 1))?;
            with_lock_timeout(settings::lock_timeout_ms(), || work(&part))
        })?;
        match part.upto.take() {
            Some(last) => part.after = Some(last),
            None => return Ok(()),
        }
        pace.rest(between)?;
    }
}

/// Makes the keys that rows of a partition lack, and mends those that are others.
fn add_missing(
    between: &mut Between,
    conversion: &Conversion,
    columns: &Columns,
    leaf: &str,
    done: &mut Done,
) -> Result<()> {
    let keys = conversion.beside_quoted(KEYS);
    let (same, list) = (conversion.same_key("k", "x"), columns.list(""));
    in_order(between, conversion, columns, leaf, |part| {
        let (rows, held) = (part.has("x"), part.has("k"));
        let missing = format!(
            "INSERT INTO {keys} ({list})
             SELECT {list} FROM (SELECT {} FROM {leaf} x
                                  WHERE {rows} AND NOT EXISTS (SELECT FROM {keys} k WHERE {same} AND {held}) FOR KEY SHARE) m
             ON CONFLICT ({}) DO NOTHING",
            columns.list("x."),
            conversion.key_list("")
        );
        done.added += by_index(|| sql::affected(&missing, &[]))?;
        if columns.other.is_empty() {
            return Ok(());
        }
        let all = |prefix: &str| {
            let each = columns.other.iter().map(|column| format!("{prefix}{column}"));
            each.collect::<Vec<_>>().join(", ")
        };
        let other = format!(
            "UPDATE {keys} k SET ({}) = ROW ({})
               FROM (SELECT {} FROM {leaf} x JOIN {keys} k ON {same}
                      WHERE {rows} AND {held} AND pg_catalog.record_image_ne(ROW ({}), ROW ({})) FOR SHARE OF x) x
              WHERE {same}",
            all(""),
            all("x."),
            columns.list("x."),
            all("k."),
            all("x.")
        );
        done.corrected += by_index(|| sql::affected(&other, &[]))?;
        Ok(())
    })
}

/// The rows of one partition are of all of the keys' order, so each is looked up, and the keys are not read from end to end.
fn by_index<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let off = [(c"enable_seqscan", c"off"), (c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")];
    pinned(&off, work)
}

/// Takes away the keys that no row has, unless something refers to them.
fn remove_stale(
    between: &mut Between,
    conversion: &Conversion,
    columns: &Columns,
    done: &mut Done,
) -> Result<()> {
    let (table, keys) = (conversion.quoted(), conversion.beside_quoted(KEYS));
    let unreferred: String = between.transaction(|| children(&keys))?.iter().map(unreferred).collect();
    let same = conversion.same_key("y", "k");
    let gone = |part: &str| format!("NOT EXISTS (SELECT FROM {table} y WHERE {same}{part})");
    let lists: Vec<String> = conversion
        .key_columns
        .iter()
        .map(|c| format!("COALESCE(pg_catalog.array_agg(s.{}::text), '{{}}')", quote_identifier(c)))
        .collect();
    in_order(between, conversion, columns, &keys, |part| {
        let lock = format!(
            "SELECT {} FROM (SELECT {} FROM {keys} k WHERE {} AND {} FOR UPDATE) s",
            lists.join(", "),
            conversion.key_list("k."),
            part.has("k"),
            gone(&format!(" AND {}", part.has("y")))
        );
        let stale: Vec<Vec<String>> = sql::returned(&lock, &[], |row| {
            (1..=lists.len()).map(|at| required::<Vec<String>>(row, at)).collect::<Result<_>>()
        })?
        .unwrap_or_default();
        if stale.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let unnested = columns.key_types.iter().enumerate();
        let unnested: Vec<String> =
            unnested.map(|(at, of)| format!("pg_catalog.unnest(${}::text[]::{of}[])", at + 1)).collect();
        let delete = format!(
            "DELETE FROM {keys} k USING ROWS FROM ({}) s ({}) WHERE {} AND {}{unreferred}",
            unnested.join(", "),
            conversion.key_list(""),
            conversion.same_key("k", "s"),
            gone("")
        );
        let args: Vec<Argument> = stale.into_iter().map(Into::into).collect();
        done.removed += sql::affected(&delete, &args)?;
        Ok(())
    })
}

/// That no row refers to the key `k`. What strangers have is read by nobody but PostgreSQL: where their foreign key would do
/// something to their rows, no key is taken away; any other refuses it by itself.
fn unreferred(child: &Child) -> String {
    match (child.own, child.acts) {
        (true, _) => format!(" AND NOT EXISTS (SELECT FROM {} c WHERE {})", child.table, child.on),
        (false, true) => " AND false".to_owned(),
        (false, false) => String::new(),
    }
}

/// That the keys are those of the rows, as of one snapshot.
fn prove(conversion: &Conversion, columns: &Columns) -> Result<()> {
    let (table, keys) = (conversion.quoted(), conversion.beside_quoted(KEYS));
    let side = |table: &str| {
        let row = format!("ROW({})::text", columns.list(""));
        format!(
            "SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended({row}, 0)) FROM {table}"
        )
    };
    let same = format!("SELECT s IS NOT DISTINCT FROM k FROM ({}) s, ({}) k", side(&table), side(&keys));
    if sql::first(&same, &[], |row| required::<bool>(row, 1))? == Some(true) {
        return Ok(());
    }
    refuse_duplicates(conversion)?;
    // some types know no equality
    let others: Vec<String> = columns.other.iter().map(|column| format!("{column}::text")).collect();
    let list = format!("{}, ARRAY[{}]::text[]", conversion.key_list(""), others.join(", "));
    let apart =
        |one: &str, other: &str| format!("SELECT {list} FROM {one} EXCEPT SELECT {list} FROM {other}");
    let shown = format!("pg_catalog.concat_ws(', ', {})", conversion.key_list(""));
    let some = |rows: &str| {
        format!(
            "(SELECT pg_catalog.string_agg(c, '; ') FROM (SELECT {shown} FROM ({rows}) d LIMIT 20) s (c))"
        )
    };
    let (missing, stale) = (apart(&table, &keys), apart(&keys, &table));
    let query = format!(
        "SELECT (SELECT pg_catalog.count(*) FROM ({missing}) d), (SELECT pg_catalog.count(*) FROM ({stale}) d), {}, {}",
        some(&missing),
        some(&stale)
    );
    let found = sql::first(&query, &[], |row| {
        Ok((required::<i64>(row, 1)?, required::<i64>(row, 2)?, row.get::<String>(3)?, row.get::<String>(4)?))
    })?;
    let (missing, stale, which, referred) = found.unwrap_or_default();
    if missing > 0 {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("{missing} rows of {table} have no key"),
        )
        .detail(format!("Keys: {}.", which.unwrap_or_default())));
    }
    if stale > 0 {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
            format!("{stale} keys in {keys} have no row, and are referred to"),
        )
        .detail(format!(
            "Keys: {}. Delete or change the rows that refer to them, or insert their rows again; then try again.",
            referred.unwrap_or_default()
        )));
    }
    Ok(())
}
