//! What a report is made of. As JSON it is what `performance_report()` returns.

mod done;
mod found;
mod measured;

pub use done::*;
pub use found::*;
pub use measured::*;

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
