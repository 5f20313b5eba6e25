//! How long statements took in a window: from samples, and what was counted since the last of them.

use super::{NO_HISTORY, STEPS, Window, part};
use crate::error::Result;
use crate::latency as counters;
use groundskeeper_core::histogram::Histogram;
use groundskeeper_core::report::{
    About, BOUNDS_MS, Figure, Latency, LatencyStep, Moment, Part, Quantiles, bands, step,
};

/// Latency of a window.
pub fn of(window: &Window, about: &About) -> Part<Latency> {
    let found = part(|| measured(window, about));
    match found.data {
        Some(Some(latency)) => Part::known(latency),
        Some(None) if about.on_standby => Part::unknown(NO_HISTORY),
        Some(None) if !about.preloaded => {
            Part::unknown("latency is not counted: pg_groundskeeper is not in shared_preload_libraries")
        }
        Some(None) => Part::unknown("no samples in this time: groundskeeper.record_metrics() takes them"),
        None => Part { data: None, reason: found.reason },
    }
}

fn measured(window: &Window, about: &About) -> Result<Option<Latency>> {
    let length = step(window.seconds(), STEPS);
    let count = (window.seconds() / length).ceil().max(1.0) as usize;
    let steps = if about.on_standby {
        Vec::new()
    } else {
        counters::steps(window.begins, window.ends, length, count)?
    };
    let mut total = Histogram::default();
    steps.iter().flatten().for_each(|step| total.merge(step));
    let first = steps.iter().position(Option::is_some);
    let mut since = first.map(|first| at(window, first, length));
    // What is still in shared memory belongs to a window that ends now.
    let is_now = Moment::of(window.unix.1 as f64 / 1e6).seconds()
        >= about.generated_at.seconds().map(|now| now - 60.0);
    if is_now && let Some((rest, counted)) = counters::unsampled()? {
        total.merge(&rest);
        since = since.or_else(|| Some(Moment::of(counted as f64 / 1e6)));
    }
    if total.calls() == 0 && first.is_none() && since.is_none() {
        return Ok(None);
    }
    let drawn = if first.is_some() { steps } else { Vec::new() };
    Ok(Some(Latency {
        total: Quantiles::from(&total),
        measured_since: since,
        bounds_ms: BOUNDS_MS.map(|bound| bound as f64).into(),
        bands: bands(&total),
        steps: drawn
            .iter()
            .enumerate()
            .map(|(n, histogram)| LatencyStep {
                at: at(window, n, length),
                quantiles: histogram.as_ref().map(Quantiles::from),
                bands: histogram.as_ref().map_or_else(|| vec![0; BOUNDS_MS.len() + 1], bands),
            })
            .collect(),
    }))
}

fn at(window: &Window, step: usize, length: f64) -> Moment {
    Moment::of(window.unix.0 as f64 / 1e6 + step as f64 * length)
}

/// What of it is compared with another window.
pub fn figures(latency: &Latency) -> impl Iterator<Item = Figure> {
    let total = &latency.total;
    let share = (total.calls > 0).then(|| 100.0 * total.over_objective as f64 / total.calls as f64);
    [
        ("Statements of clients", "count", Some(total.calls as f64), None),
        ("Latency, p50", "ms", total.p50_ms, Some("less")),
        ("Latency, p95", "ms", total.p95_ms, Some("less")),
        ("Latency, p99", "ms", total.p99_ms, Some("less")),
        ("Statements of 500 ms or longer", "percent", share, Some("less")),
        ("Statements that failed", "count", Some(total.failed as f64), Some("less")),
    ]
    .map(|(name, unit, value, better)| Figure {
        name: name.to_owned(),
        unit: unit.to_owned(),
        value,
        better: better.map(str::to_owned),
    })
    .into_iter()
}
