//! Partitions that are made, retired and moved: `create_monthly_partitions` and what belongs to it.

use super::given;
use super::regclass::{Regclass, Regprocedure, existing};
use crate::encoding::Utf8;
use crate::error::{Failure, Result as Fallible};
use crate::partition::{adopt, attach, drain, health, leave, premake, rebuild, retention};
use groundskeeper_core::partition::{self as periods, Action, MAX_MONTHS_AHEAD, MAX_PREMAKE};
use pgrx::datum::Interval;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/partitions.sql",
    name = "partitions",
    requires = [
        create_monthly_partitions_0_2,
        adopt_partitioned_table,
        stop_managing,
        set_retention_0_2,
        apply_retention,
        detach_partition,
        drop_partition,
        attach_partition,
        drain_default,
        rebuild_keys
    ]
);

/// Makes the partitions that managed tables lack, so many months ahead, the current one counted; a dry run only says
/// what it would make. Two functions: in the
/// schema that the extension is installed in, so that the plan's call works, and in ours, which the schedule calls, as
/// nobody else can put another of that name beside it there.
#[pg_extern(sql = "CREATE FUNCTION @extschema@.create_monthly_partitions(months_ahead integer DEFAULT 3, dry_run boolean DEFAULT false)
    RETURNS TABLE (parent text, \"partition\" text, range_start text, range_end text, action text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
CREATE FUNCTION groundskeeper.create_monthly_partitions(months_ahead integer DEFAULT 3, dry_run boolean DEFAULT false)
    RETURNS TABLE (parent text, \"partition\" text, range_start text, range_end text, action text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';", requires = ["managed_tables"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn create_monthly_partitions_0_2(
    months_ahead: default!(Option<i32>, 3),
    dry_run: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (
            name!(parent, Utf8),
            name!(partition, Option<Utf8>),
            name!(range_start, Option<Utf8>),
            name!(range_end, Option<Utf8>),
            name!(action, Utf8),
        ),
    >,
    ErrorReport,
> {
    let months = within(given(months_ahead, "months_ahead")?, "months_ahead", MAX_MONTHS_AHEAD)?;
    let outcomes =
        if given(dry_run, "dry_run")? { premake::look_ahead(months) } else { premake::create_ahead(months) }?;
    Ok(TableIterator::new(outcomes.into_iter().map(|o| {
        let [partition, start, end] =
            [o.partition, o.range_start, o.range_end].map(|text| text.map(Utf8::from));
        (o.parent.into(), partition, start, end, o.action.into())
    })))
}

/// Takes over a range-partitioned table that was made by hand.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
fn adopt_partitioned_table(
    relation: Option<Regclass>,
    interval: default!(Option<Utf8>, "'month'"),
    timezone: default!(Option<Utf8>, "NULL"),
    premake: default!(Option<i32>, 3),
) -> Result<(), ErrorReport> {
    let relation = existing(relation, "relation")?;
    let interval = interval_named(&given(interval, "interval")?)?;
    let premake = within(given(premake, "premake")?, "premake", MAX_PREMAKE)?;
    Ok(adopt::adopt(relation, interval, timezone.map(String::from), premake)?)
}

/// Takes a table off management, one that is gone too. Nothing of it is changed.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
fn stop_managing(parent: Option<Utf8>) -> Result<(), ErrorReport> {
    Ok(adopt::stop(&given(parent, "parent")?)?)
}

/// Says how long partitions are kept after their end, what becomes of them then, and which function is called with each
/// before; NULL keeps them for ever.
#[pg_extern(schema = "groundskeeper", name = "set_retention", volatile, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
fn set_retention_0_2(
    relation: Option<Regclass>,
    keep: Option<Interval>,
    action: default!(Option<Utf8>, "'detach'"),
    before: default!(Option<Regprocedure>, "NULL"),
) -> Result<(), ErrorReport> {
    let relation = existing(relation, "relation")?;
    let name = given(action, "action")?;
    let action = Action::parse(&name).ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, format!("\"{}\" is no action", &*name))
            .detail("A partition whose time is over can be left to detach, drop or archive.")
    })?;
    Ok(retention::set(relation, keep, action, before.map(|function| function.oid()))?)
}

/// Retires the partitions whose time is over; a dry run only says what it would do.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn apply_retention(
    dry_run: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (
            name!(parent, Utf8),
            name!(partition, Option<Utf8>),
            name!(action, Utf8),
            name!(detail, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let outcomes = retention::apply(given(dry_run, "dry_run")?)?;
    Ok(TableIterator::new(
        outcomes.into_iter().map(|o| {
            (o.parent.into(), o.partition.map(Utf8::from), o.action.into(), o.detail.map(Utf8::from))
        }),
    ))
}

/// Makes a partition a table of its own again; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn detach_partition(partition: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(leave::ask_to_detach(existing(partition, "partition")?)?)
}

/// Drops a partition with its rows; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn drop_partition(partition: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(leave::ask_to_drop(existing(partition, "partition")?)?)
}

/// Makes a table with rows the partition of the one period that all of them fit; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn attach_partition(parent: Option<Regclass>, table: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(attach::ask(existing(parent, "parent")?, existing(table, "table")?)?)
}

/// Moves the rows of a default partition into partitions of their own; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn drain_default(
    relation: Option<Regclass>,
    batch_size: default!(Option<i32>, 10000),
) -> Result<i64, ErrorReport> {
    let relation = existing(relation, "relation")?;
    let batch_size = given(batch_size, "batch_size")?;
    if batch_size < 1 {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "batch_size must be at least 1",
        )
        .detail(format!("It is {batch_size}."))
        .into());
    }
    Ok(drain::ask(relation, batch_size)?)
}

/// Brings the keys that are kept apart from a table in order; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn rebuild_keys(relation: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(rebuild::ask(existing(relation, "relation")?)?)
}

extension_sql_file!(
    "../../sql/monitoring/partition_health.sql",
    name = "partition_health_view",
    requires = ["bootstrap", partition_health_0_2]
);

/// How all managed tables stand.
#[pg_extern(schema = "groundskeeper_internal", name = "partition_health", stable, parallel_unsafe, requires = ["managed_tables"])]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn partition_health_0_2() -> Result<
    TableIterator<
        'static,
        (
            name!(parent, Utf8),
            name!(partition_key, Utf8),
            name!(partitions, Option<i64>),
            name!(next_missing_month, Option<Utf8>),
            name!(default_rows, Option<i64>),
            name!(gap_count, Option<i64>),
            name!(newest_bound, Option<Utf8>),
            name!(status, Utf8),
            name!(detail, Option<Utf8>),
            name!(capture_backlog, Option<i64>),
            name!(keys_status, Option<Utf8>),
            name!(conversion, Option<Utf8>),
            name!(problem, Option<Utf8>),
            name!(remedy, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let row = |h: health::Health| {
        let next_missing = h.next_missing.map(|day| day.to_string().into());
        (
            h.parent.into(),
            h.partition_key.into(),
            h.partitions,
            next_missing,
            h.default_rows,
            h.gap_count,
            h.newest_bound.map(Utf8::from),
            h.status.into(),
            h.detail.map(Utf8::from),
            h.capture_backlog,
            h.keys_status.map(Utf8::from),
            h.conversion.map(Utf8::from),
            h.problem.map(Utf8::from),
            h.remedy.map(Utf8::from),
        )
    };
    Ok(TableIterator::new(health::all()?.into_iter().map(row)))
}

/// The interval of that name.
fn interval_named(name: &str) -> Fallible<periods::Interval> {
    periods::Interval::parse(name).ok_or_else(|| {
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
