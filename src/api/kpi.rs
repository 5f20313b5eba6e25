//! `kpi_report`, and what the table of its targets asks.

use super::{built_in_plan, given};
use crate::encoding::Utf8;
use crate::error::{Failure, Result as Fallible};
use crate::kpi::{self, Row};
use groundskeeper_core::kpi::{Comparison, Judgement, KPIS, Target, named};
use pgrx::datum::Interval;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/kpis.sql",
    name = "kpis",
    requires = ["bootstrap", "connections", "defaults", check_kpi_target, kpi_report]
);

/// The six KPIs against their targets.
#[pg_extern(schema = "groundskeeper", volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn kpi_report() -> Result<
    TableIterator<
        'static,
        (
            name!(kpi, Utf8),
            name!(value, Option<AnyNumeric>),
            name!(target, Utf8),
            name!(status, Utf8),
            name!(samples, i64),
            name!(measured_over, Option<Interval>),
            name!(method, Option<Utf8>),
            name!(detail, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let rows = kpi::report(built_in_plan()?)?.into_iter().map(row).collect::<Fallible<Vec<_>>>()?;
    Ok(TableIterator::new(rows))
}

#[expect(clippy::type_complexity, reason = "the columns of the report")]
fn row(
    row: Row,
) -> Fallible<(Utf8, Option<AnyNumeric>, Utf8, Utf8, i64, Option<Interval>, Option<Utf8>, Option<Utf8>)> {
    let target = format!("{} {}", row.target.comparison.sign(), row.target.target.normalize());
    let status = row.judgement.status().into();
    let (value, detail) = match row.judgement {
        Judgement::Pass(value) | Judgement::Fail(value) => (Some(kpi::numeric(value)?), row.detail),
        // What was seen is shown beside the reason why nothing follows from it.
        Judgement::Unknown(reason) => {
            let seen = row.detail.filter(|_| row.samples > 0).map(|seen| format!(": {seen}"));
            (None, Some(format!("{reason}{}", seen.unwrap_or_default())))
        }
    };
    let (method, detail) = (row.method.map(Utf8::from), detail.map(Utf8::from));
    Ok((row.kpi.name.into(), value, target.into(), status, row.samples, row.measured_over, method, detail))
}

/// True, or an error that says what is wrong: for a CHECK constraint.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_kpi_target(
    kpi: Option<Utf8>,
    target: Option<AnyNumeric>,
    comparison: Option<Utf8>,
    min_samples: Option<i64>,
    measured_over: Option<Interval>,
) -> Result<bool, ErrorReport> {
    let wrong = |message: String, detail: String| {
        Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message).detail(detail)
    };
    let name = given(kpi, "kpi")?;
    let names: Vec<&str> = KPIS.iter().map(|kpi| kpi.name).collect();
    let kpi = named(&name).ok_or_else(|| {
        wrong(format!("unknown KPI \"{}\"", &*name), format!("There are {}.", names.join(", ")))
    })?;
    let unfit = |detail: String| {
        wrong(format!("no target for KPI \"{}\"", &*name), detail)
            .hint("DELETE a row of groundskeeper.kpi_targets to get the plan's target back.")
    };
    let sign = given(comparison, "comparison")?;
    let wanted = Target {
        target: kpi::decimal(&given(target, "target")?)
            .ok_or_else(|| unfit("Its target is no number that can be reached.".to_owned()))?,
        comparison: Comparison::parse(&sign).ok_or_else(|| unfit("Its comparison is > or <.".to_owned()))?,
        min_samples: given(min_samples, "min_samples")?,
    };
    kpi.check(&wanted).map_err(|error| unfit(error.to_string()))?;
    match (kpi.has_window, measured_over) {
        (false, Some(_)) => Err(unfit("It is measured now: measured_over must be NULL.".to_owned()))?,
        (true, window) if window.is_none_or(|window| window.as_micros() <= 0) => {
            Err(unfit("measured_over must be positive.".to_owned()))?
        }
        _ => Ok(true),
    }
}
