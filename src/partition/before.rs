//! What a table's owner wants done before a partition retires: a function of his that is called with it, in a transaction
//! of its own, before any lock is taken that others wait for. It is called again whenever the partition was kept after it.
//!
//! It runs as the table's owner. So it must belong to somebody who could act as that role anyway, when it is named and
//! whenever it is called: a table may have been given to another role meanwhile, and anybody replaces functions of his own.

use super::managed::Managed;
use crate::error::{Failure, Result};
use crate::guc::contained;
use crate::owner;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};

/// A function that could be called.
struct Function {
    oid: Oid,
    /// Its name with its argument, as it is written down.
    name: String,
    /// Its owner's name.
    owner: String,
    /// Whether it takes one `regclass` and returns no set, and stays when this session ends.
    fits: bool,
    /// Whether its owner has the rights of the table's.
    is_trusted: bool,
    /// Whether the table's owner may execute it.
    may_execute: bool,
    /// The table's owner's name.
    table_owner: String,
}

/// The name by which a function is written down for a table, if it may be called for that.
pub fn named(table: Oid, function: Oid) -> Result<String> {
    let by_oid = find("p.oid = $2", table, function.into())?;
    let missing = || {
        let message = format!("function with OID {} does not exist", u32::from(function));
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION, message)
    };
    by_oid.ok_or_else(missing)?.checked().map(|function| function.name)
}

/// Looks whether a table's function could be called now.
pub fn check(table: &Managed, relation: Oid) -> Result<()> {
    resolved(table, relation).map(drop)
}

/// Calls a table's function with a partition, as the table's owner.
pub fn call(table: &Managed, relation: Oid, partition: Oid) -> Result<()> {
    let Some(function) = resolved(table, relation)? else { return Ok(()) };
    let called = isolated(|| owner::of(relation, || contained(|| invoke(function.oid, partition))));
    called.map_err(|failure| {
        // whatever it is that failed, it is none of our locks
        let code = match failure.is_stop_request() {
            true => failure.code,
            false => PgSqlErrorCode::ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION,
        };
        Failure { code, message: format!("{} failed: {}", function.name, failure.message), ..failure }
    })
}

fn resolved(table: &Managed, relation: Oid) -> Result<Option<Function>> {
    let Some(name) = &table.before else { return Ok(None) };
    let found = find(
        "pg_catalog.format('%I.%I(regclass)', n.nspname, p.proname) = $2",
        relation,
        name.as_str().into(),
    )?;
    let missing = || {
        let message = format!("{name}, which is to be called before, does not exist");
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION, message)
    };
    found.ok_or_else(missing)?.checked().map(Some)
}

fn find(condition: &str, table: Oid, wanted: sql::Argument) -> Result<Option<Function>> {
    let query = format!(
        "SELECT p.oid, pg_catalog.format('%I.%I(regclass)', n.nspname, p.proname), pg_catalog.pg_get_userbyid(p.proowner)::text,
                p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
                    AND p.proargtypes = ARRAY['pg_catalog.regclass'::pg_catalog.regtype::oid]::oidvector
                    AND NOT pg_catalog.starts_with(n.nspname, 'pg_temp'),
                pg_catalog.pg_has_role(p.proowner, c.relowner, 'USAGE'),
                pg_catalog.has_function_privilege(c.relowner, p.oid, 'EXECUTE')
                    AND pg_catalog.has_schema_privilege(c.relowner, n.oid, 'USAGE'),
                pg_catalog.pg_get_userbyid(c.relowner)::text
           FROM pg_catalog.pg_proc p
           JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          CROSS JOIN pg_catalog.pg_class c
          WHERE c.oid = $1 AND {condition}
          ORDER BY 4 DESC LIMIT 1"
    );
    sql::first(&query, &[table.into(), wanted], |row| {
        Ok(Function {
            oid: required(row, 1)?,
            name: required(row, 2)?,
            owner: required(row, 3)?,
            fits: required(row, 4)?,
            is_trusted: required(row, 5)?,
            may_execute: required(row, 6)?,
            table_owner: required(row, 7)?,
        })
    })
}

impl Function {
    fn checked(self) -> Result<Self> {
        let Self { name, owner, table_owner, .. } = &self;
        if !self.fits {
            let message = format!("{name} cannot be called before a partition retires");
            return Err(Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
                .detail("It must be a function of one argument of type regclass that returns no set, and not a temporary one."));
        }
        let denied = |message: String| Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message);
        if !self.is_trusted {
            return Err(denied(format!(
                "{name} belongs to {owner}, who could have it do anything as {table_owner}"
            ))
            .detail(format!("It runs as {table_owner}, who owns the table."))
            .hint(format!("Let it belong to {table_owner}, or to a role that has its rights.")));
        }
        if !self.may_execute {
            return Err(denied(format!("permission denied for function {name}"))
                .detail(format!("It runs as {table_owner}, who owns the table.")));
        }
        Ok(self)
    }
}

/// Calls it by its OID: by its name another might be found by now.
#[expect(
    ffi_unwind_calls,
    reason = "called through pg_guard_ffi_boundary only, which catches PostgreSQL's errors"
)]
fn invoke(function: Oid, partition: Oid) -> Result<()> {
    // SAFETY: in a transaction, with a function that takes one OID by another name; its result, which may be NULL, is not
    // looked at. Information and arguments of the call outlive it. An error of PostgreSQL's comes through as a panic, for the
    // function is called behind PostgreSQL's own guard; the snapshot is popped below, or by the abort.
    unsafe {
        let mut info = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(function, &raw mut info);
        let room = size_of::<pg_sys::FunctionCallInfoBaseData>() + size_of::<pg_sys::NullableDatum>();
        let call = pg_sys::palloc0(room).cast::<pg_sys::FunctionCallInfoBaseData>();
        (*call).flinfo = &raw mut info;
        (*call).nargs = 1;
        (*(*call).args.as_mut_ptr()).value = partition.into();
        let code = info.fn_addr.ok_or_else(|| Failure::internal("a function without code"))?;
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::ffi::pg_guard_ffi_boundary(|| code(call));
        pg_sys::PopActiveSnapshot();
    }
    Ok(())
}
