//! What the extension knows of itself: its owner, its home, and what it must not keep.

use crate::backend;
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::owner::Switched;
use crate::sql::{self, Kept, required};
use pgrx::{PgSqlErrorCode, pg_sys};

/// Runs `work` with the rights of the extension's owner, for its own tables only: callers need no grants on
/// them, and cannot write them by themselves.
pub fn as_owner<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // As a SECURITY DEFINER call does. The search_path is pinned because a job's session may have run the user's code,
    // which may have left operators and types there by the names of PostgreSQL's own.
    let _switched = Switched::to(owner()?, pg_sys::SECURITY_LOCAL_USERID_CHANGE);
    pinned(&[(c"search_path", c"pg_catalog, pg_temp")], work)
}

thread_local! {
    static OWNER: Kept = const {
        Kept::new(
            "SELECT e.extowner FROM pg_catalog.pg_extension e
              WHERE e.extname OPERATOR(pg_catalog.=) 'pg_groundskeeper'::pg_catalog.name",
        )
    };
}

fn owner() -> Result<pg_sys::Oid> {
    OWNER
        .with(|owner| owner.first(|row| required(row, 1)))?
        .ok_or_else(|| Failure::internal("extension pg_groundskeeper is not installed in this database"))
}

/// Refuses what would write on a standby, before anything else fails there.
pub fn can_write(what: &str) -> Result<()> {
    if !backend::is_in_recovery() {
        return Ok(());
    }
    let code = PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION;
    Err(Failure::new(code, format!("cannot {what} during recovery"))
        .detail("A standby has what its primary has, and nothing of its own.")
        .hint("Do it on the primary, or once this server is promoted."))
}

/// Which cluster and database this is. A restored or copied database differs in one of them.
pub fn home() -> String {
    format!("{}/{}", backend::cluster(), u32::from(backend::database()))
}

/// What the install script makes or makes again in the user's schemas would be the extension's: not dumped, and
/// dropped with it. It is the user's. Grants on it have been made by now, so none is left in `pg_init_privs`.
pub fn give_up_users_relations() -> Result<()> {
    if !backend::is_creating_extension() {
        return Ok(());
    }
    let detach = sql::texts(
        "SELECT pg_catalog.format('ALTER EXTENSION pg_groundskeeper DROP %s %I.%I',
                                  CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                                  n.nspname, c.relname)
           FROM pg_catalog.pg_depend d
           JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
           JOIN pg_catalog.pg_class c ON c.oid = d.objid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
            AND n.nspname NOT IN ('groundskeeper', 'groundskeeper_internal', 'monitoring')
         UNION ALL
         SELECT pg_catalog.format('ALTER EXTENSION pg_groundskeeper DROP FUNCTION %I.%I()', n.nspname, p.proname)
           FROM pg_catalog.pg_depend d
           JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
           JOIN pg_catalog.pg_proc p ON p.oid = d.objid AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
           JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
            AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
            AND n.nspname NOT IN ('groundskeeper', 'groundskeeper_internal', 'monitoring')",
        &[],
    )?;
    detach.iter().try_for_each(|statement| sql::run(statement, &[]))
}
