//! The facts of the performance report, each looked up with the caller's rights and by itself: what cannot be known is
//! left out with the reason, and takes nothing else with it.

mod effect;
mod latency;
mod window;

pub use window::Window;

use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::latency as counters;
use crate::sql::{self, Argument, required};
use crate::subtransaction::isolated;
use groundskeeper_core::report::{
    About, Figure, Interval, Latency, Part, Report, Statement, step, verdicts, without_values,
};
use pgrx::datum::Interval as Length;
use serde::de::DeserializeOwned;

/// How many steps a chart has at most.
const STEPS: u32 = 96;

/// The report of a window, and of another beside it.
pub fn report(since: Length, window: &Window, other: Option<&Window>) -> Result<Report> {
    let about: About = asked(include_str!("report/about.sql"), &[counters::is_preloaded().into()])?
        .data
        .ok_or_else(|| Failure::internal("nothing is known of the database"))?;
    let latency = latency::of(window, &about);
    let mut report = Report {
        interval: window.shown(),
        compared_with: other.map(Window::shown),
        verdicts: Vec::new(),
        kpis: ask(include_str!("report/kpis.sql"), &[]).data.unwrap_or_default(),
        figures: figures(window, &about, &latency),
        figures_compared: other.map(|other| figures(other, &about, &latency::of(other, &about))),
        samples: samples(window, &about),
        latency_compared: other.map(|other| latency::of(other, &about)),
        latency,
        plan: part(|| effect::changes(window)),
        migration: ask(include_str!("report/migration.sql"), &window.ends()),
        partitions: ask(include_str!("report/partitions.sql"), &[]),
        work: ask(include_str!("report/work.sql"), &window.ends()),
        statements: statements(since),
        bloat: ask(include_str!("report/bloat.sql"), &[]),
        indexes: ask(include_str!("report/indexes.sql"), &[]),
        connections: ask(include_str!("report/connections.sql"), &window.ends()),
        growth: ask(include_str!("report/growth.sql"), &[]),
        alerts: ask(include_str!("report/alerts.sql"), &window.ends()),
        settings: ask(include_str!("report/settings.sql"), &[]),
        prerequisites: ask(include_str!("report/prerequisites.sql"), &[]),
        about,
    };
    report.verdicts = verdicts(&report);
    Ok(report)
}

/// Something by itself. A detail may hold values of rows, so of what fails the message alone is told.
fn part<T>(look: impl FnOnce() -> Result<T>) -> Part<T> {
    match isolated(|| in_one_way(look)) {
        Ok(found) => Part::known(found),
        Err(failure) => Part::unknown(failure.message),
    }
}

/// Whatever the session's settings are, moments and lengths of time are written in one way, and no lock is waited for.
fn in_one_way<T>(look: impl FnOnce() -> Result<T>) -> Result<T> {
    let settings = [
        // Compiling takes longer than what these queries take.
        (c"jit", c"off"),
        (c"lock_timeout", c"100ms"),
        (c"datestyle", c"ISO, YMD"),
        (c"intervalstyle", c"postgres"),
        (c"timezone", c"UTC"),
    ];
    pinned(&settings, look)
}

/// What a query says as JSON, or why it says nothing.
fn ask<T: DeserializeOwned>(query: &str, args: &[Argument]) -> Part<T> {
    match isolated(|| in_one_way(|| asked(query, args))) {
        Ok(part) => part,
        Err(failure) => Part::unknown(failure.message),
    }
}

fn asked<T: DeserializeOwned>(query: &str, args: &[Argument]) -> Result<Part<T>> {
    let row = sql::first(query, args, |row| Ok((required::<String>(row, 1)?, row.get::<String>(2)?)))?;
    let (json, reason) = row.ok_or_else(|| Failure::internal("a part of the report has no row"))?;
    if let Some(reason) = reason {
        return Ok(Part::unknown(reason));
    }
    let data = serde_json::from_str(&json);
    Ok(Part::known(
        data.map_err(|error| Failure::internal(format!("a part of the report cannot be read: {error}")))?,
    ))
}

/// A standby's tables are the primary's, and so would its samples be.
const NO_HISTORY: &str = "a standby keeps no history of its own: the report of the primary has it";

fn samples<T: DeserializeOwned>(window: &Window, about: &About) -> Part<T> {
    if about.on_standby {
        return Part::unknown(NO_HISTORY);
    }
    let [begins, ends] = window.ends();
    ask(include_str!("report/samples.sql"), &[begins, ends, step(window.seconds(), STEPS).into()])
}

/// What samples and latency come to.
fn figures(window: &Window, about: &About, latency: &Part<Latency>) -> Part<Vec<Figure>> {
    if about.on_standby {
        return Part::unknown(NO_HISTORY);
    }
    let mut figures: Part<Vec<Figure>> = ask(include_str!("report/figures.sql"), &window.ends());
    if let (Some(figures), Some(latency)) = (&mut figures.data, &latency.data) {
        figures.extend(latency::figures(latency));
    }
    figures
}

/// Texts are shown without values, whoever may read them.
fn statements(since: Length) -> Part<Vec<Statement>> {
    let mut found: Part<Vec<Statement>> = ask(include_str!("report/statements.sql"), &[since.into()]);
    for statement in found.data.iter_mut().flatten() {
        let query = statement.query.take().map(|query| without_values(&query));
        statement.query = query.map(|query| query.chars().take(2_000).collect());
    }
    found
}
