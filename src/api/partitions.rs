//! Partitions that are made, retired and moved: `create_monthly_partitions` and what belongs to it.

use super::given;
use crate::error::{Failure, Result as Fallible};
use crate::partition::{adopt, premake};
use groundskeeper_core::partition::{Interval, MAX_MONTHS_AHEAD, MAX_PREMAKE};
use pgrx::PgRelation;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Makes the partitions that managed tables lack, so many months ahead, the current one counted.
#[pg_extern(volatile, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn create_monthly_partitions(
    months_ahead: default!(Option<i32>, 3),
) -> Result<
    TableIterator<
        'static,
        (
            name!(parent, String),
            name!(partition, Option<String>),
            name!(range_start, Option<String>),
            name!(range_end, Option<String>),
            name!(action, String),
        ),
    >,
    ErrorReport,
> {
    let months = within(given(months_ahead, "months_ahead")?, "months_ahead", MAX_MONTHS_AHEAD)?;
    let outcomes = premake::create_ahead(months)?;
    Ok(TableIterator::new(
        outcomes.into_iter().map(|o| (o.parent, o.partition, o.range_start, o.range_end, o.action)),
    ))
}

/// Takes over a range-partitioned table that was made by hand.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
fn adopt_partitioned_table(
    relation: Option<PgRelation>,
    interval: default!(Option<String>, "'month'"),
    timezone: default!(Option<String>, "NULL"),
    premake: default!(Option<i32>, 3),
) -> Result<(), ErrorReport> {
    let relation = given(relation, "relation")?.oid();
    let interval = interval_named(&given(interval, "interval")?)?;
    let premake = within(given(premake, "premake")?, "premake", MAX_PREMAKE)?;
    Ok(adopt::adopt(relation, interval, timezone, premake)?)
}

/// The interval of that name.
fn interval_named(name: &str) -> Fallible<Interval> {
    Interval::parse(name).ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, format!("\"{name}\" is no interval"))
            .detail("An interval is day, week, month, quarter or year.")
    })
}

/// A count from 1 to `most`.
fn within(count: i32, argument: &str, most: u32) -> Fallible<u32> {
    u32::try_from(count).ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("{argument} must be between 1 and {most}"),
        )
        .detail(format!("It is {count}."))
    })
}
