//! `rollback_plan()`: what the change log records is taken back, newest first, after looking at what stands
//! there by now.

use super::apply::Outcome;
use super::widen::Change as ColumnChange;
use super::{After, Context, dropped_index, job, look_at, migration, partitioned, role_setting};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::jobs;
use crate::journal;
use crate::settings;
use crate::sql::{qualified, script};
use crate::subtransaction::isolated;
use crate::waiting::run_before_deadline;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::decide::State;
use groundskeeper_core::plan::{Action, Item, Plan, Qualified};
use std::rc::Rc;

/// How a change can be taken back.
pub enum Reversal {
    /// By these steps.
    Steps(Box<Steps>),
    /// It is gone already.
    Gone(String),
    /// Not without losing something.
    Refused(String),
}

/// What takes a change back.
#[derive(Default)]
pub struct Steps {
    pub(super) statements: Vec<String>,
    /// What is left as it is, and why.
    pub(super) note: Option<String>,
    /// What follows and only reads.
    pub(super) after: Vec<After>,
    /// The same as a job, for when a lock is not to be had.
    pub(super) job: Option<JobRequest>,
    /// Whether only the job will do, as the statements would hold their locks for long.
    pub(super) long: bool,
}

impl Reversal {
    /// By these statements.
    pub fn by(statements: Vec<String>) -> Self {
        Self::with_note(statements, None)
    }

    /// By these statements, and something to be said of them.
    pub fn with_note(statements: Vec<String>, note: Option<String>) -> Self {
        Self::Steps(Box::new(Steps { statements, note, ..Steps::default() }))
    }
}

/// Takes back the standing changes of those items (all, where none are named).
pub fn rollback_plan(plan: &Plan, dry_run: bool, items: Option<&[String]>) -> Result<Vec<Outcome>> {
    let asked = |id: &str| items.is_none_or(|items| items.iter().any(|i| i == id));
    let mut outcomes = Vec::new();
    let is_table = |item: &Item| matches!(item.action, Action::PartitionedTable { .. });
    for item in plan.items.iter().filter(|item| is_table(item) && asked(&item.id())) {
        outcomes.extend(partitioned::take_back(&Rc::new(item.clone()), dry_run)?);
    }
    for (id, job) in jobs::active_by_item()?.into_iter().filter(|(id, _)| asked(id)) {
        let Some(item) = plan.item(&id).filter(|item| !is_table(item)) else { continue };
        outcomes.push(call_off(item, &job, dry_run)?);
    }
    for change in journal::standing()?.into_iter().filter(|change| asked(&change.item)) {
        let Some(item) = super::item(plan, &change.item)?.filter(|item| !is_table(item)) else { continue };
        outcomes.push(take_back(item, &change, dry_run)?);
    }
    Ok(outcomes)
}

/// Cancels the job that has an item, before anything else is looked at.
fn call_off(item: &Item, job: &str, dry_run: bool) -> Result<Outcome> {
    let cancelled = dry_run || jobs::cancel_item(&item.id())?;
    let (action, detail) = if cancelled {
        ("revert", format!("{job}: cancelled"))
    } else {
        ("skip", format!("{job}: being cancelled; call rollback_plan() again when it has ended"))
    };
    let item = Rc::new(item.clone());
    Ok(Outcome { item, action, state: State::Queued, detail: Some(detail), sql: None })
}

fn take_back(item: Rc<Item>, change: &journal::Change, dry_run: bool) -> Result<Outcome> {
    let reversal =
        isolated(|| reversal(&item, change)).unwrap_or_else(|failure| Reversal::Refused(failure.one_line()));
    let outcome = |action, state, detail: Option<String>, sql| Outcome { item, action, state, detail, sql };
    let steps = match reversal {
        Reversal::Refused(reason) => return Ok(outcome("skip", State::Blocked, Some(reason), None)),
        Reversal::Gone(reason) => {
            if !dry_run {
                journal::mark_reverted(change.id)?;
            }
            return Ok(outcome("revert", State::Pending, Some(reason), None));
        }
        Reversal::Steps(steps) => steps,
    };
    let script = Some(script(&steps.statements));
    if dry_run {
        return Ok(outcome("revert", State::Applied, steps.note, script));
    }
    if let Some(job) = steps.job.as_ref().filter(|_| steps.long) {
        return Ok(match isolated(|| jobs::enqueue(job)) {
            Ok(number) => outcome("queue", State::Queued, Some(format!("job {number}")), script),
            Err(failure) => outcome("skip", State::Blocked, Some(failure.one_line()), script),
        });
    }
    let attempt = isolated(|| {
        let after = steps.after.iter().map(|a| &a.statement);
        let all: Vec<String> = steps.statements.iter().chain(after).cloned().collect();
        run_before_deadline(settings::lock_timeout_ms(), &all)?;
        journal::mark_reverted(change.id)
    });
    match (attempt, steps.job) {
        (Ok(()), _) => Ok(outcome("revert", State::Pending, steps.note, script)),
        (Err(failure), Some(job)) if failure.is_lock_not_available() => {
            isolated(|| jobs::enqueue(&job))?;
            Ok(outcome("queue", State::Queued, Some("a lock was not to be had at once".to_owned()), script))
        }
        (Err(failure), _) => Ok(outcome("skip", State::Blocked, Some(failure.one_line()), script)),
    }
}

/// What taking a change back takes now.
fn reversal(item: &Item, change: &journal::Change) -> Result<Reversal> {
    if matches!(item.action, Action::PartitionedTable { .. }) {
        return partitioned::reversal(item);
    }
    if matches!(item.action, Action::RoleSetting { .. }) {
        return role_setting::reversal(change);
    }
    if let Action::DroppedIndex { name } = &item.action {
        return dropped_index::reversal(item, name, change);
    }
    let place = change.undo.relation.as_ref().unwrap_or(&item.relation);
    let Some(relation) = catalog::relation(place)? else {
        return Ok(Reversal::Gone(format!("relation {place} is gone")));
    };
    // What has taken the place of ours meanwhile is not ours to drop.
    let mut context = Context::new()?;
    context.aliases.extend(change.undo.relation.clone().map(|place| (item.relation.clone(), place)));
    let (verdict, _) = look_at(item, &context)?;
    if verdict.state == State::Conflict {
        return Ok(Reversal::Refused(verdict.detail.unwrap_or_default()));
    }
    match &item.action {
        Action::WidenNumeric { column, .. } => narrow(item, &relation, column, change),
        Action::CheckConstraint { name, expression } => uncheck(&relation, name, expression, change),
        Action::Index(index) | Action::ExpressionIndex(index) => unindex(item, place, &index.name),
        Action::View { .. } => Ok(Reversal::by(vec![format!("DROP VIEW {}", relation.quoted)])),
        Action::MaterializedView { .. } => {
            Ok(Reversal::by(vec![format!("DROP MATERIALIZED VIEW {}", relation.quoted)]))
        }
        Action::Migration => migration::reversal(item),
        Action::MonitoringView
        | Action::RoleSetting { .. }
        | Action::PartitionedTable { .. }
        | Action::DroppedIndex { .. } => Ok(Reversal::Refused("not taken back by this function".to_owned())),
    }
}

/// A constraint gone; one that was there before, and NOT VALID, is that again.
fn uncheck(table: &Relation, name: &str, expression: &str, change: &journal::Change) -> Result<Reversal> {
    let name = change.undo.was_not_valid.as_deref().unwrap_or(name);
    let checks = catalog::checks(table.oid, &table.quoted, expression)?;
    let Some(found) = checks.into_iter().find(|check| check.name == name) else {
        return Ok(Reversal::Gone(format!("constraint {name} is gone")));
    };
    if !found.same_definition {
        return Ok(Reversal::Refused(format!(
            "constraint {name} has been redefined since and is left as it is"
        )));
    }
    let (mut statements, again) = catalog::check_named(table.oid, name)?
        .map(|check| check.off_and_on(&table.quoted))
        .map_or_else(Default::default, |(off, on)| (vec![off], on));
    if change.undo.was_not_valid.is_some() {
        statements.extend(again);
    }
    Ok(Reversal::by(statements))
}

/// An index gone: at once if the lock is to be had, else concurrently by a job.
fn unindex(item: &Item, place: &Qualified, name: &str) -> Result<Reversal> {
    let schema = &place.schema;
    if catalog::index_named(schema, name)?.is_none() {
        return Ok(Reversal::Gone(format!("index {name} is gone")));
    }
    let index = Qualified { schema: schema.clone(), name: name.to_owned() };
    Ok(Reversal::Steps(Box::new(Steps {
        statements: vec![format!("DROP INDEX {}", qualified(schema, name))],
        job: Some(job(item, place, Task::DropIndex { index, unused: None })),
        ..Steps::default()
    })))
}

/// A column back to the type that it had. That rewrites the table, and must not lose a digit.
fn narrow(item: &Item, table: &Relation, column: &str, change: &journal::Change) -> Result<Reversal> {
    let Some((attnum, digits)) = catalog::numeric_column(table.oid, column)? else {
        return Ok(Reversal::Gone(format!("column {column} is gone, or numeric no more")));
    };
    let now = digits.map_or_else(|| "numeric".to_owned(), |(p, s)| format!("numeric({p},{s})"));
    let before = change.undo.column_type.clone().unwrap_or_else(|| "numeric".to_owned());
    if now == before {
        return Ok(Reversal::Gone(format!("column {column} is {before} again")));
    }
    let too_wide = catalog::rows_beyond(&table.quoted, column, &before)?;
    if too_wide > 0 {
        return Ok(Reversal::Refused(format!(
            "{too_wide} row{} of {} hold a {column} that {before} cannot; lower {} first",
            if too_wide == 1 { "" } else { "s" },
            item.relation,
            if too_wide == 1 { "it" } else { "them" },
        )));
    }
    let bytes = catalog::relation_bytes(table.oid)?;
    if bytes > settings::inline_build_limit_bytes() {
        return Ok(Reversal::Refused(format!(
            "narrowing {column} rewrites {} MB of {} under ACCESS EXCLUSIVE; set groundskeeper.inline_build_limit \
             above that in a maintenance window",
            bytes.div_ceil(1024 * 1024),
            item.relation,
        )));
    }
    let narrowing = ColumnChange::new(item, table, column, attnum)?;
    if let Some(reason) = narrowing.obstacle()? {
        return Ok(Reversal::Refused(reason));
    }
    let statements = narrowing.statements(&before);
    Ok(Reversal::Steps(Box::new(Steps { statements, after: narrowing.after()?, ..Steps::default() })))
}

/// What would take a change back now; the statements of its own time where that cannot be told.
pub fn revert_sql(item: &Item, change: &journal::Change) -> Option<String> {
    match isolated(|| reversal(item, change)) {
        Ok(Reversal::Steps(steps)) => Some(script(&steps.statements)),
        Ok(Reversal::Gone(_)) => None,
        Ok(Reversal::Refused(_)) | Err(_) => Some(change.inverse_sql.clone()),
    }
}
