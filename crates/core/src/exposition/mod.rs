//! What monitoring systems read: families of metrics, and Prometheus' text format 0.0.4.
//!
//! Labels come from what is bounded: tables that are managed or that the plan is about, kinds of jobs, KPIs, rules. There
//! is never a query in one.

mod family;
mod part;
mod text;

pub use family::{FAMILIES, Family, Kind, family_of, names};
pub use part::{Part, Read};
pub use text::text;

use crate::histogram::Histogram;
use serde_json::{Map, Value};

/// There are no more samples at once, whatever the database.
pub const MOST_SERIES: usize = 2_000;

/// The series that says how many are left out.
const DROPPED: &str = "groundskeeper_series_dropped";

/// Where buckets of latency end, in milliseconds. The objective is among them, and exact; the others are at most 6.25 %
/// off.
pub const BUCKETS_MS: [u64; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// A figure with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The family's name, of a histogram with what it ends with.
    pub name: String,
    /// Its labels.
    pub labels: Map<String, Value>,
    /// How much.
    pub value: f64,
}

impl Sample {
    /// A figure without labels.
    #[must_use]
    pub fn plain(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), labels: Map::new(), value }
    }

    /// One with one label.
    #[must_use]
    pub fn labelled(name: &str, label: &str, value_of_label: &str, value: f64) -> Self {
        let mut labels = Map::new();
        labels.insert(label.to_owned(), value_of_label.into());
        Self { name: name.to_owned(), labels, value }
    }
}

/// The buckets, the sum and the count of calls, with one label.
#[must_use]
pub fn of_histogram(family: &str, label: &str, value_of_label: &str, calls: &Histogram) -> Vec<Sample> {
    let of = |suffix: &str, value: f64| {
        Sample::labelled(&format!("{family}{suffix}"), label, value_of_label, value)
    };
    let bucket = |bound: String, value: u64| {
        let mut sample = of("_bucket", value as f64);
        sample.labels.insert("le".to_owned(), bound.into());
        sample
    };
    let seconds = |bound: u64| (bound as f64 / 1000.0).to_string();
    let bounded = BUCKETS_MS.map(|bound| bucket(seconds(bound), calls.below(bound * 1000)));
    let rest = [
        bucket("+Inf".to_owned(), calls.calls()),
        of("_sum", calls.total() / 1e6),
        of("_count", calls.calls() as f64),
    ];
    bounded.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests;
