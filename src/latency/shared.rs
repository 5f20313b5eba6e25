//! The counters in shared memory: only ever added to, by all backends at once.
//!
//! Counters of the same moment may be read at slightly different ones; a window's ends are read the same way, so
//! nothing is lost or counted twice.

use super::statements::Statements;
use super::waits::Waits;
use groundskeeper_core::histogram::{BUCKETS, Histogram, index};
use groundskeeper_core::stopwatch::Class;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64};

/// How many databases have counters; those of dropped ones are given to others.
pub const DATABASES: usize = 64;

/// All of it. Zeros are its beginning.
#[repr(C)]
pub struct Shared {
    /// When it was zeroed: at the start of the server, or after a crash.
    began: AtomicI64,
    databases: [Database; DATABASES],
    /// The most expensive statements.
    pub statements: Statements,
    /// What sessions wait for.
    pub waits: Waits,
}

/// The counters of one database.
#[repr(C)]
pub struct Database {
    oid: AtomicU32,
    scopes: [Counters; Scope::ALL.len()],
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Statements of one class.
    Statements(Class),
    /// Transactions.
    Transactions,
    /// Waits of statements for their client.
    Client,
}

impl Scope {
    /// In the order in which they are kept, also in samples: new ones come last.
    pub const ALL: [Self; 7] = [
        Self::Statements(Class::Select),
        Self::Statements(Class::Write),
        Self::Statements(Class::Utility),
        Self::Statements(Class::Unknown),
        Self::Transactions,
        Self::Statements(Class::Maintenance),
        Self::Client,
    ];

    const fn index(self) -> usize {
        match self {
            Self::Statements(Class::Select) => 0,
            Self::Statements(Class::Write) => 1,
            Self::Statements(Class::Utility) => 2,
            Self::Statements(Class::Unknown) => 3,
            Self::Transactions => 4,
            Self::Statements(Class::Maintenance) => 5,
            Self::Client => 6,
        }
    }
}

/// A histogram that is being counted.
#[repr(C)]
pub struct Counters {
    counts: [AtomicU64; BUCKETS],
    failed: AtomicU64,
    longest: AtomicU64,
}

impl Counters {
    /// Counts one call.
    pub fn record(&self, microseconds: u64, failed: bool) {
        if let Some(count) = self.counts.get(index(microseconds)) {
            count.fetch_add(1, Relaxed);
        }
        if failed {
            self.failed.fetch_add(1, Relaxed);
        }
        // Seldom true, so that the line is seldom taken from the other backends.
        if microseconds > self.longest.load(Relaxed) {
            self.longest.fetch_max(microseconds, Relaxed);
        }
    }

    /// What has been counted.
    pub fn read(&self) -> Histogram {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).enumerate();
        Histogram::from_counts(counts, self.failed.load(Relaxed), self.longest.load(Relaxed))
    }

    /// Begins anew, for another use.
    pub fn clear(&self) {
        self.counts.iter().for_each(|count| count.store(0, Relaxed));
        self.failed.store(0, Relaxed);
        self.longest.store(0, Relaxed);
    }
}

impl Database {
    /// The counters of one scope.
    pub fn scope(&self, scope: Scope) -> Option<&Counters> {
        self.scopes.get(scope.index())
    }
}

impl Shared {
    /// When counting began, in PostgreSQL's microseconds.
    pub fn began(&self) -> i64 {
        self.began.load(Relaxed)
    }

    /// The counters of a database; nothing where all are taken by others.
    pub fn database(&self, oid: u32) -> Option<&Database> {
        self.databases.iter().find(|database| database.oid.load(Acquire) == oid).or_else(|| {
            self.databases.iter().find(|database| {
                // Another backend of the same database may have been quicker.
                database.oid.compare_exchange(0, oid, AcqRel, Acquire).unwrap_or_else(|taken| taken) == oid
                    || database.oid.load(Acquire) == oid
            })
        })
    }

    /// Frees the counters of databases that are no more.
    pub fn forget_databases(&self, exists: impl Fn(u32) -> bool) {
        for database in &self.databases {
            let oid = database.oid.load(Acquire);
            if oid != 0 && !exists(oid) {
                database.scopes.iter().for_each(Counters::clear);
                // Only now may it be taken.
                let _ = database.oid.compare_exchange(oid, 0, AcqRel, Relaxed);
            }
        }
    }
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());

/// The shared counters; nothing where the library is not preloaded.
pub fn get() -> Option<&'static Shared> {
    // SAFETY: null, or the memory that `startup` zeroed, which stays mapped at this address for as long as the
    // process lives. Zeros are a valid value of each field, all of which are atomics, so sharing it is sound.
    unsafe { SHARED.load(Relaxed).as_ref() }
}

/// A hook without arguments, as PostgreSQL stores it.
type Hook = Option<unsafe extern "C-unwind" fn()>;

/// The hooks that were there before ours.
static NEXT_REQUEST: OnceLock<Hook> = OnceLock::new();
static NEXT_STARTUP: OnceLock<Hook> = OnceLock::new();

/// Has PostgreSQL set the memory aside. Only while libraries are preloaded.
pub fn register() {
    // SAFETY: the hooks' variables are the server's own, read and written before it has any child. Ours have the
    // signatures that PostgreSQL calls, and live as long as the library.
    unsafe {
        if NEXT_REQUEST.set(pg_sys::shmem_request_hook).is_ok() {
            pg_sys::shmem_request_hook = Some(request);
        }
        if NEXT_STARTUP.set(pg_sys::shmem_startup_hook).is_ok() {
            pg_sys::shmem_startup_hook = Some(startup);
        }
    }
}

/// Calls the hook that was there before ours.
fn call(next: &OnceLock<Hook>) {
    #[expect(
        ffi_unwind_calls,
        reason = "called through pg_guard_ffi_boundary only, which catches PostgreSQL's errors"
    )]
    if let Some(hook) = next.get().copied().flatten() {
        // SAFETY: PostgreSQL called us where it would have called this hook.
        let call = || unsafe { hook() };
        // SAFETY: an error ends the server's start, so nothing is lost with what it leaves unsaid.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(call) };
    }
}

#[pg_guard]
extern "C-unwind" fn request() {
    call(&NEXT_REQUEST);
    // SAFETY: called as shmem_request_hook, which is where it is allowed.
    unsafe { pg_sys::RequestAddinShmemSpace(size_of::<Shared>()) };
}

#[pg_guard]
extern "C-unwind" fn startup() {
    call(&NEXT_STARTUP);
    let mut found = false;
    // SAFETY: called as shmem_startup_hook, in the postmaster, before any child is forked: nobody else is there to
    // be locked out, and the children inherit the pointer. The memory is aligned to cache lines and as large as
    // requested; zeros are a valid `Shared`.
    unsafe {
        let memory: *mut Shared = pg_sys::ShmemInitStruct(
            c"pg_groundskeeper latency".as_ptr(),
            size_of::<Shared>(),
            &raw mut found,
        )
        .cast();
        if !found {
            memory.write_bytes(0, 1);
            (*memory).began.store(pg_sys::GetCurrentTimestamp(), Relaxed);
        }
        SHARED.store(memory, Relaxed);
    }
}
