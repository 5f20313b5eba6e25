//! How long a session waits for its client in the middle of a statement: because it does not read what it is sent, or
//! does not send what COPY reads. PostgreSQL knows when it waits so, but adds nothing up.
//!
//! Sending goes through functions that can be replaced: each is timed, by a clock that is read without entering the
//! kernel and ticks every few milliseconds, which is what a wait takes at least. Reading cannot be intercepted: while
//! COPY reads from the client, a timer looks a hundred times a second whether it is being waited for.

use super::hooks;
use nix::libc;
use pgrx::pg_sys;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

/// Microseconds that this session has waited so.
static WAITED: AtomicI64 = AtomicI64::new(0);

/// The same, to be compared with an earlier look.
pub fn waited() -> i64 {
    WAITED.load(Relaxed)
}

/// The functions by which a backend talks to its client, as PostgreSQL has them.
#[repr(C)]
struct Methods {
    comm_reset: Option<unsafe extern "C-unwind" fn()>,
    flush: Flush,
    flush_if_writable: Option<unsafe extern "C-unwind" fn() -> c_int>,
    is_send_pending: Option<unsafe extern "C-unwind" fn() -> bool>,
    putmessage: PutMessage,
    putmessage_noblock: Option<unsafe extern "C-unwind" fn(c_char, *const c_char, usize)>,
}

type Flush = Option<unsafe extern "C-unwind" fn() -> c_int>;
type PutMessage = Option<unsafe extern "C-unwind" fn(c_char, *const c_char, usize) -> c_int>;

/// What the declarations of pgrx leave out. None of these raises an error that returns.
mod raw {
    use super::{Methods, c_int};

    unsafe extern "C" {
        pub static mut PqCommMethods: *const Methods;
        pub fn RegisterTimeout(id: c_int, handler: unsafe extern "C" fn()) -> c_int;
        pub fn enable_timeout_every(id: c_int, first: i64, every_ms: c_int);
        pub safe fn disable_timeout(id: c_int, keep_indicator: bool);
        pub safe fn GetCurrentTimestamp() -> i64;
    }
}

/// The functions that were there before ours, and ours.
static BEFORE: OnceLock<&'static Methods> = OnceLock::new();
static OURS: OnceLock<Methods> = OnceLock::new();

/// Puts ours in place. Parallel workers, which talk to their leader, have others.
pub fn register() {
    // SAFETY: in the postmaster, while libraries are preloaded: nothing else runs, and children inherit it. What is
    // there is a constant of the server's, or of a library that stays.
    unsafe {
        let Some(before) = raw::PqCommMethods.as_ref() else { return };
        if BEFORE.set(before).is_err() {
            return; // they are in place
        }
        let ours = OURS.get_or_init(|| Methods {
            comm_reset: before.comm_reset,
            flush: Some(flush),
            flush_if_writable: before.flush_if_writable,
            is_send_pending: before.is_send_pending,
            putmessage: Some(put_message),
            putmessage_noblock: before.putmessage_noblock,
        });
        raw::PqCommMethods = ptr::from_ref(ours);
    }
}

/// PostgreSQL's `EOF`, which is what a connection that is lost says.
const LOST: c_int = -1;

#[expect(ffi_unwind_calls, reason = "a long jump passes over this frame, which holds nothing to drop")]
unsafe extern "C-unwind" fn put_message(kind: c_char, body: *const c_char, length: usize) -> c_int {
    let Some(put) = BEFORE.get().and_then(|before| before.putmessage) else { return LOST };
    if !is_in_statement() {
        // SAFETY: with the arguments that PostgreSQL gave us.
        return unsafe { put(kind, body, length) };
    }
    let began = ticks();
    // SAFETY: the same.
    let result = unsafe { put(kind, body, length) };
    WAITED.fetch_add(ticks() - began, Relaxed);
    result
}

#[expect(ffi_unwind_calls, reason = "a long jump passes over this frame, which holds nothing to drop")]
unsafe extern "C-unwind" fn flush() -> c_int {
    let Some(flush) = BEFORE.get().and_then(|before| before.flush) else { return LOST };
    if !is_in_statement() {
        // SAFETY: called where PostgreSQL would have called it.
        return unsafe { flush() };
    }
    let began = ticks();
    // SAFETY: the same.
    let result = unsafe { flush() };
    WAITED.fetch_add(ticks() - began, Relaxed);
    result
}

/// Whether a message of the client's is being worked on. What is sent between two is idle time already.
fn is_in_statement() -> bool {
    // SAFETY: a plain read of the backend's own global.
    unsafe { !pg_sys::debug_query_string.is_null() }
}

/// A clock in microseconds, from any beginning.
fn ticks() -> i64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to what is given, and fails for no clock that the system has.
    unsafe { libc::clock_gettime(CLOCK, &raw mut now) };
    #[expect(clippy::useless_conversion, reason = "not everywhere are these of 64 bits")]
    let (seconds, nanoseconds) = (i64::from(now.tv_sec), i64::from(now.tv_nsec));
    seconds * 1_000_000 + nanoseconds / 1000
}

/// How often the timer looks.
const EVERY_MS: c_int = 10;
/// Any number of those that PostgreSQL gives to libraries has it look for a free one, in every release.
const OF_LIBRARIES: c_int = 16;

/// The timer of this process, and when it last looked.
static TIMER: OnceLock<c_int> = OnceLock::new();
static LOOKED: AtomicI64 = AtomicI64::new(0);

/// COPY begins to read from the client. An error ends the timer, as it does all of PostgreSQL's.
pub fn begin_reading() {
    let now = raw::GetCurrentTimestamp();
    LOOKED.store(now, Relaxed);
    // SAFETY: in a client's backend, whose timers are set up; the handler does no more than a signal's may.
    unsafe {
        let timer = *TIMER.get_or_init(|| raw::RegisterTimeout(OF_LIBRARIES, look));
        raw::enable_timeout_every(timer, now + i64::from(EVERY_MS) * 1000, EVERY_MS);
    }
}

/// It has read what there was.
pub fn end_reading() {
    if let Some(timer) = TIMER.get() {
        raw::disable_timeout(*timer, false);
    }
}

/// Called by a signal.
unsafe extern "C" fn look() {
    let now = raw::GetCurrentTimestamp();
    let before = LOOKED.swap(now, Relaxed);
    // SAFETY: points to a word of the process's own, or in shared memory, which it alone writes.
    let event = unsafe { pg_sys::my_wait_event_info.read_volatile() };
    if event & 0xff00_0000 == pg_sys::PG_WAIT_CLIENT {
        WAITED.fetch_add((now - before).max(0), Relaxed);
    }
}

/// Whether a statement reads from its client: COPY FROM STDIN.
pub fn is_read_by(statement: &pg_sys::PlannedStmt) -> bool {
    // SAFETY: null, or the node that the parser made, of the type that its tag says.
    unsafe {
        hooks::tag_of(statement) == Some(pg_sys::NodeTag::T_CopyStmt)
            && statement
                .utilityStmt
                .cast::<pg_sys::CopyStmt>()
                .as_ref()
                .is_some_and(|copy| copy.is_from && copy.filename.is_null())
    }
}
