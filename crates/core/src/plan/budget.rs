//! How much may be done while locks are held.

use std::time::Duration;

/// How much work an installation or one `apply_plan()` may do while it holds locks: bytes of relations read, and time.
///
/// How long so many bytes take depends on the machine. Once locks have been held for [`Budget::A_MOMENT`], only work
/// that is soon done on any machine is begun, so that a writer waits for little more than that and one build. Who gave
/// more than [`Budget::ORDINARY`] wants it done now, however long that takes.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    left: u64,
    in_a_hurry: bool,
}

impl Budget {
    /// How long locks are held before larger work is left to jobs.
    pub const A_MOMENT: Duration = Duration::from_millis(100);
    /// Bytes of work that is soon done on any machine.
    pub const LITTLE: u64 = 1024 * 1024;
    /// The bytes that one has who says nothing.
    pub const ORDINARY: u64 = 64 * 1024 * 1024;

    /// A budget of that many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { left: bytes, in_a_hurry: bytes <= Self::ORDINARY }
    }

    /// Takes the bytes of one piece of work, if they are left and locks have not been `held` too long for it; a piece
    /// that does not fit takes nothing.
    pub fn take(&mut self, bytes: u64, held: Duration) -> bool {
        let in_time = !self.in_a_hurry || held < Self::A_MOMENT || bytes <= Self::LITTLE;
        match self.left.checked_sub(bytes).filter(|_| in_time) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_budget_is_never_overspent(total in 0..1000u64, pieces in prop::collection::vec(0..400u64, 0..20)) {
            let mut budget = Budget::new(total);
            let spent: u64 = pieces.iter().filter(|bytes| budget.take(**bytes, Duration::ZERO)).sum();
            prop_assert!(spent <= total);
        }

        #[test]
        fn when_a_moment_is_over_only_little_work_is_begun(bytes in 0..4 * Budget::LITTLE, held in 0..200u64) {
            let mut budget = Budget::new(Budget::ORDINARY);
            let begun = budget.take(bytes, Duration::from_millis(held));
            prop_assert_eq!(begun, held < 100 || bytes <= Budget::LITTLE);
            prop_assert_eq!(budget.left, Budget::ORDINARY - if begun { bytes } else { 0 });
            let mut raised = Budget::new(Budget::ORDINARY + 1);
            prop_assert!(raised.take(bytes, Duration::from_millis(held)));
        }
    }
}
