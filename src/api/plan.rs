//! `plan_status`, `apply_plan`, `rollback_plan`.

use super::{built_in_plan, given};
use crate::backend;
use crate::error::{self, Failure};
use crate::journal;
use crate::plan::{self, Context, Outcome, assess};
use crate::sql::{qualified, quote_identifier, script};
use groundskeeper_core::plan::decide::State;
use groundskeeper_core::plan::{Action, Item};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!("../../sql/plan.sql", name = "plan", requires = [plan_status, apply_plan, rollback_plan]);

/// Each item of the plan and how it stands here.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn plan_status() -> Result<
    TableIterator<
        'static,
        (
            name!(item, String),
            name!(section, String),
            name!(kind, String),
            name!(target, String),
            name!(state, String),
            name!(detail, Option<String>),
            name!(apply_sql, Option<String>),
            name!(revert_sql, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let mut context = Context::new()?;
    let standing = journal::standing()?;
    let mut rows = Vec::new();
    for item in plan::items(built_in_plan()?)? {
        let assessed = assess(&item, &mut context);
        let revert = match standing.iter().find(|change| change.item == item.id()) {
            Some(change) => plan::revert_sql(&item, change),
            None => assessed.work.as_ref().map(|work| script(&work.inverse)).filter(|sql| !sql.is_empty()),
        };
        rows.push((
            item.id(),
            item.section.clone(),
            item.action.kind().to_owned(),
            target(&item),
            assessed.verdict.state.as_str().to_owned(),
            assessed.verdict.detail.clone(),
            assessed.work.as_ref().map(plan::apply_sql),
            revert,
        ));
    }
    Ok(TableIterator::new(rows))
}

/// Applies what is pending, in the sections asked for; a dry run only says what it would do.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn apply_plan(
    dry_run: default!(Option<bool>, false),
    sections: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(item, String),
            name!(action, String),
            name!(state, String),
            name!(detail, Option<String>),
            name!(sql, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let dry_run = given(dry_run, "dry_run")?;
    let sections = sections.map(|s| elements(s, "sections")).transpose()?;
    let stated = built_in_plan()?;
    if let Some(unknown) = sections.iter().flatten().find(|section| !stated.has_section(section)) {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("the plan has no section \"{unknown}\""),
        )
        .detail(format!("Its sections are {}; \"4\" stands for 4.1 and 4.2.", stated.sections.join(", ")))
        .into());
    }
    let outcomes = plan::apply_plan(stated, dry_run, sections.as_deref())?;
    if backend::is_creating_extension() {
        say_what_was_done(&outcomes);
    }
    Ok(TableIterator::new(outcomes.into_iter().map(row)))
}

/// Takes back what the change log records, newest first; a dry run only says what it would do.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn rollback_plan(
    dry_run: default!(Option<bool>, false),
    items: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(item, String),
            name!(action, String),
            name!(state, String),
            name!(detail, Option<String>),
            name!(sql, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let dry_run = given(dry_run, "dry_run")?;
    let items = items.map(|i| elements(i, "items")).transpose()?;
    for id in items.iter().flatten() {
        if plan::item(built_in_plan()?, id)?.is_none() {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("the plan has no item \"{id}\""),
            )
            .hint("SELECT item FROM groundskeeper.plan_status() lists them.")
            .into());
        }
    }
    let outcomes = plan::rollback_plan(built_in_plan()?, dry_run, items.as_deref())?;
    Ok(TableIterator::new(outcomes.into_iter().map(row)))
}

pub(super) type OutcomeRow = (String, String, String, Option<String>, Option<String>);

pub(super) fn row(outcome: Outcome) -> OutcomeRow {
    let state = outcome.state.as_str().to_owned();
    (outcome.item.id(), outcome.action.to_owned(), state, outcome.detail, outcome.sql)
}

/// What an item is about, quoted.
fn target(item: &Item) -> String {
    match &item.action {
        Action::RoleSetting { role: Some(role) } => quote_identifier(role),
        _ => qualified(&item.relation.schema, &item.relation.name),
    }
}

/// The elements of an array argument, none of which may be NULL.
fn elements(array: Vec<Option<String>>, argument: &str) -> error::Result<Vec<String>> {
    array.into_iter().map(|element| given(element, &format!("an element of {argument}"))).collect()
}

/// What an installation did, item by item, in one message.
fn say_what_was_done(outcomes: &[Outcome]) {
    let count = |state| outcomes.iter().filter(|o| o.state == state).count();
    let line = |o: &Outcome| match &o.detail {
        Some(detail) => format!("{} {}: {detail}", o.item.id(), o.state.as_str()),
        None => format!("{} {}", o.item.id(), o.state.as_str()),
    };
    let lines: Vec<String> =
        if outcomes.iter().any(|o| o.state == State::Applied && !o.item.action.is_member()) {
            outcomes.iter().map(line).collect()
        } else {
            vec![
                "Nothing of the plan's database is here yet; call groundskeeper.apply_plan() when it is."
                    .to_owned(),
            ]
        };
    // A script's notices are held back; what an installation did is asked for.
    ereport!(
        INFO,
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!(
            "the plan's {} items: {} applied, {} queued, {} pending, {} blocked, {} in conflict, {} not applicable",
            outcomes.len(),
            count(State::Applied),
            count(State::Queued),
            count(State::Pending),
            count(State::Blocked),
            count(State::Conflict),
            count(State::NotApplicable),
        ),
        lines.join("\n")
    );
}
