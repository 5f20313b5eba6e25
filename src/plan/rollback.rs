//! `rollback_plan()`: what the change log records is taken back, newest first, after looking at what stands
//! there by now.

use super::apply::{Outcome, run_before_deadline};
use super::widen::Change as ColumnChange;
use super::{After, journal, plan, script};
use crate::catalog;
use crate::error::Result;
use crate::jobs;
use crate::settings;
use crate::sql::{qualified, quote_identifier};
use crate::subtransaction::isolated;
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::State;
use groundskeeper_core::plan::{Action, Item, Qualified};

/// How a change can be taken back.
pub enum Reversal {
    /// By these statements; what follows them only reads.
    Statements { statements: Vec<String>, after: Vec<After>, job: Option<super::JobRequest> },
    /// It is gone already.
    Gone(String),
    /// Not without losing something.
    Refused(String),
}

impl Reversal {
    fn by(statements: Vec<String>) -> Self {
        Self::Statements { statements, after: Vec::new(), job: None }
    }
}

/// Takes back the standing changes of those items (all, where none are named).
pub fn rollback_plan(dry_run: bool, items: Option<&[String]>) -> Result<Vec<Outcome>> {
    let asked = |id: &str| items.is_none_or(|items| items.iter().any(|i| i == id));
    let mut outcomes = Vec::new();
    for (id, job) in jobs::active_by_item()?.into_iter().filter(|(id, _)| asked(id)) {
        let Some(item) = plan()?.item(&id) else { continue };
        outcomes.extend(call_off(item, &job, dry_run)?);
    }
    for change in journal::standing()?.into_iter().filter(|change| asked(&change.item)) {
        let Some(item) = plan()?.item(&change.item) else { continue };
        outcomes.push(take_back(item, &change, dry_run)?);
    }
    Ok(outcomes)
}

/// Cancels the job that has an item, before anything else is looked at.
fn call_off(item: &'static Item, job: &str, dry_run: bool) -> Result<Option<Outcome>> {
    let cancelled = dry_run || jobs::cancel_item(&item.id())?;
    let (action, detail) = if cancelled {
        ("revert", format!("{job}: cancelled"))
    } else {
        ("skip", format!("{job}: being cancelled; call rollback_plan() again when it has ended"))
    };
    Ok(Some(Outcome { item, action, state: State::Queued, detail: Some(detail), sql: None }))
}

fn take_back(item: &'static Item, change: &journal::Change, dry_run: bool) -> Result<Outcome> {
    let outcome = |action, state, detail: Option<String>, sql| Outcome { item, action, state, detail, sql };
    let reversal =
        isolated(|| reversal(item, change)).unwrap_or_else(|failure| Reversal::Refused(failure.one_line()));
    let (statements, after, job) = match reversal {
        Reversal::Refused(reason) => return Ok(outcome("skip", State::Blocked, Some(reason), None)),
        Reversal::Gone(reason) => {
            if !dry_run {
                journal::mark_reverted(change.id)?;
            }
            return Ok(outcome("revert", State::Pending, Some(reason), None));
        }
        Reversal::Statements { statements, after, job } => (statements, after, job),
    };
    let script = Some(script(&statements));
    if dry_run {
        return Ok(outcome("revert", State::Applied, None, script));
    }
    let attempt = isolated(|| {
        let all: Vec<String> = statements.iter().chain(after.iter().map(|a| &a.statement)).cloned().collect();
        run_before_deadline(settings::lock_timeout_ms(), &all)?;
        journal::mark_reverted(change.id)
    });
    match (attempt, job) {
        (Ok(()), _) => Ok(outcome("revert", State::Pending, None, script)),
        (Err(failure), Some(job)) if failure.is_lock_not_available() => {
            isolated(|| jobs::enqueue(&job))?;
            Ok(outcome("queue", State::Queued, Some("a lock was not to be had at once".to_owned()), script))
        }
        (Err(failure), _) => Ok(outcome("skip", State::Blocked, Some(failure.one_line()), script)),
    }
}

/// What taking a change back takes now.
pub fn reversal(item: &'static Item, change: &journal::Change) -> Result<Reversal> {
    let Some(relation) = catalog::relation(&item.relation)? else {
        return Ok(Reversal::Gone(format!("relation {} is gone", item.relation)));
    };
    match &item.action {
        Action::WidenNumeric { column, .. } => narrow(item, &relation, column, change),
        Action::CheckConstraint { name, expression } => {
            let name = change.undo.was_not_valid.as_deref().unwrap_or(name);
            let Some(found) = catalog::checks(relation.oid, &relation.quoted, expression)?
                .into_iter()
                .find(|c| c.name == name)
            else {
                return Ok(Reversal::Gone(format!("constraint {name} is gone")));
            };
            if !found.same_definition {
                return Ok(Reversal::Refused(format!(
                    "constraint {name} has been redefined since and is left as it is"
                )));
            }
            let (table, constraint) = (&relation.quoted, quote_identifier(name));
            let mut statements = vec![format!("ALTER TABLE {table} DROP CONSTRAINT {constraint}")];
            if change.undo.was_not_valid.is_some() {
                statements.push(format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {constraint} CHECK ({expression}) NOT VALID"
                ));
            }
            Ok(Reversal::by(statements))
        }
        Action::Index(index) | Action::ExpressionIndex(index) => {
            let schema = &item.relation.schema;
            if catalog::index_named(schema, &index.name)?.is_none() {
                return Ok(Reversal::Gone(format!("index {} is gone", index.name)));
            }
            let quoted = qualified(schema, &index.name);
            let name = Qualified { schema: schema.clone(), name: index.name.clone() };
            Ok(Reversal::Statements {
                statements: vec![format!("DROP INDEX {quoted}")],
                after: Vec::new(),
                job: Some(super::JobRequest {
                    item: Some(item.id()),
                    relation: item.relation.clone(),
                    task: Task::DropIndex { index: name },
                }),
            })
        }
        Action::View { .. } => Ok(Reversal::by(vec![format!("DROP VIEW {}", relation.quoted)])),
        Action::MaterializedView { .. } => {
            Ok(Reversal::by(vec![format!("DROP MATERIALIZED VIEW {}", relation.quoted)]))
        }
        Action::MonitoringView | Action::RoleSetting | Action::PartitionedTable { .. } => {
            Ok(Reversal::Refused("not taken back by this function".to_owned()))
        }
    }
}

/// A column back to the type that it had. That rewrites the table, and must not lose a digit.
fn narrow(
    item: &'static Item,
    table: &catalog::Relation,
    column: &str,
    change: &journal::Change,
) -> Result<Reversal> {
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
    Ok(Reversal::Statements {
        statements: narrowing.statements(&before),
        after: narrowing.after()?,
        job: None,
    })
}

/// What would take a change back now; the statements of its own time where that cannot be told.
pub fn revert_sql(item: &'static Item, change: &journal::Change) -> Option<String> {
    match isolated(|| reversal(item, change)) {
        Ok(Reversal::Statements { statements, .. }) => Some(script(&statements)),
        Ok(Reversal::Gone(_)) => None,
        Ok(Reversal::Refused(_)) | Err(_) => Some(change.inverse_sql.clone()),
    }
}
