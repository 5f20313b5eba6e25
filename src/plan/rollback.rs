//! `rollback_plan()`: what the change log records is taken back, newest first, after looking at what stands
//! there by now.

use super::apply::{Outcome, run};
use super::drift::{self, Found};
use super::{After, Scene, dropped_index, look_at, partitioned, reversal, rights};
use crate::error::{Failure, Result};
use crate::jobs;
use crate::journal::{self, Change};
use crate::owner;
use crate::settings;
use crate::sql::script;
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;
use groundskeeper_core::job::JobRequest;
use groundskeeper_core::plan::decide::State;
use groundskeeper_core::plan::{Action, Item, Plan};
use pgrx::pg_sys::Oid;
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
    // what stands on a view and is taken back before it does not hold it up, in a rehearsal neither
    let mut with_it = Vec::new();
    for change in journal::standing()?.into_iter().filter(|change| asked(&change.item)) {
        let dropped = dropped_index::item_of(&change).map(Rc::new);
        let item = dropped.map_or_else(|| super::item(plan, &change.item), |item| Ok(Some(item)))?;
        let Some(item) = item.filter(|item| !is_table(item)) else { continue };
        let outcome = take_back(item, &change, dry_run, &mut with_it)?;
        outcomes.push(outcome);
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

fn take_back(item: Rc<Item>, change: &Change, dry_run: bool, with_it: &mut Vec<Oid>) -> Result<Outcome> {
    let taken_back = rights::taking_back(&item, drift::given_away(&item, change)?, || {
        let mut reversal = isolated(|| reversal(&item, change, with_it, true))
            .unwrap_or_else(|failure| Reversal::Refused(failure.one_line()));
        if matches!(reversal, Reversal::Steps(_))
            && let Ok(found) = drift::find(&item, change)?
        {
            let relation = &found.relation;
            if !owner::owner_of(relation.oid).is_some_and(owner::has_rights_of) {
                // a rehearsal knows that, too
                reversal = Reversal::Refused(Failure::not_owner(&relation.quoted).one_line());
            } else if matches!(item.action, Action::View { .. } | Action::MaterializedView { .. }) {
                with_it.push(relation.oid);
            }
        }
        by(&item, reversal, change, dry_run)
    });
    let blocked = |failure: Failure| (("skip", State::Blocked, Some(failure.one_line())), None);
    let ((action, state, detail), sql) = taken_back.unwrap_or_else(blocked);
    Ok(Outcome { item, action, state, detail, sql })
}

/// What is done, how the item stands then, and why; and by which statements.
type Done = ((&'static str, State, Option<String>), Option<String>);

fn by(item: &Item, reversal: Reversal, change: &Change, dry_run: bool) -> Result<Done> {
    let steps = match reversal {
        Reversal::Refused(reason) => return Ok((("skip", State::Blocked, Some(reason)), None)),
        Reversal::Gone(reason) => {
            if !dry_run {
                isolated(|| {
                    with_lock_timeout(settings::lock_timeout_ms(), || journal::mark_reverted(change.id))
                })?;
            }
            return Ok((("revert", State::Pending, Some(reason)), None));
        }
        Reversal::Steps(steps) => steps,
    };
    let script = Some(script(&steps.statements));
    if dry_run {
        return Ok((("revert", State::Applied, steps.note), script));
    }
    if let Some(job) = steps.job.as_ref().filter(|_| steps.long) {
        return Ok(match isolated(|| jobs::enqueue(job)) {
            Ok(number) => (("queue", State::Queued, Some(format!("job {number}"))), script),
            Err(failure) => (("skip", State::Blocked, Some(failure.one_line())), script),
        });
    }
    let attempt = isolated(|| {
        let after = steps.after.iter().map(|a| &a.statement);
        let all: Vec<String> = steps.statements.iter().chain(after).cloned().collect();
        run(item, settings::lock_timeout_ms(), &all)?;
        with_lock_timeout(settings::lock_timeout_ms(), || journal::mark_reverted(change.id))
    });
    Ok(match (attempt, steps.job) {
        (Ok(()), _) => (("revert", State::Pending, steps.note), script),
        (Err(failure), Some(job)) if failure.is_lock_not_available() => {
            match isolated(|| jobs::enqueue(&job)) {
                Ok(_) => {
                    let detail = "a lock was not to be had at once".to_owned();
                    (("queue", State::Queued, Some(detail)), script)
                }
                Err(failure) => (("skip", State::Blocked, Some(failure.one_line())), script),
            }
        }
        (Err(failure), _) => (("skip", State::Blocked, Some(failure.one_line())), script),
    })
}

/// What takes back a change of a relation, where that is there and what stands on it is still ours. Who only wants to know
/// has no rows read.
pub fn of_relation(
    item: &Item,
    change: &Change,
    closely: bool,
    reversal: impl FnOnce(&Found) -> Result<Reversal>,
) -> Result<Reversal> {
    let found = match drift::find(item, change)? {
        Ok(found) => found,
        Err(reason) => return Ok(Reversal::Gone(reason)),
    };
    if !found.by_oid {
        // What has taken the place of ours meanwhile is not ours to drop.
        let mut scene = Scene::default();
        scene.aliases.extend(change.undo.relation.clone().map(|place| (item.relation.clone(), place)));
        let (verdict, _) = look_at(item, &scene, !closely)?;
        if verdict.state == State::Conflict {
            return Ok(Reversal::Refused(verdict.detail.unwrap_or_default()));
        }
    } else if found.edited && !matches!(item.action, Action::WidenNumeric { .. }) {
        let difference = found.difference.unwrap_or_default();
        return Ok(Reversal::Refused(format!("{difference} since, and it is left as it is")));
    }
    Ok(match reversal(&found)? {
        Reversal::Steps(mut steps) => {
            steps.note = found.difference.clone().or(steps.note);
            Reversal::Steps(steps)
        }
        other => other,
    })
}

/// What would take a change back now; the statements of its own time where that cannot be told.
pub fn revert_sql(item: &Item, change: &Change) -> Option<String> {
    if !rights::may_look_closely(item) {
        return Some(change.inverse_sql.clone());
    }
    match isolated(|| rights::looking(item, || reversal(item, change, &[], false))) {
        Ok(Reversal::Steps(steps)) => Some(script(&steps.statements)),
        Ok(Reversal::Gone(_)) => None,
        Ok(Reversal::Refused(_)) | Err(_) => Some(change.inverse_sql.clone()),
    }
}
