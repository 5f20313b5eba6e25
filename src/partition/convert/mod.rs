//! A live table becomes a partitioned one while writers go on, and can go back: a shadow is filled beside it, kept equal
//! by a log of changed keys, proven, and takes its name in one short transaction.

mod afterwards;
mod apart;
mod asked;
pub mod bind;
pub(super) mod builds;
pub(super) mod columns;
pub(super) mod exchange;
mod former;
pub(super) mod heal;
mod keys;
mod known;
mod lost;
mod matview;
pub mod plan_item;
mod preflight;
pub mod record;
mod rehearsal;
mod rows;
pub(super) mod shadow;
pub(super) mod steps;
pub(super) mod sync;
pub(super) mod triggers;
pub mod unfinished;

pub use asked::Asked;
pub use keys::{FUNCTIONS as KEY_FUNCTIONS, TRUNCATED as KEY_TRUNCATED};
pub use known::{of_parent, recognized};
pub use preflight::preflight;
pub use record::rows_copied;
pub use shadow::CAPTURE_TRUNCATE;
pub use steps::run;

use super::bounds::KeyType;
use crate::catalog;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::jobs;
use crate::owner;
use crate::sql::{self, qualified, quote_literal, required};
use crate::subtransaction::isolated;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::partition::KeyFormat;
use groundskeeper_core::partition::convert::{Goal, Stage, Step, next};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// The triggers that a conversion puts on a table; they do not move with what is the user's.
pub const OWN_TRIGGERS: [&str; 6] = [
    shadow::CAPTURE_ROWS,
    shadow::CAPTURE_TRUNCATE,
    keys::INSERTED,
    keys::UPDATED,
    keys::DELETED,
    keys::TRUNCATED,
];

/// What `partition_table()` is asked.
pub struct Request {
    /// The table.
    pub relation: Oid,
    /// The item of the plan that asks for it, if one does.
    pub item: Option<String>,
    /// The column to partition it by.
    pub key: String,
    /// The partitions that it is to have.
    pub asked: Asked,
    /// The warnings that are acknowledged.
    pub accept: Vec<String>,
}

fn invalid(message: String) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
}

/// Queues the conversion of a table; the number of its job.
pub fn partition_table(request: &Request) -> Result<i64> {
    let Asked { interval, timezone, premake, format, has_default } = &request.asked;
    let table = catalog::relation_by_oid(request.relation)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
    })?;
    catalog::must_own(request.relation, &table.quoted)?;
    match record::find(&table.name)? {
        // A new table by the name of one that was done with long ago.
        // What is left of that is dropped by name, so as who owns this one.
        Some(known) if known.stage == Stage::Finalized && is_lost(&known)? => {
            owner::of(request.relation, || lost::clear(&known))?;
        }
        Some(known) if record::is_recognized(&known)? && !known.stage.is_partitioned() => {
            return Err(unfinished::refusal(&known));
        }
        Some(known) => {
            let asked = (&request.key, interval, timezone, premake, format, has_default);
            if known.stage != Stage::Finalized
                && asked
                    != (
                        &known.key,
                        &known.interval,
                        &known.timezone,
                        &known.premake,
                        &known.format,
                        &known.has_default,
                    )
            {
                return Err(other_request(&known));
            }
            return go_on(&known);
        }
        None => unfinished::refuse(request.relation, &table.name)?,
    }
    let findings = preflight(request.relation, &request.key, &request.asked)?;
    preflight::refuse(&table.quoted, request, &findings)?;
    let Keys { identity, kept, .. } = kept_keys(request.relation, &request.key)?
        .ok_or_else(|| Failure::internal("a table whose rows are not told apart passed the preflight"))?;
    record::begin(&record::Conversion {
        table: table.name.clone(),
        item: request.item.clone(),
        key: request.key.clone(),
        interval: *interval,
        timezone: timezone.clone(),
        premake: *premake,
        format: *format,
        has_default: *has_default,
        stage: Stage::Begun,
        key_columns: identity,
        has_key_table: !kept.is_empty(),
        kept,
        copied_to: None,
        rows_expected: 0,
    })?;
    enqueue(&table.name, Goal::Partition, request.item.clone())
}

/// Why another way of partitioning a table is refused while one is under way.
fn other_request(known: &record::Conversion) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{} is being partitioned in another way", known.table),
    )
    .detail(format!(
        "It is by {} of {} in {}, {} ahead.",
        known.interval.as_str(),
        known.key,
        known.timezone,
        known.premake
    ))
    .hint("Ask for the same, or take it back first with groundskeeper.undo_partitioning().")
}

/// A conversion that is there already goes on, if it has not come to its end.
fn go_on(known: &record::Conversion) -> Result<i64> {
    let state = |message: &str| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("{} {message}", known.table),
        )
    };
    lost::must_be_there(known)?;
    match next(Goal::Partition, known.stage) {
        Step::Done => Err(state("is partitioned already")),
        Step::TooLate => Err(state("is being made an unpartitioned table again")
            .hint("Wait for the job of groundskeeper.undo_partitioning().")),
        _ => enqueue(&known.table, Goal::Partition, known.item.clone()),
    }
}

/// Queues the way back, or the end of the way; the number of its job.
pub fn ask(relation: Oid, goal: Goal) -> Result<i64> {
    let table = catalog::relation_by_oid(relation)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
    })?;
    catalog::must_own(relation, &table.quoted)?;
    let known = match record::find(&table.name)? {
        Some(known) => known,
        None => match lost::conversion_beside(&table.name, &table.quoted)? {
            Some(known) if is_lost(&known)? => known,
            Some(known) => return Err(belongs(&table.quoted, &known)?),
            None => {
                unfinished::recognized(relation, &table.name)?.ok_or_else(|| record::missing(&table.name))?
            }
        },
    };
    if goal == Goal::Undo && is_lost(&known)? {
        return clear_away(&table.name, &known);
    }
    lost::must_be_there(&known)?;
    if next(goal, known.stage) == Step::TooLate {
        let why = match (goal, known.stage) {
            (_, Stage::Finalized) => {
                "its unpartitioned table was dropped by groundskeeper.finalize_partitioning()"
            }
            (Goal::Finalize, _) => "it is not partitioned yet",
            _ => "it is on its way back already",
        };
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the partitioning of {} cannot be undone or finalized", known.table),
        )
        .detail(format!("The reason is that {why}.")));
    }
    if goal == Goal::Undo {
        cancel_conversion(&table.name)?;
    }
    enqueue(&table.name, goal, None)
}

fn is_lost(known: &record::Conversion) -> Result<bool> {
    Ok(matches!(lost::whereabouts(known)?, lost::Whereabouts::Lost))
}

/// Why nothing is done with a table that is another's.
fn belongs(quoted: &str, known: &record::Conversion) -> Result<Failure> {
    lost::must_be_there(known)?;
    Ok(Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{quoted} belongs to the conversion of {}", known.quoted()),
    )
    .hint(format!("Name that: {}.", quote_literal(known.quoted()))))
}

/// Queues the clearing away of what is left of a conversion whose table is gone, for whoever owns the relation that was
/// named, and says what will be there afterwards.
fn clear_away(relation: &Qualified, known: &record::Conversion) -> Result<i64> {
    cancel_conversion(&known.table)?;
    let kept = lost::remains(known)?.kept;
    let detail = if kept.is_empty() {
        "Nothing will be left of it.".to_owned()
    } else {
        format!("Kept will be {}.", kept.join("; and "))
    };
    let message = format!("{} was dropped or replaced in the middle of its conversion", known.quoted());
    Failure::new(PgSqlErrorCode::ERRCODE_WARNING, message).detail(detail).say(pgrx::PgLogLevel::WARNING);
    let quoted = qualified(&relation.schema, &relation.name);
    let task = Task::UndoPartitioning { table: known.table.clone() };
    match jobs::open_of_kind(&quoted, task.kind())? {
        Some(open) => Ok(open),
        None => jobs::enqueue(&JobRequest::plain(relation.clone(), task)),
    }
}

/// Cancels the job that converts a table, if there is one.
fn cancel_conversion(table: &Qualified) -> Result<()> {
    let kind = Task::PartitionTable { table: table.clone() }.kind();
    jobs::cancel_kind(&qualified(&table.schema, &table.name), kind)
}

/// Queues the shortening of a log that has grown long.
pub fn catch_up(table: &Qualified) -> Result<i64> {
    enqueue(table, Goal::CatchUp, None)
}

/// `item` is the one that the plan has for it, where the job carries it out.
fn enqueue(table: &Qualified, goal: Goal, item: Option<String>) -> Result<i64> {
    let task = match goal {
        Goal::Partition => Task::PartitionTable { table: table.clone() },
        Goal::Undo => Task::UndoPartitioning { table: table.clone() },
        Goal::Finalize => Task::FinalizePartitioning { table: table.clone() },
        Goal::CatchUp => Task::CatchUp { table: table.clone() },
    };
    let quoted = qualified(&table.schema, &table.name);
    if let Some(open) = jobs::open_of_kind(&quoted, task.kind())? {
        return Ok(open);
    }
    jobs::enqueue(&JobRequest { item, ..JobRequest::plain(table.clone(), task) })
}

/// What tells the rows of a table apart.
#[derive(Default)]
struct Keys {
    /// The columns of the primary key, or of a unique index that serves as one.
    identity: Vec<String>,
    /// The columns that a key table is to have, none where there is to be none: the primary key, and all columns of
    /// the unique indexes that lack the partition key.
    kept: Vec<String>,
    /// Whether it is the primary key.
    is_primary: bool,
}

/// The columns of the primary key, or of another unique index that no two rows share.
pub(super) fn identity(relation: Oid) -> Result<Option<Vec<String>>> {
    Ok(kept_keys(relation, "")?.map(|keys| keys.identity))
}

fn kept_keys(relation: Oid, key: &str) -> Result<Option<Keys>> {
    sql::first(include_str!("kept.sql"), &[relation.into(), key.into()], |row| {
        Ok(Keys { identity: required(row, 1)?, kept: required(row, 2)?, is_primary: required(row, 3)? })
    })
}

/// Refuses to go on where the table has got a unique index since that its key table has not the columns for.
fn must_keep_all(conversion: &record::Conversion) -> Result<()> {
    let relation = "SELECT pg_catalog.to_regclass($1)::oid";
    let relation = sql::first(relation, &[conversion.quoted().into()], |row| row.get::<Oid>(1))?.flatten();
    let kept =
        relation.map_or(Ok(None), |relation| kept_keys(relation, &conversion.key))?.unwrap_or_default();
    let lacking: Vec<String> = kept.kept.iter().filter(|c| !conversion.kept.contains(c)).cloned().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let table = conversion.quoted();
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("a unique index was created on {table} after its conversion had begun"),
    )
    .detail(format!("What is to keep it unique across partitions lacks {}.", lacking.join(", ")))
    .hint(format!(
        "Drop the index; or SELECT groundskeeper.undo_partitioning({}), then partition it again.",
        quote_literal(&table)
    )))
}

/// The type of a column that tables are partitioned by.
fn key_type(conversion: &record::Conversion) -> Result<KeyType> {
    let (table, key) = (conversion.quoted(), &conversion.key);
    let name = sql::first(
        "SELECT t.typname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2 AND NOT a.attisdropped
            AND t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace",
        &[table.as_str().into(), key.as_str().into()],
        |row| required::<String>(row, 1),
    )?;
    let fits = |name: &str| match (conversion.format, KeyType::parse(name)?) {
        (Some(format), KeyType::Coded(_)) if format.type_name() == name => Some(KeyType::Coded(format)),
        (None, plain) if !matches!(plain, KeyType::Coded(_)) => Some(plain),
        _ => None,
    };
    name.as_deref().and_then(fits).ok_or_else(|| {
        let wanted = conversion.format.map_or("date, timestamp or timestamptz", KeyFormat::type_name);
        Failure::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{table} has no column {} of type {wanted}", sql::quote_identifier(key)),
        )
    })
}

/// Whether the two copies of a table drift apart: changes are not logged, or there are columns that one lacks.
fn is_apart(conversion: &record::Conversion) -> Result<bool> {
    let pair = sync::Pair::of(conversion);
    Ok(!shadow::exists(&conversion.table.schema, &conversion.beside(record::LOG).name)?
        || triggers::lacking(conversion)?.iter().any(triggers::Lacking::is_of_log)
        || !columns::differing(&pair.source, &pair.target)?.is_empty())
}

/// Tables whose log has grown past that many entries, or does not tell all.
pub fn behind(entries: usize) -> Result<Vec<Qualified>> {
    let open = as_owner(|| {
        sql::rows(
            "SELECT schema_name, table_name FROM groundskeeper.conversion WHERE stage = 'converted' ORDER BY 1, 2",
            &[],
            |row| Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? }),
        )
    })?;
    let mut out = Vec::new();
    for table in open {
        let known = record::get(&table)?;
        if !must_own_named(&known)? || is_lost(&known)? {
            continue;
        }
        let log = known.beside_quoted(record::LOG);
        // A log that is not there or another's keeps no other table from being looked after.
        let is_long = || Ok(owner::of_named(&log, || sync::backlog(&known, entries + 1))? > entries);
        if is_apart(&known)? || isolated(is_long).unwrap_or(false) {
            out.push(table);
        }
    }
    Ok(out)
}

/// Whether a table is there twice, kept equal: its conversion has begun and is neither undone nor finalized.
pub fn is_in_between(quoted: &str) -> Result<bool> {
    Ok(of_parent(quoted)?.is_some_and(|known| known.stage != Stage::Finalized))
}

fn must_own_named(conversion: &record::Conversion) -> Result<bool> {
    let may = "SELECT COALESCE((SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c
                                 WHERE c.oid = pg_catalog.to_regclass($1)), false)";
    Ok(sql::first(may, &[conversion.quoted().into()], |row| required::<bool>(row, 1))? == Some(true))
}
