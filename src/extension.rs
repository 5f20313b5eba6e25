//! What the extension knows of itself: its owner, its home, and what it must not keep.

use crate::backend;
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::owner::Switched;
use crate::sql::{self, Kept, required};
use groundskeeper_core::release::{Remedy, remedy};
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

/// The version of this library.
pub const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// Runs `work` with the rights of the extension's owner, for its own tables only: callers need no grants on
/// them, and cannot write them by themselves.
pub fn as_owner<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // As a SECURITY DEFINER call does. The search_path is pinned because a job's session may have run the user's code,
    // which may have left operators and types there by the names of PostgreSQL's own.
    let _switched = Switched::to(owner()?, pg_sys::SECURITY_LOCAL_USERID_CHANGE);
    pinned(&[(c"search_path", c"pg_catalog, pg_temp")], work)
}

thread_local! {
    static INSTALLED: Kept = const {
        Kept::new(
            "SELECT e.extowner, e.extversion FROM pg_catalog.pg_extension e
              WHERE e.extname OPERATOR(pg_catalog.=) 'pg_groundskeeper'::pg_catalog.name",
        )
    };
}

/// The extension's owner and version in this database, if it is installed.
fn installed() -> Result<Option<(pg_sys::Oid, String)>> {
    INSTALLED.with(|installed| installed.first(&[], |row| Ok((required(row, 1)?, required(row, 2)?))))
}

fn owner() -> Result<pg_sys::Oid> {
    let (owner, version) = installed()?
        .ok_or_else(|| Failure::internal("extension pg_groundskeeper is not installed in this database"))?;
    // An update calls functions of the new version before there is all that they read.
    if version == LIBRARY || backend::is_creating_extension() {
        return Ok(owner);
    }
    Err(another(&version)?)
}

/// Whether the extension in this database is of this library's version.
pub fn is_of_this_version() -> Result<bool> {
    Ok(installed()?.is_some_and(|(_, version)| version == LIBRARY))
}

/// Whether this library has something to look after in this database. Where another version is installed, the log says
/// what is to be done.
pub fn is_at_home() -> Result<bool> {
    let Some((_, version)) = installed()? else { return Ok(false) };
    if version != LIBRARY {
        another(&version)?.say(PgLogLevel::LOG);
    }
    Ok(version == LIBRARY)
}

/// What a function of a version of before says, which only a catalog of that version calls.
pub fn not_updated() -> Result<Failure> {
    another(&installed()?.map_or_else(String::new, |(_, version)| version))
}

/// What is wrong where the extension in this database is of another version than this library.
fn another(version: &str) -> Result<Failure> {
    let database = sql::texts("SELECT pg_catalog.quote_ident(pg_catalog.current_database())", &[])?.concat();
    let code = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    let message =
        format!("pg_groundskeeper in database {database} is of version {version}, its library of {LIBRARY}");
    Ok(Failure::new(code, message).hint(match remedy(LIBRARY, version) {
        Some(Remedy::Update) => "ALTER EXTENSION pg_groundskeeper UPDATE; brings both together.",
        Some(Remedy::Reload) | None => {
            "Connect anew to have the library that is there now; where it is in shared_preload_libraries, restart the server."
        }
    }))
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
