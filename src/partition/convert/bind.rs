//! A key table belongs to its table as the sequence of a serial column does: PostgreSQL is told so. Dropping the table takes
//! the keys and the functions that keep them along, and is refused without CASCADE where foreign keys refer to them, as it
//! would be if they referred to the table.
//!
//! Dumps do not have such entries, so they are made again where they are missing.

use super::keys::FUNCTIONS;
use super::record::{Conversion, KEYS};
use crate::error::Result;
use crate::owner;
use crate::sql::{self, required};
use crate::waiting::with_lock_timeout;
use pgrx::pg_sys::{self, Oid};

/// The same for a table that may have come by a dump, where nobody has to be waited for.
pub fn bind_again(parent: &str) -> Result<()> {
    let Some(conversion) = super::of_parent(parent)? else { return Ok(()) };
    owner::of_named(parent, || with_lock_timeout(10, || bind(&conversion)))
}

/// Binds key table and functions to the table, where they are not and all are the same owner's. The caller has the rights
/// of that owner.
pub fn bind(conversion: &Conversion) -> Result<()> {
    if !conversion.has_key_table {
        return Ok(());
    }
    let names = [conversion.table.clone(), conversion.beside(KEYS)];
    for relation in names.iter().filter_map(owner::oid_by_name) {
        // SAFETY: in a transaction, whose end releases the lock. It blocks nobody but who would drop it.
        unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
    }
    for (class, object, table) in unbound(conversion)? {
        let address =
            |class, object| pg_sys::ObjectAddress { classId: class, objectId: object, objectSubId: 0 };
        let (depender, referenced) = (address(class, object), address(pg_sys::RelationRelationId, table));
        // SAFETY: in a transaction, with the addresses of objects that the query below has locked or that are ours; the
        // entry goes with whichever of them is dropped first.
        unsafe {
            pg_sys::recordDependencyOn(
                &raw const depender,
                &raw const referenced,
                pg_sys::DependencyType::DEPENDENCY_AUTO,
            );
            pg_sys::CommandCounterIncrement();
        }
    }
    Ok(())
}

/// What is not bound yet: the catalog that it is in, its OID, and that of the table.
fn unbound(conversion: &Conversion) -> Result<Vec<(Oid, Oid, Oid)>> {
    let functions = FUNCTIONS.map(|suffix| format!("{}()", conversion.beside_quoted(suffix))).to_vec();
    let args = [conversion.quoted().into(), conversion.beside_quoted(KEYS).into(), functions.into()];
    sql::rows(
        "SELECT o.class, o.oid, t.oid
           FROM pg_catalog.pg_class t,
                LATERAL (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid, k.oid FROM pg_catalog.pg_class k
                          WHERE k.oid = pg_catalog.to_regclass($2) AND k.relkind = 'r' AND NOT k.relispartition AND k.relowner = t.relowner
                          UNION ALL
                         SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::oid, p.oid FROM pg_catalog.pg_proc p
                          WHERE p.oid IN (SELECT pg_catalog.to_regprocedure(f) FROM pg_catalog.unnest($3::text[]) f)
                            AND p.proowner = t.relowner) o (class, oid)
          WHERE t.oid = pg_catalog.to_regclass($1) AND t.relkind = 'p'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                             WHERE d.classid = o.class AND d.objid = o.oid AND d.refobjid = t.oid
                               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)",
        &args,
        |row| Ok((required(row, 1)?, required(row, 2)?, required(row, 3)?)),
    )
}
