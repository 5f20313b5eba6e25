//! The functions that SQL calls, one file per capability.

mod alerts;
mod bloat;
mod columns;
mod connections;
mod conversion;
mod defaults;
mod exposition;
mod indexes;
mod jobs;
mod kpi;
mod latency;
mod metrics;
mod migration;
mod names;
mod odds;
mod own_plan;
mod partitions;
mod plan;
mod prerequisites;
mod quality;
mod regclass;
mod released;
mod report;
mod schedule;
mod server_text;
mod statistics;
mod teams;
mod toplevel;

use crate::error::{Failure, Result};
use groundskeeper_core::plan::{Plan, built_in};
use pgrx::prelude::*;
use std::borrow::Cow;

/// The built-in plan: whoever is below is given it.
fn built_in_plan() -> Result<&'static Plan> {
    Ok(built_in()?)
}

/// The same with all that users have added to it.
fn whole_plan() -> Result<Cow<'static, Plan>> {
    crate::plan::own::whole(built_in()?)
}

/// An argument that must not be NULL.
fn given<T>(value: Option<T>, argument: &str) -> Result<T> {
    value.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, format!("{argument} must not be null"))
    })
}

/// The elements of an array argument: neither it nor one of them may be NULL.
fn elements<T>(array: Option<Vec<Option<T>>>, argument: &str) -> Result<Vec<T>> {
    let name = format!("an element of {argument}");
    given(array, argument)?.into_iter().map(|element| given(element, &name)).collect()
}
