//! What partitions are called.

use super::Interval;
use crate::names::labelled;
use chrono::{Datelike, NaiveDate};

/// The name of the partition that begins with `start`: `bets_2025_07`.
#[must_use]
pub fn partition_name(table: &str, interval: Interval, start: NaiveDate) -> String {
    labelled(table, &label(interval, start))
}

/// The name of a table's default partition.
#[must_use]
pub fn default_name(table: &str) -> String {
    labelled(table, "default")
}

/// What the names of a table's partitions begin with: what that of an existing one does, else the table's own
/// name without the `_partitioned` of a shadow made beside an unpartitioned table.
#[must_use]
pub fn stem<'a>(table: &'a str, interval: Interval, existing: Option<(&'a str, NaiveDate)>) -> &'a str {
    existing
        .and_then(|(name, start)| name.strip_suffix(&format!("_{}", label(interval, start))))
        .filter(|stem| !stem.is_empty())
        .unwrap_or_else(|| table.strip_suffix("_partitioned").filter(|s| !s.is_empty()).unwrap_or(table))
}

fn label(interval: Interval, start: NaiveDate) -> String {
    match interval {
        Interval::Day => format!("{:04}_{:02}_{:02}", start.year(), start.month(), start.day()),
        Interval::Week => format!("{:04}_w{:02}", start.iso_week().year(), start.iso_week().week()),
        Interval::Month => format!("{:04}_{:02}", start.year(), start.month()),
        Interval::Quarter => format!("{:04}_q{}", start.year(), start.month0() / 3 + 1),
        Interval::Year => format!("{:04}", start.year()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Days;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn names_are_the_plans() {
        let name = |interval, start| partition_name("bets", interval, start);
        assert_eq!(name(Interval::Day, day(2025, 7, 4)), "bets_2025_07_04");
        assert_eq!(name(Interval::Week, day(2025, 12, 29)), "bets_2026_w01");
        assert_eq!(name(Interval::Month, day(2025, 7, 1)), "bets_2025_07");
        assert_eq!(name(Interval::Quarter, day(2025, 7, 1)), "bets_2025_q3");
        assert_eq!(name(Interval::Year, day(2025, 1, 1)), "bets_2025");
        assert_eq!(default_name("bets"), "bets_default");
    }

    #[test]
    fn long_names_keep_their_period_and_go_on_as_they_began() {
        let table = "ü".repeat(31);
        let (july, august) = (day(2025, 7, 1), day(2025, 8, 1));
        let name = |start| partition_name(&table, Interval::Month, start);
        assert!(name(july).ends_with("_2025_07") && name(july).len() <= 63, "{}", name(july));
        let first = name(july);
        let stem = stem(&table, Interval::Month, Some((&first, july)));
        assert_eq!(partition_name(stem, Interval::Month, august), name(august));
        assert!(default_name(&table).ends_with("_default"));
    }

    #[test]
    fn a_twin_made_by_hand_goes_on_with_its_names() {
        let july = day(2025, 7, 1);
        assert_eq!(stem("bets_partitioned", Interval::Month, None), "bets");
        assert_eq!(stem("bets_partitioned", Interval::Month, Some(("b_2025_07", july))), "b");
        assert_eq!(stem("bets", Interval::Month, Some(("whatever", july))), "bets");
        assert_eq!(stem("_partitioned", Interval::Month, Some(("_2025_07", july))), "_partitioned");
    }

    proptest! {
        #[test]
        fn names_of_one_table_are_distinct(table in "\\PC{1,63}", interval in 0..5usize, days in 0..60_000u64) {
            let interval = Interval::ALL[interval];
            let from = day(1900, 1, 1) + Days::new(days);
            let starts = interval.premade(from, 60);
            let names: HashSet<_> = starts.iter().map(|s| partition_name(&table, interval, *s)).collect();
            prop_assert_eq!(names.len(), starts.len());
            prop_assert!(names.iter().all(|name| name.len() <= 63));
            prop_assert!(!names.contains(&default_name(&table)));
        }

        #[test]
        fn a_name_gives_its_stem_back(table in "[a-z_]{1,40}", interval in 0..5usize, days in 0..60_000u64) {
            let interval = Interval::ALL[interval];
            let start = interval.floor(day(1900, 1, 1) + Days::new(days)).unwrap();
            let name = partition_name(&table, interval, start);
            prop_assert_eq!(stem("other", interval, Some((&name, start))), table);
        }
    }
}
