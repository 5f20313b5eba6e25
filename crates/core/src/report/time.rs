//! Moments as PostgreSQL's JSON writes them, and steps of a time axis.

use chrono::{DateTime, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// A moment as ISO 8601 with its offset; what is none, such as `infinity`, is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub String);

impl Moment {
    /// The moment of so many seconds of Unix time.
    #[must_use]
    pub fn of(seconds: f64) -> Self {
        let moment = DateTime::<Utc>::from_timestamp_micros((seconds * 1e6) as i64);
        Self(moment.map_or_else(String::new, |moment| moment.to_rfc3339()))
    }

    fn utc(&self) -> Option<DateTime<Utc>> {
        Some(DateTime::parse_from_rfc3339(&self.0).ok()?.to_utc())
    }

    /// In seconds of Unix time.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        Some(self.utc()?.timestamp_micros() as f64 / 1e6)
    }

    /// `30 Nov 2026, 05:04`, in UTC.
    pub(super) fn full(&self) -> String {
        self.utc().map_or_else(|| self.0.clone(), |moment| moment.format("%-d %b %Y, %H:%M").to_string())
    }

    /// The same as short as a length of time allows.
    pub(super) fn within(&self, seconds: f64) -> String {
        let format = match seconds {
            s if s <= 2.0 * DAY => "%H:%M",
            s if s <= 8.0 * DAY => "%-d %b %H:%M",
            s if s <= 300.0 * DAY => "%-d %b",
            _ => "%b %Y",
        };
        self.utc().map_or_else(|| self.0.clone(), |moment| moment.format(format).to_string())
    }

    /// Year and month, the latter from 0 on.
    pub(super) fn month(&self) -> Option<(i32, usize)> {
        use chrono::Datelike as _;
        self.utc().map(|moment| (moment.year(), moment.month0() as usize))
    }
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Steps that a person reads easily, in seconds.
const STEPS: [f64; 17] = [
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    15.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
    28.0 * DAY,
    91.0 * DAY,
    364.0 * DAY,
];

/// The shortest such step that divides a length of time into no more than so many.
#[must_use]
pub fn step(length: f64, most: u32) -> f64 {
    let fits = |step: &f64| length / step <= f64::from(most);
    STEPS.into_iter().find(fits).unwrap_or_else(|| (length / f64::from(most) / DAY).ceil() * DAY)
}

/// The moments between two that an axis is marked at.
pub(super) fn marks(begins: f64, ends: f64) -> Vec<(f64, String)> {
    let length = ends - begins;
    if !length.is_finite() || length <= 0.0 {
        return Vec::new();
    }
    let step = step(length, 6);
    let first = (begins / step).ceil() * step;
    let at = (0..8).map(|n| first + f64::from(n) * step).take_while(|at| *at <= ends);
    at.map(|at| (at, mark(at, length))).collect()
}

/// Midnight is where a day begins.
fn mark(at: f64, length: f64) -> String {
    let moment = Moment::of(at);
    match moment.utc() {
        Some(utc) if length <= 8.0 * DAY && utc.num_seconds_from_midnight() == 0 => {
            utc.format("%-d %b").to_string()
        }
        Some(utc) if length <= 8.0 * DAY => utc.format("%H:%M").to_string(),
        _ => moment.within(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read_as_postgresql_writes_them() {
        let moment = Moment("2026-11-30T05:04:45.5+00:00".to_owned());
        assert_eq!(moment.seconds(), Some(1_796_015_085.5));
        assert_eq!(moment.full(), "30 Nov 2026, 05:04");
        assert_eq!(Moment("infinity".to_owned()).full(), "infinity");
        assert_eq!(Moment("2026-11-30T00:04:45-05:00".to_owned()).full(), "30 Nov 2026, 05:04");
    }

    #[test]
    fn an_axis_is_marked_at_round_moments() {
        let begins = 1_796_015_085.0;
        let names: Vec<String> = marks(begins, begins + DAY).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["06:00", "12:00", "18:00", "1 Dec"]);
        assert!(marks(2.0, 1.0).is_empty() && marks(f64::NAN, 1.0).is_empty());
    }

    proptest! {
        #[test]
        fn there_are_never_more_steps(length in 1.0..1e12_f64, most in 1_u32..200) {
            prop_assert!(length / step(length, most) <= f64::from(most) * 1.0001);
        }
    }
}
