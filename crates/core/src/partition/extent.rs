//! Which partitions a conversion makes: said beforehand and done by the same computation.

use super::Interval;
use chrono::NaiveDate;

/// More empty partitions than that are worth a warning.
pub const MANY_EMPTY: usize = 100;

/// The first days of the partitions for rows from the oldest on and for the periods that are kept ready, without a gap:
/// at most `most`. The past takes no more than half of these, its newest periods, so that a single row of long ago
/// leaves room for those to come.
#[must_use]
pub fn extent(
    interval: Interval,
    oldest: Option<NaiveDate>,
    today: NaiveDate,
    premake: u32,
    most: usize,
) -> Vec<NaiveDate> {
    let mut ahead = interval.premade(today, premake);
    ahead.truncate(most.max(1));
    let Some(now) = ahead.first().copied() else { return ahead };
    let before = oldest.filter(|oldest| *oldest < now).zip(now.pred_opt());
    let past = before.map_or_else(Vec::new, |(oldest, last)| interval.covering(oldest, last));
    let room = (most / 2).min(most.saturating_sub(ahead.len()));
    let mut starts = past[past.len().saturating_sub(room)..].to_vec();
    starts.append(&mut ahead);
    starts
}

/// Partitions of the past that nothing would be in, where they are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sparse {
    /// How many there are.
    pub empty: usize,
    /// The partition, by its place, that ends the longest row of them.
    pub resumes: usize,
    /// How many rows are older than it.
    pub older: i64,
}

/// Whether many partitions of the past would be empty. `counts` are the rows of each, the past ones first, and `before`
/// those that are older than all of them.
#[must_use]
pub fn sparse(counts: &[i64], past: usize, before: i64) -> Option<Sparse> {
    let past = &counts[..past.min(counts.len())];
    let empty = past.iter().filter(|rows| **rows == 0).count();
    let (mut resumes, mut longest, mut run) = (0, 0, 0);
    for (at, rows) in past.iter().enumerate() {
        run = if *rows == 0 { run + 1 } else { 0 };
        if run > longest {
            (longest, resumes) = (run, at + 1);
        }
    }
    let older = before + past[..resumes].iter().sum::<i64>();
    (empty > MANY_EMPTY).then_some(Sparse { empty, resumes, older })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn the_past_leaves_room() {
        let today = day(2026, 11, 29);
        for oldest in [day(1, 1, 1), day(1970, 1, 1), day(2020, 1, 1)] {
            let starts = extent(Interval::Day, Some(oldest), today, 3, 1000);
            assert_eq!(starts.len(), 503, "{oldest}");
            assert_eq!(starts.last(), Some(&day(2026, 12, 1)));
        }
        let months = extent(Interval::Month, Some(day(2026, 1, 31)), today, 3, 1000);
        assert_eq!((months.len(), months[0]), (13, day(2026, 1, 1)));
        assert_eq!(extent(Interval::Month, None, today, 3, 1000).len(), 3);
    }

    #[test]
    fn the_present_comes_first_where_there_is_little_room() {
        let today = day(2026, 11, 29);
        for most in [0, 1] {
            assert_eq!(extent(Interval::Month, Some(day(2020, 1, 1)), today, 3, most), [day(2026, 11, 1)]);
        }
        let starts = extent(Interval::Month, Some(day(2020, 1, 1)), today, 3, 4);
        assert_eq!((starts.len(), starts[0]), (4, day(2026, 10, 1)));
    }

    #[test]
    fn a_single_row_of_long_ago_is_found() {
        let mut counts = vec![1];
        counts.extend([0; 200]);
        counts.extend([50; 10]);
        assert_eq!(sparse(&counts, 208, 0), Some(Sparse { empty: 200, resumes: 201, older: 1 }));
        assert_eq!(sparse(&counts[1..], 208, 2), Some(Sparse { empty: 200, resumes: 200, older: 2 }));
        assert_eq!(sparse(&counts[101..], 108, 2), None);
        assert_eq!(sparse(&[], 0, 0), None);
    }

    proptest! {
        #[test]
        fn without_a_gap_and_within_the_limit(
            i in 0..5usize, from in -4000..4000i32, premake in 1..=400u32, most in 1..1200usize,
        ) {
            let today = day(2026, 11, 29);
            let oldest = today.checked_add_signed(chrono::TimeDelta::days(from.into()));
            let starts = extent(Interval::ALL[i], oldest, today, premake, most);
            prop_assert!(!starts.is_empty() && starts.len() <= most);
            prop_assert!(starts.contains(&Interval::ALL[i].floor(today).unwrap()));
            prop_assert!(starts.iter().filter(|start| **start < Interval::ALL[i].floor(today).unwrap()).count() <= most / 2);
            for pair in starts.windows(2) {
                prop_assert_eq!(Interval::ALL[i].next(pair[0]), Some(pair[1]));
            }
        }
    }
}
