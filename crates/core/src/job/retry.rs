//! Whether a job is tried again, and when.

use std::time::Duration;

/// How often a job that was refused a lock, or failed for a passing reason, is tried.
pub const MAX_ATTEMPTS: u32 = 12;

/// How long to wait before attempt `attempt + 1`: doubling from one second to five minutes, with jitter so that
/// rivals do not meet again. `jitter` is in `0.0..1.0`; the wait is between half and all of the doubled time.
#[must_use]
pub fn backoff(attempt: u32, jitter: f64) -> Duration {
    let full = 2f64.powi(i32::try_from(attempt.min(20)).unwrap_or(20)).min(300.0);
    Duration::from_secs_f64(full * (0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
}

/// Whether an error may pass by itself, so that the job is worth another attempt: locks, deadlocks, what is scarce, and a
/// node of a cluster that is not to be reached (class 08) or is starting (57P03).
#[must_use]
pub fn is_passing(sqlstate: &str) -> bool {
    sqlstate.starts_with("08")
        || matches!(
            sqlstate,
            "55P03" | "40P01" | "40001" | "53000" | "53100" | "53200" | "53300" | "55006" | "57P03"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_node_that_is_away_may_come_back_and_a_wrong_statement_stays_wrong() {
        assert!(["08006", "08001", "57P03", "40P01", "55P03"].into_iter().all(is_passing));
        assert!(!["42601", "23505", "57014", "XX000"].into_iter().any(is_passing));
    }

    proptest! {
        #[test]
        fn waits_grow_and_stay_bounded(attempt in 0..1000u32, jitter in 0.0..1.0f64) {
            let wait = backoff(attempt, jitter);
            prop_assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_secs(300));
            prop_assert!(backoff(attempt + 1, jitter) >= wait);
        }
    }
}
