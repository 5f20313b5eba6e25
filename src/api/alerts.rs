//! `check_alerts`, `silence_alert`, and what the table of rules asks.

use super::{built_in_plan, given};
use crate::alerts;
use crate::encoding::Utf8;
use crate::error::Failure;
use crate::kpi::decimal;
use groundskeeper_core::alert::{self, Unfit};
use groundskeeper_core::kpi::Comparison;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/alerts.sql",
    name = "alerts",
    requires = [
        "bootstrap",
        "defaults",
        "kpis",
        "journal",
        "managed_tables",
        "schedule",
        check_alert_rule_0_2,
        check_alerts,
        silence_alert
    ]
);

/// Looks at everything that is watched; how all of it stands.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn check_alerts() -> Result<
    TableIterator<
        'static,
        (
            name!(rule, Utf8),
            name!(target, Option<Utf8>),
            name!(state, Utf8),
            name!(value, Option<AnyNumeric>),
            name!(threshold, Option<AnyNumeric>),
            name!(since, Option<TimestampWithTimeZone>),
            name!(detail, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(alerts::check(built_in_plan()?)?))
}

/// Tells listeners nothing of a rule until then.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn silence_alert(
    rule: Option<Utf8>,
    until: Option<TimestampWithTimeZone>,
    reason: Option<Utf8>,
) -> Result<(), ErrorReport> {
    Ok(alerts::silence(&given(rule, "rule")?, given(until, "until")?, &given(reason, "reason")?)?)
}

/// Longer than that no rule waits.
const LONGEST: i64 = 30 * 86_400 * 1_000_000;

/// True, or an error that says what is wrong: for a CHECK constraint.
#[pg_extern(schema = "groundskeeper_internal", name = "check_alert_rule", immutable, parallel_safe)]
#[expect(clippy::too_many_arguments, reason = "the columns of a rule")]
pub(super) fn check_alert_rule_0_2(
    metric: Option<Utf8>,
    target: Option<Utf8>,
    comparison: Option<Utf8>,
    fire_threshold: Option<AnyNumeric>,
    clear_threshold: Option<AnyNumeric>,
    fire_after: Option<Interval>,
    clear_after: Option<Interval>,
    min_samples: Option<i64>,
    check_every: Option<Interval>,
    measured_over: Option<Interval>,
) -> Result<bool, ErrorReport> {
    let wrong = |detail: String| {
        Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "the alert rule makes no sense")
            .detail(detail)
    };
    let number = |value: Option<AnyNumeric>, column: &'static str| match value.as_ref().map(decimal) {
        Some(None) => Err(wrong(Unfit::Range(column).to_string())),
        other => Ok(other.flatten()),
    };
    let comparison = Comparison::parse(&given(comparison, "comparison")?)
        .ok_or_else(|| wrong("Its comparison is > or <.".to_owned()))?;
    let (fire, clear) =
        (number(fire_threshold, "fire_threshold")?, number(clear_threshold, "clear_threshold")?);
    let metric = given(metric, "metric")?;
    alert::check(&metric, target.as_deref(), comparison, fire, clear)
        .map_err(|unfit| wrong(unfit.to_string()))?;
    for (time, column) in
        [(fire_after, "fire_after"), (clear_after, "clear_after"), (check_every, "check_every")]
    {
        if !(0..=i128::from(LONGEST)).contains(&given(time, column)?.as_micros()) {
            return Err(wrong(format!("{column} runs from 0 to 30 days.")).into());
        }
    }
    if let Some(over) = measured_over {
        alert::check_window(&metric).map_err(|unfit| wrong(unfit.to_string()))?;
        if !(1..=i128::from(LONGEST)).contains(&over.as_micros()) {
            return Err(wrong("measured_over runs from a moment to 30 days.".to_owned()).into());
        }
    }
    if given(min_samples, "min_samples")? < 0 {
        return Err(wrong(Unfit::Range("min_samples").to_string()).into());
    }
    Ok(true)
}
