//! Work that cannot be done in the caller's transaction: what it is, and what its next step is.
//!
//! A job is a step machine whose memory is the database itself. Each step is one transaction or one concurrent
//! command; after a crash the next run looks at what is there and goes on from that, so no step is ever
//! repeated to any harm.

mod request;

pub use request::JobRequest;

use crate::names::Qualified;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a job is to bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// An index, built without blocking writers.
    CreateIndex {
        /// Where it will be.
        index: Qualified,
        /// Its table or materialized view.
        table: Qualified,
        /// Key columns or expressions, in SQL, each with its direction.
        keys: Vec<String>,
        /// Its predicate, in SQL.
        predicate: Option<String>,
        /// Whether it is unique.
        unique: bool,
    },
    /// An index gone, without blocking writers.
    DropIndex {
        /// Which.
        index: Qualified,
        /// Of one that was found unused: what it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unused: Option<Definition>,
    },
    /// An index that was dropped for being unused, there again.
    RestoreIndex {
        /// Which.
        index: Qualified,
        /// What it was.
        definition: Definition,
        /// The change that dropped it.
        change: i64,
    },
    /// An index built anew, beside the old one until it is ready.
    Reindex {
        /// Which.
        index: Qualified,
        /// The OID that it had when the job was queued; a rebuilt index has another.
        before: u32,
    },
    /// A partition on its own again.
    DetachPartition {
        /// The partitioned table.
        parent: Qualified,
        /// The partition.
        partition: Qualified,
    },
    /// A partition gone, with its rows.
    DropPartition {
        /// The partitioned table.
        parent: Qualified,
        /// The partition.
        partition: Qualified,
    },
    /// A default partition without rows of periods that can have a partition of their own.
    DrainDefault {
        /// The partitioned table.
        parent: Qualified,
        /// The most rows that may be written while the table is locked.
        batch_size: i64,
    },
    /// A constraint validated.
    ValidateConstraint {
        /// Its table.
        table: Qualified,
        /// Its name.
        constraint: String,
        /// Its expression, to count the rows that violate it.
        expression: String,
    },
    /// A materialized view filled.
    RefreshView {
        /// Which.
        view: Qualified,
    },
    /// A column's statistics gathered, which a change of its type has emptied.
    Analyze {
        /// The table.
        table: Qualified,
        /// The column.
        column: String,
    },
    /// The rows of a staging table scored by the rules as they are now.
    Rescore {
        /// Which.
        table: Qualified,
    },
    /// An item of the plan carried out in a transaction of its own, once its locks are to be had.
    AlterTable {
        /// The item's id.
        item: String,
    },
    /// A table partitioned while writers go on.
    PartitionTable {
        /// Which.
        table: Qualified,
    },
    /// A partitioned table as it was before, with all that was written since.
    UndoPartitioning {
        /// Which.
        table: Qualified,
    },
    /// The unpartitioned table of a converted one gone.
    FinalizePartitioning {
        /// Which.
        table: Qualified,
    },
    /// What a converted table's unpartitioned one lacks, brought to it.
    CatchUp {
        /// Which.
        table: Qualified,
    },
}

impl Task {
    /// The kind's name in `groundskeeper.jobs`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateIndex { .. } | Self::RestoreIndex { .. } => "create_index",
            Self::DropIndex { .. } => "drop_index",
            Self::Reindex { .. } => "reindex",
            Self::DetachPartition { .. } => "detach_partition",
            Self::DropPartition { .. } => "drop_partition",
            Self::DrainDefault { .. } => "drain_default",
            Self::ValidateConstraint { .. } => "validate_constraint",
            Self::RefreshView { .. } => "refresh_view",
            Self::Analyze { .. } => "analyze",
            Self::Rescore { .. } => "rescore",
            Self::AlterTable { .. } => "alter_table",
            Self::PartitionTable { .. } => "partition_table",
            Self::UndoPartitioning { .. } => "undo_partitioning",
            Self::FinalizePartitioning { .. } => "finalize_partitioning",
            Self::CatchUp { .. } => "catch_up",
        }
    }

    /// Whether it reads a relation from end to end, and so takes a processor and the disk for a while.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        match self {
            Self::CreateIndex { .. }
            | Self::RestoreIndex { .. }
            | Self::Reindex { .. }
            | Self::ValidateConstraint { .. }
            | Self::RefreshView { .. }
            | Self::PartitionTable { .. }
            | Self::UndoPartitioning { .. }
            | Self::FinalizePartitioning { .. } => true,
            Self::DropIndex { .. }
            | Self::DetachPartition { .. }
            | Self::DropPartition { .. }
            | Self::DrainDefault { .. }
            | Self::Analyze { .. }
            | Self::Rescore { .. }
            | Self::AlterTable { .. }
            | Self::CatchUp { .. } => false,
        }
    }
}

/// What an index was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its OID: another index may have its name by now.
    pub oid: u32,
    /// Its table or materialized view.
    pub table: Qualified,
    /// `CREATE INDEX`, in PostgreSQL's words.
    pub statement: String,
    /// What else belongs to it, such as a comment.
    pub after: Vec<String>,
    /// Whether it is partitioned.
    pub partitioned: bool,
}

impl Definition {
    /// The statement that builds it without blocking writers, where there is one.
    #[must_use]
    pub fn concurrently(&self) -> Option<String> {
        let build = [
            ("CREATE INDEX ", "CREATE INDEX CONCURRENTLY "),
            ("CREATE UNIQUE INDEX ", "CREATE UNIQUE INDEX CONCURRENTLY "),
        ];
        build.iter().filter(|_| !self.partitioned).find_map(|(plain, concurrent)| {
            self.statement.strip_prefix(plain).map(|rest| format!("{concurrent}{rest}"))
        })
    }

    /// All statements that bring it back.
    #[must_use]
    pub fn script(&self) -> Vec<String> {
        std::iter::once(self.statement.clone()).chain(self.after.iter().cloned()).collect()
    }
}

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

    /// The load with one more job.
    #[must_use]
    pub fn with(self, heavy: bool) -> Self {
        Self { open: self.open + 1, working: self.working + usize::from(heavy) }
    }
}

/// How often a job that was refused a lock, or failed for a passing reason, is tried.
pub const MAX_ATTEMPTS: u32 = 12;

/// How long to wait before attempt `attempt + 1`: doubling from one second to five minutes, with jitter so that
/// rivals do not meet again. `jitter` is in `0.0..1.0`; the wait is between half and all of the doubled time.
#[must_use]
pub fn backoff(attempt: u32, jitter: f64) -> Duration {
    let full = 2f64.powi(i32::try_from(attempt.min(20)).unwrap_or(20)).min(300.0);
    Duration::from_secs_f64(full * (0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
}

/// Whether an error may pass by itself, so that the job is worth another attempt.
#[must_use]
pub fn is_passing(sqlstate: &str) -> bool {
    matches!(sqlstate, "55P03" | "40P01" | "40001" | "53000" | "53100" | "53200" | "53300" | "55006")
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

        #[test]
        fn waits_grow_and_stay_bounded(attempt in 0..1000u32, jitter in 0.0..1.0f64) {
            let wait = backoff(attempt, jitter);
            prop_assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_secs(300));
            prop_assert!(backoff(attempt + 1, jitter) >= wait);
        }
    }

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
        }
    }

    #[test]
    fn a_detach_goes_on_where_it_was_interrupted() {
        assert_eq!(towards_detached(DetachState::Attached, false), DetachStep::Concurrently);
        assert_eq!(towards_detached(DetachState::Attached, true), DetachStep::Briefly);
        assert_eq!(towards_detached(DetachState::Pending, false), DetachStep::Finalize);
        assert_eq!(towards_detached(DetachState::Detached, true), DetachStep::Done);
    }

    #[test]
    fn tasks_survive_being_stored() {
        let task = Task::DropIndex {
            index: Qualified { schema: "we\"ird".into(), name: "i.x".into() },
            unused: None,
        };
        let stored = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&stored).unwrap(), task);
        let older = r#"{"kind":"drop_index","index":{"schema":"s","name":"i"}}"#;
        assert!(matches!(serde_json::from_str(older), Ok(Task::DropIndex { unused: None, .. })));
    }

    #[test]
    fn a_definition_is_built_without_blocking_writers() {
        let definition = |statement: &str, partitioned| Definition {
            oid: 1,
            table: Qualified { schema: "s".into(), name: "t".into() },
            statement: statement.into(),
            after: vec!["COMMENT ON INDEX s.i IS 'x'".into()],
            partitioned,
        };
        let plain = definition("CREATE INDEX i ON s.t USING btree (a)", false);
        assert_eq!(plain.concurrently().unwrap(), "CREATE INDEX CONCURRENTLY i ON s.t USING btree (a)");
        assert_eq!(plain.script().len(), 2);
        assert_eq!(definition("CREATE INDEX i ON s.t USING btree (a)", true).concurrently(), None);
    }
}
