//! `add_plan_item`, `drop_plan_item`, `export_plan`, `import_plan`, `decline`: the plan, extended by its users.

use super::quality::JsonbArgument;
use super::{built_in_plan, given};
use crate::encoding::{Utf8, to_rust};
use crate::plan::own;
use groundskeeper_core::plan::own::definition;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/own_plan.sql",
    name = "own_plan",
    requires = ["bootstrap", add_plan_item, drop_plan_item, export_plan, import_plan, decline, plan_items]
);

/// Adds an item to the plan, with the fields of the plan file; its id.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn add_plan_item(item: Option<JsonbArgument<'_>>) -> Result<Utf8, ErrorReport> {
    let image = given(item.and_then(JsonbArgument::image), "item")?;
    let text = JsonbArgument::text_of(image).unwrap_or_default();
    Ok(own::add(built_in_plan()?, &to_rust(text.to_bytes()))?.into())
}

/// Takes an item off the plan that somebody has added and that is applied no more.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn drop_plan_item(item: Option<Utf8>) -> Result<(), ErrorReport> {
    Ok(own::drop(built_in_plan()?, &given(item, "item")?)?)
}

/// What was added to the plan, in the form of the plan file.
#[pg_extern(schema = "groundskeeper", stable, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn export_plan() -> Result<Utf8, ErrorReport> {
    Ok(own::export()?.into())
}

/// Adds the items of a plan file that are not there yet.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn import_plan(
    plan: Option<Utf8>,
    dry_run: default!(Option<bool>, false),
) -> Result<
    TableIterator<'static, (name!(item, Utf8), name!(action, Utf8), name!(detail, Option<Utf8>))>,
    ErrorReport,
> {
    let imported = own::import(built_in_plan()?, &given(plan, "plan")?, given(dry_run, "dry_run")?)?;
    let row = |one: own::Imported| (one.item.into(), one.action.into(), one.detail.map(Utf8::from));
    Ok(TableIterator::new(imported.into_iter().map(row)))
}

/// Has `apply_plan()` leave an item out; without a reason, take it up again.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn decline(item: Option<Utf8>, reason: Option<Utf8>) -> Result<(), ErrorReport> {
    Ok(own::decline(built_in_plan()?, &given(item, "item")?, reason.as_deref())?)
}

/// Each item of the plan as it is stated, built in or added.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn plan_items() -> Result<
    TableIterator<
        'static,
        (
            name!(item, Utf8),
            name!(section, Utf8),
            name!(definition, Utf8),
            name!(origin, Utf8),
            name!(added_by, Option<Utf8>),
            name!(added_at, Option<TimestampWithTimeZone>),
            name!(declined_reason, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let declined = own::declined()?;
    let built_in = built_in_plan()?.items.iter().map(|item| (item.clone(), None));
    let added = own::added()?.into_iter().map(|added| (added.item, Some(added.at)));
    let mut rows = Vec::new();
    for (item, added_at) in built_in.chain(added) {
        let id = item.id();
        let stated = definition(&item).map_err(|error| crate::error::Failure::internal(error.to_string()))?;
        let origin = if added_at.is_some() { "own" } else { "built-in" };
        let reason = declined.get(&id).map(|reason| Utf8::from(reason.as_str()));
        let added_by = item.author.map(|author| Utf8::from(author.role));
        rows.push((
            Utf8::from(id),
            Utf8::from(item.section),
            Utf8::from(stated.to_string()),
            origin.into(),
            added_by,
            added_at,
            reason,
        ));
    }
    Ok(TableIterator::new(rows))
}
