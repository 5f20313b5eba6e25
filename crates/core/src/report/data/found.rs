//! What was found: statements, tables, indexes, connections, alerts, settings.

use crate::report::time::Moment;
use serde::{Deserialize, Serialize};

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
