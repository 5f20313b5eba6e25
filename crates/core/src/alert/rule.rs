//! Rules: what is watched, and from where on it is bad and good again.

use crate::kpi::{Comparison, KPIS, Target, named};
use rust_decimal::Decimal;
use std::fmt;

/// What a metric is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Partitions that lack something.
    Partitions,
    /// Jobs that failed.
    Jobs,
    /// Indexes that are of no use.
    Indexes,
    /// How far off the end of transaction numbers is.
    Wraparound,
    /// Transactions that do nothing.
    Transactions,
    /// Entries of the schedule that did not run.
    Maintenance,
    /// Materialized views that cannot be refreshed.
    Views,
    /// What maintenance failed with, though it ran.
    Relations,
    /// Markets whose last run of the migration failed.
    MigrationRuns,
    /// When alerts were last checked.
    Heartbeat,
}

/// Something that can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is measured by.
    pub watch: Watch,
    /// Whether a rule may watch one thing alone, and which kind of thing that is.
    pub target: Option<&'static str>,
}

/// What can be watched beside the KPIs.
pub const METRICS: [Metric; 10] = [
    Metric { name: "unhealthy_partitions", watch: Watch::Partitions, target: Some("a managed table") },
    Metric { name: "failed_jobs", watch: Watch::Jobs, target: Some("a job's target") },
    Metric { name: "invalid_indexes", watch: Watch::Indexes, target: Some("a table") },
    Metric { name: "wraparound_distance", watch: Watch::Wraparound, target: Some("a database") },
    Metric { name: "idle_in_transaction_seconds", watch: Watch::Transactions, target: Some("a role") },
    Metric {
        name: "overdue_maintenance",
        watch: Watch::Maintenance,
        target: Some("an entry of groundskeeper.schedule"),
    },
    Metric { name: "failing_views", watch: Watch::Views, target: Some("a materialized view") },
    Metric {
        name: "failing_relations",
        watch: Watch::Relations,
        target: Some("a table or materialized view"),
    },
    Metric { name: "failed_migration_runs", watch: Watch::MigrationRuns, target: Some("a market") },
    Metric { name: "heartbeat_seconds", watch: Watch::Heartbeat, target: None },
];

/// What is watched under a name that is no KPI's.
#[must_use]
pub fn watch_named(name: &str) -> Option<Watch> {
    METRICS.iter().find(|metric| metric.name == name).map(|metric| metric.watch)
}

/// A rule, its thresholds as they are in force. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// On which side of its threshold a value is bad.
    pub comparison: Comparison,
    /// Beyond it the value is bad.
    pub fire: Decimal,
    /// Whether a value on it is bad, too, as one is that has not reached the target of a KPI.
    pub fire_on_equal: bool,
    /// Once fired, a value must come back this far to be good.
    pub clear: Decimal,
    /// How long a value must be bad.
    pub fire_after: i64,
    /// How long a value must be good again.
    pub clear_after: i64,
    /// With fewer samples there is no value.
    pub min_samples: i64,
}

/// The thresholds in force, and whether a value on the first is bad: a rule without one of its own takes a KPI's
/// target, and without one to clear comes back a tenth of the way from there to what is perfect.
#[must_use]
pub fn thresholds(
    metric: &str,
    target: Option<&Target>,
    comparison: Comparison,
    fire: Option<Decimal>,
    clear: Option<Decimal>,
) -> Option<(Decimal, Decimal, bool)> {
    let inherited = fire.is_none();
    let fire = fire.or_else(|| target.map(|target| target.target))?;
    let clear = match (clear, named(metric)) {
        (Some(clear), _) => clear,
        (None, Some(kpi)) if inherited => {
            let perfect = match comparison {
                Comparison::Above => Decimal::ZERO,
                Comparison::Below if kpi.is_percentage => Decimal::ONE_HUNDRED,
                Comparison::Below => fire,
            };
            fire + (perfect - fire) / Decimal::TEN
        }
        (None, _) => fire,
    };
    // A target that was moved past it takes the threshold to clear along.
    let clear = match comparison {
        Comparison::Above => clear.min(fire),
        Comparison::Below => clear.max(fire),
    };
    Some((fire, clear, inherited))
}

/// Why a rule makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing is measured under that name.
    Metric(String),
    /// What is bad of a KPI lies on the other side of its target.
    Comparison(Comparison),
    /// Only a KPI has a target to take the threshold from.
    NoThreshold,
    /// It would clear before it fires.
    ClearBeyondFire(Comparison),
    /// The metric is one for the database.
    NoTarget,
    /// A number of samples, or a time, that is negative or too long.
    Range(&'static str),
    /// What is measured has no window.
    NoWindow,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(name) => {
                let known = KPIS.iter().map(|kpi| kpi.name).chain(METRICS.iter().map(|metric| metric.name));
                write!(f, "\"{name}\" is no metric; there are {}.", known.collect::<Vec<_>>().join(", "))
            }
            Self::Comparison(right) => {
                write!(f, "A KPI on that metric fails with comparison {}.", right.sign())
            }
            Self::NoThreshold => f.write_str("Only the rule of a KPI may leave out fire_threshold."),
            Self::ClearBeyondFire(Comparison::Above) => {
                f.write_str("clear_threshold must not be above fire_threshold.")
            }
            Self::ClearBeyondFire(Comparison::Below) => {
                f.write_str("clear_threshold must not be below fire_threshold.")
            }
            Self::NoTarget => f.write_str("Its metric has no targets to choose from."),
            Self::NoWindow => f.write_str("Its metric is measured now, so measured_over says nothing."),
            Self::Range(column) => write!(f, "{column} is out of range."),
        }
    }
}

/// Whether a metric can be measured over a time of the rule's own.
pub fn check_window(metric: &str) -> Result<(), Unfit> {
    named(metric).filter(|kpi| kpi.has_window).map(|_| ()).ok_or(Unfit::NoWindow)
}

/// Whether a rule makes sense.
pub fn check(
    metric: &str,
    target: Option<&str>,
    comparison: Comparison,
    fire: Option<Decimal>,
    clear: Option<Decimal>,
) -> Result<(), Unfit> {
    let kpi = named(metric);
    let takes_target = match (kpi, METRICS.iter().find(|known| known.name == metric)) {
        (Some(kpi), _) if comparison == kpi.comparison => {
            return Err(Unfit::Comparison(kpi.comparison.opposite()));
        }
        (Some(_), _) => false,
        (None, Some(metric)) => metric.target.is_some(),
        (None, None) => return Err(Unfit::Metric(metric.to_owned())),
    };
    if target.is_some() && !takes_target {
        return Err(Unfit::NoTarget);
    }
    if fire.is_none() && kpi.is_none() {
        return Err(Unfit::NoThreshold);
    }
    match (fire, clear) {
        (Some(fire), Some(clear)) if comparison.holds(clear, fire) => Err(Unfit::ClearBeyondFire(comparison)),
        _ => Ok(()),
    }
}
