//! What is due now, and when to look again.

use super::Timing;
use chrono::{DateTime, Duration, Utc};

/// What tells the time.
pub trait Clock {
    /// The time.
    fn now(&self) -> DateTime<Utc>;
}

/// The server's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// What became of an entry so far.
#[derive(Debug, Clone)]
pub struct Past {
    /// When it was put on the schedule.
    pub since: DateTime<Utc>,
    /// When its last run began.
    pub last_run: Option<DateTime<Utc>>,
    /// How many runs have failed in a row.
    pub failures: u32,
}

/// Something that is to be done again and again.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its times.
    pub timing: Timing,
    /// What became of it so far.
    pub past: Past,
}

/// How far the clock may go back without anybody's taking notice.
const TOLERANCE: Duration = Duration::minutes(5);

/// How long after a failed run began it is tried again: from a minute, doubling, to an hour.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    Duration::minutes(1 << failures.saturating_sub(1).min(6)).min(Duration::hours(1))
}

/// When an entry is due: at its first time after the last run, or earlier where that failed. However many times have
/// passed meanwhile, the next run makes up for all of them. `None` where it is never due again.
#[must_use]
pub fn due_at(timing: &Timing, past: &Past, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let last = past.last_run.unwrap_or(past.since);
    if last > now + TOLERANCE {
        // The clock was ahead then. Nobody knows what was missed; one run sets things right.
        return Some(now);
    }
    let regular = timing.next_after(last);
    let again = (past.failures > 0).then(|| last + backoff(past.failures));
    match (regular, again) {
        (Some(regular), Some(again)) => Some(regular.min(again)),
        (regular, again) => regular.or(again),
    }
}

/// All entries of a scheduler.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    /// In any order.
    pub entries: Vec<Entry>,
}

impl Agenda {
    /// What is due, longest due first.
    pub fn due(&self, clock: &impl Clock) -> Vec<&Entry> {
        let now = clock.now();
        let at = |entry: &Entry| due_at(&entry.timing, &entry.past, now);
        let mut due: Vec<&Entry> =
            self.entries.iter().filter(|e| at(e).is_some_and(|at| at <= now)).collect();
        due.sort_by_key(|entry| at(entry));
        due
    }

    /// When the next entry is due, if any ever is.
    pub fn next(&self, clock: &impl Clock) -> Option<DateTime<Utc>> {
        let now = clock.now();
        self.entries.iter().filter_map(|entry| due_at(&entry.timing, &entry.past, now)).min()
    }
}
