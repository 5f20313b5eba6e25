//! The most expensive statements by query identifier, in a table of fixed size.
//!
//! A statement may stand in any of the slots of its set. Where all are taken, its time is added up beside the table
//! until it exceeds that of the cheapest of them, whose place it then takes. What is not in the table is not lost:
//! the database's own counters have it.

use super::shared::Counters;
use groundskeeper_core::histogram::Histogram;
use groundskeeper_core::statement_text::LONGEST;
use std::collections::HashMap;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Twice what is reported and in sets large enough, so that hardly any of the most expensive lacks a place.
const SETS: usize = 64;
const SLOTS_OF_SET: usize = 16;
/// How many there is room for, of all databases together.
pub const SLOTS: usize = SETS * SLOTS_OF_SET;
/// Sums of time beside the table.
const CHALLENGERS: usize = 4096;

const EMPTY: u64 = 0;
/// While a slot changes hands nobody counts in it.
const CHANGING: u64 = 1;

/// The table. Zeros are its beginning.
#[repr(C)]
pub struct Statements {
    keys: [AtomicU64; SLOTS],
    slots: [Slot; SLOTS],
    challengers: [AtomicU64; CHALLENGERS],
}

/// The counters of one statement.
#[repr(C)]
pub struct Slot {
    database: AtomicU32,
    /// How much of `text` there is, in bytes, once it is there; else one of the two below.
    length: AtomicU32,
    /// All of its time, which decides on its place.
    cost: AtomicU64,
    counters: Counters,
    /// What it says, without constants: written once, when it has failed.
    text: [AtomicU64; LONGEST / 8],
}

/// What `length` says where there is no text.
const UNWRITTEN: u32 = 0;
const BEING_WRITTEN: u32 = u32::MAX;

/// Odd, so that multiplying by it loses nothing; its bits are those of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// One number for both; for a given database the query identifier can be had back the same way.
fn key(database: u32, queryid: u64) -> u64 {
    queryid ^ u64::from(database).wrapping_mul(SPREAD)
}

impl Statements {
    /// Counts one call; where, if it is told apart.
    pub fn record(&self, database: u32, queryid: i64, microseconds: u64, failed: bool) -> Option<&Slot> {
        let key = key(database, queryid.cast_unsigned());
        if key == EMPTY || key == CHANGING {
            return None;
        }
        let spread = key.wrapping_mul(SPREAD);
        let first = (spread >> 58) as usize % SETS * SLOTS_OF_SET;
        let slot =
            self.find(first, key).or_else(|| self.admit(first, key, database, spread, microseconds))?;
        slot.cost.fetch_add(microseconds, Relaxed);
        slot.counters.record(microseconds, failed);
        Some(slot)
    }

    fn set(&self, first: usize) -> impl Iterator<Item = (&AtomicU64, &Slot)> {
        self.keys.iter().zip(&self.slots).skip(first).take(SLOTS_OF_SET)
    }

    fn find(&self, first: usize, key: u64) -> Option<&Slot> {
        self.set(first).find(|(own, _)| own.load(Acquire) == key).map(|(_, slot)| slot)
    }

    /// A place for a statement that has none. Two backends may find one for the same statement; both count then.
    fn admit(&self, first: usize, key: u64, database: u32, spread: u64, cost: u64) -> Option<&Slot> {
        let empty = self.set(first).find(|(own, _)| {
            own.load(Relaxed) == EMPTY && own.compare_exchange(EMPTY, CHANGING, AcqRel, Relaxed).is_ok()
        });
        if let Some((own, slot)) = empty {
            return Some(slot.hand_over(own, key, database, 0));
        }
        let challenger = self.challengers.get(spread as usize >> 16 & (CHALLENGERS - 1))?;
        let claim = challenger.fetch_add(cost, Relaxed).saturating_add(cost);
        let (own, slot) = self.set(first).min_by_key(|(_, slot)| slot.cost.load(Relaxed))?;
        let before = own.load(Relaxed);
        if claim <= slot.cost.load(Relaxed)
            || before == CHANGING
            || own.compare_exchange(before, CHANGING, AcqRel, Relaxed).is_err()
        {
            return None;
        }
        challenger.store(0, Relaxed);
        Some(slot.hand_over(own, key, database, claim - cost))
    }

    /// The statements of a database, with their counts.
    pub fn read(&self, database: u32) -> HashMap<i64, Histogram> {
        let mut found: HashMap<i64, Histogram> = HashMap::new();
        for (own, slot) in self.keys.iter().zip(&self.slots) {
            let before = own.load(Acquire);
            if before == EMPTY || before == CHANGING || slot.database.load(Relaxed) != database {
                continue;
            }
            let histogram = slot.counters.read();
            // It may have changed hands meanwhile.
            if own.load(Acquire) == before {
                let queryid = key(database, before).cast_signed();
                found.entry(queryid).or_default().merge(&histogram);
            }
        }
        found
    }
}

impl Statements {
    /// What statements of a database say, where that is known.
    pub fn texts(&self, database: u32) -> HashMap<i64, Vec<u8>> {
        let of = |(own, slot): (&AtomicU64, &Slot)| {
            let before = own.load(Acquire);
            if before == EMPTY || before == CHANGING || slot.database.load(Relaxed) != database {
                return None;
            }
            let text = slot.text()?;
            // It may have changed hands meanwhile.
            (own.load(Acquire) == before).then(|| (key(database, before).cast_signed(), text))
        };
        self.keys.iter().zip(&self.slots).filter_map(of).collect()
    }
}

impl Slot {
    /// Has what it says written down, unless that is there.
    pub fn describe(&self, write: impl FnOnce(&mut [u8]) -> usize) {
        if self.length.compare_exchange(UNWRITTEN, BEING_WRITTEN, AcqRel, Relaxed).is_err() {
            return;
        }
        let mut bytes = [0; LONGEST];
        let length = write(&mut bytes).min(LONGEST);
        for (word, piece) in self.text.iter().zip(bytes.as_chunks::<8>().0) {
            word.store(u64::from_ne_bytes(*piece), Relaxed);
        }
        self.length.store(u32::try_from(length).unwrap_or(0), Release);
    }

    fn text(&self) -> Option<Vec<u8>> {
        let length = self.length.load(Acquire);
        if length == UNWRITTEN || length == BEING_WRITTEN {
            return None;
        }
        let words = self.text.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes());
        Some(words.take(usize::try_from(length).ok()?).collect())
    }

    /// A backend that found the slot's last owner just before may still count its call here.
    fn hand_over(&self, own: &AtomicU64, key: u64, database: u32, cost: u64) -> &Self {
        self.counters.clear();
        self.length.store(UNWRITTEN, Relaxed);
        self.cost.store(cost, Relaxed);
        self.database.store(database, Relaxed);
        own.store(key, Release);
        self
    }
}
