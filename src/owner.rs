//! Work on a user's relation as its owner. Whoever owns a table has put code into it: CHECKs, expressions of indexes,
//! defaults, generated columns, triggers, policies, statistics, casts. It runs when rows are read or written, and the
//! planner evaluates some of it before that. None of it is to run with the rights of whoever calls us.
//!
//! As ANALYZE and REFRESH do it: the owner is the current role, the operation is restricted, so that `SET ROLE` and
//! `RESET ROLE` are refused in it, and the `search_path` is PostgreSQL's own. The price is what PostgreSQL refuses there:
//! temporary tables, and triggers that are deferred.

use crate::backend;
use crate::encoding::to_server_cstring;
use crate::error::{Failure, Result};
use crate::guc::{contained, pinned};
use crate::parse::one_statement;
use crate::sql::{self, required};
use groundskeeper_core::names::Qualified;
use pgrx::pg_sys::{self, NodeTag, Oid};
use pgrx::{PgSqlErrorCode, is_a};
use std::cell::Cell;

/// Runs `work` on a relation as its owner. The caller must have the owner's rights, and who is the owner itself notices
/// nothing of this.
pub fn of<T>(relation: Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(owner) = owner_of(relation) else { return Err(gone()) };
    if !has_rights_of(owner) {
        return Err(Failure::not_owner(name_of(relation)?));
    }
    as_role(owner, work)
}

/// Runs a query over a relation as its owner, for a caller who may read all of it.
pub fn reading<T>(relation: Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(owner) = owner_of(relation) else { return Err(gone()) };
    if !has_rights_of(owner) && !may_read_all(relation)? {
        let message = format!("permission denied for relation {}", name_of(relation)?);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message)
            .detail("It takes SELECT on all of it, and no policy that hides rows."));
    }
    as_role(owner, work)
}

/// The same by name. What is not there says so itself.
pub fn reading_named<T>(quoted: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match oid_of(quoted)? {
        Some(relation) => reading(relation, || held(quoted, relation, work)),
        None => work(),
    }
}

/// As [`of`], by name. What is not there says so itself.
pub fn of_named<T>(quoted: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match oid_of(quoted)? {
        Some(relation) => of(relation, || held(quoted, relation, work)),
        None => work(),
    }
}

/// Runs `work` on a relation with no greater rights than its owner's: as the owner for a caller who has these, as the
/// caller for one who may do less. What is not there says so itself.
pub fn at_most_named<T>(quoted: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let found = oid_of(quoted)?.and_then(|relation| Some((relation, owner_of(relation)?)));
    match found.filter(|(_, owner)| has_rights_of(*owner)) {
        Some((relation, owner)) => as_role(owner, || held(quoted, relation, work)),
        None => work(),
    }
}

/// Runs `work`, as the owner of a relation, once that name is sure to lead to it and it to be the owner's until the
/// transaction ends: another's by that name would run its code with this owner's rights. `work` reads the relation in
/// any case, so that no lock is taken here which it would not take.
fn held<T>(quoted: &str, relation: Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: in a transaction, whose end releases the lock. It blocks nobody but who would drop or rename it.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
    if oid_of(quoted)? != Some(relation) || owner_of(relation) != Some(backend::role()) {
        let message = format!("{quoted} was replaced, or given to another role, in this moment");
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("Do it again."));
    }
    work()
}

/// Runs one statement; an ALTER TABLE, which may read the table's rows, as the table's owner. What takes the rights of
/// others besides, as another owner does, is left to the caller's own.
pub fn run(statement: &str) -> Result<()> {
    let table = altered(statement)?;
    match table.and_then(owner_of).filter(|owner| has_rights_of(*owner)) {
        Some(owner) => as_role(owner, || sql::run(statement, &[])),
        None => sql::run(statement, &[]),
    }
}

/// Runs what a role has written with that role's rights, or with the caller's where that role has these anyway. Who may
/// not act as that role does not run its words.
pub fn as_author<T>(author: Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let me = backend::role();
    let whom = if !has_rights_of(author) && roles_rights(author, me) { me } else { author };
    if !has_rights_of(whom) {
        let message = "permission denied for what another role has added to the plan";
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message));
    }
    in_words_of_author(|| as_role(whom, work))
}

/// The same for who only looks: nothing is changed, and nothing runs but as that role.
pub fn as_author_to_look<T>(author: Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    in_words_of_author(|| as_role(author, work))
}

thread_local! {
    static AUTHORED: Cell<bool> = const { Cell::new(false) };
}

/// Whether what is being read was written by the role that is current now.
pub fn reads_words_of_author() -> bool {
    AUTHORED.get()
}

/// The role whose own types may be read now, as it is current: nobody's, unless what it has written is being read.
pub fn author() -> Oid {
    if reads_words_of_author() { backend::role() } else { pg_sys::InvalidOid }
}

fn in_words_of_author<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            AUTHORED.set(self.0);
        }
    }
    let _before = Before(AUTHORED.replace(true));
    work()
}

/// Runs `work` as a role whose rights the caller has. What it sets, for the session too, is taken back: the caller's
/// session goes on after it.
fn as_role<T>(owner: Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if backend::role() == owner && backend::session_role() == owner {
        return work();
    }
    let _switched = Switched::to(owner, pg_sys::SECURITY_RESTRICTED_OPERATION);
    contained(|| pinned(&[(c"search_path", c"pg_catalog, pg_temp")], work))
}

/// Another current role, for as long as this lives. An error that passes by puts the caller back too.
pub struct Switched {
    caller: Oid,
    context: i32,
}

impl Switched {
    /// To that role, with one more flag of PostgreSQL's `SECURITY_...`.
    pub fn to(role: Oid, flag: u32) -> Self {
        let (mut caller, mut context) = (pg_sys::InvalidOid, 0);
        // SAFETY: reads and sets the backend's current user, as PostgreSQL does around ANALYZE and SECURITY DEFINER.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&raw mut caller, &raw mut context);
            pg_sys::SetUserIdAndSecContext(role, context | flag as i32);
        }
        Self { caller, context }
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        // SAFETY: as above; these were current when it was made, and the (sub)transaction that is aborted on the way
        // has them as its own.
        unsafe { pg_sys::SetUserIdAndSecContext(self.caller, self.context) };
    }
}

/// The owner of a relation, if it is there. From the catalog's cache: this is asked before every statement.
pub fn owner_of(relation: Oid) -> Option<Oid> {
    // SAFETY: in a transaction. The tuple is one of pg_class, is read while it is held, and released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, relation.into());
        if tuple.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// Whether the current role has the rights of another.
pub fn has_rights_of(role: Oid) -> bool {
    roles_rights(backend::role(), role)
}

/// Whether a role has the rights of another.
pub fn roles_rights(role: Oid, of: Oid) -> bool {
    // SAFETY: in a transaction; looks at memberships.
    unsafe { pg_sys::has_privs_of_role(role, of) }
}

fn gone() -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation is gone")
}

/// The relation of that name, if there is one. From the catalog's caches, whoever may use the schema.
pub fn oid_by_name(name: &Qualified) -> Option<Oid> {
    let (schema, relation) = (to_server_cstring(&name.schema)?, to_server_cstring(&name.name)?);
    // SAFETY: in a transaction, with names that end with NUL and are in the server's encoding.
    unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        let relation = pg_sys::get_relname_relid(relation.as_ptr(), schema);
        (relation != pg_sys::InvalidOid).then_some(relation)
    }
}

fn oid_of(quoted: &str) -> Result<Option<Oid>> {
    let oid = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
    Ok(sql::kept_first(oid, &[quoted.into()], |row| row.get::<Oid>(1))?.flatten())
}

fn name_of(relation: Oid) -> Result<String> {
    let name = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
                  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    Ok(sql::texts(name, &[relation.into()])?.into_iter().next().unwrap_or_default())
}

fn may_read_all(relation: Oid) -> Result<bool> {
    let may = "SELECT pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
                  AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid)
                 FROM pg_catalog.pg_class c WHERE c.oid = $1";
    Ok(sql::first(may, &[relation.into()], |row| required::<bool>(row, 1))? == Some(true))
}

/// The table that a statement alters, unless it gives it to somebody else.
fn altered(statement: &str) -> Result<Option<Oid>> {
    if !statement.trim_start().starts_with("ALTER TABLE") {
        return Ok(None);
    }
    let text =
        to_server_cstring(statement).ok_or_else(|| Failure::internal("a statement contains a NUL byte"))?;
    // SAFETY: in a transaction, and `text` outlives the parse tree's use. A node is cast to what its tag says that it
    // is; the commands of an ALTER TABLE are AlterTableCmds.
    unsafe {
        let statement = (*one_statement(&text)?).stmt;
        if !is_a(statement, NodeTag::T_AlterTableStmt) {
            return Ok(None);
        }
        let alter = statement.cast::<pg_sys::AlterTableStmt>();
        let commands = elements::<pg_sys::AlterTableCmd>((*alter).cmds);
        if commands.iter().any(|command| command.subtype == pg_sys::AlterTableType::AT_ChangeOwner) {
            return Ok(None);
        }
        let missing_is_fine = pg_sys::RVROption::RVR_MISSING_OK;
        let table = pg_sys::RangeVarGetRelidExtended(
            (*alter).relation,
            pg_sys::NoLock as i32,
            missing_is_fine,
            None,
            std::ptr::null_mut(),
        );
        Ok((table != pg_sys::InvalidOid).then_some(table))
    }
}

/// # Safety
/// A list of pointers to nodes of that type, or none, which outlives what is returned.
unsafe fn elements<'a, T>(list: *mut pg_sys::List) -> Vec<&'a T> {
    // SAFETY: as many elements as the list says that it has, each of which the caller knows.
    unsafe {
        let Some(list) = list.as_ref() else { return Vec::new() };
        let length = usize::try_from(list.length).unwrap_or(0);
        (0..length).filter_map(|at| (*list.elements.add(at)).ptr_value.cast::<T>().as_ref()).collect()
    }
}
