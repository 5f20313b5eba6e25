//! The next step of a job, from what is there.

/// What there is of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// Nothing.
    Absent,
    /// A leftover of a build or drop that did not end.
    Invalid,
    /// An index that queries may use.
    Valid,
}

/// The next step towards an index, or towards its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexStep {
    /// Build it.
    Build,
    /// Drop what is there.
    Drop,
    /// Nothing is left to do.
    Done,
}

/// What to do next so that an index is there and valid.
#[must_use]
pub fn towards_index(state: IndexState) -> IndexStep {
    match state {
        IndexState::Absent => IndexStep::Build,
        IndexState::Invalid => IndexStep::Drop,
        IndexState::Valid => IndexStep::Done,
    }
}

/// What to do next so that an index is gone.
#[must_use]
pub fn towards_no_index(state: IndexState) -> IndexStep {
    match state {
        IndexState::Absent => IndexStep::Done,
        IndexState::Invalid | IndexState::Valid => IndexStep::Drop,
    }
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetachState {
    /// A partition like any other.
    Attached,
    /// Between the two transactions of a concurrent detach.
    Pending,
    /// A table of its own.
    Detached,
}

/// The next step towards a detached partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetachStep {
    /// Without blocking writers.
    Concurrently,
    /// The second half of a concurrent detach that was interrupted.
    Finalize,
    /// Under a lock that is held for a moment.
    Briefly,
    /// Nothing is left to do.
    Done,
}

/// What to do next so that a partition is detached. Beside a default partition PostgreSQL refuses to do it
/// concurrently.
#[must_use]
pub fn towards_detached(state: DetachState, has_default: bool) -> DetachStep {
    match (state, has_default) {
        (DetachState::Detached, _) => DetachStep::Done,
        (DetachState::Pending, _) => DetachStep::Finalize,
        (DetachState::Attached, true) => DetachStep::Briefly,
        (DetachState::Attached, false) => DetachStep::Concurrently,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Follows the steps of an index job, `crash` saying which steps leave an INVALID index behind.
    fn run(
        towards: fn(IndexState) -> IndexStep,
        mut state: IndexState,
        crashes: &[bool],
    ) -> (IndexState, usize) {
        let mut steps = 0;
        let mut crashes = crashes.iter().copied();
        loop {
            let crashed = crashes.next().unwrap_or(false);
            state = match towards(state) {
                IndexStep::Done => return (state, steps),
                _ if crashed => IndexState::Invalid,
                IndexStep::Build => IndexState::Valid,
                IndexStep::Drop => IndexState::Absent,
            };
            steps += 1;
        }
    }

    proptest! {
        #[test]
        fn index_jobs_converge_whatever_crashes(crashes in prop::collection::vec(any::<bool>(), 0..10), start in 0..3) {
            let start = [IndexState::Absent, IndexState::Invalid, IndexState::Valid][start as usize];
            prop_assert_eq!(run(towards_index, start, &crashes).0, IndexState::Valid);
            let (gone, steps) = run(towards_no_index, start, &crashes);
            prop_assert_eq!(gone, IndexState::Absent);
            prop_assert!(steps <= crashes.len() + 2);
        }
    }

    #[test]
    fn a_detach_goes_on_where_it_was_interrupted() {
        assert_eq!(towards_detached(DetachState::Attached, false), DetachStep::Concurrently);
        assert_eq!(towards_detached(DetachState::Attached, true), DetachStep::Briefly);
        assert_eq!(towards_detached(DetachState::Pending, false), DetachStep::Finalize);
        assert_eq!(towards_detached(DetachState::Detached, true), DetachStep::Done);
    }
}
