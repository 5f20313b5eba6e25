//! What was done: by the plan, by the migration, to partitions, in the background.

use super::measured::Quantiles;
use crate::report::time::Moment;
use serde::{Deserialize, Serialize};

/// A change that carried out an item of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The item.
    pub item: String,
    /// When.
    pub applied_at: Moment,
    /// When it was taken back.
    pub reverted_at: Option<Moment>,
    /// Whether it made an index.
    pub is_index: bool,
    /// How many of the statements that are known name its table and its first column.
    pub statements: Option<i64>,
    /// These, over as long as `after`, before it.
    pub before: Option<Quantiles>,
    /// These, after it.
    pub after: Option<Quantiles>,
    /// Why nothing is said of before and after.
    pub reason: Option<String>,
}

/// The migration in the interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// By market.
    pub markets: Vec<MarketRuns>,
    /// Records that stand failed, by reason.
    pub failures: Vec<FailureReason>,
}

/// What became of a market's records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarketRuns {
    /// The market.
    pub bet_type: String,
    /// Runs that ended.
    pub runs: i64,
    /// Those of them that failed.
    pub failed_runs: i64,
    /// Records that were tried.
    pub processed: i64,
    /// Records that were staged.
    pub successful: i64,
    /// When the last run ended.
    pub last_finished: Option<Moment>,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

/// How many records stand failed for a reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureReason {
    /// The raw table.
    pub raw_table: String,
    /// The reason, as a word.
    pub reason: String,
    /// How many.
    pub records: i64,
    /// When the last one was tried.
    pub last_tried: Option<Moment>,
}

/// A managed table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partitioned {
    /// The table.
    pub parent: String,
    /// The column that it is partitioned by.
    pub partition_key: String,
    /// What one partition covers.
    pub covers: String,
    /// How many partitions, the default one not counted.
    pub partitions: i64,
    /// The first period that has none.
    pub next_missing: Option<String>,
    /// Rows in the default partition.
    pub default_rows: Option<i64>,
    /// How it stands.
    pub status: String,
    /// What is wrong.
    pub problem: Option<String>,
    /// What helps.
    pub remedy: Option<String>,
    /// Its partitions by month.
    pub months: Vec<Month>,
}

/// What partitions of a month hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// Its first moment.
    pub at: Moment,
    /// Rows, by the server's estimate; nothing where there is none.
    pub rows: Option<i64>,
    /// Bytes on disk; nothing where they cannot be read now.
    pub bytes: Option<i64>,
}

/// What was done in the background.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Attempts at jobs, and maintenance.
    pub runs: Vec<Run>,
    /// How the scheduled tasks stand.
    pub tasks: Vec<Task>,
    /// How many more runs there were than are listed.
    pub left_out: i64,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// `job` or `maintenance`.
    pub source: String,
    /// What was done.
    pub kind: String,
    /// To what.
    pub target: String,
    /// What became of it.
    pub state: String,
    /// When it began.
    pub started_at: Moment,
    /// When it ended; nothing while it runs.
    pub finished_at: Option<Moment>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A scheduled task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub task: String,
    /// Who runs it.
    pub scheduler: String,
    /// When it ran last.
    pub last_run: Option<Moment>,
    /// When it succeeded last.
    pub last_success: Option<Moment>,
    /// When it runs next.
    pub next_run: Option<Moment>,
    /// How many runs have failed since the last success.
    pub consecutive_failures: i64,
    /// Why the last run failed.
    pub last_error: Option<String>,
}
