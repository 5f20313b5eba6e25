//! What was counted in an interval.

use crate::report::time::Moment;
use serde::{Deserialize, Serialize};

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
