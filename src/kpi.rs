//! The six KPIs: each measured by itself, so that one that cannot be measured takes none of the others with it.

use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::owner;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;
use groundskeeper_core::kpi::{Comparison, Judgement, KPIS, Kpi, Measure, Measured, Target, judge};
use groundskeeper_core::migration::PIPELINE_LOG;
use groundskeeper_core::plan::Plan;
use pgrx::datum::Interval;
use pgrx::prelude::*;
use rust_decimal::Decimal;

/// A row of the report.
pub struct Row {
    /// Which KPI.
    pub kpi: &'static Kpi,
    /// What is wanted of it.
    pub target: Target,
    /// What follows.
    pub judgement: Judgement,
    /// Out of how many samples.
    pub samples: i64,
    /// Over how long.
    pub measured_over: Option<Interval>,
    /// How it is measured.
    pub method: Option<String>,
    /// What else is known of it.
    pub detail: Option<String>,
}

/// What an operator wants of a KPI, and over which time.
#[derive(Clone)]
pub struct Wanted {
    /// The threshold.
    pub target: Target,
    /// The window.
    pub measured_over: Option<Interval>,
}

/// All six.
pub fn report(plan: &Plan) -> Result<Vec<Row>> {
    KPIS.iter().map(|kpi| of(plan, kpi)).collect()
}

/// What is wanted of one.
pub fn target_of(plan: &Plan, kpi: &Kpi) -> Result<Target> {
    Ok(wanted(plan, kpi)?.target)
}

/// One of them.
pub fn of(plan: &Plan, kpi: &'static Kpi) -> Result<Row> {
    let wanted = wanted(plan, kpi)?;
    Ok(row(kpi, &wanted, || measure(kpi, &wanted)))
}

/// One of them as an alert looks at it, which is about the present: over a time of its own, else the KPI's; without
/// one, connections as they are now, whose peak of the day is long over. Bloat counts from so much of it on as matters.
pub fn at_present(plan: &Plan, kpi: &'static Kpi, over: Option<Interval>) -> Result<Row> {
    let mut wanted = wanted(plan, kpi)?;
    let now = match (kpi.measure, over) {
        (Measure::Connections, None) => include_str!("kpi/pool_now.sql"),
        (Measure::Bloat, _) => include_str!("kpi/bloat_that_matters.sql"),
        _ => {
            wanted.measured_over = over.or(wanted.measured_over);
            return Ok(row(kpi, &wanted, || measure(kpi, &wanted)));
        }
    };
    // There is one of what is measured now.
    wanted.target.min_samples = 1;
    Ok(row(kpi, &wanted, || ask(now, &None)))
}

fn row(kpi: &'static Kpi, wanted: &Wanted, measure: impl FnOnce() -> Result<Reading>) -> Row {
    // The message alone: a detail may have values of rows, and alerts repeat what is said here.
    let found = isolated(|| with_lock_timeout(100, measure));
    let found = found.unwrap_or_else(|failure| Reading::unmeasured(failure.message));
    Row {
        kpi,
        target: wanted.target,
        judgement: judge(&found.measured, &wanted.target),
        samples: found.measured.samples,
        measured_over: found.measured_over,
        method: found.method,
        detail: found.detail,
    }
}

/// A decimal of our own out of PostgreSQL's; none where it has no room.
pub fn decimal(value: &AnyNumeric) -> Option<Decimal> {
    value.to_string().parse().ok()
}

/// The way back.
pub fn numeric(value: Decimal) -> Result<AnyNumeric> {
    AnyNumeric::try_from(value.to_string().as_str()).map_err(|error| Failure::internal(error.to_string()))
}

/// What the table says. It can hold what it likes, the caller may not read it: the plan's target holds then.
fn wanted(plan: &Plan, kpi: &Kpi) -> Result<Wanted> {
    let edited = crate::extension::as_owner(|| {
        sql::first(
            "SELECT target, comparison, min_samples, measured_over FROM groundskeeper.kpi_targets WHERE kpi = $1",
            &[kpi.name.into()],
            |row| {
                let target = decimal(&required::<AnyNumeric>(row, 1)?);
                let comparison = Comparison::parse(&required::<String>(row, 2)?);
                let min_samples = required(row, 3)?;
                let target = target.zip(comparison).map(|(target, comparison)| Target {
                    target,
                    comparison,
                    min_samples,
                });
                Ok((target, row.get::<Interval>(4)?))
            },
        )
    })?;
    if let Some((Some(target), measured_over)) = edited {
        return Ok(Wanted { target, measured_over });
    }
    let planned = plan.target_of(kpi);
    let planned =
        planned.ok_or_else(|| Failure::internal(format!("the plan has no target for {}", kpi.name)))?;
    Ok(Wanted {
        target: planned.target(),
        measured_over: planned.hours.map(|hours| Interval::from_micros(hours * 3_600_000_000)),
    })
}

/// What was found out.
struct Reading {
    measured: Measured,
    measured_over: Option<Interval>,
    method: Option<String>,
    detail: Option<String>,
}

impl Reading {
    fn unmeasured(reason: String) -> Self {
        Self {
            measured: Measured { figure: Err(reason), samples: 0 },
            measured_over: None,
            method: None,
            detail: None,
        }
    }
}

fn measure(kpi: &Kpi, wanted: &Wanted) -> Result<Reading> {
    let over = &wanted.measured_over;
    match kpi.measure {
        Measure::MigrationRuns => migration(over),
        Measure::Latency => ask(include_str!("kpi/latency.sql"), over),
        Measure::Connections => ask(include_str!("kpi/pool.sql"), over),
        Measure::IndexBlocks => ask(&include_str!("kpi/blocks.sql").replace("{blocks}", "idx"), over),
        Measure::TableBlocks => ask(&include_str!("kpi/blocks.sql").replace("{blocks}", "heap"), over),
        Measure::Bloat => ask(include_str!("kpi/bloat.sql"), &None),
    }
}

/// Runs a query for figure, samples, window, method, detail, and the reason why there is no figure.
fn ask(query: &str, over: &Option<Interval>) -> Result<Reading> {
    let args: Vec<_> = over.iter().map(|over| (*over).into()).collect();
    let found = sql::first(query, &args, |row| {
        let figure: Option<Decimal> = row.get::<String>(1)?.and_then(|figure| figure.parse().ok());
        let figure = match (row.get::<String>(6)?, figure) {
            (None, Some(figure)) => Ok(figure),
            (reason, _) => Err(reason.unwrap_or_else(|| "no figure".to_owned())),
        };
        Ok(Reading {
            measured: Measured { figure, samples: required(row, 2)? },
            measured_over: row.get(3)?,
            method: row.get(4)?,
            detail: row.get(5)?,
        })
    })?;
    found.ok_or_else(|| Failure::internal("a KPI has no row"))
}

/// From the pipeline's own log where it tells of finished runs, else from what migrate_to_staging() has written down.
fn migration(over: &Option<Interval>) -> Result<Reading> {
    let ours = || ask(include_str!("kpi/migration_runs.sql"), over);
    let why_not = match unreadable_log()? {
        None => {
            // The log is the user's: a policy is refused, and what it has of code runs as its owner.
            let log = || {
                owner::reading_named(PIPELINE_LOG, || {
                    pinned(&[(c"row_security", c"off")], || {
                        ask(&of_log(include_str!("kpi/migration_log.sql")), over)
                    })
                })
            };
            match isolated(log) {
                Ok(found) if found.measured.samples > 0 => return Ok(found),
                Ok(found) => found.measured.figure.err(),
                Err(failure) => Some(failure.message),
            }
        }
        reason => reason,
    };
    let mut found = ours()?;
    if let (Err(reason), Some(other)) = (&mut found.measured.figure, &why_not) {
        *reason = format!("{reason}; {PIPELINE_LOG}: {other}");
    } else if let (Some(detail), Some(other)) = (&mut found.detail, &why_not) {
        *detail = format!("{detail}; {PIPELINE_LOG}: {other}");
    }
    Ok(found)
}

/// A query of the pipeline's log.
fn of_log(query: &str) -> String {
    query.replace("{log}", PIPELINE_LOG)
}

/// Why the log cannot be used, if so: reading anything but a plain table with columns of PostgreSQL's own types might
/// run its owner's code.
fn unreadable_log() -> Result<Option<String>> {
    let reason = sql::first(&of_log(include_str!("kpi/log.sql")), &[], |row| row.get::<String>(1))?;
    Ok(reason.unwrap_or_else(|| Some("does not exist".to_owned())))
}
