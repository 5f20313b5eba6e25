//! Parts that are read one by one, and what each may say.

use super::{DROPPED, FAMILIES, Sample};
use serde_json::Value;
use std::collections::HashSet;

/// Where figures come from: each part is read by itself, and only where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The extension and the server.
    About,
    /// What came of reading all the others.
    Reading,
    /// Samples of `record_metrics()`.
    Samples,
    /// Alert rules.
    Alerts,
    /// The migration.
    Migration,
    /// Jobs and changes.
    Jobs,
    /// KPIs.
    Kpis,
    /// Client connections.
    Connections,
    /// Scheduled tasks.
    Maintenance,
    /// Calls that were counted.
    Latency,
    /// Tables and indexes.
    Tables,
}

impl Part {
    /// Those that are collected, of which each may fail by itself.
    pub const COLLECTED: [Self; 9] = [
        Self::Samples,
        Self::Alerts,
        Self::Migration,
        Self::Jobs,
        Self::Kpis,
        Self::Connections,
        Self::Maintenance,
        Self::Latency,
        Self::Tables,
    ];

    /// As the label `collector` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::About => "about",
            Self::Reading => "reading",
            Self::Samples => "samples",
            Self::Alerts => "alerts",
            Self::Migration => "migration",
            Self::Jobs => "jobs",
            Self::Kpis => "kpis",
            Self::Connections => "connections",
            Self::Maintenance => "maintenance",
            Self::Latency => "latency",
            Self::Tables => "tables",
        }
    }

    /// How many samples it may have. All of them are no more than [`MOST_SERIES`](super::MOST_SERIES), so that none of one
    /// part is left out for another, which may not have been read.
    #[must_use]
    pub const fn most(self) -> usize {
        match self {
            Self::About => 3,
            Self::Reading => Self::COLLECTED.len() + 1,
            Self::Samples => 1,
            Self::Alerts => 201,
            Self::Migration => 190,
            Self::Jobs => 95,
            Self::Kpis | Self::Connections => 20,
            Self::Maintenance => 240,
            Self::Latency => 100,
            Self::Tables => 1_120,
        }
    }
}

/// What a part has said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// Its samples, in the order of their families.
    pub samples: Vec<Sample>,
    /// How many are left out.
    pub dropped: usize,
}

impl Read {
    /// The samples of a part in the order of their families, each once, and no more than there may be. What the part has
    /// left out by itself it says as `groundskeeper_series_dropped`.
    #[must_use]
    pub fn of(part: Part, samples: Vec<Sample>) -> Self {
        let place = |sample: &Sample| {
            FAMILIES.iter().position(|family| family.part == part && family.has(&sample.name))
        };
        let left_out: f64 =
            samples.iter().filter(|sample| sample.name == DROPPED).map(|sample| sample.value).sum();
        let mut known: Vec<(usize, Sample)> =
            samples.into_iter().filter_map(|sample| Some((place(&sample)?, sample))).collect();
        known.sort_by_key(|(place, _)| *place);
        let mut seen = HashSet::new();
        known.retain(|(_, sample)| {
            seen.insert((sample.name.clone(), Value::Object(sample.labels.clone()).to_string()))
        });
        let dropped = left_out as usize + known.len().saturating_sub(part.most());
        known.truncate(part.most());
        Self { samples: known.into_iter().map(|(_, sample)| sample).collect(), dropped }
    }

    /// What came of reading the parts that are collected; of one that could not be read there is nothing.
    #[must_use]
    pub fn of_reading(parts: &[(Part, Option<&Self>)]) -> Self {
        let success = parts.iter().map(|(part, read)| {
            let success = if read.is_some() { 1.0 } else { 0.0 };
            Sample::labelled("groundskeeper_collector_success", "collector", part.name(), success)
        });
        let dropped: usize = parts.iter().filter_map(|(_, read)| Some(read.as_ref()?.dropped)).sum();
        let samples = success.chain([Sample::plain(DROPPED, dropped as f64)]).collect();
        Self { samples, dropped: 0 }
    }
}
