//! `apply_plan()`: all that fits into this transaction, the rest as jobs.

use super::check::rows_in_the_way;
use super::rehearsal::statements;
use super::{
    After, Assessment, Context, Work, assess, drift, items, partitioned, rights, stage, statistics, wanted,
};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::owner;
use crate::settings;
use crate::sql::script;
use crate::subtransaction::isolated;
use crate::waiting::{run_before_deadline, with_lock_timeout};
use crate::{extension, jobs};
use groundskeeper_core::plan::decide::{Budget, State, Verdict};
use groundskeeper_core::plan::order::depths;
use groundskeeper_core::plan::{Action, Item, Plan, section_matches};
use pgrx::PgSqlErrorCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long one lock may be waited for while others are held: long enough for an ordinary statement to end,
/// far too short for a writer to notice.
const MOMENT_MS: i32 = 10;

/// What became of an item, or would.
pub struct Outcome {
    /// The item.
    pub item: Rc<Item>,
    /// `apply`, `queue` or `skip`.
    pub action: &'static str,
    /// Its state afterwards; in a dry run its state now.
    pub state: State,
    /// The reason.
    pub detail: Option<String>,
    /// The statements that were run, or would be; they work by themselves elsewhere.
    pub sql: Option<String>,
}

/// What is asked for of the plan; nothing stands for all of it.
#[derive(Default)]
pub struct Asked {
    /// Sections.
    pub sections: Option<Vec<String>>,
    /// Single items, by their ids.
    pub items: Option<Vec<String>>,
}

impl Asked {
    fn is_for(&self, item: &Item) -> bool {
        let sections = self.sections.as_ref();
        sections.is_none_or(|asked| asked.iter().any(|s| section_matches(s, &item.section)))
            && self.items.as_ref().is_none_or(|asked| asked.contains(&item.id()))
    }
}

/// Applies what is pending of what is asked for.
pub fn apply_plan(plan: &Plan, dry_run: bool, asked: &Asked) -> Result<Vec<Outcome>> {
    let mut context = Context::new()?;
    // All that can be looked up beforehand is, while no lock is held yet that a writer would wait for.
    let assessed: Vec<_> = in_turn(plan, asked)?
        .into_iter()
        .map(|(item, depth)| {
            let later = depth > 0 || depends_on_others(&item);
            let assessed = (!later).then(|| assess(&item, &mut context));
            (item, assessed)
        })
        .collect();
    let mut budget = Allowance::new();
    let mut outcomes = Vec::with_capacity(assessed.len());
    for (item, assessment) in assessed {
        let assessment = assessment.unwrap_or_else(|| assess(&item, &mut context));
        if !dry_run {
            wanted::remember(&item, &assessment)?;
        }
        let Assessment { verdict, work } = assessment;
        outcomes.push(match work {
            None => skip(&item, verdict.state, verdict.detail),
            Some(work) if item.action.is_asked_for() => match &item.action {
                // by its name it is asked for
                Action::PartitionedTable { key, interval } if asked.items.is_some() => {
                    queue_table(&item, key, interval, &work, dry_run)
                }
                _ => skip(&item, verdict.state, verdict.detail),
            },
            Some(work) if dry_run => rehearse(&item, &work, verdict.detail, &mut budget),
            Some(work) => {
                let carried_out =
                    rights::acting(&item, || carry_out(&item, &work, &mut context, &mut budget));
                carried_out.or_else(|failure| only_of_this(&item, failure))?
            }
        });
    }
    if !dry_run {
        extension::give_up_users_relations()?;
    }
    Ok(outcomes)
}

/// The items that are asked for in the order of their turns, each with how many of the plan's views are below it: those come
/// before it.
fn in_turn(plan: &Plan, asked: &Asked) -> Result<Vec<(Rc<Item>, usize)>> {
    let items: Vec<Rc<Item>> = items(plan)?.into_iter().filter(|item| asked.is_for(item)).collect();
    let depths = depths(&items.iter().map(Rc::as_ref).collect::<Vec<_>>());
    let mut items: Vec<_> = items.into_iter().zip(depths).collect();
    items.sort_by_key(|(item, depth)| (*depth, stage(plan, item)));
    Ok(items)
}

/// What this transaction may still do while it holds locks.
pub struct Allowance {
    budget: Budget,
    since: Instant,
}

impl Allowance {
    /// What the settings allow.
    pub fn new() -> Self {
        Self { budget: Budget::new(settings::inline_build_limit_bytes()), since: Instant::now() }
    }

    fn take(&mut self, bytes: u64) -> bool {
        self.budget.take(bytes, self.since.elapsed())
    }

    /// However long locks have been held.
    fn take_at_leisure(&mut self, bytes: u64) -> bool {
        self.budget.take(bytes, Duration::ZERO)
    }
}

/// Whether what other items do decides about this one: another index may make an index needless.
fn depends_on_others(item: &Item) -> bool {
    match &item.action {
        Action::Index(index) | Action::ExpressionIndex(index) => index.prefix_will_do(),
        // whether the tables fit is known once their scores are wide enough
        Action::Migration => true,
        Action::WidenNumeric { .. }
        | Action::CheckConstraint { .. }
        | Action::View { .. }
        | Action::MaterializedView { .. }
        | Action::MonitoringView
        | Action::RoleSetting { .. }
        | Action::PartitionedTable { .. }
        | Action::Statistics
        | Action::DroppedIndex { .. } => false,
    }
}

/// What the rights of who has added an item do not allow is that item's alone.
fn only_of_this(item: &Rc<Item>, failure: Failure) -> Result<Outcome> {
    if item.author.is_some() {
        Ok(skip(item, State::Blocked, Some(failure.one_line())))
    } else {
        Err(failure)
    }
}

/// Queues the conversion of a table.
fn queue_table(item: &Rc<Item>, key: &str, interval: &str, work: &Work, dry_run: bool) -> Outcome {
    let sql = Some(script(&work.inline));
    let outcome = |action, state, detail| Outcome { item: Rc::clone(item), action, state, detail, sql };
    if dry_run {
        return outcome("queue", State::Pending, None);
    }
    match isolated(|| rights::acting(item, || partitioned::ask_for(item, key, interval))) {
        Ok(job) => outcome("queue", State::Queued, Some(format!("job {job} is queued"))),
        Err(failure) => {
            let hint = failure.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            outcome("skip", State::Blocked, Some(format!("{}{hint}", failure.one_line())))
        }
    }
}

/// Runs the statements of an item.
pub fn run(item: &Item, milliseconds: i32, statements: &[String]) -> Result<()> {
    if let (Action::Statistics, [statement]) = (&item.action, statements)
        && statistics::carry_out(statement, item)?
    {
        return Ok(());
    }
    run_before_deadline(milliseconds, statements)?;
    catalog::forget_default_acls(statements)
}

/// Applies one item on its own: what a worker does once the locks are to be had.
pub fn apply_item(plan: &Plan, id: &str) -> Result<()> {
    let item = plan.item(id).ok_or_else(|| Failure::internal(format!("the plan has no item {id}")))?;
    let item = Rc::new(item.clone());
    let mut context = Context::new()?;
    context.jobs.remove(id);
    let Assessment { verdict, work } = assess(&item, &mut context);
    let Some(work) = work else {
        let settled = matches!(verdict.state, State::Applied | State::NotApplicable | State::Declined);
        return if settled { Ok(()) } else { Err(no_more_possible(verdict)) };
    };
    let mut budget = Allowance::new();
    rights::acting(&item, || {
        run(&item, settings::lock_timeout_ms(), &work.inline)?;
        drift::record(&item, work.entry(&item, &work.inline))?;
        work.after.iter().try_for_each(|after| follow(after, &mut budget).map(drop))
    })
}

fn no_more_possible(verdict: Verdict) -> Failure {
    let reason = verdict.detail.unwrap_or_else(|| verdict.state.as_str().to_owned());
    Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, reason)
}

fn skip(item: &Rc<Item>, state: State, detail: Option<String>) -> Outcome {
    Outcome { item: Rc::clone(item), action: "skip", state, detail, sql: None }
}

/// What would be done, in the words that would do it.
fn rehearse(item: &Rc<Item>, work: &Work, detail: Option<String>, budget: &mut Allowance) -> Outcome {
    let (action, mut statements) = match &work.job {
        Some(job) if !budget.take_at_leisure(work.bytes) => ("queue", statements(job, work)),
        _ => ("apply", work.inline.clone()),
    };
    let mut action = action;
    for after in &work.after {
        if !budget.take_at_leisure(after.bytes) && work.inline.is_empty() {
            action = "queue";
        }
        statements.push(after.statement.clone());
    }
    Outcome { item: Rc::clone(item), action, state: State::Pending, detail, sql: Some(script(&statements)) }
}

fn carry_out(item: &Rc<Item>, work: &Work, context: &mut Context, budget: &mut Allowance) -> Result<Outcome> {
    let mut progress = Progress::default();
    if !work.inline.is_empty() {
        match inline(item, work, budget) {
            Ok(true) => progress.done.extend(work.inline.iter().cloned()),
            Ok(false) => match work.job.as_ref().map(|job| isolated(|| jobs::enqueue(job))) {
                Some(Ok(job)) => progress.queued = Some(job),
                Some(Err(failure)) => return Ok(skip(item, State::Blocked, Some(failure.one_line()))),
                None => {
                    return Ok(skip(
                        item,
                        State::Pending,
                        Some("a lock was not to be had at once".to_owned()),
                    ));
                }
            },
            Err(failure) => return Ok(skip(item, State::Blocked, Some(failure.one_line()))),
        }
    }
    if progress.queued.is_none() {
        for after in &work.after {
            progress.add(after, follow(after, budget)?);
        }
    }
    if work.inline.is_empty() && !progress.done.is_empty() {
        drift::record(item, work.entry(item, &progress.done))?;
    }
    progress.outcome(item, work, context)
}

/// How far an item has come in this transaction.
#[derive(Default)]
struct Progress {
    done: Vec<String>,
    queued: Option<i64>,
    left_out: Option<String>,
}

/// What became of work that follows a change.
pub enum Followed {
    /// It was done.
    Done,
    /// A job of this number has it.
    Queued(i64),
    /// It was not, for this reason.
    LeftOut(String),
}

impl Progress {
    fn add(&mut self, after: &After, followed: Followed) {
        match followed {
            Followed::Done => self.done.push(after.statement.clone()),
            // a job that no item waits for leaves the item as it is
            Followed::Queued(job) => self.queued = self.queued.or(after.job.item.is_some().then_some(job)),
            Followed::LeftOut(reason) => self.left_out = Some(reason),
        }
    }

    fn outcome(self, item: &Rc<Item>, work: &Work, context: &mut Context) -> Result<Outcome> {
        let action = if self.done.is_empty() { "queue" } else { "apply" };
        let sql = if self.done.is_empty() {
            work.job.as_ref().map(|request| script(&statements(request, work)))
        } else {
            Some(script(&self.done))
        };
        let (action, state, detail) = match (self.queued, self.left_out) {
            (Some(job), _) => {
                let detail = format!("job {job} is queued");
                context.jobs.insert(item.id(), detail.clone());
                (action, State::Queued, Some(detail))
            }
            (None, Some(reason)) if self.done.is_empty() => ("skip", State::Blocked, Some(reason)),
            (None, Some(reason)) => (action, State::Blocked, Some(reason)),
            (None, None) => ("apply", State::Applied, None),
        };
        Ok(Outcome { item: Rc::clone(item), action, state, detail, sql })
    }
}

/// Runs an item's statements if the budget allows and no lock is waited for; `false` means a job must.
fn inline(item: &Item, work: &Work, budget: &mut Allowance) -> Result<bool> {
    // what no job can do is not put off
    let fits = if work.job.is_some() { budget.take(work.bytes) } else { budget.take_at_leisure(work.bytes) };
    if !fits {
        return Ok(false);
    }
    let attempt = isolated(|| {
        run(item, MOMENT_MS, &work.inline)?;
        drift::record(item, work.entry(item, &work.inline))
    });
    match attempt {
        Err(failure) if failure.is_lock_not_available() && work.job.is_some() => Ok(false),
        other => other.map(|()| true),
    }
}

/// Runs what follows a change, or queues it. It is left out where rows are in the way.
pub fn follow(after: &After, budget: &mut Allowance) -> Result<Followed> {
    let queue = || match isolated(|| jobs::enqueue(&after.job)) {
        Ok(job) => Ok(Followed::Queued(job)),
        Err(failure) => Ok(Followed::LeftOut(failure.one_line())),
    };
    if !budget.take(after.bytes) {
        return queue();
    }
    let attempt = isolated(|| {
        with_lock_timeout(MOMENT_MS, || {
            if let Some(check) = &after.only_if_all
                && let violating @ 1.. = catalog::rows_violating(&check.table, &check.expression)?
            {
                return Ok(Followed::LeftOut(rows_in_the_way(
                    &check.constraint,
                    violating,
                    &check.expression,
                )));
            }
            owner::run(&after.statement)?;
            Ok(Followed::Done)
        })
    });
    match attempt {
        Ok(followed) => Ok(followed),
        Err(failure) if failure.is_lock_not_available() => queue(),
        Err(failure) => Ok(Followed::LeftOut(failure.one_line())),
    }
}
