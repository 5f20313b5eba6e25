//! What the rules watch, measured with the caller's rights, each by itself.

use super::store::Watched;
use crate::error::{Failure, Result};
use crate::kpi;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;
use groundskeeper_core::alert::{Observation, Watch, watch_named};
use groundskeeper_core::kpi::{Judgement, named};
use groundskeeper_core::plan::Plan;

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The figure.
    pub observation: Observation,
    /// In words. Whoever may connect may listen: they name objects, and nothing of what is in them or who does what.
    pub detail: String,
}

/// As many characters of words are kept: a notification has room for 8000 bytes.
const WORDS: usize = 600;

/// Measures what a rule watches; that it cannot be measured is no data, and no error.
pub fn observe(plan: &Plan, watched: &Watched, since_last_check: Option<i64>) -> Result<Seen> {
    let seen = match (named(&watched.metric), watch_named(&watched.metric)) {
        (Some(kpi), _) => kpi::at_present(plan, kpi, watched.measured_over).map(of_kpi),
        (None, Some(Watch::Heartbeat)) => Ok(heartbeat(watched, since_last_check)),
        (None, Some(watch)) => isolated(|| with_lock_timeout(100, || ask(watched, watch))),
        (None, None) => Err(Failure::internal(format!("there is no metric {}", watched.metric))),
    };
    let mut seen = seen.unwrap_or_else(|failure| Seen {
        observation: Observation { value: None, samples: 0 },
        detail: format!("not measured: {}", failure.message),
    });
    seen.detail = seen.detail.chars().take(WORDS).collect();
    Ok(seen)
}

fn of_kpi(row: kpi::Row) -> Seen {
    let (value, words) = match row.judgement {
        Judgement::Pass(value) | Judgement::Fail(value) => (Some(value), row.detail.unwrap_or_default()),
        Judgement::Unknown(reason) => (None, reason),
    };
    Seen { observation: Observation { value, samples: row.samples }, detail: words }
}

fn heartbeat(watched: &Watched, since_last_check: Option<i64>) -> Seen {
    let seconds = since_last_check.unwrap_or(0) / 1_000_000;
    // A gap within a check's own rhythm says nothing new each time.
    let detail = match since_last_check {
        Some(_) if watched.fire.is_some_and(|fire| fire < seconds.into()) => {
            format!("check_alerts() had not run for {seconds} seconds")
        }
        _ => "check_alerts() runs".to_owned(),
    };
    Seen { observation: Observation { value: Some(seconds.into()), samples: 1 }, detail }
}

fn ask(watched: &Watched, watch: Watch) -> Result<Seen> {
    if let Some(missing) = missing(watched)? {
        return Ok(Seen { observation: Observation { value: None, samples: 0 }, detail: missing });
    }
    let query = match watch {
        Watch::Partitions => include_str!("unhealthy_partitions.sql"),
        Watch::Jobs => include_str!("failed_jobs.sql"),
        Watch::Indexes => include_str!("invalid_indexes.sql"),
        Watch::Wraparound => include_str!("wraparound_distance.sql"),
        Watch::Transactions => include_str!("idle_in_transaction_seconds.sql"),
        Watch::Maintenance => include_str!("overdue_maintenance.sql"),
        Watch::Views => include_str!("failing_views.sql"),
        Watch::Relations => include_str!("failing_relations.sql"),
        Watch::MigrationRuns => include_str!("failed_migration_runs.sql"),
        Watch::Heartbeat => return Err(Failure::internal("the heartbeat is heard without a query")),
    };
    let found = sql::first(query, &[watched.target.as_deref().into()], |row| {
        let value = row.get::<String>(1)?.and_then(|value| value.parse().ok());
        let observation = Observation { value, samples: required(row, 2)? };
        Ok(Seen { observation, detail: row.get::<String>(3)?.unwrap_or_default() })
    })?;
    Ok(found.unwrap_or_else(|| unknown(&watched.metric)))
}

/// Why there is nothing to look at: what is watched may have been dropped, or renamed.
fn missing(watched: &Watched) -> Result<Option<String>> {
    let Some(target) = &watched.target else { return Ok(None) };
    let missing = "SELECT groundskeeper_internal.missing_target($1, $2)";
    let args = [watched.metric.as_str().into(), target.as_str().into()];
    Ok(sql::first(missing, &args, |row| row.get::<String>(1))?.flatten())
}

fn unknown(metric: &str) -> Seen {
    let detail = format!("nothing is known of {metric}");
    Seen { observation: Observation { value: None, samples: 0 }, detail }
}
