//! Workers are the server's, and so few that databases take turns.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Entries that tell whether all is well: they are brief, and wait for nothing else.
const WATCHERS: [&str; 2] = ["alerts", "metrics"];

/// Whether an entry of that name waits for no long one, be it another database's.
#[must_use]
pub fn is_watcher(entry: &str) -> bool {
    WATCHERS.contains(&entry)
}

/// How late an entry may be before that is said.
#[must_use]
pub fn patience(entry: &str) -> Duration {
    Duration::from_secs(if is_watcher(entry) { 60 } else { 600 })
}

/// How many long runs all databases may have at once, on a server with so many workers. A `CALL` takes two of them; a
/// scheduler and a brief run must find one each, beside what others need.
#[must_use]
pub fn room_for_long_runs(workers: usize) -> usize {
    (workers / 4).max(1)
}

/// How many databases may be looked at at once: one after the other where workers are scarce, as two schedulers would
/// take them from each other's runs.
#[must_use]
pub fn looks_at_once(scarce: bool) -> usize {
    if scarce { 1 } else { 4 }
}

/// Who waits for room for a long run, and since when.
#[derive(Debug, Clone, Default)]
pub struct Turns<K> {
    waiting: HashMap<K, i64>,
}

impl<K: Copy + Ord + Hash> Turns<K> {
    /// Takes note of what one was heard to wait for: since when, or for nothing.
    pub fn heard(&mut self, who: K, since: Option<i64>) {
        match since {
            Some(since) => drop(self.waiting.insert(who, since)),
            None => drop(self.waiting.remove(&who)),
        }
    }

    /// Forgets all but these.
    pub fn keep(&mut self, known: &[K]) {
        self.waiting.retain(|who, _| known.contains(who));
    }

    /// How many long runs one may begin now, if there is room: any number where nobody else waits, one where nobody
    /// has waited for longer, else none.
    #[must_use]
    pub fn grant(&self, who: K) -> usize {
        let others =
            || self.waiting.iter().filter(|(other, _)| **other != who).map(|(other, at)| (*at, *other));
        let mine = self.waiting.get(&who).map(|at| (*at, who));
        match (others().min(), mine) {
            (None, _) => usize::MAX,
            (Some(first), Some(mine)) if mine < first => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_has_waited_longest_is_next() {
        let mut turns = Turns::default();
        assert_eq!(turns.grant('a'), usize::MAX);
        turns.heard('a', Some(5));
        turns.heard('b', Some(3));
        assert_eq!((turns.grant('a'), turns.grant('b'), turns.grant('c')), (0, 1, 0));
        turns.heard('b', None);
        assert_eq!((turns.grant('a'), turns.grant('b')), (usize::MAX, 0));
        turns.keep(&['b']);
        assert_eq!(turns.grant('b'), usize::MAX);
    }

    #[test]
    fn a_small_server_has_room_for_what_tells_whether_all_is_well() {
        // The two launchers, two calls of two workers each; a scheduler and a brief run.
        assert!(2 + 2 * room_for_long_runs(8) + 2 <= 8);
        assert_eq!(room_for_long_runs(1), 1);
        assert!(is_watcher("alerts") && !is_watcher("statistics"));
        assert!(patience("alerts") < patience("statistics"));
    }

    proptest! {
        /// Databases with endless work and one slot: each is served before any is served a third time.
        #[test]
        fn nobody_waits_for_ever(order in prop::collection::vec(0_u32..5, 200..400)) {
            let mut turns = Turns::default();
            for who in 0..5 {
                turns.heard(who, Some(i64::from(who)));
            }
            let mut served: Vec<u32> = Vec::new();
            for (now, who) in order.into_iter().enumerate() {
                if turns.grant(who) > 0 {
                    served.push(who);
                    turns.heard(who, Some(10 + now as i64));
                }
            }
            for round in served.windows(5) {
                let mut round = round.to_vec();
                round.sort_unstable();
                round.dedup();
                prop_assert_eq!(round.len(), 5);
            }
        }
    }
}
