//! Partitions of a table with a key table do not come and go by plain statements: their keys would stay behind, or be
//! missing. Nor is such a table renamed, as the functions that keep its keys name it. Looked at before the statement
//! runs, as afterwards it could no longer be told apart or taken back.

use super::{convert, managed};
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::settings;
use crate::sql::{self, quote_literal, required};
use crate::waiting::run_before_deadline;
use groundskeeper_core::partition::convert::Stage;
use pgrx::pg_sys::{self, NodeTag, Oid};
use pgrx::{PgSqlErrorCode, is_a};
use std::ffi::CStr;

/// What a statement is about to do to a partition.
enum Change {
    /// It leaves its table.
    Detach { parent: Oid },
    /// It comes to a table.
    Attach { parent: Oid, table: Oid },
    /// It is dropped.
    Drop { table: Oid },
    /// A table, or a column of that name, is called otherwise or moves to another schema.
    Rename { table: Oid, column: Option<String> },
}

/// Under what our own queries run, once the statement's names have been looked up by the caller's path: no operators
/// but PostgreSQL's, and names as they are written down.
const OWN: [(&CStr, &CStr); 2] =
    [(c"search_path", c"pg_catalog, pg_temp"), (c"quote_all_identifiers", c"off")];

/// Refuses a statement that would make keys wrong.
///
/// # Safety
/// `statement` is NULL or a parse tree that lives as long as the call.
pub unsafe fn check(statement: *mut pg_sys::Node) -> Result<()> {
    if settings::allow_partition_ddl() {
        return Ok(());
    }
    // SAFETY: the caller's.
    let changes = unsafe { changes(statement) };
    pinned(&OWN, || changes.iter().try_for_each(refuse))
}

/// Gives partitions that a plain statement has made or attached what they do not get from their table. Called when the
/// statement is over.
///
/// # Safety
/// As for [`check`].
pub unsafe fn complete(statement: *mut pg_sys::Node) -> Result<()> {
    // SAFETY: the caller's.
    if settings::allow_partition_ddl() || !unsafe { brings_a_partition(statement) } {
        return Ok(());
    }
    let kept_elsewhere = |table: &managed::Managed| table.key_table.is_some() || table.former.is_some();
    pinned(&OWN, || {
        for table in managed::all()?.into_iter().filter(kept_elsewhere) {
            if let Some(conversion) = convert::of_parent(&table.parent)? {
                run_before_deadline(settings::lock_timeout_ms(), &convert::missing_triggers(&conversion)?)?;
            }
        }
        Ok(())
    })
}

/// # Safety
/// As for [`check`].
unsafe fn brings_a_partition(statement: *mut pg_sys::Node) -> bool {
    // SAFETY: a node is cast to what its tag says that it is.
    unsafe {
        if !statement.is_null() && is_a(statement, NodeTag::T_CreateStmt) {
            return !(*statement.cast::<pg_sys::CreateStmt>()).partbound.is_null();
        }
        changes(statement).iter().any(|change| matches!(change, Change::Attach { .. }))
    }
}

/// # Safety
/// As for [`check`].
unsafe fn changes(statement: *mut pg_sys::Node) -> Vec<Change> {
    // SAFETY: a node is cast to what its tag says that it is; the lists of these statements have the elements that
    // PostgreSQL's grammar puts there, each checked by its own tag where there is more than one kind.
    unsafe {
        if statement.is_null() {
            Vec::new()
        } else if is_a(statement, NodeTag::T_AlterTableStmt) {
            let alter = statement.cast::<pg_sys::AlterTableStmt>();
            let parent = oid((*alter).relation);
            let commands = elements::<pg_sys::AlterTableCmd>((*alter).cmds);
            commands.filter_map(|command| of_command(parent, command)).collect()
        } else if is_a(statement, NodeTag::T_DropStmt) {
            let drop = statement.cast::<pg_sys::DropStmt>();
            if (*drop).removeType != pg_sys::ObjectType::OBJECT_TABLE {
                return Vec::new();
            }
            let names = elements::<pg_sys::List>((*drop).objects);
            names.map(|name| Change::Drop { table: oid(pg_sys::makeRangeVarFromNameList(name)) }).collect()
        } else if is_a(statement, NodeTag::T_RenameStmt) {
            let rename = statement.cast::<pg_sys::RenameStmt>();
            let column = match (*rename).renameType {
                pg_sys::ObjectType::OBJECT_TABLE => None,
                pg_sys::ObjectType::OBJECT_COLUMN => {
                    Some(CStr::from_ptr((*rename).subname).to_string_lossy().into_owned())
                }
                _ => return Vec::new(),
            };
            vec![Change::Rename { table: oid((*rename).relation), column }]
        } else if is_a(statement, NodeTag::T_AlterObjectSchemaStmt) {
            vec![Change::Rename {
                table: oid((*statement.cast::<pg_sys::AlterObjectSchemaStmt>()).relation),
                column: None,
            }]
        } else {
            Vec::new()
        }
    }
}

/// The elements of a list of pointers.
///
/// # Safety
/// `list` is NULL or a list of pointers to such nodes, and lives as long as the iterator is used.
unsafe fn elements<T>(list: *const pg_sys::List) -> impl Iterator<Item = *mut T> {
    let cells = if list.is_null() {
        &[]
    } else {
        // SAFETY: a list that is not NULL has that many cells.
        unsafe { std::slice::from_raw_parts((*list).elements, usize::try_from((*list).length).unwrap_or(0)) }
    };
    // SAFETY: the caller's: the cells hold pointers.
    cells.iter().map(|cell| unsafe { cell.ptr_value }.cast())
}

/// # Safety
/// `command` is an element of an `ALTER TABLE`.
unsafe fn of_command(parent: Oid, command: *mut pg_sys::AlterTableCmd) -> Option<Change> {
    // SAFETY: the definition of these two commands is a PartitionCmd.
    unsafe {
        match (*command).subtype {
            pg_sys::AlterTableType::AT_DetachPartition => Some(Change::Detach { parent }),
            pg_sys::AlterTableType::AT_AttachPartition => {
                let partition = (*command).def.cast::<pg_sys::PartitionCmd>();
                Some(Change::Attach { parent, table: oid((*partition).name) })
            }
            _ => None,
        }
    }
}

/// # Safety
/// `name` is NULL or a range variable of the parse tree.
unsafe fn oid(name: *mut pg_sys::RangeVar) -> Oid {
    if name.is_null() {
        return pg_sys::InvalidOid;
    }
    // SAFETY: the name is only looked up, by the caller's search_path, and not locked: the statement itself will.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            name,
            pg_sys::NoLock as pg_sys::LOCKMODE,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

fn refuse(change: &Change) -> Result<()> {
    let (parent, what, instead) = match change {
        Change::Detach { parent } => (*parent, "detached", "groundskeeper.detach_partition() does both"),
        Change::Drop { table } => (parent_of(*table)?, "dropped", "groundskeeper.drop_partition() does both"),
        Change::Attach { parent, table } if has_rows(*table)? => {
            (*parent, "attached with rows in it", "Attach it empty and insert them")
        }
        Change::Attach { .. } => return Ok(()),
        Change::Rename { table, column } => return refuse_rename(*table, column.as_deref()),
    };
    let Some(quoted) = name_of(parent)? else { return Ok(()) };
    let Some(keys) = managed::find(&quoted)?.and_then(|table| table.key_table) else { return Ok(()) };
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("a partition of {quoted} cannot be {what} like this"),
    )
    .detail(format!("The keys of its rows are in {keys}, which foreign keys refer to."))
    .hint(format!(
        "{instead}. Where the keys do not matter: SET groundskeeper.allow_partition_ddl = {}.",
        quote_literal("on")
    )))
}

/// Refuses other names for a table whose rows, or whose keys, are kept elsewhere too, and for the columns by which
/// that is done.
fn refuse_rename(table: Oid, column: Option<&str>) -> Result<()> {
    let Some(quoted) = name_of(table)? else { return Ok(()) };
    let Some(known) = convert::of_parent(&quoted)? else { return Ok(()) };
    let key = |column: &str| known.key == column || known.key_columns.iter().any(|key| key == column);
    let done = known.stage == Stage::Finalized;
    if !known.stage.is_partitioned()
        || done && !known.has_key_table
        || column.is_some_and(|column| done && !key(column))
    {
        return Ok(());
    }
    let (why, hint) = if done {
        ("The functions that keep its keys name it.", "Another name for it can be a view's.")
    } else {
        (
            "What keeps its two copies equal names it.",
            "groundskeeper.undo_partitioning() or groundskeeper.finalize_partitioning() comes first.",
        )
    };
    let what = column.map_or_else(|| quoted.clone(), |column| format!("column {column} of {quoted}"));
    let state = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    Err(Failure::new(state, format!("{what} cannot be renamed or moved")).detail(why).hint(hint))
}

fn name_of(oid: Oid) -> Result<Option<String>> {
    sql::first(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[oid.into()],
        |row| required(row, 1),
    )
}

fn parent_of(partition: Oid) -> Result<Oid> {
    let parent =
        "SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
                   WHERE i.inhrelid = $1 AND c.relispartition";
    Ok(sql::first(parent, &[partition.into()], |row| required(row, 1))?.unwrap_or(pg_sys::InvalidOid))
}

/// Whether a table has rows, as far as the caller may know: who may not read it may not attach it either.
fn has_rows(table: Oid) -> Result<bool> {
    let Some(quoted) = name_of(table)? else { return Ok(false) };
    let may = "SELECT pg_catalog.has_table_privilege($1, 'SELECT')";
    if sql::first(may, &[table.into()], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(true);
    }
    let query = format!("SELECT EXISTS (SELECT FROM {quoted})");
    Ok(sql::first(&query, &[], |row| required::<bool>(row, 1))? == Some(true))
}
