//! A table that was dropped, made anew or renamed in the middle of its conversion. What is ours is cleared away; what may
//! be the only copy of rows stays.

use super::plan_item;
use super::record::{self, CAPTURE, Conversion, FORMER, KEYS, LOG, SHADOW};
use super::{exchange, keys, shadow, triggers};
use crate::error::{Failure, Result};
use crate::owner;
use crate::partition::managed;
use crate::settings;
use crate::sql::{self, quote_literal, required};
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::partition::convert::{Goal, Stage};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// What has become of a table whose conversion is written down.
pub enum Whereabouts {
    /// It is there.
    Same,
    /// It has another name.
    Renamed(String),
    /// It is gone, or another table has its name.
    Lost,
}

/// Where the table is. It is known by its triggers while it has some, by its kind otherwise.
pub fn whereabouts(conversion: &Conversion) -> Result<Whereabouts> {
    let has_triggers = match conversion.stage {
        Stage::Begun | Stage::Shadowed | Stage::Restored => false,
        Stage::Finalized => conversion.has_key_table,
        _ => true,
    };
    if !has_triggers {
        let kind = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1) AND relkind::text = $2)";
        let expected = if conversion.stage.is_partitioned() { "p" } else { "r" };
        let args = [conversion.quoted().into(), expected.into()];
        let there = sql::first(kind, &args, |row| required::<bool>(row, 1))?;
        return Ok(if there == Some(true) { Whereabouts::Same } else { Whereabouts::Lost });
    }
    let functions = [CAPTURE, "key_insert", "key_update", "key_delete"];
    let functions: Vec<String> =
        functions.iter().map(|suffix| format!("{}()", conversion.beside_quoted(suffix))).collect();
    let found = sql::first(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid IS NOT DISTINCT FROM pg_catalog.to_regclass($3)::oid
           FROM pg_catalog.pg_trigger g
           JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
           -- The table is known by what its partitions have, too. A stranger can have triggers of these names, and call
           -- functions that are not his.
           JOIN pg_catalog.pg_class c ON c.oid = COALESCE(pg_catalog.pg_partition_root(g.tgrelid), g.tgrelid)
                                     AND NOT c.relispartition AND c.relowner = p.proowner
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE g.tgfoid IN (SELECT pg_catalog.to_regprocedure(f) FROM pg_catalog.unnest($1::text[]) f)
            AND g.tgname = ANY ($2)
          ORDER BY 2 DESC LIMIT 1",
        &[functions.into(), super::OWN_TRIGGERS.to_vec().into(), conversion.quoted().into()],
        |row| Ok((required::<String>(row, 1)?, required::<bool>(row, 2)?)),
    )?;
    Ok(match found {
        Some((_, true)) => Whereabouts::Same,
        Some((name, false)) => Whereabouts::Renamed(name),
        None => Whereabouts::Lost,
    })
}

/// The conversion that a relation belongs to which is not the table itself: made beside it, or the table by another name.
pub fn conversion_beside(relation: &Qualified, quoted: &str) -> Result<Option<Conversion>> {
    for table in record::tables_in(&relation.schema)? {
        let Some(known) = record::find(&table)? else { continue };
        if [SHADOW, FORMER, KEYS, LOG].iter().any(|suffix| known.beside(suffix) == *relation) {
            return Ok(Some(known));
        }
        if matches!(whereabouts(&known)?, Whereabouts::Renamed(name) if name == quoted) {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// Refuses to go on with a table that is not there by its name.
pub fn must_be_there(conversion: &Conversion) -> Result<()> {
    match whereabouts(conversion)? {
        Whereabouts::Same => Ok(()),
        Whereabouts::Renamed(name) => Err(renamed(conversion, &name)),
        Whereabouts::Lost => Err(lost(conversion)?),
    }
}

fn renamed(conversion: &Conversion, name: &str) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{} was renamed in the middle of its conversion", conversion.quoted()),
    )
    .detail(format!("It is {name} now."))
    .hint("Give it back its name and schema, then try again.")
}

/// What to say of a table that is gone. Remedies are part of the detail: that is what is written down of a job's error.
pub fn lost(conversion: &Conversion) -> Result<Failure> {
    let failure = Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{} was dropped or replaced in the middle of its conversion", conversion.quoted()),
    );
    let left = left(conversion)?;
    let Some(first) = left.first() else { return Ok(failure.detail("Nothing is left of it.")) };
    Ok(failure.detail(format!(
        "Left beside it are {}. SELECT groundskeeper.undo_partitioning({}) clears away what holds no rows of the table.",
        left.join(", "),
        quote_literal(first)
    )))
}

/// What the conversion has made beside its table by now, and not dropped again; other tables of these names are not ours.
fn made(conversion: &Conversion) -> Vec<&'static str> {
    let mut made = match conversion.stage {
        Stage::Begun => return Vec::new(),
        Stage::Shadowed => vec![SHADOW],
        Stage::Captured | Stage::Copied | Stage::Indexed | Stage::Proven | Stage::Restored => {
            vec![SHADOW, LOG]
        }
        Stage::Swapped | Stage::Converted | Stage::Equal => vec![FORMER, LOG],
        Stage::Finalized => Vec::new(),
    };
    made.extend(conversion.has_key_table.then_some(KEYS));
    made
}

/// The tables of it that are there.
fn left(conversion: &Conversion) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for suffix in made(conversion) {
        if shadow::exists(&conversion.table.schema, &conversion.beside(suffix).name)? {
            out.push(conversion.beside_quoted(suffix));
        }
    }
    Ok(out)
}

/// What is cleared away after a table that is lost, and what is kept, with the reason.
pub struct Remains {
    /// The statements that clear it away.
    pub statements: Vec<String>,
    /// What is kept.
    pub kept: Vec<String>,
}

/// What is to become of what is left.
pub fn remains(conversion: &Conversion) -> Result<Remains> {
    let left = left(conversion)?;
    let there = |suffix: &str| left.contains(&conversion.beside_quoted(suffix));
    let (mut statements, mut kept) = (Vec::new(), Vec::new());
    for suffix in [SHADOW, FORMER] {
        let table = conversion.beside_quoted(suffix);
        if !there(suffix) {
            continue;
        } else if has_rows(&table)? {
            kept.push(format!("{table}, whose rows may be nowhere else"));
        } else {
            statements.push(format!("DROP TABLE {table}"));
        }
    }
    if there(LOG) {
        statements.push(format!("DROP TABLE {}", conversion.beside_quoted(LOG)));
    }
    // with the triggers that a kept table's partitions still have
    let drop =
        |function: &str| format!("DROP FUNCTION IF EXISTS {}() CASCADE", conversion.beside_quoted(function));
    statements.extend(made(conversion).contains(&LOG).then(|| drop(CAPTURE)));
    let keys = conversion.beside_quoted(KEYS);
    if conversion.has_key_table && there(KEYS) && is_referred_to(&keys)? {
        kept.push(format!("{keys}, which foreign keys refer to"));
    } else if made(conversion).contains(&KEYS) {
        statements.extend(there(KEYS).then(|| format!("DROP TABLE {keys}")));
        statements.extend(keys::FUNCTIONS.map(drop));
    }
    Ok(Remains { statements, kept })
}

/// Whether a table has rows, as its owner sees it.
pub fn has_rows(table: &str) -> Result<bool> {
    let query = format!("SELECT EXISTS (SELECT 1 FROM {table})");
    let look = || sql::first(&query, &[], |row| required::<bool>(row, 1));
    Ok(owner::of_named(table, look)? == Some(true))
}

fn is_referred_to(table: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint
                                 WHERE contype = 'f' AND confrelid = pg_catalog.to_regclass($1) AND conrelid <> confrelid)";
    Ok(sql::first(query, &[table.into()], |row| required::<bool>(row, 1))? == Some(true))
}

/// The end of a job whose table is not there, if that is so: the way back clears away what is left, any other is refused.
pub fn end_if_lost(between: &mut Between, conversion: &Conversion, goal: Goal) -> Option<Result<()>> {
    match between.transaction(|| whereabouts(conversion)) {
        Ok(Whereabouts::Same) => None,
        Ok(Whereabouts::Lost) if goal == Goal::Undo => Some(between.transaction(|| clear(conversion))),
        Ok(Whereabouts::Lost) if conversion.stage == Stage::Begun => {
            // nobody could ask for the way back of nothing
            Some(
                between
                    .transaction(|| record::forget(conversion))
                    .and_then(|()| Err(between.transaction(|| lost(conversion))?)),
            )
        }
        Ok(_) => Some(between.transaction(|| must_be_there(conversion))),
        Err(failure) => Some(Err(failure)),
    }
}

/// Clears away what is ours of a lost table, and what is written down of it.
pub fn clear(conversion: &Conversion) -> Result<()> {
    run_before_deadline(settings::lock_timeout_ms(), &remains(conversion)?.statements)?;
    if conversion.stage.is_partitioned() {
        managed::forget(&conversion.quoted())?;
        plan_item::record_undone(conversion)?;
    }
    record::forget(conversion)
}

/// Refuses what relies on the log where it does not name every change, under a lock that nobody can switch a trigger off
/// behind: the next attempt puts it back and compares all rows.
pub fn must_be_watched(conversion: &Conversion) -> Result<()> {
    let lacking = triggers::lacking(conversion)?;
    let Some(one) = lacking.iter().find(|one| one.is_of_log()) else { return Ok(()) };
    Err(exchange::retry(&format!(
        "the trigger {} of {} was switched off or dropped meanwhile",
        one.name, one.relation
    )))
}
