//! `plan_status`, `apply_plan`, `rollback_plan`.

use super::{elements, given, whole_plan};
use crate::backend;
use crate::cluster;
use crate::encoding::Utf8;
use crate::error::{self, Failure};
use crate::plan::{self, Asked, Context, Outcome, assess, own};
use crate::sql::{qualified, quote_identifier, script};
use groundskeeper_core::plan::cost::locks;
use groundskeeper_core::plan::decide::State;
use groundskeeper_core::plan::{Action, Item, Plan};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/plan.sql",
    name = "plan",
    requires = [plan_status_0_2, apply_plan_0_2, rollback_plan]
);

/// Each item of the plan and how it stands here.
#[pg_extern(schema = "groundskeeper", name = "plan_status", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn plan_status_0_2() -> Result<
    TableIterator<
        'static,
        (
            name!(item, Utf8),
            name!(section, Utf8),
            name!(kind, Utf8),
            name!(target, Utf8),
            name!(state, Utf8),
            name!(detail, Option<Utf8>),
            name!(apply_sql, Option<Utf8>),
            name!(revert_sql, Option<Utf8>),
            name!(locks, Option<Utf8>),
            name!(estimated_bytes, Option<i64>),
            name!(runs_as, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let mut context = Context::new()?;
    let mut rows = Vec::new();
    for item in plan::items(&*whole_plan()?)? {
        let assessed = assess(&item, &mut context);
        let revert = match context.change(&item.id()) {
            Some(change) => plan::revert_sql(&item, change),
            None => assessed.work.as_ref().map(|work| script(&work.inverse)).filter(|sql| !sql.is_empty()),
        };
        let effort = assessed.work.as_ref().map(|work| plan::effort(&item, work));
        let locks = effort.map(|effort| locks(&item.action, &item.relation, effort));
        rows.push((
            item.id().into(),
            item.section.as_str().into(),
            item.action.kind().into(),
            target(&item).into(),
            assessed.verdict.state.as_str().into(),
            assessed.verdict.detail.as_deref().map(Utf8::from),
            assessed.work.as_ref().map(plan::apply_sql).map(Utf8::from),
            revert.map(Utf8::from),
            locks.map(Utf8::from),
            // where the nodes of a cluster do not tell, nobody knows
            effort
                .filter(|effort| effort.bytes() < cluster::UNKNOWN)
                .map(|effort| i64::try_from(effort.bytes()).unwrap_or(i64::MAX)),
            effort.map(|effort| effort.runs_as().into()),
        ));
    }
    Ok(TableIterator::new(rows))
}

/// Applies what is pending, of the sections or single items asked for; a dry run only says what it would do.
#[pg_extern(schema = "groundskeeper", name = "apply_plan", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn apply_plan_0_2(
    dry_run: default!(Option<bool>, false),
    sections: default!(Option<Vec<Option<Utf8>>>, "NULL"),
    items: default!(Option<Vec<Option<Utf8>>>, "NULL"),
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
    let dry_run = given(dry_run, "dry_run")?;
    let asked = Asked { sections: asked(sections, "sections")?, items: asked(items, "items")? };
    let stated = whole_plan()?;
    must_know(&stated, asked.items.as_deref())?;
    if let Some(unknown) = asked.sections.iter().flatten().find(|section| !stated.has_section(section)) {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("the plan has no section \"{unknown}\""),
        )
        .detail(format!("Its sections are {}; \"4\" stands for 4.1 and 4.2.", stated.sections.join(", ")))
        .into());
    }
    let outcomes = cluster::one_by_one(|| plan::apply_plan(&stated, dry_run, &asked))?;
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
    items: default!(Option<Vec<Option<Utf8>>>, "NULL"),
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
    let dry_run = given(dry_run, "dry_run")?;
    let items = asked(items, "items")?;
    let stated = whole_plan()?;
    must_know(&stated, items.as_deref())?;
    let outcomes = cluster::one_by_one(|| plan::rollback_plan(&stated, dry_run, items.as_deref()))?;
    Ok(TableIterator::new(outcomes.into_iter().map(row)))
}

pub(super) type OutcomeRow = (Utf8, Utf8, Utf8, Option<Utf8>, Option<Utf8>);

pub(super) fn row(outcome: Outcome) -> OutcomeRow {
    let (detail, sql) = (outcome.detail.map(Utf8::from), outcome.sql.map(Utf8::from));
    (outcome.item.id().into(), outcome.action.into(), outcome.state.as_str().into(), detail, sql)
}

/// What an item is about, quoted.
fn target(item: &Item) -> String {
    match &item.action {
        Action::RoleSetting { role: Some(role) } => quote_identifier(role),
        _ => qualified(&item.relation.schema, &item.relation.name),
    }
}

/// Refuses what no item is called.
fn must_know(stated: &Plan, items: Option<&[String]>) -> error::Result<()> {
    for id in items.into_iter().flatten() {
        if plan::item(stated, id)?.is_none() {
            return Err(own::unknown(id));
        }
    }
    Ok(())
}

/// What is asked for of the plan; nothing for all of it.
fn asked(names: Option<Vec<Option<Utf8>>>, argument: &str) -> error::Result<Option<Vec<String>>> {
    let Some(names) = names else { return Ok(None) };
    Ok(Some(elements(Some(names), argument)?.into_iter().map(String::from).collect()))
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
