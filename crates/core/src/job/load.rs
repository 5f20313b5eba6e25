//! How much is done at once.

/// How much may be done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Jobs of any kind, those that wait for a lock included.
    pub open: usize,
    /// Heavy jobs that are at work.
    pub working: usize,
    /// Parallel workers of one build, beside its own process.
    pub parallel_workers: usize,
}

impl Limits {
    /// Heavy work takes half of the processors together, so that the other half is left to the application: as many
    /// jobs as `max_workers` allows, and what remains of the half as their parallel workers.
    #[must_use]
    pub fn new(max_workers: usize, cores: usize) -> Self {
        let half = (cores / 2).max(1);
        let working = max_workers.clamp(1, half);
        Self { open: max_workers, working, parallel_workers: half / working - 1 }
    }
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Jobs of any kind that have a worker.
    pub open: usize,
    /// Heavy jobs among them that are at work.
    pub working: usize,
}

impl Load {
    /// Whether one more job may start.
    #[must_use]
    pub fn admits(self, heavy: bool, limits: Limits) -> bool {
        self.open < limits.open && (!heavy || self.working < limits.working)
    }

    /// Whether a job of a role that has none at work may start: others who take all places, or let theirs work for ever,
    /// keep nobody waiting. There are as many places for this again.
    #[must_use]
    pub fn admits_first_of_role(self, limits: Limits) -> bool {
        self.open < 2 * limits.open
    }

    /// The load with one more job.
    #[must_use]
    pub fn with(self, heavy: bool) -> Self {
        Self { open: self.open + 1, working: self.working + usize::from(heavy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heavy_work_leaves_half_of_the_processors(max_workers in 1..64usize, cores in 1..256usize) {
            let limits = Limits::new(max_workers, cores);
            prop_assert!(limits.working >= 1 && limits.working <= max_workers);
            prop_assert!(limits.working * (1 + limits.parallel_workers) <= (cores / 2).max(1));
            let mut load = Load::default();
            while load.admits(true, limits) {
                load = load.with(true);
            }
            prop_assert_eq!(load.working, limits.working);
            while load.admits(false, limits) {
                load = load.with(false);
            }
            prop_assert_eq!(load.open, max_workers);
            prop_assert!(load.admits_first_of_role(limits));
            while load.admits_first_of_role(limits) {
                load = load.with(true);
            }
            prop_assert_eq!(load.open, 2 * max_workers);
        }
    }
}
