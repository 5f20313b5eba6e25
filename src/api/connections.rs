//! `connection_pool_config`, `recommend_pool_size`, `apply_server_settings`; what is measured of connections is
//! SQL and lives in `sql/`.

use super::plan::row;
use super::{built_in_plan, given};
use crate::connections::{self, Sizing};
use crate::encoding::Utf8;
use crate::plan::role_setting;
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/connections.sql",
    name = "connections",
    requires = [
        "bootstrap",
        "metrics_tables",
        connection_pool_config_0_2,
        recommend_pool_size,
        apply_server_settings
    ]
);

/// The plan's pool settings as somebody's configuration.
#[pg_extern(schema = "groundskeeper", name = "connection_pool_config", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn connection_pool_config_0_2(
    format: default!(Option<Utf8>, "'json'"),
    pool_size: default!(Option<i32>, "NULL"),
    pooler: default!(Option<Utf8>, "NULL"),
) -> Result<Utf8, ErrorReport> {
    let format = given(format, "format")?;
    Ok(connections::pool_config(&built_in_plan()?.pool, &format, pool_size, pooler.as_deref())?.into())
}

/// How large the pools of this database should be together.
#[pg_extern(schema = "groundskeeper", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn recommend_pool_size() -> Result<
    TableIterator<
        'static,
        (
            name!(pool_size, i32),
            name!(cores, i32),
            name!(usable_slots, i32),
            name!(peak_busy, Option<i32>),
            name!(reasoning, Utf8),
        ),
    >,
    ErrorReport,
> {
    let Sizing { load, recommendation } = connections::recommend_pool_size(&built_in_plan()?.pool)?;
    let whole = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    Ok(TableIterator::once((
        whole(recommendation.pool_size),
        whole(load.cores),
        whole(load.usable_slots),
        load.peak_busy.map(whole),
        recommendation.reasoning.into(),
    )))
}

/// Gives a role the plan's server settings in this database.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn apply_server_settings(
    role: Option<RegRole>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(item, Utf8),
            name!(action, Utf8),
            name!(state, Utf8),
            name!(detail, Option<Utf8>),
            name!(sql, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let RegRole(role) = given(role, "role")?;
    let plan = built_in_plan()?;
    let settings = connections::server_setting_pairs(&plan.pool);
    Ok(TableIterator::once(row(role_setting::apply(plan, role, &settings)?)))
}

/// A `regrole`.
#[derive(Clone, Copy)]
struct RegRole(pg_sys::Oid);

impl FromDatum for RegRole {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        typoid: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: a regrole is an oid to all but its input and output.
        unsafe { pg_sys::Oid::from_polymorphic_datum(datum, is_null, typoid) }.map(Self)
    }
}

// SAFETY: it goes through `from_datum`, which looks at whether the argument is NULL before it reads it.
unsafe impl<'fcx> ArgAbi<'fcx> for RegRole {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches for an argument of the SQL type.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(Self(pg_sys::InvalidOid))
    }
}

pgrx::impl_sql_translatable!(RegRole, arg_only = "regrole");
