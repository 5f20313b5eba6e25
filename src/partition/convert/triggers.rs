//! The triggers that a table needs while it is converted, and afterwards: whether all of them are there and fire for
//! everybody, and how they come back.

use super::record::{CAPTURE, Conversion, KEYS};
use super::{keys, shadow};
use crate::error::{Failure, Result};
use crate::sql::{self, quote_identifier, required};
use groundskeeper_core::partition::convert::Stage;
use pgrx::PgSqlErrorCode;

/// A trigger that is not there, or does not fire for everybody.
#[derive(Debug, Clone)]
pub struct Lacking {
    /// The table, partition or key table, quoted.
    pub relation: String,
    /// Its place below the table, which is 0; that of the key table is -1.
    level: i32,
    /// The trigger's name.
    pub name: String,
    /// It is there, and switched off or to origin.
    is_there: bool,
    /// Another function's has the name.
    is_taken: bool,
}

impl Lacking {
    /// Whether it is one of those that write the log.
    pub fn is_of_log(&self) -> bool {
        [shadow::CAPTURE_ROWS, shadow::CAPTURE_TRUNCATE].contains(&self.name.as_str())
    }
}

/// What a conversion needs at its stage: name, suffix of the function, and whether it is on TRUNCATE.
fn wanted(conversion: &Conversion) -> Vec<(&'static str, &'static str, bool)> {
    let mut wanted = Vec::new();
    if !matches!(conversion.stage, Stage::Begun | Stage::Shadowed | Stage::Restored | Stage::Finalized) {
        wanted.extend([(shadow::CAPTURE_ROWS, CAPTURE, false), (shadow::CAPTURE_TRUNCATE, CAPTURE, true)]);
    }
    if conversion.has_key_table && conversion.stage.is_partitioned() {
        let [insert, update, delete, truncate, _] = keys::FUNCTIONS;
        wanted.extend([
            (keys::INSERTED, insert, false),
            (keys::UPDATED, update, false),
            (keys::DELETED, delete, false),
            (keys::TRUNCATED, truncate, true),
        ]);
    }
    wanted
}

/// What the table, its partitions and its key table lack; the table first, then what is below it.
pub fn lacking(conversion: &Conversion) -> Result<Vec<Lacking>> {
    let wanted = wanted(conversion);
    let function = |suffix: &str| format!("{}()", conversion.beside_quoted(suffix));
    let has_keys = conversion.has_key_table && conversion.stage.is_partitioned();
    let args = [
        conversion.quoted().into(),
        has_keys.then(|| conversion.beside_quoted(KEYS)).into(),
        wanted.iter().map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>().into(),
        wanted.iter().map(|(_, suffix, _)| function(suffix)).collect::<Vec<_>>().into(),
        wanted.iter().map(|(.., on_truncate)| *on_truncate).collect::<Vec<_>>().into(),
        keys::RESTORED.into(),
        function("key_restore").into(),
    ];
    sql::rows(include_str!("triggers.sql"), &args, |row| {
        Ok(Lacking {
            relation: required(row, 1)?,
            level: required(row, 2)?,
            name: required(row, 3)?,
            is_there: required(row, 4)?,
            is_taken: required(row, 5)?,
        })
    })
}

/// The statements that bring them back, and the functions behind them.
pub fn mending(conversion: &Conversion, lacking: &[Lacking]) -> Result<Vec<String>> {
    if let Some(taken) = lacking.iter().find(|one| one.is_taken) {
        let name = quote_identifier(&taken.name);
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
            format!("trigger {name} of {} is not what the conversion of the table made", taken.relation),
        )
        .detail(format!(
            "ALTER TRIGGER {name} ON {} RENAME TO another name, then try again.",
            taken.relation
        )));
    }
    let mut statements = Vec::new();
    if conversion.has_key_table && conversion.stage.is_partitioned() {
        statements.extend(mending_keys(conversion, lacking)?);
    }
    if is_missing(&[CAPTURE], conversion)? && lacking.iter().any(Lacking::is_of_log) {
        statements.push(shadow::capture_function(conversion));
        statements
            .push(format!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", conversion.beside_quoted(CAPTURE)));
    }
    let table = conversion.quoted();
    let of_log = |one: &&Lacking| one.is_of_log() && !one.is_there;
    if lacking.iter().any(|one| one.level == 0 && of_log(&one)) {
        statements.extend(dropping(&table, &[shadow::CAPTURE_ROWS, shadow::CAPTURE_TRUNCATE]));
        statements.extend(shadow::capture_triggers(conversion, &table));
    }
    for one in
        lacking.iter().filter(|one| one.level > 0 && one.name == shadow::CAPTURE_TRUNCATE).filter(of_log)
    {
        statements.extend(dropping(&one.relation, &[shadow::CAPTURE_TRUNCATE]));
        statements.extend(shadow::capture_truncate(conversion, &one.relation));
    }
    statements.extend(enabling(lacking));
    Ok(statements)
}

/// Those of the keys. Where a function is gone, all are made anew: what called it is gone with it.
fn mending_keys(conversion: &Conversion, lacking: &[Lacking]) -> Result<Vec<String>> {
    let table = conversion.quoted();
    let triggers = [keys::INSERTED, keys::UPDATED, keys::DELETED, keys::TRUNCATED];
    let gone = |one: &&Lacking| !one.is_of_log() && !one.is_there;
    let mut statements = Vec::new();
    let anew =
        is_missing(&keys::FUNCTIONS, conversion)? || lacking.iter().any(|one| one.level < 0 && gone(&one));
    if anew {
        let drop =
            |suffix: &str| format!("DROP FUNCTION IF EXISTS {}() CASCADE", conversion.beside_quoted(suffix));
        statements.extend(keys::FUNCTIONS.map(drop));
        statements.extend(keys::functions(conversion));
    }
    if anew || lacking.iter().any(|one| one.level == 0 && gone(&one)) {
        statements.extend(dropping(&table, &triggers));
        statements.extend(keys::triggers(conversion, &table));
    }
    let leaves = lacking.iter().filter(|one| one.level > 0 && one.name == keys::TRUNCATED).filter(gone);
    let leaves: Vec<String> = match anew {
        true => shadow::partitions(&table)?.iter().map(super::sync::quoted).collect(),
        false => leaves.map(|one| one.relation.clone()).collect(),
    };
    for leaf in leaves {
        statements.extend(dropping(&leaf, &[keys::TRUNCATED]));
        statements.extend(keys::of_partition(conversion, &leaf));
    }
    Ok(statements)
}

fn dropping(table: &str, triggers: &[&str]) -> Vec<String> {
    let drop = |name: &&str| format!("DROP TRIGGER IF EXISTS {} ON {table}", quote_identifier(*name));
    triggers.iter().map(drop).collect()
}

/// Those that are there. The table's come first, and the row triggers of its partitions follow them.
fn enabling(lacking: &[Lacking]) -> impl Iterator<Item = String> {
    lacking.iter().filter(|one| one.is_there).map(|one| {
        format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", one.relation, quote_identifier(&one.name))
    })
}

/// Whether one of the functions is not there. Another role's by its name is none: what is made anew fails at it, as a trigger
/// that called it would run that role's code for whoever writes.
fn is_missing(suffixes: &[&str], conversion: &Conversion) -> Result<bool> {
    let functions = suffixes.iter().map(|suffix| format!("{}()", conversion.beside_quoted(suffix)));
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.unnest($1::text[]) f (name)
                                 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc p
                                                     JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass($2) AND c.relowner = p.proowner
                                                    WHERE p.oid = pg_catalog.to_regprocedure(f.name)))";
    let args = [functions.collect::<Vec<_>>().into(), conversion.quoted().into()];
    Ok(sql::first(query, &args, |row| required::<bool>(row, 1))? == Some(true))
}

/// The statements that drop all triggers that call functions, wherever they are by now: a partition that was detached
/// by a plain statement has taken its own along.
pub fn of_functions(functions: &[String]) -> Result<Vec<String>> {
    let functions: Vec<String> = functions.iter().map(|function| format!("{function}()")).collect();
    sql::texts(
        "SELECT pg_catalog.format('DROP TRIGGER %I ON %I.%I', g.tgname, n.nspname, c.relname)
           FROM pg_catalog.unnest($1::text[]) f (name)
           JOIN pg_catalog.pg_trigger g ON g.tgfoid = pg_catalog.to_regprocedure(f.name)
           JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE g.tgparentid = 0 ORDER BY g.oid",
        &[functions.into()],
    )
}
