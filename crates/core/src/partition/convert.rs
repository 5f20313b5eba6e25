//! A live table becomes a partitioned one, and back: which step comes next.
//!
//! Each stage is written down in the transaction that reaches it, so a run after a crash goes on from the last one.

/// How far a table has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asked for; nothing is made yet.
    Begun,
    /// The shadow is there, empty.
    Shadowed,
    /// Every change to the table is written to a log.
    Captured,
    /// Every row is copied.
    Copied,
    /// The shadow has its indexes.
    Indexed,
    /// Count and checksum of both were equal, outside of what the log names.
    Proven,
    /// The shadow has the table's name; what may be done without a strong lock is still to be done.
    Swapped,
    /// The table is partitioned. The unpartitioned one is kept, and the log says what it lacks.
    Converted,
    /// As `Converted`, and proven to be equal again: the way back, or the end of the way, is open.
    Equal,
    /// The unpartitioned table has its name back.
    Restored,
    /// The unpartitioned table is gone.
    Finalized,
}

const STAGES: [(Stage, &str); 11] = [
    (Stage::Begun, "begun"),
    (Stage::Shadowed, "shadowed"),
    (Stage::Captured, "captured"),
    (Stage::Copied, "copied"),
    (Stage::Indexed, "indexed"),
    (Stage::Proven, "proven"),
    (Stage::Swapped, "swapped"),
    (Stage::Converted, "converted"),
    (Stage::Equal, "equal"),
    (Stage::Restored, "restored"),
    (Stage::Finalized, "finalized"),
];

impl Stage {
    /// The stage as it is written down.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        STAGES.iter().find(|(_, name)| *name == text).map(|(stage, _)| *stage)
    }

    /// How it is written down.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        STAGES.iter().find(|(stage, _)| *stage == self).map_or("", |(_, name)| name)
    }

    /// Whether the partitioned table has the table's name.
    #[must_use]
    pub fn is_partitioned(self) -> bool {
        matches!(self, Self::Swapped | Self::Converted | Self::Equal | Self::Finalized)
    }
}

/// What a job is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A partitioned table.
    Partition,
    /// The table as it was, with all that was written since.
    Undo,
    /// The unpartitioned table gone.
    Finalize,
    /// The log short.
    CatchUp,
}

/// One step, a transaction or several that may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the shadow.
    MakeShadow,
    /// Begin to log changes.
    Capture,
    /// Copy the rows.
    Copy,
    /// Build the indexes.
    Index,
    /// Apply the log until it is short, then prove both equal.
    Prove,
    /// Exchange the names.
    Swap,
    /// Validate foreign keys, exchange materialized views, gather statistics.
    Settle,
    /// Apply the log until it is short.
    CatchUp,
    /// Drop all that is ours, the shadow included.
    CleanUp,
    /// Drop the unpartitioned table and the log.
    DropFormer,
    /// Nothing is left to do.
    Done,
    /// It cannot be done any more.
    TooLate,
}

/// What to do next.
#[must_use]
pub fn next(goal: Goal, stage: Stage) -> Step {
    match (goal, stage) {
        (Goal::Partition, Stage::Begun) => Step::MakeShadow,
        (Goal::Partition, Stage::Shadowed) => Step::Capture,
        (Goal::Partition, Stage::Captured) => Step::Copy,
        (Goal::Partition, Stage::Copied) => Step::Index,
        (Goal::Partition, Stage::Indexed) | (Goal::Undo | Goal::Finalize, Stage::Converted) => Step::Prove,
        (Goal::Partition, Stage::Proven) | (Goal::Undo, Stage::Equal) => Step::Swap,
        (Goal::Partition | Goal::Undo | Goal::Finalize | Goal::CatchUp, Stage::Swapped) => Step::Settle,
        (Goal::Undo, Stage::Begun | Stage::Shadowed | Stage::Captured | Stage::Copied) => Step::CleanUp,
        (Goal::Undo, Stage::Indexed | Stage::Proven | Stage::Restored) => Step::CleanUp,
        (Goal::Undo, Stage::Finalized) => Step::TooLate,
        (Goal::Finalize, Stage::Equal) => Step::DropFormer,
        (Goal::CatchUp, Stage::Converted) => Step::CatchUp,
        (Goal::Partition, Stage::Converted | Stage::Equal | Stage::Finalized) => Step::Done,
        (Goal::Finalize, Stage::Finalized) | (Goal::CatchUp, _) => Step::Done,
        // What is on its way back goes all the way first; what is not there yet cannot be ended.
        (Goal::Partition | Goal::Finalize, _) => Step::TooLate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stage that a step reaches; `None` ends the job.
    fn after(step: Step, goal: Goal) -> Option<Stage> {
        match step {
            Step::MakeShadow => Some(Stage::Shadowed),
            Step::Capture => Some(Stage::Captured),
            Step::Copy => Some(Stage::Copied),
            Step::Index => Some(Stage::Indexed),
            Step::Prove if goal == Goal::Partition => Some(Stage::Proven),
            Step::Prove => Some(Stage::Equal),
            Step::Swap if goal == Goal::Undo => Some(Stage::Restored),
            Step::Swap => Some(Stage::Swapped),
            Step::Settle => Some(Stage::Converted),
            Step::DropFormer => Some(Stage::Finalized),
            Step::CatchUp | Step::CleanUp | Step::Done | Step::TooLate => None,
        }
    }

    fn steps(goal: Goal, from: Stage) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut stage = Some(from);
        while let Some(now) = stage {
            assert!(steps.len() < STAGES.len(), "{steps:?}");
            steps.push(next(goal, now));
            stage = after(next(goal, now), goal);
        }
        steps
    }

    #[test]
    fn every_goal_is_reached_from_every_stage_or_refused() {
        for (stage, _) in STAGES {
            for goal in [Goal::Partition, Goal::Undo, Goal::Finalize, Goal::CatchUp] {
                steps(goal, stage);
            }
        }
    }

    #[test]
    fn nothing_is_dropped_or_exchanged_without_a_proof() {
        for (stage, _) in STAGES {
            for goal in [Goal::Partition, Goal::Undo, Goal::Finalize] {
                let steps = steps(goal, stage);
                for (at, step) in steps.iter().enumerate() {
                    if matches!(step, Step::Swap | Step::DropFormer) {
                        let proven = at > 0 && steps[at - 1] == Step::Prove;
                        assert!(
                            proven || matches!(stage, Stage::Proven | Stage::Equal),
                            "{goal:?} {stage:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_way_there_and_back() {
        assert_eq!(
            steps(Goal::Partition, Stage::Begun),
            [
                Step::MakeShadow,
                Step::Capture,
                Step::Copy,
                Step::Index,
                Step::Prove,
                Step::Swap,
                Step::Settle,
                Step::Done
            ]
        );
        assert_eq!(steps(Goal::Undo, Stage::Copied), [Step::CleanUp]);
        assert_eq!(steps(Goal::Undo, Stage::Swapped), [Step::Settle, Step::Prove, Step::Swap, Step::CleanUp]);
        assert_eq!(steps(Goal::Undo, Stage::Finalized), [Step::TooLate]);
        assert_eq!(steps(Goal::Finalize, Stage::Converted), [Step::Prove, Step::DropFormer, Step::Done]);
    }

    #[test]
    fn stages_are_read_as_they_are_written() {
        assert!(
            STAGES.iter().all(|(stage, text)| Stage::parse(text) == Some(*stage) && stage.as_str() == *text)
        );
        assert_eq!(Stage::parse("nowhere"), None);
    }
}
