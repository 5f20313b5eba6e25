//! `partition_preflight`, `partition_table`, `undo_partitioning`, `finalize_partitioning`.

use super::regclass::{Regclass, existing};
use super::{built_in_plan, given};
use crate::error::Failure;
use crate::partition::convert::{self, Request};
use crate::partition::guard;
use crate::plan::partitioned;
use groundskeeper_core::partition::convert::Goal;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/conversion.sql",
    name = "conversion",
    requires = [
        "bootstrap",
        partition_preflight,
        partition_table,
        undo_partitioning,
        finalize_partitioning,
        guard_partitions,
        complete_partitions
    ]
);

// A value of type `name` reaches a function as one of type `cstring` does: as a pointer to a NUL-terminated text. So the
// functions are declared by hand, which pgrx has no type for.

/// What stands in the way of partitioning a table by a column, and what changes with it.
#[pg_extern(sql = "CREATE FUNCTION groundskeeper.partition_preflight(relation regclass, partition_key name)
    RETURNS TABLE (check_name text, severity text, detail text, remedy text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';")]
#[allow(clippy::type_complexity, reason = "the columns of the contract")]
fn partition_preflight(
    relation: Option<Regclass>,
    partition_key: Option<&core::ffi::CStr>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(check_name, String),
            name!(severity, String),
            name!(detail, String),
            name!(remedy, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let relation = existing(relation, "relation")?;
    let key = given(partition_key, "partition_key")?;
    let findings = convert::preflight(relation, &key.to_string_lossy(), None)?;
    Ok(TableIterator::new(
        findings
            .into_iter()
            .map(|f| (f.check.to_owned(), f.severity.as_str().to_owned(), f.detail, f.remedy)),
    ))
}

/// Queues the partitioning of a table while writers go on; the number of the job that does it.
#[pg_extern(sql = "CREATE FUNCTION groundskeeper.partition_table(relation regclass, partition_key name,
        \"interval\" text DEFAULT 'month', timezone text DEFAULT NULL, premake integer DEFAULT 3, accept text[] DEFAULT '{}')
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';")]
fn partition_table(
    relation: Option<Regclass>,
    partition_key: Option<&core::ffi::CStr>,
    interval: Option<String>,
    timezone: Option<String>,
    premake: Option<i32>,
    accept: Option<Vec<Option<String>>>,
) -> Result<i64, ErrorReport> {
    let accept = given(accept, "accept")?;
    let accept =
        accept.into_iter().map(|name| given(name, "an element of accept")).collect::<Result<_, _>>()?;
    let relation = existing(relation, "relation")?;
    let request = Request {
        relation,
        item: partitioned::item_of(built_in_plan()?, relation)?,
        key: given(partition_key, "partition_key")?.to_string_lossy().into_owned(),
        interval: given(interval, "interval")?,
        timezone,
        premake: given(premake, "premake")?,
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

/// Refuses plain statements that would leave keys of a partition's rows behind, or miss them. The event trigger calls it
/// before each `ALTER TABLE` and `DROP TABLE`.
#[pg_extern(
    sql = "CREATE FUNCTION groundskeeper_internal.guard_partitions() RETURNS event_trigger
    LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
CREATE EVENT TRIGGER groundskeeper_guard_partitions ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'DROP TABLE')
    EXECUTE FUNCTION groundskeeper_internal.guard_partitions();",
    requires = ["managed_tables"]
)]
fn guard_partitions(fcinfo: pg_sys::FunctionCallInfo) -> Result<(), ErrorReport> {
    // SAFETY: what the function manager called us with.
    let statement = unsafe { statement_of_event(fcinfo, "guard_partitions") }?;
    // SAFETY: the statement that is about to run outlives this call.
    Ok(unsafe { guard::check(statement) }?)
}

/// Gives partitions that came by plain statements the triggers that they do not get from their table. The event trigger
/// calls it after each `CREATE TABLE` and `ALTER TABLE`.
#[pg_extern(
    sql = "CREATE FUNCTION groundskeeper_internal.complete_partitions() RETURNS event_trigger
    LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
CREATE EVENT TRIGGER groundskeeper_complete_partitions ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE')
    EXECUTE FUNCTION groundskeeper_internal.complete_partitions();",
    requires = ["managed_tables"]
)]
fn complete_partitions(fcinfo: pg_sys::FunctionCallInfo) -> Result<(), ErrorReport> {
    // SAFETY: what the function manager called us with.
    let statement = unsafe { statement_of_event(fcinfo, "complete_partitions") }?;
    // SAFETY: the statement that has just run outlives this call.
    Ok(unsafe { guard::complete(statement) }?)
}

/// The statement that an event trigger is about.
///
/// # Safety
/// `fcinfo` is what the function manager passed to the function of that name.
unsafe fn statement_of_event(
    fcinfo: pg_sys::FunctionCallInfo,
    function: &str,
) -> Result<*mut pg_sys::Node, Failure> {
    // SAFETY: a call by the event trigger manager, and no other, has such data as its context.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || !pgrx::is_a(context, pg_sys::NodeTag::T_EventTriggerData) {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                format!("groundskeeper.{function}() is called by its event trigger only"),
            ));
        }
        Ok((*context.cast::<pg_sys::EventTriggerData>()).parsetree)
    }
}
