//! The scheduler: a worker that looks at a database's schedule when the launcher says so, starts what is due, and
//! leaves. Workers are few, so it waits for no long run: what became of one is looked at the next time.

use super::entry::{Active, active};
use super::run;
use crate::backend;
use crate::catalog::{self, Login};
use crate::error::{Failure, Result};
use crate::extension;
use crate::jobs;
use crate::settings;
use crate::sql::{self, quote_identifier, required};
use crate::worker::{self, Between, Mailbox, Rights, Worker};
use chrono::{DateTime, Utc};
use groundskeeper_core::schedule::{due_at, is_watcher, room_for_long_runs};
use pgrx::bgworkers::{BackgroundWorker, DynamicBackgroundWorker};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::time::{Duration, Instant};

/// What long runs are called in `pg_stat_activity`.
const LONG: &str = "pg_groundskeeper scheduled run";
/// The same of those that wait for nobody.
const BRIEF: &str = "pg_groundskeeper scheduled check";

/// How soon to look again for what could not be started.
const SOON: Duration = Duration::from_secs(5);
/// How soon to look again for what is running: it may fail, or its next time may come meanwhile.
const RUNNING: Duration = Duration::from_secs(15);
/// How soon to look again where the library found another version than its own.
const NOT_UPDATED: Duration = Duration::from_secs(60);
/// How long a run may take to begin, and a brief one to end, while the scheduler is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a scheduler tells the launcher.
#[derive(Default)]
pub struct Looked {
    /// When to look again; none where there is nothing to look for.
    pub next: Option<DateTime<Utc>>,
    /// Since when a long run has waited for room, in microseconds of Unix time.
    pub waits_since: Option<i64>,
    /// Whether there was no worker for something.
    pub none_free: bool,
}

/// How many bytes that takes.
pub const ANSWER: usize = 3 * size_of::<i64>();

impl Looked {
    fn to_bytes(&self) -> [u8; ANSWER] {
        let next = self.next.map_or(0, |next| next.timestamp_micros());
        let words = [next, self.waits_since.unwrap_or(0), self.none_free.into()];
        let mut bytes = [0; ANSWER];
        bytes.chunks_exact_mut(size_of::<i64>()).zip(words).for_each(|(to, word)| {
            to.copy_from_slice(&word.to_ne_bytes());
        });
        bytes
    }

    /// The way back; nothing from one that did not come to its end.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = bytes.get(at * size_of::<i64>()..)?.first_chunk()?;
            Some(i64::from_ne_bytes(*bytes))
        };
        let set = |word: i64| (word != 0).then_some(word);
        Some(Self {
            next: set(word(0)?).and_then(DateTime::from_timestamp_micros),
            waits_since: set(word(1)?),
            none_free: word(2)? != 0,
        })
    }
}

/// Starts a scheduler in a database; it answers into the mailbox, and begins that many long runs at most.
pub fn start(database: pg_sys::Oid, answer: &Mailbox, long_runs: usize) -> Option<DynamicBackgroundWorker> {
    let name = "pg_groundskeeper scheduler";
    worker::start(&Worker {
        function: "groundskeeper_scheduler",
        name,
        kind: name,
        database,
        role: None,
        told: &format!("{} {long_runs}", answer.handle()),
        watched: true,
    })
}

/// The scheduler's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_scheduler(argument: pg_sys::Datum) {
    let (answer, long_runs) = worker::told().split_once(' ').unwrap_or_default();
    let answer = answer.parse().ok().and_then(Mailbox::open);
    let Some(mut between) = worker::begin(argument, Rights::Server) else { return };
    match (look_after(&mut between, long_runs.parse().unwrap_or(0)), answer) {
        (Ok(Some(looked)), Some(answer)) => answer.put(&looked.to_bytes()),
        // Without an answer the launcher tries again, as it does for one that was told to end.
        (Ok(_), _) => {}
        (Err(failure), _) => Failure::new(
            failure.code,
            format!("groundskeeper's schedule could not be looked at: {}", failure.message),
        )
        .detail(failure.one_line())
        .say(PgLogLevel::WARNING),
    }
}

/// Starts what is due; nothing where it was told to end.
fn look_after(between: &mut Between, long_runs: usize) -> Result<Option<Looked>> {
    if !between.transaction(installed)? {
        return Ok(Some(Looked::default()));
    }
    if !between.transaction(extension::is_at_home)? {
        return Ok(Some(Looked { next: Some(Utc::now() + NOT_UPDATED), ..Looked::default() }));
    }
    let mut looked = Looked { none_free: !between.transaction(jobs::go_on)?, ..Looked::default() };
    let actives = between.transaction(launched)?;
    let mut room = between.transaction(|| Room::new(long_runs))?;
    let mut started = Vec::new();
    for active in due(&actives) {
        let long = !is_watcher(&active.entry.name);
        if long && !room.admits() {
            looked.waits_since = looked.waits_since.or(room.waits_for_others().then(|| due_since(active)));
            continue;
        }
        let mut begun = begin(between, active, &mut started)?;
        // Where workers are few, one that ends makes room for the next.
        if !begun && !started.is_empty() {
            if !see_begun(between, &mut started)? {
                return Ok(None);
            }
            begun = begin(between, active, &mut started)?;
        }
        if begun {
            room.take(long);
        }
        looked.none_free |= !begun;
    }
    if !see_begun(between, &mut started)? {
        return Ok(None);
    }
    looked.next = next_look(&between.transaction(launched)?);
    if looked.none_free {
        let soon = Utc::now() + SOON;
        looked.next = Some(looked.next.map_or(soon, |next| next.min(soon)));
    }
    Ok(Some(looked))
}

fn installed() -> Result<bool> {
    let installed = "SELECT pg_catalog.to_regclass('groundskeeper.schedule_state') IS NOT NULL
                        AND EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_groundskeeper')";
    Ok(sql::first(installed, &[], |row| required::<bool>(row, 1))? == Some(true))
}

/// The entries that are the launcher's.
fn launched() -> Result<Vec<Active>> {
    Ok(active()?.into_iter().filter(|active| active.scheduler == "launcher").collect())
}

/// What is due and not running: what waits for nobody first, then whatever is due for longest.
fn due(actives: &[Active]) -> Vec<&Active> {
    let now = Utc::now();
    let is_due = |active: &&Active| {
        let at = due_at(&active.entry.timing, &active.entry.past, now);
        !active.running && at.is_some_and(|at| at <= now)
    };
    let mut due: Vec<&Active> = actives.iter().filter(is_due).collect();
    due.sort_by_key(|active| (!is_watcher(&active.entry.name), due_since(active)));
    due
}

/// Since when an entry is due, in microseconds of Unix time.
fn due_since(active: &Active) -> i64 {
    let now = Utc::now();
    due_at(&active.entry.timing, &active.entry.past, now).unwrap_or(now).timestamp_micros()
}

/// When to look again.
fn next_look(actives: &[Active]) -> Option<DateTime<Utc>> {
    let now = Utc::now();
    let look = |active: &Active| {
        if active.running {
            return Some(now + RUNNING);
        }
        let due = due_at(&active.entry.timing, &active.entry.past, now)?;
        Some(if due <= now { now + SOON } else { due })
    };
    actives.iter().filter_map(look).min()
}

/// How many more long runs may begin.
struct Room {
    here: usize,
    everywhere: usize,
    turn: usize,
}

impl Room {
    fn new(turn: usize) -> Result<Self> {
        let running = "SELECT pg_catalog.count(*) FILTER (WHERE a.datname = pg_catalog.current_database()),
                              pg_catalog.count(*), pg_catalog.current_setting('max_worker_processes')::bigint
                         FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = $1";
        let counted = |row: &sql::Tuple, column| {
            Ok::<_, Failure>(usize::try_from(required::<i64>(row, column)?).unwrap_or(0))
        };
        let found = sql::first(running, &[LONG.into()], |row| {
            Ok((counted(row, 1)?, counted(row, 2)?, counted(row, 3)?))
        })?;
        let (here, everywhere, workers) = found.unwrap_or_default();
        Ok(Self {
            here: settings::max_workers().saturating_sub(here),
            everywhere: room_for_long_runs(workers).saturating_sub(everywhere),
            turn,
        })
    }

    fn admits(&self) -> bool {
        self.here.min(self.everywhere).min(self.turn) > 0
    }

    /// Whether it is other databases that keep a run waiting.
    fn waits_for_others(&self) -> bool {
        self.here > 0
    }

    fn take(&mut self, long: bool) {
        for left in [&mut self.here, &mut self.everywhere, &mut self.turn] {
            *left -= usize::from(long);
        }
    }
}

/// A run that has been started.
struct Started {
    name: String,
    worker: DynamicBackgroundWorker,
    since: DateTime<Utc>,
}

/// Starts a run; `false` where no worker is free.
fn begin(between: &mut Between, active: &Active, started: &mut Vec<Started>) -> Result<bool> {
    let name = &active.entry.name;
    let Some(Login::As(role)) = between.transaction(|| catalog::login(&active.run_as))? else {
        let why =
            format!("role {} may not log in to this database any more", quote_identifier(&active.run_as));
        between.transaction(|| run::lost(name, &why))?;
        return Ok(true);
    };
    let since = Utc::now();
    let kind = if is_watcher(name) { BRIEF } else { LONG };
    let run = worker::start(&Worker {
        function: "groundskeeper_scheduled_run",
        name: kind,
        kind,
        database: backend::database(),
        role: Some(role),
        told: name,
        watched: true,
    });
    let Some(worker) = run else { return Ok(false) };
    started.push(Started { name: name.clone(), worker, since });
    Ok(true)
}

/// Waits until all have begun, and brief ones have ended, as their workers are wanted elsewhere; `false` where it was
/// told to end.
fn see_begun(between: &mut Between, started: &mut Vec<Started>) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while !started.is_empty() && Instant::now() < deadline {
        // Looked at before the table is: a run that has ended has written down how.
        let over: Vec<bool> = started.iter().map(|run| worker::ended(&run.worker)).collect();
        let actives = between.transaction(active)?;
        let has_begun = |run: &Started| {
            let now = actives.iter().find(|active| active.entry.name == run.name);
            now.is_none_or(|now| now.last_run.is_some_and(|last| last >= run.since))
        };
        let mut left = Vec::new();
        for (run, over) in started.drain(..).zip(over) {
            match (over, has_begun(&run)) {
                (true, false) => between.transaction(|| could_not_begin(&run, &actives))?,
                (true, true) => {}
                (false, true) if !is_watcher(&run.name) => {}
                (false, _) => left.push(run),
            }
        }
        *started = left;
        if !started.is_empty() && !BackgroundWorker::wait_latch(Some(Duration::from_millis(100))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A worker that ended before its run began could not connect, or was told off.
fn could_not_begin(run: &Started, actives: &[Active]) -> Result<()> {
    let role = actives.iter().find(|active| active.entry.name == run.name).map_or("", |a| a.run_as.as_str());
    let why = format!("a worker could not run it as role {}; see the server log", quote_identifier(role));
    run::lost(&run.name, &why)
}
