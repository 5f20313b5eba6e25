//! How a long job leaves others room: after each piece of work it rests, and where it has got ahead of what others can take
//! in, it waits.

use std::time::Duration;

/// What a standby may be behind in time, besides what the setting says in bytes.
pub const LONGEST_LAG: Duration = Duration::from_secs(10);

/// What must stay free on a disk for a job to go on, whatever it is for: room for others' WAL and files. Of a small disk a
/// twentieth will do.
const LEAST_FREE: u64 = 1 << 30;

/// A disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// What is free of it.
    pub free: u64,
    /// All that there is.
    pub size: u64,
}

impl Disk {
    fn is_nearly_full(self) -> bool {
        self.free < LEAST_FREE.min(self.size / 20)
    }
}

/// How the rest of the system is, as far as it can be seen from here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strain {
    /// How many bytes of WAL the last of the standbys and subscribers has not taken in; none where there is none.
    pub lag_bytes: Option<u64>,
    /// How long ago what it took in last was written.
    pub lag: Option<Duration>,
    /// The disks that are written to, as far as they are known.
    pub disks: [Option<Disk>; 2],
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A standby or subscriber that is further behind than is allowed.
    Replication,
    /// A disk that is nearly full.
    Space,
}

impl Wait {
    /// As a job's phase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replication => "waiting for replication",
            Self::Space => "waiting for free space",
        }
    }
}

/// What to wait for before more is written; `lag_allowed` in bytes, none where nobody is to be waited for. There has to be
/// room for the next piece, too.
#[must_use]
pub fn wait(strain: &Strain, lag_allowed: Option<u64>) -> Option<Wait> {
    if strain.disks.iter().flatten().any(|disk| disk.is_nearly_full()) {
        return Some(Wait::Space);
    }
    let lag_allowed = lag_allowed?;
    let is_behind = strain.lag_bytes.is_some_and(|bytes| bytes > lag_allowed / 2)
        // Who has taken in all there is is not behind, however long nothing was written.
        || strain.lag_bytes.is_some_and(|bytes| bytes > 0) && strain.lag.is_some_and(|lag| lag > LONGEST_LAG);
    is_behind.then_some(Wait::Replication)
}

/// How long others have the machine to themselves after a piece of work that took so long, its wait for the disk included:
/// the slower the disk, the longer.
#[must_use]
pub fn rest(worked: Duration) -> Duration {
    (worked / 3).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn what_lags_is_waited_for() {
        let lags = |bytes, seconds| Strain {
            lag_bytes: Some(bytes),
            lag: Some(Duration::from_secs(seconds)),
            ..Strain::default()
        };
        assert_eq!(wait(&Strain::default(), Some(0)), None);
        assert_eq!(wait(&lags(32 * MB, 1), Some(64 * MB)), None);
        assert_eq!(wait(&lags(32 * MB + 1, 1), Some(64 * MB)), Some(Wait::Replication));
        assert_eq!(wait(&lags(1, 11), Some(64 * MB)), Some(Wait::Replication));
        assert_eq!(wait(&lags(0, 11), Some(64 * MB)), None, "nothing was written");
        assert_eq!(wait(&lags(u64::MAX, 99), None), None, "one that is behind on purpose");
    }

    #[test]
    fn a_full_disk_comes_first() {
        let lags = Strain { lag_bytes: Some(u64::MAX), ..Strain::default() };
        let with = |free, size| Strain { disks: [None, Some(Disk { free, size })], ..lags };
        assert_eq!(wait(&with(1023 * MB, 1 << 40), Some(MB)), Some(Wait::Space));
        assert_eq!(wait(&with(1024 * MB, 1 << 40), None), None);
        assert_eq!(wait(&with(30 * MB, 512 * MB), None), None, "a small disk is not full for being small");
        assert_eq!(wait(&with(20 * MB, 512 * MB), None), Some(Wait::Space));
    }

    proptest! {
        #[test]
        fn all_rests_together_take_no_more_than_a_third_of_the_work(pieces in prop::collection::vec(0u64..5_000, 0..50)) {
            let worked: Duration = pieces.iter().copied().map(Duration::from_millis).sum();
            let rested: Duration = pieces.iter().copied().map(Duration::from_millis).map(rest).sum();
            prop_assert!(rested * 3 <= worked);
        }
    }
}
