//! What a report is made of. As JSON it is what `performance_report()` returns.

use super::time::Moment;
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Something that may not be known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part<T> {
    /// What is known.
    pub data: Option<T>,
    /// Why it is not.
    pub reason: Option<String>,
}

impl<T> Part<T> {
    /// It is known.
    pub fn known(data: T) -> Self {
        Self { data: Some(data), reason: None }
    }

    /// It is not, for this reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { data: None, reason: Some(reason.into()) }
    }
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its first moment.
    pub begins: Moment,
    /// The first after it.
    pub ends: Moment,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where and when it was made.
    pub about: About,
    /// What it tells of.
    pub interval: Interval,
    /// What that is set beside.
    pub compared_with: Option<Interval>,
    /// What follows, the worst first.
    pub verdicts: Vec<Verdict>,
    /// As `kpi_report()` has them.
    pub kpis: Vec<Kpi>,
    /// Figures of the interval, one after the other.
    pub figures: Part<Vec<Figure>>,
    /// The same of the interval that it is compared with.
    pub figures_compared: Option<Part<Vec<Figure>>>,
    /// Samples, put together in steps of the same length.
    pub samples: Part<Vec<Step>>,
    /// How long statements took.
    pub latency: Part<Latency>,
    /// The same of the interval that it is compared with.
    pub latency_compared: Option<Part<Latency>>,
    /// What the plan has changed.
    pub plan: Part<Vec<Change>>,
    /// From RAW to STAGING.
    pub migration: Part<Migration>,
    /// Managed tables.
    pub partitions: Part<Vec<Partitioned>>,
    /// Jobs and maintenance.
    pub work: Part<Work>,
    /// Statements that took the most time.
    pub statements: Part<Vec<Statement>>,
    /// Tables with room that is of no use.
    pub bloat: Part<Vec<Bloat>>,
    /// Indexes that something is to be done about.
    pub indexes: Part<Vec<IndexFinding>>,
    /// Who is connected.
    pub connections: Part<Connections>,
    /// How tables grow.
    pub growth: Part<Vec<Growth>>,
    /// What was watched.
    pub alerts: Part<Alerts>,
    /// What the server is set to.
    pub settings: Part<Vec<Setting>>,
    /// What optional parts are missing.
    pub prerequisites: Part<Vec<Prerequisite>>,
}

/// Where and when a report was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The database.
    pub database: String,
    /// For whom.
    pub role: String,
    /// The release of PostgreSQL.
    pub server_version: String,
    /// The release of the extension.
    pub extension_version: String,
    /// When it was made.
    pub generated_at: Moment,
    /// When the server was started.
    pub server_started_at: Moment,
    /// Whether by a standby.
    pub on_standby: bool,
    /// Whether the library is preloaded.
    pub preloaded: bool,
    /// Whether others' statements may be read.
    pub sees_all_statements: bool,
}

/// How much a verdict matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Something is to be done.
    Act,
    /// Something is to be looked at.
    Watch,
    /// All is well.
    Good,
}

/// Something that follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How much it matters.
    pub weight: Weight,
    /// What was seen.
    pub observation: String,
    /// Why it matters.
    pub why: String,
    /// The statement to run.
    pub run: Option<String>,
    /// The section that tells more.
    pub section: String,
}

/// A row of `kpi_report()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kpi {
    /// Its name.
    pub kpi: String,
    /// What was measured.
    pub value: Option<Number>,
    /// What it must be.
    pub target: String,
    /// `pass`, `fail` or `unknown`.
    pub status: String,
    /// Out of how many samples.
    pub samples: i64,
    /// Over how long.
    pub measured_over: Option<String>,
    /// How it is measured.
    pub method: Option<String>,
    /// What else is known of it.
    pub detail: Option<String>,
}

/// A figure of an interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// `count`, `ms`, `bytes` or `percent`.
    pub unit: String,
    /// How much.
    pub value: Option<f64>,
    /// Whether `more` or `less` is better; nothing where neither is.
    pub better: Option<String>,
}

/// What samples say of a piece of the interval. Where there are none, nothing is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When it begins.
    pub at: Moment,
    /// Client connections of the server, at most.
    pub connections: Option<f64>,
    /// Those of this database that were busy, at most.
    pub busy: Option<f64>,
    /// How many connections fit.
    pub usable_slots: Option<f64>,
    /// Table blocks found in the buffer cache, of a hundred.
    pub cache_hit: Option<f64>,
    /// Index blocks found in the buffer cache, of a hundred.
    pub index_hit: Option<f64>,
    /// Transactions committed per second.
    pub commits_per_second: Option<f64>,
    /// Records that were staged, of a hundred that were tried.
    pub migration_success: Option<f64>,
}

/// How long statements of clients took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Over all of the interval that there are samples of.
    pub total: Quantiles,
    /// Since when.
    pub measured_since: Option<Moment>,
    /// Where bands end, in milliseconds; the last band has no end.
    pub bounds_ms: Vec<f64>,
    /// Calls by band.
    pub bands: Vec<i64>,
    /// By steps of the same length.
    pub steps: Vec<LatencyStep>,
}

/// How long so many calls took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many.
    pub calls: i64,
    /// Half of them took no longer.
    pub p50_ms: Option<f64>,
    /// 95 of 100 took no longer.
    pub p95_ms: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99_ms: Option<f64>,
    /// 500 ms or longer.
    pub over_objective: i64,
    /// How many failed.
    pub failed: i64,
}

/// Latency in a piece of the interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyStep {
    /// When it begins.
    pub at: Moment,
    /// What was counted; nothing where there are no samples.
    pub quantiles: Option<Quantiles>,
    /// Calls by band.
    pub bands: Vec<i64>,
}

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

/// A statement and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Its number in pg_stat_statements; nothing where that is hidden.
    pub queryid: Option<String>,
    /// Its text without values; nothing for whom it is hidden.
    pub query: Option<String>,
    /// Who ran it.
    pub role_name: Option<String>,
    /// How often.
    pub calls: i64,
    /// All executions together.
    pub total_ms: f64,
    /// One of them, on average.
    pub mean_ms: f64,
    /// 95 of 100 of them in the interval took no longer.
    pub p95_ms: Option<f64>,
    /// Its part of the time of all statements, of a hundred.
    pub share: Option<f64>,
    /// Blocks found in the buffer cache, of a hundred.
    pub hit_percent: Option<f64>,
}

/// Room in a table that is of no use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bloat {
    /// The table.
    pub relation: String,
    /// How large it is.
    pub bytes: Option<i64>,
    /// How much of it is of no use, of a hundred.
    pub percent: Option<f64>,
    /// What that comes from.
    pub method: Option<String>,
    /// Why there is no figure.
    pub reason: Option<String>,
    /// Rows that are dead.
    pub dead_rows: Option<i64>,
}

/// An index that something is to be done about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexFinding {
    /// What is the matter.
    pub kind: String,
    /// The table.
    pub relation: String,
    /// The index; nothing for one that is missing.
    pub index: Option<String>,
    /// How large it is.
    pub bytes: Option<i64>,
    /// What it rests on.
    pub detail: Option<String>,
    /// What mends it.
    pub run: Option<String>,
}

/// Who is connected now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Connections that fit.
    pub usable_slots: Option<i64>,
    /// The largest size of the pools together.
    pub pool_size: Option<i64>,
    /// Percentage of the pool, or of the slots, that is taken.
    pub utilization_percent: Option<f64>,
    /// The most connections that were busy in the interval.
    pub peak_busy: Option<i64>,
    /// The most connections of the server in the interval.
    pub peak: Option<i64>,
    /// Clients by state.
    pub states: Vec<ConnectionState>,
}

/// Connections in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionState {
    /// The state.
    pub state: Option<String>,
    /// How many.
    pub connections: i64,
    /// How long the longest has been in it.
    pub longest_seconds: Option<f64>,
}

/// How a table grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// The table.
    pub relation: String,
    /// How large it is.
    pub bytes: Option<i64>,
    /// By how much it grows.
    pub bytes_per_day: Option<f64>,
    /// How large it will be in 30 days, if it goes on like that.
    pub forecast_30d_bytes: Option<f64>,
    /// Over which time that was measured.
    pub measured_over: Option<String>,
}

/// What was watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// How each rule stands.
    pub rules: Vec<Alert>,
    /// What happened in the interval, the newest first.
    pub history: Vec<AlertEvent>,
}

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The rule.
    pub rule: String,
    /// The one thing that it watches.
    pub target: Option<String>,
    /// Its state.
    pub state: String,
    /// What was measured.
    pub value: Option<f64>,
    /// Beyond which it is bad.
    pub threshold: Option<f64>,
    /// Since when.
    pub since: Option<Moment>,
    /// In words.
    pub detail: Option<String>,
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// When.
    pub happened_at: Moment,
    /// The rule.
    pub rule: String,
    /// The state that it entered.
    pub state: String,
    /// What was measured.
    pub value: Option<f64>,
    /// In words.
    pub detail: Option<String>,
}

/// What the server is set to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The setting.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Where that comes from.
    pub source: String,
}

/// An optional part that is not in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prerequisite {
    /// The part.
    pub component: String,
    /// Whether it is there.
    pub state: String,
    /// What it is needed for.
    pub needed_for: Option<String>,
    /// What helps.
    pub remedy: Option<String>,
}
