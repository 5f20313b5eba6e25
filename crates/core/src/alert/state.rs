//! The states of an alert. Time is in microseconds of any clock, which may go back.

use super::Rule;
use rust_decimal::Decimal;

/// How long an alert that has cleared is shown as such.
pub const RESOLVED_SHOWN: i64 = 3_600_000_000;

/// What state an alert is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is wrong.
    Ok,
    /// Something is wrong, and not for long enough.
    Pending,
    /// Something has been wrong for long enough, and not been good for long enough since.
    Firing,
    /// It fired a short while ago.
    Resolved,
    /// There is no figure to judge by.
    NoData,
}

impl Phase {
    /// As it stands in a table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::NoData => "no_data",
        }
    }

    /// The way back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Pending, Self::Firing, Self::Resolved, Self::NoData]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }
}

/// What is remembered of an alert between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The state.
    pub phase: Phase,
    /// Since when it is in it.
    pub since: i64,
    /// While firing: since when all has been good.
    pub good_since: Option<i64>,
    /// Whether listeners were last told that it fires.
    pub announced: bool,
}

impl State {
    /// Of an alert that nobody has looked at.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self { phase: Phase::NoData, since: now, good_since: None, announced: false }
    }
}

/// What is seen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The figure, if there is one.
    pub value: Option<Decimal>,
    /// Out of how many samples.
    pub samples: i64,
}

/// What an observation says of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Missing,
    Bad,
    Between,
    Good,
}

fn read(rule: &Rule, seen: &Observation) -> Reading {
    match seen.value {
        Some(_) if seen.samples < rule.min_samples => Reading::Missing,
        None => Reading::Missing,
        Some(value)
            if rule.comparison.holds(value, rule.fire) || (rule.fire_on_equal && value == rule.fire) =>
        {
            Reading::Bad
        }
        Some(value) if rule.comparison.holds(value, rule.clear) => Reading::Between,
        Some(_) => Reading::Good,
    }
}

/// What becomes of an alert. Missing data neither fires nor clears anything: while it lasts, an alert that fires goes
/// on firing, and any other has no data.
#[must_use]
pub fn step(state: &State, rule: &Rule, seen: &Observation, now: i64) -> State {
    let since = state.since.min(now);
    let lasted = |time: i64| now.saturating_sub(since) >= time;
    let stay = |good_since| State { since, good_since, ..*state };
    let enter = |phase| {
        if phase == state.phase {
            stay(None)
        } else {
            State { phase, since: now, good_since: None, ..*state }
        }
    };
    match (state.phase, read(rule, seen)) {
        (Phase::Firing, Reading::Good) => {
            let good_since = state.good_since.map_or(now, |since| since.min(now));
            if now.saturating_sub(good_since) >= rule.clear_after {
                enter(Phase::Resolved)
            } else {
                stay(Some(good_since))
            }
        }
        (Phase::Firing, _) => stay(None),
        (_, Reading::Missing) => enter(Phase::NoData),
        (Phase::Pending, Reading::Bad) if !lasted(rule.fire_after) => stay(None),
        (Phase::Ok | Phase::Resolved | Phase::NoData, Reading::Bad) if rule.fire_after > 0 => {
            enter(Phase::Pending)
        }
        (_, Reading::Bad) => enter(Phase::Firing),
        (Phase::Resolved, _) if !lasted(RESOLVED_SHOWN) => stay(None),
        _ => enter(Phase::Ok),
    }
}

/// Whether listeners are to be told now, and the state once they are: whenever what they were told last is no longer
/// so and the alert is not silenced. So what is silenced is made up for when the silence ends.
#[must_use]
pub fn announce(state: &State, silenced: bool) -> (State, bool) {
    let fires = state.phase == Phase::Firing;
    let tell = !silenced && state.announced != fires;
    (State { announced: if tell { fires } else { state.announced }, ..*state }, tell)
}
