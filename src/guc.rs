//! Other people's settings: PostgreSQL's, for as long as a piece of work wants them otherwise. Ours are in `settings`.

use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// Runs `work` with other settings, and brings back those that were. An error that is raised inside leaves that to
/// the abort of the (sub)transaction, as a function's own SET does.
pub fn pinned<T>(settings: &[(&CStr, &CStr)], work: impl FnOnce() -> T) -> T {
    // SAFETY: opens a level of settings that is closed below, or by the abort.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    for (name, value) in settings {
        set(pg_sys::GucAction::GUC_ACTION_SAVE, name, value);
    }
    let result = work();
    // SAFETY: the level opened above; any opened inside have been closed, or went with their subtransaction.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    result
}

/// Runs `work` that is not ours: whatever it sets, for the session too, is taken back.
pub fn contained<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: opens a level of settings, all of which are taken back below, or by the abort.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    let result = work();
    // SAFETY: the level opened above; any opened inside have been closed, or went with their subtransaction.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    result
}

/// Runs `work` with what our statements are written for: a session may be set to read literals otherwise, and to quote names
/// that need it not, which are compared as texts.
pub fn as_written<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: plain reads of the session's own settings.
    let is_so = unsafe {
        !pg_sys::quote_all_identifiers
            && pg_sys::standard_conforming_strings
            && pg_sys::Array_nulls
            && !pg_sys::Transform_null_equals
    };
    if is_so {
        return work();
    }
    let settings = [
        (c"quote_all_identifiers", c"off"),
        (c"standard_conforming_strings", c"on"),
        (c"array_nulls", c"on"),
        (c"transform_null_equals", c"off"),
    ];
    pinned(&settings, work)
}

/// Runs a query that is looked up by keys whatever its arguments are, so that one plan will do from the first call on.
pub fn planned_once<T>(query: impl FnOnce() -> T) -> T {
    pinned(&[(c"plan_cache_mode", c"force_generic_plan")], query)
}

/// Has the current transaction commit without waiting for the disk: a crash may take it back, whole, and no later one
/// that commits synchronously is durable without it. For steps that are done again when they are missing.
pub fn commit_asynchronously() {
    set_for_transaction(&[(c"synchronous_commit", c"off")]);
}

/// How durable the session's commits are as it is set now.
pub fn synchronous_commit() -> CString {
    current(c"synchronous_commit")
}

/// Whether the session is shown notices, and nothing less.
pub fn shows_notices() -> bool {
    current(c"client_min_messages").as_c_str() == c"notice"
}

/// Whether there is a setting of that name, be it a library's that is loaded.
pub fn exists(name: &CStr) -> bool {
    // SAFETY: a name that ends with NUL; who may not read a setting is not asked here, as none is read.
    unsafe { !pg_sys::GetConfigOption(name.as_ptr(), true, false).is_null() }
}

/// How long locks are waited for as it is set now.
pub fn lock_timeout() -> CString {
    current(c"lock_timeout")
}

/// One of PostgreSQL's own settings as it is now.
fn current(name: &CStr) -> CString {
    // SAFETY: a setting that there is, as a text that ends with NUL and is copied at once.
    unsafe { CStr::from_ptr(pg_sys::GetConfigOption(name.as_ptr(), false, false)).to_owned() }
}

/// Sets what any session may set, until the end of the transaction, as `SET LOCAL` does.
pub fn set_for_transaction(settings: &[(&CStr, &CStr)]) {
    settings.iter().for_each(|(name, value)| {
        set(pg_sys::GucAction::GUC_ACTION_LOCAL, name, value);
    });
}

fn set(action: pg_sys::GucAction::Type, name: &CStr, value: &CStr) {
    // SAFETY: a NUL-terminated name and value, which are copied, set as SQL would.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            action,
            true,
            0,
            false,
        );
    }
}
