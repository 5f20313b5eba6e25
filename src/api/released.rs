//! What released versions' catalogs call. Between the update of a package and that of a database its functions call this
//! library: those by whose names there are others now, with other arguments or columns, must be found, and say what is
//! to be done; what stands in the way of writers or of DDL goes on. The client tests `upgrade` compare.

use super::alerts::check_alert_rule_0_2;
use super::built_in_plan;
use crate::encoding::Utf8;
use crate::error::{Failure, Result as Fallible};
use crate::extension::not_updated;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use pgrx::datum::Interval;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

macro_rules! superseded {
    ($($function:ident),+ $(,)?) => {$(
        #[pg_extern(sql = false)]
        fn $function() -> Result<(), ErrorReport> {
            Err(not_updated()?.into())
        }
    )+};
}

// 0.1.0
superseded!(
    apply_plan,
    connection_pool_config,
    create_monthly_partitions,
    fail_migration,
    migration_step,
    partition_health,
    partition_preflight,
    partition_table,
    plan_status,
    set_retention,
    start_migration,
    statement_latency,
);

/// Of 0.1.0: a rule's constraint, whoever edits it.
#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the columns of a rule")]
fn check_alert_rule(
    metric: Option<Utf8>,
    target: Option<Utf8>,
    comparison: Option<Utf8>,
    fire_threshold: Option<AnyNumeric>,
    clear_threshold: Option<AnyNumeric>,
    fire_after: Option<Interval>,
    clear_after: Option<Interval>,
    min_samples: Option<i64>,
    check_every: Option<Interval>,
) -> Result<bool, ErrorReport> {
    check_alert_rule_0_2(
        metric,
        target,
        comparison,
        fire_threshold,
        clear_threshold,
        fire_after,
        clear_after,
        min_samples,
        check_every,
        None,
    )
}

/// Of 0.1.0: what its trigger puts back where a target is deleted.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn default_kpi_targets() -> Result<
    TableIterator<
        'static,
        (
            name!(kpi, String),
            name!(target, AnyNumeric),
            name!(comparison, &'static str),
            name!(min_samples, i64),
            name!(measured_over, Option<Interval>),
        ),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(built_in_plan()?.kpis.iter().map(|kpi| {
        let window = kpi.hours.map(|hours| Interval::from_micros(hours * 3_600_000_000));
        (kpi.kpi.clone(), kpi.target.into(), kpi.comparison.sign(), kpi.min_samples, window)
    })))
}

/// Of 0.1.0: called before each `ALTER TABLE` and `DROP TABLE`.
#[pg_extern(sql = false)]
fn guard_partitions() {
    say_unguarded();
}

/// Of 0.1.0: called after each `CREATE TABLE` and `ALTER TABLE`. Before the latter all has been said.
#[pg_extern(sql = false)]
fn complete_partitions(fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: what the function manager called us with; an event trigger has such data as its context.
    let brings_partition = unsafe {
        let context = (*fcinfo).context;
        !context.is_null() && pgrx::is_a(context, pg_sys::NodeTag::T_EventTriggerData) && {
            let statement = (*context.cast::<pg_sys::EventTriggerData>()).parsetree;
            pgrx::is_a(statement, pg_sys::NodeTag::T_CreateStmt)
                && !(*statement.cast::<pg_sys::CreateStmt>()).partbound.is_null()
        }
    };
    if brings_partition {
        say_unguarded();
    }
}

/// The statement goes on whatever is found; whoever has no converted tables hears nothing.
fn say_unguarded() {
    let any =
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgname = 'A_groundskeeper_key_insert')";
    let any: Fallible<Option<bool>> = isolated(|| sql::first(any, &[], |row| required(row, 1)));
    if any.is_ok_and(|any| any == Some(false)) {
        return;
    }
    let said = isolated(not_updated).unwrap_or_else(|failure| failure);
    Failure {
        message: format!("keys of converted tables are not looked after meanwhile: {}", said.message),
        ..said
    }
    .say(PgLogLevel::WARNING);
}
