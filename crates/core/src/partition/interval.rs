//! Calendar periods. Nothing here knows a time zone: a period begins with a day, and PostgreSQL says when that
//! day begins.

use chrono::{Datelike, Days, Months, NaiveDate};

/// How many months ahead partitions can be asked for.
pub const MAX_MONTHS_AHEAD: u32 = 120;

/// How many partitions ahead, the current one included, a table can have kept.
pub const MAX_PREMAKE: u32 = 400;

/// Days from 1970-01-01 to `date`: how days go to and from PostgreSQL.
#[must_use]
pub fn epoch_days(date: NaiveDate) -> i32 {
    date.to_epoch_days()
}

/// The day so many days after 1970-01-01, where the calendar has it.
#[must_use]
pub fn from_epoch_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(days).and_then(in_calendar)
}

/// The period that one partition covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interval {
    /// A day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// January to March, and so on.
    Quarter,
    /// A year.
    Year,
}

impl Interval {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The interval of that name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.as_str().eq_ignore_ascii_case(text))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The first day of the period that holds `date`; `None` where the calendar of four-digit years ends.
    #[must_use]
    pub fn floor(self, date: NaiveDate) -> Option<NaiveDate> {
        let start = match self {
            Self::Day => Some(date),
            Self::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
            Self::Month => date.with_day(1),
            Self::Quarter => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1),
            Self::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1),
        };
        start.and_then(in_calendar)
    }

    /// The first day of the period after the one that holds `date`; `None` where the calendar ends.
    #[must_use]
    pub fn next(self, date: NaiveDate) -> Option<NaiveDate> {
        let start = self.floor(date)?;
        let next = match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
            Self::Quarter => start.checked_add_months(Months::new(3)),
            Self::Year => start.checked_add_months(Months::new(12)),
        };
        next.and_then(in_calendar)
    }

    /// Whether the period that begins with `start` has ended by `limit`, the first day that is kept, where there is one:
    /// it has retired, or would at once.
    #[must_use]
    pub fn is_over(self, start: NaiveDate, limit: Option<NaiveDate>) -> bool {
        limit.is_some_and(|limit| self.next(start).is_none_or(|end| end <= limit))
    }

    /// Whether a period begins with `date`.
    #[must_use]
    pub fn starts_with(self, date: NaiveDate) -> bool {
        self.floor(date) == Some(date)
    }

    /// The starts of all periods that have a day of `from` to `to`, both included. A period whose end the
    /// calendar does not hold is left out.
    #[must_use]
    pub fn covering(self, from: NaiveDate, to: NaiveDate) -> Vec<NaiveDate> {
        let mut starts = Vec::new();
        let mut start = self.floor(from);
        while let Some(this) = start.filter(|start| *start <= to) {
            let Some(next) = self.next(this) else { break };
            starts.push(this);
            start = Some(next);
        }
        starts
    }

    /// The starts of `premake` periods, the current one first.
    #[must_use]
    pub fn premade(self, today: NaiveDate, premake: u32) -> Vec<NaiveDate> {
        std::iter::successors(self.floor(today), |start| self.next(*start))
            .take(usize::try_from(premake).unwrap_or(usize::MAX))
            .filter(|start| self.next(*start).is_some())
            .collect()
    }

    /// The starts of the periods from the current one on that cover `months` months, the current one counted.
    #[must_use]
    pub fn months_ahead(self, today: NaiveDate, months: u32) -> Vec<NaiveDate> {
        let last_day = today
            .with_day(1)
            .and_then(|first| first.checked_add_months(Months::new(months)))
            .and_then(|end| end.pred_opt());
        last_day.map(|last| self.covering(today, last)).unwrap_or_default()
    }
}

/// Only years that are written with four digits.
fn in_calendar(date: NaiveDate) -> Option<NaiveDate> {
    (1..=9999).contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    fn any_day() -> impl Strategy<Value = NaiveDate> {
        (1..=9998i32, 1..=366u32).prop_filter_map("leap day", |(y, d)| NaiveDate::from_yo_opt(y, d))
    }

    fn any_interval() -> impl Strategy<Value = Interval> {
        (0..5usize).prop_map(|i| Interval::ALL[i])
    }

    proptest! {
        #[test]
        fn a_period_holds_its_days_and_no_others(interval in any_interval(), date in any_day()) {
            let (Some(start), Some(next)) = (interval.floor(date), interval.next(date)) else {
                return Ok(());
            };
            prop_assert!(start <= date && date < next);
            prop_assert!(interval.starts_with(start) && interval.starts_with(next));
            prop_assert_eq!(interval.floor(next.pred_opt().unwrap()), Some(start));
        }

        #[test]
        fn over_is_what_ended_by_the_limit(interval in any_interval(), date in any_day(), limit in any_day()) {
            let (Some(start), Some(kept_from)) = (interval.floor(date), interval.floor(limit)) else {
                return Ok(());
            };
            prop_assert!(!interval.is_over(start, None));
            prop_assert_eq!(interval.is_over(start, Some(limit)), start < kept_from);
        }

        #[test]
        fn covering_is_without_gaps(interval in any_interval(), from in any_day(), days in 0..800u64) {
            let to = from + Days::new(days);
            let starts = interval.covering(from, to);
            for pair in starts.windows(2) {
                prop_assert_eq!(interval.next(pair[0]), Some(pair[1]));
            }
            if let (Some(first), Some(last)) = (starts.first(), starts.last()) {
                prop_assert!(*first <= from);
                prop_assert!(*last <= to && (interval.next(*last).unwrap() > to || to > day(9990, 1, 1)));
            }
        }

        #[test]
        fn a_span_of_months_is_covered(interval in any_interval(), today in any_day(), months in 1..=MAX_MONTHS_AHEAD) {
            prop_assume!(today < day(9900, 1, 1) && today > day(2, 1, 1));
            let ahead = interval.months_ahead(today, months);
            let end = today.with_day(1).unwrap() + Months::new(months);
            prop_assert_eq!(ahead.first().copied(), interval.floor(today));
            prop_assert!(interval.next(*ahead.last().unwrap()).unwrap() >= end);
        }
    }

    #[test]
    fn three_months_ahead_are_this_one_and_two_more() {
        let wanted = vec![day(2025, 11, 1), day(2025, 12, 1), day(2026, 1, 1)];
        assert_eq!(Interval::Month.months_ahead(day(2025, 11, 30), 3), wanted);
        assert_eq!(Interval::Month.premade(day(2025, 11, 30), 3), wanted);
        assert_eq!(Interval::Quarter.months_ahead(day(2025, 11, 30), 3), [day(2025, 10, 1), day(2026, 1, 1)]);
        assert_eq!(Interval::Year.months_ahead(day(2025, 11, 30), 1), [day(2025, 1, 1)]);
        assert_eq!(Interval::Day.months_ahead(day(2025, 11, 29), 1), [day(2025, 11, 29), day(2025, 11, 30)]);
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(Interval::Week.floor(day(2026, 1, 1)), Some(day(2025, 12, 29)));
        assert_eq!(Interval::Week.next(day(2026, 1, 4)), Some(day(2026, 1, 5)));
    }

    #[test]
    fn days_are_counted_as_postgresql_does() {
        assert_eq!(epoch_days(day(2000, 1, 1)), 10957);
        assert_eq!(from_epoch_days(10957), Some(day(2000, 1, 1)));
        assert_eq!(from_epoch_days(i32::MAX), None);
    }

    #[test]
    fn the_calendar_ends() {
        assert_eq!(Interval::Month.next(day(9999, 12, 3)), None);
        assert_eq!(Interval::Month.floor(NaiveDate::from_ymd_opt(-3, 12, 3).unwrap()), None);
        assert!(Interval::Month.premade(day(9999, 12, 3), 3).is_empty());
    }

    #[test]
    fn names_of_intervals_are_read_in_any_case() {
        assert_eq!(Interval::parse("Month"), Some(Interval::Month));
        assert_eq!(Interval::parse("monthly"), None);
        assert!(Interval::ALL.iter().all(|i| Interval::parse(i.as_str()) == Some(*i)));
    }
}
