//! A cron expression by the wall clock of a time zone.

use chrono::{DateTime, Duration, Offset as _, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::collections::BTreeSet;
use std::fmt;

/// Why a schedule cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// One line.
    pub message: String,
    /// What exactly is wrong.
    pub detail: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.detail)
    }
}

/// Five fields of cron: minute, hour, day of month, month, day of week; and the zone whose clock they speak of.
#[derive(Debug, Clone)]
pub struct Timing {
    cron: Cron,
    zone: Tz,
}

impl Timing {
    /// Reads both.
    ///
    /// # Errors
    /// Says what is wrong with them; what pg_cron does not understand is refused, too.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, Invalid> {
        let invalid = |detail: String| Invalid { message: format!("invalid schedule \"{cron}\""), detail };
        let fields = cron.split_whitespace().count();
        if fields != 5 {
            return Err(invalid(format!("It has {fields} fields instead of five.")));
        }
        let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '*');
        let name = |word: &str| word.len() == 3 && word.chars().all(|c| c.is_ascii_alphabetic());
        let parts = |field: &str| field.split([',', '-', '/']).all(|part| plain(part) || name(part));
        if let Some(field) = cron.split_whitespace().find(|field| !parts(field)) {
            return Err(invalid(format!("\"{field}\" is not plain cron.")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|e| invalid(format!("{e}.")))?;
        let zone: Tz = zone.parse().map_err(|_| Invalid {
            message: format!("unknown time zone \"{zone}\""),
            detail: "It is no name of the IANA time zone database, such as America/New_York.".to_owned(),
        })?;
        let timing = Self { cron: parsed, zone };
        if timing.next_after(DateTime::UNIX_EPOCH).is_none() {
            return Err(invalid("Its time never comes.".to_owned()));
        }
        Ok(timing)
    }

    /// The first time after this one. A time that the change to summer time leaves out is the first moment after
    /// the gap; one that comes twice in autumn counts once, unless the hours are a range or `*`.
    #[must_use]
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = self.zone.from_utc_datetime(&at.naive_utc());
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
    }

    /// The same in the cron of a scheduler that follows another zone's clock: at least all of these times, in
    /// summer and in winter. `at` is when it is written down.
    #[must_use]
    pub fn on_clock_of(&self, other: Tz, at: DateTime<Utc>) -> String {
        let pattern = &self.cron.pattern;
        let shifts: BTreeSet<i32> = (0..731)
            .map(|day| (at + Duration::days(day)).naive_utc())
            .map(|day| {
                let offset = |zone: Tz| zone.offset_from_utc_datetime(&day).fix().local_minus_utc();
                (offset(other) - offset(self.zone)) / 60
            })
            .collect();
        if shifts.iter().all(|shift| *shift == 0) {
            return self.cron.as_str().to_owned();
        }
        let whole = |values: &[u16], count: usize| values.len() == count;
        let (minutes, hours) = (pattern.minutes.values(), pattern.hours.values());
        let every_day = self.cron.as_str().split(' ').skip(2).all(|field| field == "*");
        if whole(&minutes, 60) && whole(&hours, 24) && every_day {
            return self.cron.as_str().to_owned();
        }
        let mut there = (BTreeSet::new(), BTreeSet::new());
        for shift in shifts {
            for hour in &hours {
                for minute in &minutes {
                    let time = (i32::from(*hour) * 60 + i32::from(*minute) + shift).rem_euclid(24 * 60);
                    there.0.insert(time % 60);
                    there.1.insert(time / 60);
                }
            }
        }
        format!("{} {} * * *", field(&there.0, 60), field(&there.1, 24))
    }
}

/// A field of cron that stands for these values.
fn field(values: &BTreeSet<i32>, all: usize) -> String {
    if values.len() == all {
        return "*".to_owned();
    }
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for &value in values {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => ranges.push((value, value)),
        }
    }
    let text = |(first, last): &(i32, i32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}
