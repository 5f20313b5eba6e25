//! What a report says of a histogram.

use super::data::Quantiles;
use crate::histogram::Histogram;

/// Where bands of latency end, in milliseconds. The objective is among them, and exact; the others are at most a bucket
/// off.
pub const BOUNDS_MS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// Calls by band, one more than there are bounds.
#[must_use]
pub fn bands(histogram: &Histogram) -> Vec<i64> {
    let mut below = 0;
    let ends = BOUNDS_MS.map(|bound| histogram.below(bound * 1000)).into_iter().chain([histogram.calls()]);
    ends.map(|end| {
        let calls = end - below;
        below = end;
        whole(calls)
    })
    .collect()
}

impl From<&Histogram> for Quantiles {
    fn from(histogram: &Histogram) -> Self {
        let milliseconds = |q| histogram.quantile(q).map(|microseconds| microseconds / 1000.0);
        Self {
            calls: whole(histogram.calls()),
            p50_ms: milliseconds(0.5),
            p95_ms: milliseconds(0.95),
            p99_ms: milliseconds(0.99),
            over_objective: whole(histogram.over_objective()),
            failed: whole(histogram.failed),
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_in_one_band() {
        let mut histogram = Histogram::default();
        for time in [0, 999, 7_000, 499_999, 500_000, 90_000_000] {
            histogram.record(time, false);
        }
        let bands = bands(&histogram);
        assert_eq!(bands.len(), BOUNDS_MS.len() + 1);
        assert_eq!(bands.iter().sum::<i64>(), 6);
        assert_eq!((bands[7], bands[8], bands[12]), (1, 1, 1), "the objective is exact");
        assert_eq!(Quantiles::from(&histogram).over_objective, 2);
    }
}
