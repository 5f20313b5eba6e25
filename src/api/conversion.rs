//! `partition_preflight`, `partition_table`, `undo_partitioning`, `finalize_partitioning`.

use super::regclass::{Regclass, existing};
use super::{elements, given, whole_plan};
use crate::encoding::{Utf8, to_rust};
use crate::partition::convert::{self, Asked, Request};
use crate::plan::partitioned;
use groundskeeper_core::partition::convert::Goal;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/conversion.sql",
    name = "conversion",
    requires = [
        "conversion_table",
        partition_preflight_0_2,
        partition_table_0_2,
        undo_partitioning,
        finalize_partitioning
    ]
);

// A value of type `name` reaches a function as one of type `cstring` does: as a pointer to a NUL-terminated text. So the
// functions are declared by hand, which pgrx has no type for.

/// What stands in the way of partitioning a table by a column, and what changes with it.
#[pg_extern(sql = "CREATE FUNCTION groundskeeper.partition_preflight(relation regclass, partition_key name,
        \"interval\" text DEFAULT 'month', timezone text DEFAULT NULL, premake integer DEFAULT 3,
        key_format text DEFAULT NULL, \"default\" boolean DEFAULT true)
    RETURNS TABLE (check_name text, severity text, detail text, remedy text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';")]
#[allow(clippy::type_complexity, reason = "the columns of the contract")]
fn partition_preflight_0_2(
    relation: Option<Regclass>,
    partition_key: Option<&core::ffi::CStr>,
    interval: Option<Utf8>,
    timezone: Option<Utf8>,
    premake: Option<i32>,
    key_format: Option<Utf8>,
    default: Option<bool>,
) -> Result<
    TableIterator<
        'static,
        (name!(check_name, Utf8), name!(severity, Utf8), name!(detail, Utf8), name!(remedy, Option<Utf8>)),
    >,
    ErrorReport,
> {
    let relation = existing(relation, "relation")?;
    let key = given(partition_key, "partition_key")?;
    let asked = asked(interval, timezone, premake, key_format, default)?;
    let findings = convert::preflight(relation, &to_rust(key.to_bytes()), &asked)?;
    Ok(TableIterator::new(
        findings
            .into_iter()
            .map(|f| (f.check.into(), f.severity.as_str().into(), f.detail.into(), f.remedy.map(Utf8::from))),
    ))
}

/// The partitions that are asked for.
fn asked(
    interval: Option<Utf8>,
    timezone: Option<Utf8>,
    premake: Option<i32>,
    key_format: Option<Utf8>,
    default: Option<bool>,
) -> Result<Asked, ErrorReport> {
    let interval: String = given(interval, "interval")?.into();
    let (premake, has_default) = (given(premake, "premake")?, given(default, "default")?);
    Ok(Asked::read(&interval, timezone.map(String::from), premake, key_format.as_deref(), has_default)?)
}

/// Queues the partitioning of a table while writers go on; the number of the job that does it.
#[pg_extern(sql = "CREATE FUNCTION groundskeeper.partition_table(relation regclass, partition_key name,
        \"interval\" text DEFAULT 'month', timezone text DEFAULT NULL, premake integer DEFAULT 3, accept text[] DEFAULT '{}',
        key_format text DEFAULT NULL, \"default\" boolean DEFAULT true)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';")]
#[expect(clippy::too_many_arguments, reason = "the arguments of the contract")]
fn partition_table_0_2(
    relation: Option<Regclass>,
    partition_key: Option<&core::ffi::CStr>,
    interval: Option<Utf8>,
    timezone: Option<Utf8>,
    premake: Option<i32>,
    accept: Option<Vec<Option<Utf8>>>,
    key_format: Option<Utf8>,
    default: Option<bool>,
) -> Result<i64, ErrorReport> {
    let accept = elements(accept, "accept")?.into_iter().map(String::from).collect();
    let relation = existing(relation, "relation")?;
    let request = Request {
        relation,
        item: partitioned::item_of(&*whole_plan()?, relation)?,
        key: to_rust(given(partition_key, "partition_key")?.to_bytes()),
        asked: asked(interval, timezone, premake, key_format, default)?,
        accept,
    };
    Ok(convert::partition_table(&request)?)
}

/// Queues the way back to the unpartitioned table, with all that was written since; the number of its job.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn undo_partitioning(relation: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(convert::ask(existing(relation, "relation")?, Goal::Undo)?)
}

/// Queues the dropping of the unpartitioned table, after a last proof; the number of its job.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn finalize_partitioning(relation: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(convert::ask(existing(relation, "relation")?, Goal::Finalize)?)
}
