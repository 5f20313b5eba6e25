//! Which periods of a table lack a partition, and which partitions do not fit the periods.

use super::Interval;
use chrono::NaiveDate;

/// One end of a partition's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// `MINVALUE` or `MAXVALUE`, or an infinite date.
    Unbounded,
    /// The beginning of that day, in the table's zone.
    Day(NaiveDate),
    /// Within that day: of no period's beginning.
    Within(NaiveDate),
}

impl Edge {
    /// The day that it is in, or begins.
    #[must_use]
    pub fn day(self) -> Option<NaiveDate> {
        match self {
            Self::Unbounded => None,
            Self::Day(day) | Self::Within(day) => Some(day),
        }
    }

    fn fits(self, interval: Interval) -> bool {
        match self {
            Self::Unbounded => true,
            Self::Day(day) => interval.starts_with(day),
            Self::Within(_) => false,
        }
    }
}

/// A partition that is not the default one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its name, as it is to be reported.
    pub name: String,
    /// Where its range begins, this included.
    pub from: Edge,
    /// Where its range ends, this excluded.
    pub to: Edge,
}

impl Existing {
    /// Whether its range has anything of the days from `from` to before `to`.
    fn touches(&self, from: NaiveDate, to: NaiveDate) -> bool {
        let begins_before = self.from.day().is_none_or(|begin| begin < to);
        let ends_after = match self.to {
            Edge::Unbounded => true,
            Edge::Day(end) => end > from,
            Edge::Within(end) => end >= from,
        };
        begins_before && ends_after
    }

    /// Whether both ends are where periods begin.
    #[must_use]
    pub fn fits(&self, interval: Interval) -> bool {
        self.from.fits(interval) && self.to.fits(interval)
    }
}

/// How many periods without a partition are counted.
pub const MAX_GAPS: usize = 10_000;

/// The longest stretch between two partitions that is a gap. A longer one sets an outlier apart: a partition of
/// 1970 does not ask for all months since.
pub const MAX_STRETCH: usize = 60;

/// What is there and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The periods asked for, in order, each with the partition that has it, by position.
    pub wanted: Vec<(NaiveDate, Option<usize>)>,
    /// The periods without a partition that lie between partitions, or between the last of them and the first
    /// period asked for; the first [`MAX_GAPS`] of them.
    pub gaps: Vec<NaiveDate>,
    /// The partitions with an end where no period begins, by position.
    pub misaligned: Vec<usize>,
    /// Those of them that lie where partitions are asked for or missing, or after that: one made beside them
    /// would overlap them or leave a gap that no period fills.
    pub in_the_way: Vec<usize>,
}

impl Report {
    /// The first period without a partition.
    #[must_use]
    pub fn first_missing(&self) -> Option<NaiveDate> {
        let wanted = self.wanted.iter().find(|(_, partition)| partition.is_none());
        self.gaps.first().copied().into_iter().chain(wanted.map(|(start, _)| *start)).min()
    }
}

/// Compares the partitions that exist with the periods asked for, which come in order. Gaps are looked for from
/// the first partition with a beginning to the first period asked for, and never beyond: a partition or a row far
/// in the future asks for nothing.
#[must_use]
pub fn judge(interval: Interval, existing: &[Existing], wanted: &[NaiveDate]) -> Report {
    let holder = |start: NaiveDate| {
        let end = interval.next(start)?;
        existing.iter().position(|partition| partition.touches(start, end))
    };
    let gaps = wanted.first().map_or_else(Vec::new, |first| gaps_before(interval, existing, *first));
    let first = gaps.first().into_iter().chain(wanted.first()).min().copied();
    let misaligned: Vec<usize> = (0..existing.len()).filter(|at| !existing[*at].fits(interval)).collect();
    // One that ends within a day leaves the rest of that day to nobody, once the next one is made.
    let end = |at: usize| match existing[at].to {
        Edge::Within(day) => day.succ_opt(),
        to => to.day(),
    };
    let matters = |at: &usize| first.is_some_and(|first| end(*at).is_none_or(|end| end >= first));
    Report {
        wanted: wanted.iter().map(|start| (*start, holder(*start))).collect(),
        gaps,
        in_the_way: misaligned.iter().copied().filter(matters).collect(),
        misaligned,
    }
}

/// Gaps that are not filled unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The first of them.
    pub first: NaiveDate,
    /// The last of them.
    pub last: NaiveDate,
    /// How many there are.
    pub count: usize,
    /// How many periods back the first of them is: what [`leave_old`] would have to be given to leave none.
    pub back: usize,
}

/// Takes those out of the gaps, which come in order, that lie further back than the newest `most` periods before `end`,
/// the first period asked for. So a set of long ago that is taken over does not get all periods since, neither at once
/// nor by and by, and what has come to a standstill goes on from where rows still arrive.
pub fn leave_old(interval: Interval, gaps: &mut Vec<NaiveDate>, end: NaiveDate, most: usize) -> Option<Left> {
    let first = *gaps.first()?;
    let all = periods(interval, Some(first), end);
    let begin = all.len().checked_sub(most).map_or(first, |at| all.get(at).copied().unwrap_or(end));
    let count = gaps.partition_point(|gap| *gap < begin);
    let last = *gaps[..count].last()?;
    gaps.drain(..count);
    Some(Left { first, last, count, back: all.len() })
}

/// The periods without a partition from the first partition on to before `end`.
fn gaps_before(interval: Interval, existing: &[Existing], end: NaiveDate) -> Vec<NaiveDate> {
    let mut ranges: Vec<_> =
        existing.iter().map(|partition| (partition.from.day(), partition.to.day())).collect();
    ranges.sort_unstable();
    let mut gaps = Vec::new();
    // the first day after all ranges so far
    let mut reached: Option<NaiveDate> = None;
    for (from, to) in ranges {
        if let Some(from) = from {
            let stretch = periods(interval, reached, from.min(end));
            if from >= end || stretch.len() <= MAX_STRETCH {
                gaps.extend(stretch);
            }
        }
        let Some(to) = to else { return gaps };
        reached = reached.max(Some(to));
    }
    gaps.extend(periods(interval, reached, end));
    gaps.truncate(MAX_GAPS);
    gaps
}

/// The periods that lie wholly between two days.
fn periods(interval: Interval, from: Option<NaiveDate>, to: NaiveDate) -> Vec<NaiveDate> {
    let first = from.and_then(|day| if interval.starts_with(day) { Some(day) } else { interval.next(day) });
    std::iter::successors(first, |start| interval.next(*start))
        .take_while(|start| interval.next(*start).is_some_and(|next| next <= to))
        .take(MAX_GAPS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn month(year: i32, month: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, 1).unwrap()
    }

    fn partition(from: NaiveDate, to: NaiveDate) -> Existing {
        Existing { name: from.to_string(), from: Edge::Day(from), to: Edge::Day(to) }
    }

    #[test]
    fn gaps_are_found_and_the_far_future_asks_for_nothing() {
        let there = [
            partition(month(2099, 1), month(2099, 2)),
            partition(month(2025, 1), month(2025, 2)),
            partition(month(2025, 4), month(2025, 5)),
        ];
        let report = judge(Interval::Month, &there, &[month(2025, 6), month(2025, 7)]);
        assert_eq!(report.gaps, [month(2025, 2), month(2025, 3), month(2025, 5)]);
        assert_eq!(report.wanted, [(month(2025, 6), None), (month(2025, 7), None)]);
        assert_eq!(report.first_missing(), Some(month(2025, 2)));
        assert!(report.misaligned.is_empty());
    }

    #[test]
    fn an_outlier_is_no_gap_but_a_standstill_is() {
        let there = [partition(month(1970, 1), month(1970, 2)), partition(month(2025, 1), month(2025, 2))];
        assert_eq!(judge(Interval::Month, &there, &[month(2025, 3)]).gaps, [month(2025, 2)]);
        assert_eq!(judge(Interval::Month, &there[..1], &[month(2025, 3)]).gaps.len(), 55 * 12 + 1);
    }

    #[test]
    fn longer_and_unbounded_partitions_have_their_months() {
        let there = [
            Existing { name: "old".into(), from: Edge::Unbounded, to: Edge::Day(month(2024, 1)) },
            partition(month(2024, 1), month(2025, 1)),
            Existing { name: "new".into(), from: Edge::Day(month(2025, 1)), to: Edge::Unbounded },
        ];
        let report = judge(Interval::Month, &there, &[month(2024, 12), month(2025, 1)]);
        assert_eq!(report.wanted, [(month(2024, 12), Some(1)), (month(2025, 1), Some(2))]);
        assert!(report.gaps.is_empty() && report.misaligned.is_empty());
        assert_eq!(report.first_missing(), None);
    }

    #[test]
    fn bounds_of_another_zone_are_in_the_way_where_partitions_are_to_be_made() {
        let within = |year, m| Edge::Within(month(year, m).pred_opt().unwrap());
        let utc = [Existing { name: "utc".into(), from: within(2025, 10), to: within(2025, 11) }];
        for wanted in [month(2025, 10), month(2025, 11)] {
            let report = judge(Interval::Month, &utc, &[wanted]);
            assert_eq!((report.misaligned, report.in_the_way), (vec![0], vec![0]));
        }
        let old = [utc[0].clone(), partition(month(2025, 11), month(2025, 12))];
        let report = judge(Interval::Month, &old, &[month(2025, 12)]);
        assert_eq!((report.misaligned, report.in_the_way), (vec![0], vec![]));
    }

    #[test]
    fn gaps_of_long_ago_are_left_and_stay_so() {
        let there = [partition(month(2022, 7), month(2022, 8))];
        let mut gaps = judge(Interval::Month, &there, &[month(2026, 11)]).gaps;
        let left = leave_old(Interval::Month, &mut gaps, month(2026, 11), 24);
        let expected = Left { first: month(2022, 8), last: month(2024, 10), count: 27, back: 51 };
        assert_eq!(left, Some(expected));
        assert_eq!((gaps.len(), gaps[0]), (24, month(2024, 11)));
        assert_eq!(
            leave_old(Interval::Month, &mut gaps.clone(), month(2026, 11), 24),
            None,
            "as many as may be"
        );
        assert_eq!(leave_old(Interval::Month, &mut gaps.clone(), month(2026, 11), 0).unwrap().count, 24);
        assert_eq!(leave_old(Interval::Month, &mut Vec::new(), month(2026, 11), 0), None);
        let mut one = vec![month(2022, 9)];
        assert_eq!(leave_old(Interval::Month, &mut one.clone(), month(2026, 11), 50), None);
        assert_eq!(leave_old(Interval::Month, &mut one, month(2026, 11), 49).unwrap().back, 50);
        assert!(one.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_missing_is_exactly_what_was_left_out(present in prop::collection::vec(any::<bool>(), 1..60), ahead in 1..6u32, at in 0..5usize) {
            let interval = Interval::ALL[at];
            let first = interval.floor(month(2020, 1)).unwrap();
            let all = interval.premade(first, u32::try_from(present.len()).unwrap() + ahead);
            let (past, wanted) = all.split_at(present.len());
            let there: Vec<_> = past.iter().zip(&present).filter(|(_, p)| **p)
                .map(|(start, _)| partition(*start, interval.next(*start).unwrap())).collect();
            let report = judge(interval, &there, wanted);
            let begun = present.iter().position(|p| *p).unwrap_or(present.len());
            let expected: Vec<_> = past.iter().zip(&present).skip(begun).filter(|(_, p)| !**p)
                .map(|(start, _)| *start).collect();
            prop_assert_eq!(report.gaps, expected);
            prop_assert!(report.wanted.iter().all(|(_, partition)| partition.is_none()));
            prop_assert!(report.misaligned.is_empty());
        }
    }
}
