//! What sessions wait for: looked at once a second by the launcher, and added up by the hour.
//!
//! The launcher alone writes. The table holds the last hours, so that what was sampled outlives a `record_metrics()`
//! that is late; what that has written down is absolute, so that writing it down again changes nothing.

use super::shared;
use crate::backend;
use crate::compat;
use crate::error::Result;
use crate::sql;
use pgrx::pg_sys;
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many kinds of waits are told apart in the hours that are kept, of all databases together.
const SLOTS: usize = 4096;
/// How many hours are kept: the current one and those just before.
const HOURS: u32 = 3;

/// The table. Zeros are its beginning.
#[repr(C)]
pub struct Waits {
    slots: [Slot; SLOTS],
}

#[repr(C)]
struct Slot {
    /// Hours since 1970; 0 while it is nobody's.
    hour: AtomicU32,
    /// The most sessions that one look has found.
    most: AtomicU32,
    database: AtomicU32,
    /// As PostgreSQL numbers waits; 0 for a session that waits for nothing.
    event: AtomicU32,
    /// Sessions that were found, over all looks.
    samples: AtomicU64,
}

impl Waits {
    /// Adds what one look has found: how many sessions by database and event.
    fn add(&self, hour: u32, found: &HashMap<(u32, u32), u32>) {
        for ((database, event), sessions) in found {
            if let Some(slot) = self.slot(hour, *database, *event) {
                slot.most.fetch_max(*sessions, Relaxed);
                slot.samples.fetch_add(u64::from(*sessions), Relaxed);
            }
        }
    }

    /// The place of these, or one of an hour that is over.
    fn slot(&self, hour: u32, database: u32, event: u32) -> Option<&Slot> {
        let is_it = |slot: &&Slot| {
            slot.hour.load(Relaxed) == hour
                && slot.database.load(Relaxed) == database
                && slot.event.load(Relaxed) == event
        };
        if let Some(slot) = self.slots.iter().find(is_it) {
            return Some(slot);
        }
        // A clock that was put back leaves hours that are still to come: they are over, too.
        let age = |slot: &&Slot| hour.abs_diff(slot.hour.load(Relaxed));
        let slot = self.slots.iter().max_by_key(age).filter(|slot| age(slot) > 0)?;
        slot.hour.store(0, Relaxed);
        slot.samples.store(0, Relaxed);
        slot.most.store(0, Relaxed);
        slot.database.store(database, Relaxed);
        slot.event.store(event, Relaxed);
        slot.hour.store(hour, Release);
        Some(slot)
    }
}

/// What was found of one kind of wait in one hour.
pub struct Waited {
    /// Seconds since 1970 at which the hour began.
    pub hour: i64,
    /// The class; `CPU` for sessions that waited for nothing.
    pub class: String,
    /// The event.
    pub event: String,
    /// Sessions that were found, over all looks.
    pub samples: i64,
    /// The most that one look has found.
    pub most: i32,
}

/// Looks at all sessions once; where the library is preloaded.
pub fn look() {
    let Some(shared) = shared::get() else { return };
    let mut found = HashMap::new();
    for (database, event) in compat::waits_of_clients() {
        *found.entry((database, event)).or_default() += 1;
    }
    shared.waits.add(this_hour(), &found);
}

/// What has been found in the last hours in this database.
pub fn waited() -> Vec<Waited> {
    let Some(shared) = shared::get() else { return Vec::new() };
    let (now, database) = (this_hour(), backend::database().to_u32());
    let read = |slot: &Slot| {
        let hour = slot.hour.load(Acquire);
        let (event, most) = (slot.event.load(Relaxed), slot.most.load(Relaxed));
        let (owner, samples) = (slot.database.load(Relaxed), slot.samples.load(Relaxed));
        // It may have become another's meanwhile.
        if owner != database || hour == 0 || hour.abs_diff(now) >= HOURS || slot.hour.load(Acquire) != hour {
            return None;
        }
        let (class, event) = name_of(event);
        Some(Waited {
            hour: i64::from(hour) * 3600,
            class,
            event,
            samples: i64::try_from(samples).unwrap_or(i64::MAX),
            most: i32::try_from(most).unwrap_or(i32::MAX),
        })
    };
    shared.waits.slots.iter().filter_map(read).collect()
}

/// Which counters these are: those that began at this moment, in PostgreSQL's microseconds.
pub fn began() -> i64 {
    shared::get().map_or(0, shared::Shared::began)
}

/// Writes down what has been found. As the owner of the extension.
pub fn write_down(keep_minutes: i32) -> Result<()> {
    sql::run(include_str!("waits/keep.sql"), &[])?;
    sql::run(include_str!("waits/forget.sql"), &[keep_minutes.into()])
}

/// Class and name of a wait, as `pg_stat_activity` has them.
fn name_of(event: u32) -> (String, String) {
    if event == 0 {
        return ("CPU".to_owned(), "CPU".to_owned());
    }
    // SAFETY: both return constant texts, or texts in shared memory that stay, for whatever number; NULL for none.
    let (class, name) =
        unsafe { (pg_sys::pgstat_get_wait_event_type(event), pg_sys::pgstat_get_wait_event(event)) };
    let text = |text: *const core::ffi::c_char| {
        // SAFETY: NULL, or a text that ends with NUL.
        let text = unsafe { text.as_ref().map(|text| CStr::from_ptr(text)) };
        text.map_or_else(|| "unknown".to_owned(), |text| text.to_string_lossy().into_owned())
    };
    (text(class), text(name))
}

fn this_hour() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds / 3600).unwrap_or(u32::MAX)
}
