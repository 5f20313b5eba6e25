//! The settings `groundskeeper.*`: private statics, typed getters.

use crate::encoding::to_rust;
use groundskeeper_core::plan::decide::Budget;
use pgrx::prelude::*;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum, pg_sys};
use std::ffi::{CStr, CString};

static APPLY_AT_INSTALL: GucSetting<bool> = GucSetting::<bool>::new(true);
static LOCK_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(300);
static INLINE_BUILD_LIMIT: GucSetting<i32> = GucSetting::<i32>::new((Budget::ORDINARY / 1024) as i32);
static MAX_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(2);
static JOB_PACE: GucSetting<Pace> = GucSetting::<Pace>::new(Pace::Considerate);
static MAX_REPLICATION_LAG: GucSetting<i32> = GucSetting::<i32>::new(64 * 1024);
static ALLOW_PARTITION_DDL: GucSetting<bool> = GucSetting::<bool>::new(false);
static MIGRATING: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_PARTITIONS: GucSetting<i32> = GucSetting::<i32>::new(1000);
static MAX_GAP_PARTITIONS: GucSetting<i32> = GucSetting::<i32>::new(24);
static ARCHIVE_SCHEMA: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static TIMEZONE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"America/New_York"));
static JOB_HISTORY: GucSetting<i32> = GucSetting::<i32>::new(90 * 24 * 60);
static POOL_SIZE: GucSetting<i32> = GucSetting::<i32>::new(0);
static SCALE_TO_MACHINE: GucSetting<bool> = GucSetting::<bool>::new(false);
static INDEX_OBSERVATION: GucSetting<i32> = GucSetting::<i32>::new(7 * 24 * 60);
static BLOAT_FLOOR: GucSetting<i32> = GucSetting::<i32>::new(10 * 1024);
static METRICS_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 24 * 60);
static WATCHED_SCHEMAS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// How much of the machine a job takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum Pace {
    /// It works in small pieces, rests after each, and waits for standbys.
    Considerate,
    /// All that it gets.
    Full,
}

/// How much of the machine jobs take.
pub fn job_pace() -> Pace {
    JOB_PACE.get()
}

/// How many bytes a standby may be behind before jobs wait for it; none where they wait for nobody.
pub fn max_replication_lag_bytes() -> Option<u64> {
    u64::try_from(MAX_REPLICATION_LAG.get()).ok().map(|kilobytes| kilobytes * 1024)
}

/// How long writers may queue behind one of our locks, in milliseconds.
pub fn lock_timeout_ms() -> i32 {
    LOCK_TIMEOUT.get()
}

/// How many bytes of relations may be read while an installation or `apply_plan()` holds its locks.
pub fn inline_build_limit_bytes() -> u64 {
    u64::from(INLINE_BUILD_LIMIT.get().unsigned_abs()) * 1024
}

/// How many jobs of a database may run at once.
pub fn max_workers() -> usize {
    usize::try_from(MAX_WORKERS.get()).unwrap_or(1)
}

/// The time zone of the plan's days and months.
pub fn timezone() -> String {
    TIMEZONE.get().map_or_else(|| "UTC".to_owned(), |zone| to_rust(zone.to_bytes()))
}

/// How many partitions a table may have before no more are made.
pub fn max_partitions() -> usize {
    usize::try_from(MAX_PARTITIONS.get()).unwrap_or(usize::MAX)
}

/// How many periods back gaps between partitions are filled unasked.
pub fn max_gap_partitions() -> usize {
    usize::try_from(MAX_GAP_PARTITIONS.get()).unwrap_or(usize::MAX)
}

/// Where partitions go that are archived; `None` while nobody has said.
pub fn archive_schema() -> Option<String> {
    ARCHIVE_SCHEMA.get().map(|schema| to_rust(schema.to_bytes())).filter(|schema| !schema.is_empty())
}

/// How long finished jobs are remembered, in minutes.
pub fn job_history_minutes() -> i32 {
    JOB_HISTORY.get()
}

/// How many connections the pools to this database have at most, together; none where nobody has said so.
pub fn pool_size() -> Option<u32> {
    u32::try_from(POOL_SIZE.get()).ok().filter(|size| *size > 0)
}

/// Whether `effective_cache_size` follows the machine and not the plan.
pub fn scale_to_machine() -> bool {
    SCALE_TO_MACHINE.get()
}

/// How long samples of metrics are kept, in minutes.
pub fn metrics_retention_minutes() -> i32 {
    METRICS_RETENTION.get()
}

/// The schemas whose relations are watched; none where nobody has said.
pub fn watched_schemas() -> Option<Vec<String>> {
    let list = WATCHED_SCHEMAS.get()?;
    identifiers(&list).filter(|schemas| !schemas.is_empty())
}

/// Defines the settings and reserves their prefix, so that a misspelt one is an error.
pub fn define() {
    GucRegistry::define_int_guc(
        c"groundskeeper.lock_timeout",
        c"How long writers may queue behind a lock that groundskeeper waits for.",
        c"A deadline over all locks of one step; the step is retried later when it passes.",
        &LOCK_TIMEOUT,
        1,
        60_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"groundskeeper.inline_build_limit",
        c"How much of the user's relations one installation or apply_plan() may read while it holds locks.",
        c"Bounds all inline work together; what does not fit is queued as a job.",
        &INLINE_BUILD_LIMIT,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"groundskeeper.max_workers",
        c"How many jobs of a database may run at once.",
        c"Each takes one of max_worker_processes, and the dispatcher another.",
        &MAX_WORKERS,
        1,
        64,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"groundskeeper.apply_at_install",
        c"Whether CREATE EXTENSION applies the plan.",
        c"If not, all of it is pending until apply_plan() is called.",
        &APPLY_AT_INSTALL,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"groundskeeper.allow_partition_ddl",
        c"Whether partitions of a table with a key table may be attached, detached and dropped by plain statements.",
        c"Their keys are then for whoever does it to look after.",
        &ALLOW_PARTITION_DDL,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"groundskeeper.migrating",
        c"Whether what the session writes to the games is the migration's own, and so no news to it.",
        c"The migration sets it for its transactions.",
        &MIGRATING,
        GucContext::Userset,
        GucFlags::NO_SHOW_ALL,
    );
    define_pace();
    define_timezone();
    define_partitions();
    GucRegistry::define_int_guc(
        c"groundskeeper.job_history",
        c"How long finished jobs are remembered.",
        c"Older ones are pruned whenever jobs are looked after.",
        &JOB_HISTORY,
        1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"groundskeeper.index_observation",
        c"How long an index must have been observed before it may be called unused.",
        c"Until then monitoring.unused_indexes says too_early.",
        &INDEX_OBSERVATION,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MIN,
    );
    define_connections();
    GucRegistry::define_int_guc(
        c"groundskeeper.bloat_floor",
        c"How much of a table must be bloat before an alert counts it.",
        c"Of a small table all may be bloat, and nobody is the worse for it.",
        &BLOAT_FLOOR,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"groundskeeper.metrics_retention",
        c"How long samples of metrics are kept.",
        c"Whole days are dropped once all of a day is older.",
        &METRICS_RETENTION,
        1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
    define_watched_schemas();
    // SAFETY: called once, from _PG_init, after our own variables are defined; the name is a static C string.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"groundskeeper".as_ptr()) };
}

fn define_pace() {
    GucRegistry::define_enum_guc(
        c"groundskeeper.job_pace",
        c"How much of the machine jobs take.",
        c"considerate: in small pieces, with a rest after each, and no further ahead of standbys than max_replication_lag; full: all they get.",
        &JOB_PACE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"groundskeeper.max_replication_lag",
        c"How far a standby or subscriber may be behind before jobs wait for it.",
        c"What monitoring.server_health warns of, too. -1: jobs wait for nobody.",
        &MAX_REPLICATION_LAG,
        -1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
}

fn define_partitions() {
    GucRegistry::define_int_guc(
        c"groundskeeper.max_partitions",
        c"How many partitions a table may have before no more are made.",
        c"A bound on what a wrong date can bring about.",
        &MAX_PARTITIONS,
        1,
        100_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"groundskeeper.max_gap_partitions",
        c"How many periods back gaps between the partitions of a table are filled unasked.",
        c"Those further back are named; a set that is taken over may have been left for years.",
        &MAX_GAP_PARTITIONS,
        0,
        100_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"groundskeeper.archive_schema",
        c"The schema that archived partitions are moved to.",
        c"Where it is empty, partitions whose retention says archive are kept.",
        &ARCHIVE_SCHEMA,
        GucContext::Userset,
        GucFlags::default(),
    );
}

fn define_connections() {
    GucRegistry::define_int_guc(
        c"groundskeeper.pool_size",
        c"How many connections the pools to this database have at most, all of them together.",
        c"What pool utilization is measured against; 0 where there is no pool. Set it per database.",
        &POOL_SIZE,
        0,
        262_143, // as many as max_connections
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"groundskeeper.scale_to_machine",
        c"Whether effective_cache_size is scaled to the memory of the server's machine.",
        c"Else it is the plan's figure.",
        &SCALE_TO_MACHINE,
        GucContext::Userset,
        GucFlags::default(),
    );
}

fn define_timezone() {
    // SAFETY: the hook has the signature that PostgreSQL calls, and lives as long as the library.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"groundskeeper.timezone",
            c"The time zone of the plan's days and months.",
            c"Used for the bounds of partitions and the date windows of views.",
            &TIMEZONE,
            GucContext::Userset,
            GucFlags::default(),
            Some(check_timezone),
            None,
            None,
        );
    }
}

/// Refuses a time zone that PostgreSQL does not know.
#[pg_guard]
extern "C-unwind" fn check_timezone(
    new_value: *mut *mut core::ffi::c_char,
    _extra: *mut *mut core::ffi::c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: PostgreSQL passes a valid pointer to the new value, which may itself be NULL.
    let name = unsafe { *new_value };
    // SAFETY: `name` is a NUL-terminated string when not NULL; pg_tzset copies nothing out of it that we keep.
    !name.is_null() && !unsafe { pg_sys::pg_tzset(name) }.is_null()
}

fn define_watched_schemas() {
    // A list as search_path is one, each element by itself or all of them in one literal.
    let list = GucFlags::from_bits_retain(pg_sys::GUC_LIST_INPUT as i32);
    // SAFETY: the hook has the signature that PostgreSQL calls, and lives as long as the library.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"groundskeeper.watched_schemas",
            c"The schemas whose tables and indexes monitoring judges.",
            c"A list of names as in search_path; where it is empty the plan's, and those with a managed or maintained relation.",
            &WATCHED_SCHEMAS,
            GucContext::Userset,
            list,
            Some(check_watched_schemas),
            None,
            None,
        );
    }
}

/// Refuses what is no list of identifiers.
#[pg_guard]
extern "C-unwind" fn check_watched_schemas(
    new_value: *mut *mut core::ffi::c_char,
    _extra: *mut *mut core::ffi::c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: PostgreSQL passes a valid pointer to the new value, a NUL-terminated string or NULL.
    let list = unsafe { new_value.read().as_ref().map(|list| CStr::from_ptr(list)) };
    list.is_some_and(|list| identifiers(list).is_some())
}

/// A list of identifiers, read as PostgreSQL reads one; `None` for what is none.
fn identifiers(list: &CStr) -> Option<Vec<String>> {
    let mut names: *mut pg_sys::List = std::ptr::null_mut();
    // SAFETY: the list is split in a copy of its own, in memory that goes with the statement; the names are
    // NUL-terminated parts of that copy.
    unsafe {
        let copy = pg_sys::pstrdup(list.as_ptr());
        if !pg_sys::SplitIdentifierString(copy, b',' as core::ffi::c_char, &raw mut names) {
            return None;
        }
        // An empty list is none to PostgreSQL.
        let Some(names) = names.as_ref() else { return Some(Vec::new()) };
        let name = |at| CStr::from_ptr((*names.elements.add(at)).ptr_value.cast());
        let count = usize::try_from(names.length).unwrap_or(0);
        Some((0..count).map(|at| to_rust(name(at).to_bytes())).collect())
    }
}
