//! How long calls took: counts in buckets whose width is at most a sixteenth of their value.
//!
//! What is kept of a call is its bucket, so a quantile is at most 6.25 % off; histograms are added, and one is
//! subtracted from a later one, without losing more.

mod bucket;
mod encoding;

pub use bucket::{BUCKETS, OBJECTIVE_US, bounds, index};
pub use encoding::{Malformed, decode, encode};

/// Counts by bucket, with what buckets do not tell. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64]>,
    /// How many of the calls failed.
    pub failed: u64,
    /// What no call took longer than; the longest call itself, or a bucket's end beyond it.
    pub longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), failed: 0, longest: 0 }
    }
}

impl Histogram {
    /// A histogram with these counts in its buckets; what is beyond the last bucket is left out.
    #[must_use]
    pub fn from_counts(counts: impl IntoIterator<Item = (usize, u64)>, failed: u64, longest: u64) -> Self {
        let mut histogram = Self { failed, longest, ..Self::default() };
        for (bucket, count) in counts {
            if let Some(own) = histogram.counts.get_mut(bucket) {
                *own += count;
            }
        }
        histogram
    }

    /// Counts one call.
    pub fn record(&mut self, microseconds: u64, failed: bool) {
        if let Some(count) = self.counts.get_mut(index(microseconds)) {
            *count += 1;
        }
        self.failed += u64::from(failed);
        self.longest = self.longest.max(microseconds);
    }

    /// The buckets that are not empty, with their counts, shortest first.
    pub fn occupied(&self) -> impl DoubleEndedIterator<Item = (usize, u64)> + '_ {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many calls took [`OBJECTIVE_US`] or longer: an exact count, as a bucket begins there.
    #[must_use]
    pub fn over_objective(&self) -> u64 {
        self.counts.iter().skip(index(OBJECTIVE_US)).sum()
    }

    /// How many calls took less than that; those whose bucket ends beyond it are left out.
    #[must_use]
    pub fn below(&self, microseconds: u64) -> u64 {
        self.occupied()
            .take_while(|(bucket, _)| bounds(*bucket).1 <= microseconds)
            .map(|(_, count)| count)
            .sum()
    }

    /// The time that a share `q` of the calls did not exceed; nothing where there were no calls.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let calls = self.calls();
        let rank = ((q * calls as f64).ceil() as u64).clamp(1, calls.max(1));
        let mut passed = 0;
        let (bucket, _) = self.occupied().find(|(_, count)| {
            passed += count;
            passed >= rank
        })?;
        Some(middle(bucket).min(self.longest as f64))
    }

    /// All calls together, each at the middle of its bucket.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.occupied().map(|(bucket, count)| middle(bucket) * count as f64).sum()
    }

    /// Adds another's calls.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.failed += other.failed;
        self.longest = self.longest.max(other.longest);
    }

    /// The calls that have been counted since `earlier`. Counts that are less than they were have begun anew, so
    /// that all of them are since then.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let began_anew = self.counts.iter().zip(&earlier.counts).any(|(now, then)| now < then);
        if began_anew || self.failed < earlier.failed { self.clone() } else { self.without(earlier) }
    }

    /// The calls that are not among another's, which may hold some that are not among these.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let left = self.counts.iter().zip(&other.counts).map(|(all, others)| all.saturating_sub(*others));
        let mut rest = Self::from_counts(left.enumerate(), self.failed.saturating_sub(other.failed), 0);
        let last = rest.occupied().next_back().map_or(0, |(bucket, _)| bounds(bucket).1 - 1);
        rest.longest = if self.longest > other.longest { self.longest } else { last.min(self.longest) };
        rest
    }
}

/// What stands for the calls of a bucket.
fn middle(bucket: usize) -> f64 {
    let (first, end) = bounds(bucket);
    (first + (end - 1)) as f64 / 2.0
}

#[cfg(test)]
mod tests;
