//! What a worker was given to work on, by OID and owner. A job waits, and works for long; meanwhile whoever owns the
//! schema can put a table of his own in the place of another, by its name. So each step looks again, under a lock that
//! keeps the relation from being dropped or renamed.

use crate::error::{Failure, Result};
use crate::owner::{self, oid_by_name};
use groundskeeper_core::names::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::cell::{Cell, RefCell};
use std::thread::LocalKey;

/// A relation as it was when the job was queued, and what is beside it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: Qualified,
    /// Its OID.
    pub relation: Oid,
    /// Its owner, who owns all that the job makes beside it.
    pub owner: Oid,
}

thread_local! {
    static TARGET: RefCell<Option<Target>> = const { RefCell::new(None) };
    /// Names of what stands beside it.
    static BESIDE: RefCell<Vec<Qualified>> = const { RefCell::new(Vec::new()) };
    static UNCHECKED: Cell<bool> = const { Cell::new(false) };
    static UNHELD: Cell<bool> = const { Cell::new(false) };
}

/// From now on this worker works on that relation, or on none.
pub fn set(target: Option<Target>) {
    TARGET.set(target);
    BESIDE.take();
}

/// What the job makes, or has made, by these names is to be the owner's too.
pub fn beside(names: impl IntoIterator<Item = Qualified>) {
    BESIDE.with_borrow_mut(|beside| beside.extend(names));
}

/// The relation that has the name now, since the job itself has exchanged it.
pub fn is_now(relation: Oid) {
    TARGET.with_borrow_mut(|target| {
        if let Some(target) = target {
            target.relation = relation;
        }
    });
}

/// Runs `work` without looking: where names are exchanged, under locks that were taken by OID, and where it is asked what
/// has become of a table.
pub fn unchecked<T>(work: impl FnOnce() -> T) -> T {
    during(&UNCHECKED, work)
}

/// Runs transactions that begin with a strong lock, under which they look themselves: whoever has read the relation and
/// then wants as strong a lock would be in a deadlock with one who already holds the weaker.
pub fn unheld<T>(work: impl FnOnce() -> T) -> T {
    during(&UNHELD, work)
}

fn during<T>(flag: &'static LocalKey<Cell<bool>>, work: impl FnOnce() -> T) -> T {
    struct Again(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Again {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _again = Again(flag, flag.replace(true));
    work()
}

/// Looks at the beginning of a transaction, and keeps the relation what it is until its end.
pub fn hold() -> Result<()> {
    let Some(target) = watched() else { return Ok(()) };
    let beside = BESIDE.with_borrow(Clone::clone);
    let there = beside.iter().filter_map(oid_by_name);
    for relation in std::iter::once(target.relation).chain(there).filter(|_| !UNHELD.get()) {
        // SAFETY: in a transaction, whose end releases the lock. It blocks nobody but who would drop or rewrite it.
        unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
    }
    if oid_by_name(&target.name).is_none() {
        return Err(moved(&target));
    }
    same(&target)
}

/// Looks again, once a lock has been waited for: by then the name may lead elsewhere. What is gone says so itself.
pub fn check() -> Result<()> {
    watched().map_or(Ok(()), |target| same(&target))
}

fn watched() -> Option<Target> {
    if UNCHECKED.get() { None } else { TARGET.with_borrow(Clone::clone) }
}

fn same(target: &Target) -> Result<()> {
    if oid_by_name(&target.name).is_some_and(|now| now != target.relation) {
        return Err(moved(target));
    }
    let strange = |relation: Oid| owner::owner_of(relation).is_some_and(|owner| owner != target.owner);
    if strange(target.relation) {
        return Err(refused(format!("{} belongs to another role now", target.name)));
    }
    BESIDE.with_borrow(|beside| match beside.iter().find(|name| oid_by_name(name).is_some_and(strange)) {
        Some(name) => Err(refused(format!("{name} belongs to another role than {}", target.name))),
        None => Ok(()),
    })
}

fn moved(target: &Target) -> Failure {
    refused(format!("{} was dropped, renamed or replaced since the job was queued", target.name))
        .hint("Ask for it again by the name that it has now.")
}

fn refused(message: String) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}
