//! When a run looks at everything, and how it waits for others.

use std::time::Duration;

/// Whether a table's files have been written anew: `before` and `after` are pairs `oid/file` apart by blanks, the
/// tables themselves first and their partitions behind them. A partition that came or went is no reason.
#[must_use]
pub fn rewritten(before: &str, after: &str, tables: usize) -> bool {
    let read = |text: &str| -> Vec<(String, String)> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('/'));
        pairs.map(|(oid, file)| (oid.to_owned(), file.to_owned())).collect()
    };
    let (before, after) = (read(before), read(after));
    let same_tables = before.iter().take(tables).map(|(oid, _)| oid).eq(after.iter().take(tables).map(|(oid, _)| oid));
    !same_tables || before.iter().any(|(oid, file)| after.iter().any(|(other, now)| other == oid && now != file))
}

/// How long to wait before the next try of a batch that gave way to somebody else; nothing when it has been tried
/// long enough. `chance` from 0 to 1 keeps two that gave way from meeting again.
#[must_use]
pub fn pause(tries: u32, chance: f64) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(5);
    const TRIES: u32 = 14;
    (tries <= TRIES).then(|| {
        let pause = Duration::from_millis(25) * 2u32.saturating_pow(tries.min(8));
        pause.min(LONGEST).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_written_anew_or_replaced_is_noticed_and_new_partitions_are_none() {
        assert!(!rewritten("1/10 2/20", "1/10 2/20", 2));
        assert!(rewritten("1/10 2/20", "1/11 2/20", 2));
        assert!(rewritten("1/10 2/20", "3/10 2/20", 2));
        assert!(!rewritten("1/0 2/20 7/70", "1/0 2/20 7/70 8/80", 2));
        assert!(!rewritten("1/0 2/20 7/70 8/80", "1/0 2/20 8/80", 2));
        assert!(rewritten("1/0 2/20 7/70", "1/0 2/20 7/71", 2));
    }

    proptest! {
        #[test]
        fn pauses_grow_and_end(chance in 0.0..=1.0) {
            let all: Vec<_> = (1..).map_while(|tries| pause(tries, chance)).collect();
            prop_assert!(all.iter().all(|pause| *pause <= Duration::from_secs(5)));
            prop_assert!(all.windows(2).all(|two| two[0] <= two[1]));
            let total: Duration = all.iter().sum();
            prop_assert!(total >= Duration::from_secs(10) && total <= Duration::from_secs(60));
        }
    }
}
