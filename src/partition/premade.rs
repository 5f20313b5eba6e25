//! What `create_monthly_partitions()` says of a period.

use super::bounds::Partition;
use super::create::Planned;
use crate::error::Result;
use crate::settings;
use groundskeeper_core::partition::{Interval, Left};

/// What became of a period, or of a table whose periods were not looked at.
pub struct Premade {
    /// The managed table.
    pub parent: String,
    /// The partition, where it is about one.
    pub partition: Option<String>,
    /// Its first bound.
    pub range_start: Option<String>,
    /// Its last bound, excluded.
    pub range_end: Option<String>,
    /// `created`, `exists`, or `queued: `, `left: ` or `failed: ` and the reason; `would create` in a dry run.
    pub action: String,
}

impl Premade {
    pub(super) fn failed(parent: &str, reason: &str) -> Self {
        let action = format!("failed: {reason}");
        Self { parent: parent.to_owned(), partition: None, range_start: None, range_end: None, action }
    }

    pub(super) fn left(parent: &str, interval: Interval, left: &Left) -> Self {
        let Left { first, last, count, back } = left;
        let action = format!(
            "left: {count} without a partition, the first from {first}, the last from {last}, are further back than \
             groundskeeper.max_gap_partitions ({} of a {}): SET groundskeeper.max_gap_partitions = {back} and call it again",
            settings::max_gap_partitions(),
            interval.as_str()
        );
        Self { parent: parent.to_owned(), partition: None, range_start: None, range_end: None, action }
    }

    pub(super) fn existing(parent: &str, partition: &Partition, action: &str) -> Self {
        Self {
            parent: parent.to_owned(),
            partition: Some(partition.quoted.clone()),
            range_start: partition.from_text.clone(),
            range_end: partition.to_text.clone(),
            action: action.to_owned(),
        }
    }

    pub(super) fn planned(parent: &str, planned: &Planned, done: &str, result: &Result<()>) -> Self {
        Self {
            parent: parent.to_owned(),
            partition: Some(planned.quoted.clone()),
            range_start: Some(planned.from.clone()),
            range_end: Some(planned.to.clone()),
            action: match result {
                Ok(()) => done.to_owned(),
                Err(failure) => format!("failed: {}", failure.one_line()),
            },
        }
    }
}
