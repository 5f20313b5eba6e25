//! The launcher: where the library is preloaded, it looks into each database when the server has started, so that
//! jobs which a crash or a restart interrupted go on by themselves, and returns to those that have a schedule when
//! something is due there. It holds no connection to any of them meanwhile. Each second it looks at what sessions wait for.

use crate::backend;
use crate::latency::waits;
use crate::schedule::scheduler::{self, ANSWER, Looked};
use crate::worker::{self, Mailbox};
use chrono::{DateTime, Utc};
use groundskeeper_core::schedule::{Turns, looks_at_once};
use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, DynamicBackgroundWorker,
};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The longest sleep where there is a schedule: a clock that is put back must not have us oversleep.
const NAP: Duration = Duration::from_secs(60);
/// How often sessions are asked what they wait for.
const LOOK_AT_WAITS: Duration = Duration::from_secs(1);
/// How soon a database is looked at again whose scheduler was lost.
const RETRY: Duration = Duration::from_secs(10);
/// How soon another try is made where no worker was free.
const NONE_FREE: Duration = Duration::from_secs(1);
/// For how long workers count as scarce once there was none.
const SCARCE: Duration = Duration::from_secs(60);
/// A scheduler that takes longer keeps no other from its turn: its database may refuse it for as long as it likes.
const SLOW: Duration = Duration::from_secs(15);

/// Registers the launcher; called while `shared_preload_libraries` are loaded. It starts when recovery is over,
/// so never on a standby, and not at all while `pg_upgrade` runs the server.
pub fn register() {
    if !backend::is_preloading() || backend::is_upgrading() {
        return;
    }
    backend::note_preloaded();
    BackgroundWorkerBuilder::new("pg_groundskeeper launcher")
        .set_library("pg_groundskeeper")
        .set_function("groundskeeper_launcher")
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(5)))
        .enable_spi_access()
        .load();
}

/// The launcher's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_launcher(_argument: pg_sys::Datum) {
    let mut between = worker::begin_without_database();
    let mut visits = Visits::default();
    visits.look_everywhere();
    let mut looked = None;
    loop {
        if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK_AT_WAITS) {
            waits::look();
            looked = Some(Instant::now());
        }
        visits.collect();
        let none_free = !visits.start_due();
        let pause = if none_free { Some(NONE_FREE) } else { visits.pause() };
        let pause = pause.map_or(LOOK_AT_WAITS, |pause| pause.min(LOOK_AT_WAITS));
        if !BackgroundWorker::wait_latch(Some(pause)) {
            // Be it that the server shuts down: it starts nothing any more then.
            worker::leave_and_come_back(between);
        }
        if worker::reread_configuration(&mut between) {
            // schedule_maintenance() and resume() ask like this for a look, too.
            visits.look_everywhere();
        }
    }
}

/// When to be where.
#[derive(Default)]
struct Visits {
    due: HashMap<pg_sys::Oid, Due>,
    under_way: HashMap<pg_sys::Oid, Visit>,
    turns: Turns<u32>,
    scarce_until: Option<Instant>,
}

/// A look into a database.
struct Visit {
    worker: DynamicBackgroundWorker,
    answer: Mailbox,
    since: Instant,
}

/// By whichever clock it comes first: that on the wall may be set, the other stands still while the machine sleeps.
#[derive(Clone, Copy)]
struct Due {
    wall: DateTime<Utc>,
    steady: Instant,
}

impl Due {
    fn after(pause: Duration) -> Self {
        Self { wall: Utc::now() + pause, steady: Instant::now() + pause }
    }

    fn at(wall: DateTime<Utc>) -> Self {
        // Never in less than a second, whatever a scheduler says.
        let pause = (wall - Utc::now()).to_std().unwrap_or_default().max(Duration::from_secs(1));
        let a_year = Duration::from_secs(366 * 24 * 3600);
        Self {
            wall: wall.max(Utc::now() + Duration::from_secs(1)),
            steady: Instant::now() + pause.min(a_year),
        }
    }

    fn left(self) -> Duration {
        let wall = (self.wall - Utc::now()).to_std().unwrap_or_default();
        wall.min(self.steady.saturating_duration_since(Instant::now()))
    }
}

impl Visits {
    /// Has every database looked at now; those that are gone are forgotten.
    fn look_everywhere(&mut self) {
        let known = databases();
        self.turns.keep(&known.iter().map(|database| u32::from(*database)).collect::<Vec<_>>());
        self.due = known.into_iter().map(|database| (database, Due::after(Duration::ZERO))).collect();
    }

    /// Hears what schedulers that have ended found.
    fn collect(&mut self) {
        let over: Vec<pg_sys::Oid> = self
            .under_way
            .iter()
            .filter(|(_, visit)| worker::ended(&visit.worker))
            .map(|(database, _)| *database)
            .collect();
        for database in over {
            let Some(visit) = self.under_way.remove(&database) else { continue };
            let looked = Looked::of_bytes(&visit.answer.take());
            self.turns.heard(database.into(), looked.as_ref().and_then(|looked| looked.waits_since));
            if looked.as_ref().is_some_and(|looked| looked.none_free) {
                self.note_scarcity();
            }
            let next = match looked {
                Some(looked) => looked.next.map(Due::at),
                // It could not connect, or was lost. The database may be gone.
                None => databases().contains(&database).then(|| Due::after(RETRY)),
            };
            // Asked for a look meanwhile, it gets one all the same.
            if let Some(next) = next {
                self.due.entry(database).or_insert(next);
            }
        }
    }

    fn note_scarcity(&mut self) {
        self.scarce_until = Some(Instant::now() + SCARCE);
    }

    /// Starts schedulers where something is due, longest due first; `false` where no worker is free for one, who is the
    /// first to get one then.
    fn start_due(&mut self) -> bool {
        let mut now: Vec<(Due, pg_sys::Oid)> = self
            .due
            .iter()
            .filter(|(database, due)| due.left().is_zero() && !self.under_way.contains_key(*database))
            .map(|(database, due)| (*due, *database))
            .collect();
        now.sort_by_key(|(due, database)| (due.steady, u32::from(*database)));
        for (_, database) in now {
            if !self.has_room() {
                break;
            }
            let turn = self.turns.grant(database.into());
            let started = Mailbox::new(ANSWER).and_then(|answer| {
                let worker = scheduler::start(database, &answer, turn)?;
                Some(Visit { worker, answer, since: Instant::now() })
            });
            let Some(visit) = started else {
                self.note_scarcity();
                return false;
            };
            self.due.remove(&database);
            self.under_way.insert(database, visit);
        }
        true
    }

    fn has_room(&self) -> bool {
        let scarce = self.scarce_until.is_some_and(|until| Instant::now() < until);
        let brisk = self.under_way.values().filter(|visit| visit.since.elapsed() < SLOW).count();
        brisk < looks_at_once(scarce)
    }

    /// How long to sleep; without a schedule anywhere until somebody asks for a look. The end of a scheduler wakes
    /// us, too.
    fn pause(&self) -> Option<Duration> {
        let waiting = |(database, due): (&pg_sys::Oid, &Due)| {
            (!self.under_way.contains_key(database)).then(|| due.left())
        };
        let next = self.due.iter().filter_map(waiting).min();
        let least = if self.has_room() { Duration::from_millis(100) } else { NONE_FREE };
        let next = next.map(|pause| pause.clamp(least, NAP));
        if self.under_way.is_empty() { next } else { Some(next.unwrap_or(NAP).min(NAP)) }
    }
}

/// The databases that can be connected to, templates left alone.
fn databases() -> Vec<pg_sys::Oid> {
    let mut found = Vec::new();
    // SAFETY: a sequential scan of a shared catalog inside a transaction, as autovacuum's launcher does it; each
    // tuple is read before the next is fetched.
    unsafe {
        pg_sys::StartTransactionCommand();
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row: *const pg_sys::FormData_pg_database = pg_sys::GETSTRUCT(tuple).cast();
            if (*row).datallowconn && !(*row).datistemplate {
                found.push((*row).oid);
            }
        }
        pg_sys::heap_endscan(scan.cast());
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        pg_sys::CommitTransactionCommand();
    }
    found
}
