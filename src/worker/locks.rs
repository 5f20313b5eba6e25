//! Locks that say that a process lives: gone with it, whatever ends it. No SQL function takes locks of this kind,
//! so no stranger can hold a job up with one.

use crate::backend;
use pgrx::pg_sys;

/// What sets our locks apart; in `pg_locks` they have the type `userlock`, this `classid`, and as `objid` 0 for the
/// dispatcher's post and the job's number for a runner's.
pub const CLASS: u32 = 0x676b_6a62;

/// The same for the runs of the schedule, by their slot.
const RUNS: u32 = 0x676b_7363;

/// Takes a lock of the session, unless another process has it.
pub fn take(number: u32) -> bool {
    of_session(&tag(CLASS, number))
}

fn of_session(tag: &pg_sys::LOCKTAG) -> bool {
    // SAFETY: a complete tag, read during the call only; a session's lock needs no transaction's resources.
    unsafe {
        pg_sys::LockAcquire(tag, pg_sys::ExclusiveLock as i32, true, true)
            != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// The lock of whoever has the post of the dispatcher.
pub const DISPATCHER: u32 = 0;

/// The lock of whoever updates statistics. Numbers of jobs do not come near.
pub const STATISTICS: u32 = u32::MAX;

/// The lock that one sample of metrics is taken under.
pub const METRICS: u32 = u32::MAX - 1;

/// The lock that alerts are checked under.
pub const ALERTS: u32 = u32::MAX - 2;

/// Takes a lock until the end of the transaction, unless another process has it.
pub fn take_for_transaction(number: u32) -> bool {
    until_end(&tag(CLASS, number))
}

/// The same for a run of the schedule.
pub fn take_for_run(slot: u32) -> bool {
    until_end(&tag(RUNS, slot))
}

/// The same for as long as the session lives, whatever it commits.
pub fn take_run_for_session(slot: u32) -> bool {
    of_session(&tag(RUNS, slot))
}

fn until_end(tag: &pg_sys::LOCKTAG) -> bool {
    // SAFETY: a complete tag, read during the call only, inside a transaction.
    unsafe {
        pg_sys::LockAcquire(tag, pg_sys::ExclusiveLock as i32, false, true)
            != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// Gives a lock back that the session has.
pub fn give_back(number: u32) {
    // SAFETY: as above.
    unsafe { pg_sys::LockRelease(&tag(CLASS, number), pg_sys::ExclusiveLock as i32, true) };
}

fn tag(class: u32, number: u32) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: backend::database().to_u32(),
        locktag_field2: class,
        locktag_field3: number,
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_USERLOCK as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}
