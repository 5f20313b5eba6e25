//! `apply_plan()`: all that fits into this transaction, the rest as jobs.

use super::{After, Assessment, Context, JobRequest, Work, assess, journal, plan, script};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::settings;
use crate::sql;
use crate::subtransaction::isolated;
use crate::{extension, jobs};
use groundskeeper_core::plan::decide::{Budget, State};
use groundskeeper_core::plan::{Action, Item, section_matches};

/// How long one lock may be waited for while others are held: long enough for an ordinary statement to end,
/// far too short for a writer to notice.
const MOMENT_MS: i32 = 10;

/// What became of an item, or would.
pub struct Outcome {
    /// The item.
    pub item: &'static Item,
    /// `apply`, `queue` or `skip`.
    pub action: &'static str,
    /// Its state afterwards; in a dry run its state now.
    pub state: State,
    /// The reason.
    pub detail: Option<String>,
    /// The statements that were run, or would be; they work by themselves elsewhere.
    pub sql: Option<String>,
}

/// Applies what is pending in those sections (all, where none are named).
pub fn apply_plan(dry_run: bool, sections: Option<&[String]>) -> Result<Vec<Outcome>> {
    let mut items: Vec<&'static Item> = plan()?
        .items
        .iter()
        .filter(|item| sections.is_none_or(|asked| asked.iter().any(|s| section_matches(s, &item.section))))
        .collect();
    items.sort_by_key(|item| stage(item));
    let mut context = Context::new()?;
    let mut budget = Budget::new(settings::inline_build_limit_bytes());
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(apply_one(item, &mut context, &mut budget, dry_run)?);
    }
    if !dry_run {
        extension::give_up_users_relations()?;
    }
    Ok(outcomes)
}

/// Applies one item on its own: what a worker does once the locks are to be had.
pub fn apply_item(id: &str) -> Result<Outcome> {
    let item = plan()?.item(id).ok_or_else(|| Failure::internal(format!("the plan has no item {id}")))?;
    let mut context = Context::new()?;
    context.jobs.remove(id);
    let mut budget = Budget::new(settings::inline_build_limit_bytes());
    let Assessment { verdict, work } = assess(item, &mut context);
    let Some(work) = work else { return Ok(skip(item, verdict.state, verdict.detail)) };
    with_lock_timeout(settings::lock_timeout_ms(), || run(&work.inline))?;
    journal::record(item, &work, &work.inline)?;
    for after in &work.after {
        follow(after, &mut budget)?;
    }
    Ok(Outcome { item, action: "apply", state: State::Applied, detail: None, sql: Some(script(&work.inline)) })
}

/// What blocks writers comes as late as it can: views first, then short exclusive locks, then builds.
fn stage(item: &Item) -> u8 {
    match item.action {
        Action::View { .. } => 0,
        Action::WidenNumeric { .. } => 1,
        Action::CheckConstraint { .. } => 2,
        Action::Index(_) | Action::ExpressionIndex(_) if !item.section.starts_with('4') => 3,
        Action::ExpressionIndex(_) => 3,
        Action::MaterializedView { .. } => 4,
        _ => 5,
    }
}

fn apply_one(item: &'static Item, context: &mut Context, budget: &mut Budget, dry_run: bool) -> Result<Outcome> {
    let Assessment { verdict, work } = assess(item, context);
    let Some(work) = work else { return Ok(skip(item, verdict.state, verdict.detail)) };
    if dry_run {
        return Ok(rehearse(item, &work, verdict.detail, budget));
    }
    carry_out(item, &work, context, budget)
}

fn skip(item: &'static Item, state: State, detail: Option<String>) -> Outcome {
    Outcome { item, action: "skip", state, detail, sql: None }
}

/// What would be done, in the words that would do it.
fn rehearse(item: &'static Item, work: &Work, detail: Option<String>, budget: &mut Budget) -> Outcome {
    let (action, mut statements) = match &work.job {
        Some(job) if !budget.take(work.bytes) => ("queue", jobs::statements(job, &work.inline)),
        _ => ("apply", work.inline.clone()),
    };
    let mut action = action;
    for after in &work.after {
        if !budget.take(after.bytes) && work.inline.is_empty() {
            action = "queue";
        }
        statements.push(after.statement.clone());
    }
    Outcome { item, action, state: State::Pending, detail, sql: Some(script(&statements)) }
}

fn carry_out(item: &'static Item, work: &Work, context: &mut Context, budget: &mut Budget) -> Result<Outcome> {
    let mut queued = Vec::new();
    let mut done: Vec<String> = Vec::new();
    if !work.inline.is_empty() {
        match inline(item, work, budget) {
            Ok(true) => done.extend(work.inline.iter().cloned()),
            Ok(false) => queued.extend(work.job.clone()),
            Err(failure) => return Ok(skip(item, State::Blocked, Some(failure.one_line()))),
        }
    }
    if queued.is_empty() {
        for after in &work.after {
            if follow(after, budget)? {
                done.push(after.statement.clone());
            }
        }
    }
    for request in &queued {
        if let Err(failure) = isolated(|| jobs::enqueue(request)) {
            return Ok(skip(item, State::Blocked, Some(failure.one_line())));
        }
    }
    if work.inline.is_empty() && !done.is_empty() {
        journal::record(item, work, &done)?;
    }
    let sql = if done.is_empty() {
        queued.first().map(|request| script(&jobs::statements(request, &work.inline)))
    } else {
        Some(script(&done))
    };
    context.jobs = jobs::active_by_item()?;
    let after = assess(item, context);
    let action = match (done.is_empty(), after.verdict.state) {
        (false, _) => "apply",
        (true, State::Queued) => "queue",
        (true, _) => "skip",
    };
    Ok(Outcome { item, action, state: after.verdict.state, detail: after.verdict.detail, sql })
}

/// Runs an item's statements if the budget allows and no lock is waited for; `false` means a job must.
fn inline(item: &Item, work: &Work, budget: &mut Budget) -> Result<bool> {
    if !budget.take(work.bytes) {
        return Ok(false);
    }
    let attempt = isolated(|| {
        with_lock_timeout(MOMENT_MS, || run(&work.inline))?;
        journal::record(item, work, &work.inline)
    });
    match attempt {
        Err(failure) if failure.is_lock_not_available() && work.job.is_some() => Ok(false),
        other => other.map(|()| true),
    }
}

/// Runs what follows a change, or queues it; whether it was run. It is left out where rows are in the way.
fn follow(after: &After, budget: &mut Budget) -> Result<bool> {
    let queue = |request: &JobRequest| isolated(|| jobs::enqueue(request)).map_or(Ok(false), |_| Ok(false));
    if !budget.take(after.bytes) {
        return queue(&after.job);
    }
    let attempt = isolated(|| {
        with_lock_timeout(MOMENT_MS, || {
            if let Some((table, expression)) = &after.only_if_all
                && catalog::rows_violating(table, expression)? > 0
            {
                return Ok(false);
            }
            run(std::slice::from_ref(&after.statement))?;
            Ok(true)
        })
    });
    match attempt {
        Err(failure) if failure.is_lock_not_available() => queue(&after.job),
        other => other,
    }
}

/// Runs statements in order.
pub fn run(statements: &[String]) -> Result<()> {
    statements.iter().try_for_each(|statement| sql::run(statement, &[]))
}

/// Runs `work` with another `lock_timeout`, and brings the caller's back. A failure undoes it by itself, with
/// the subtransaction that it fails.
pub fn with_lock_timeout<T>(milliseconds: i32, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let set = |value: &str| sql::run("SELECT pg_catalog.set_config('lock_timeout', $1, true)", &[value.into()]);
    let before = sql::texts("SELECT pg_catalog.current_setting('lock_timeout')", &[])?;
    set(&format!("{milliseconds}ms"))?;
    let result = work()?;
    set(before.first().map_or("0", String::as_str))?;
    Ok(result)
}
