//! The plan engine: what each item needs, looked up and done. One file per kind of item, which says how it stands
//! (`look_at`), how it is taken back (`reversal`) and when its turn is (`STAGE`); [`apply`] and [`rollback`] drive
//! them all.

mod apply;
mod check;
pub mod dropped_index;
mod index;
mod materialized_view;
mod migration;
mod monitoring_view;
pub mod partitioned;
mod rehearsal;
pub mod role_setting;
mod rollback;
mod view;
mod widen;

pub use apply::{Outcome, apply_item, apply_plan};
pub use check::rows_in_the_way;
pub use rehearsal::{analyze, apply_sql, validate};
pub use rollback::{revert_sql, rollback_plan};

use crate::catalog;
use crate::error::Result;
use crate::jobs;
use crate::journal::{self, Change};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::decide::{self, ColumnFact, State, Verdict};
use groundskeeper_core::plan::{Action, Entry, Item, Plan, Qualified, Undo};
use rollback::{Reversal, of_relation};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How an item stands, and what would change that.
pub struct Assessment {
    /// How it stands.
    pub verdict: Verdict,
    /// What applying it takes, where that is possible.
    pub work: Option<Work>,
}

/// What applying an item takes.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// Statements for one transaction, under locks that block writers.
    pub inline: Vec<String>,
    /// Whether the first of them clears away what an earlier attempt left: an invalid index.
    pub clears: bool,
    /// Bytes of relations that these read.
    pub bytes: u64,
    /// The same as a job, for when that is too much or a lock is not to be had.
    pub job: Option<JobRequest>,
    /// Work that may follow in the same transaction if the budget allows, else as a job.
    pub after: Vec<After>,
    /// The statements that take it back.
    pub inverse: Vec<String>,
    /// What was there before.
    pub prior_definition: Option<String>,
    /// What the catalogs will no longer tell.
    pub undo: Undo,
}

impl Work {
    /// What the change log is to say of it once these statements have been run.
    pub fn entry(&self, item: &Item, statements: &[String]) -> Entry {
        Entry {
            item: item.id(),
            forward: statements.to_vec(),
            inverse: self.inverse.clone(),
            prior_definition: self.prior_definition.clone(),
            undo: self.undo.clone(),
        }
    }
}

/// A job that carries out an item, and writes nothing down by itself.
fn job(item: &Item, relation: &Qualified, task: Task) -> JobRequest {
    JobRequest { item: Some(item.id()), ..JobRequest::plain(relation.clone(), task) }
}

/// Work that follows a change and only reads.
#[derive(Debug, Clone)]
pub struct After {
    /// The statement.
    pub statement: String,
    /// Bytes of relations that it reads.
    pub bytes: u64,
    /// What every row must satisfy, else the statement is left out.
    pub only_if_all: Option<EveryRow>,
    /// The same as a job.
    pub job: JobRequest,
}

/// A constraint that every row of a table must satisfy before it can be validated.
#[derive(Debug, Clone)]
pub struct EveryRow {
    /// The table, quoted.
    pub table: String,
    /// The constraint's name.
    pub constraint: String,
    /// Its expression.
    pub expression: String,
}

/// What is true of the plan as a whole while its items are assessed.
pub struct Context {
    /// Items that a job has, with what the job says of itself.
    pub jobs: HashMap<String, String>,
    /// Relations that do not exist yet but that a pending item makes.
    pub to_be_made: HashSet<Qualified>,
    /// Relations of that name that are not the plan's.
    pub taken: HashSet<Qualified>,
    /// Where the plan's relations are that have another name.
    pub aliases: HashMap<Qualified, Qualified>,
    /// Indexes that do not exist yet, but will.
    pub to_be_built: Vec<Rc<Item>>,
}

impl Context {
    /// Looks up what concerns all items.
    pub fn new() -> Result<Self> {
        let jobs = jobs::active_by_item()?;
        jobs::look_after_open()?;
        Ok(Self {
            jobs,
            to_be_made: HashSet::new(),
            taken: HashSet::new(),
            aliases: HashMap::new(),
            to_be_built: Vec::new(),
        })
    }

    /// The relation that an item is about, where it really is.
    pub fn locate<'a>(&'a self, relation: &'a Qualified) -> &'a Qualified {
        self.aliases.get(relation).unwrap_or(relation)
    }
}

/// The items of this database: the plan's, but for each role that was given settings one of its own in place of
/// the one that stands for any.
pub fn items(plan: &Plan) -> Result<Vec<Rc<Item>>> {
    let mut ids: Vec<String> = journal::standing()?.into_iter().map(|change| change.item).collect();
    ids.sort();
    ids.dedup();
    let roles: Vec<Rc<Item>> = ids
        .iter()
        .filter_map(|id| plan.role_of(id))
        .filter_map(|role| plan.item_for_role(role))
        .map(Rc::new)
        .collect();
    let mut out = Vec::with_capacity(plan.items.len() + roles.len());
    for item in &plan.items {
        match item.action {
            Action::RoleSetting { .. } if !roles.is_empty() => out.extend(roles.iter().cloned()),
            _ => out.push(Rc::new(item.clone())),
        }
    }
    Ok(out)
}

/// The item with that id, be it the plan's or that of a role which has been given settings.
pub fn item(plan: &Plan, id: &str) -> Result<Option<Rc<Item>>> {
    let item = match plan.role_of(id) {
        Some(role) if journal::mentions(id)? => plan.item_for_role(role),
        _ => plan.item(id).cloned().map_or_else(|| dropped_index::item(id), |item| Ok(Some(item)))?,
    };
    Ok(item.map(Rc::new))
}

/// How an item stands. A lookup that fails makes the item `blocked`, never the caller fail.
pub fn assess(item: &Rc<Item>, context: &mut Context) -> Assessment {
    let assessed = crate::subtransaction::isolated(|| look_at(item, context));
    let (mut verdict, mut work) = assessed.unwrap_or_else(|failure| {
        (Verdict::because(State::Blocked, format!("could not be looked at: {}", failure.one_line())), None)
    });
    if verdict.state == State::Pending {
        if let Some(job) = context.jobs.get(&item.id()) {
            verdict = Verdict::because(State::Queued, job.clone());
            work = None;
        } else if item.action.makes_relation() {
            context.to_be_made.insert(item.relation.clone());
        }
    }
    if let Some(alias) = &verdict.found_as {
        context.aliases.insert(item.relation.clone(), alias.clone());
    }
    match item.action {
        Action::Index(_) if matches!(verdict.state, State::Pending | State::Queued) => {
            context.to_be_built.push(Rc::clone(item));
        }
        Action::View { .. } | Action::MaterializedView { .. } if verdict.state == State::Conflict => {
            context.taken.insert(item.relation.clone());
        }
        Action::Index(_)
        | Action::View { .. }
        | Action::MaterializedView { .. }
        | Action::WidenNumeric { .. }
        | Action::CheckConstraint { .. }
        | Action::ExpressionIndex(_)
        | Action::MonitoringView
        | Action::RoleSetting { .. }
        | Action::PartitionedTable { .. }
        | Action::Migration
        | Action::DroppedIndex { .. } => {}
    }
    Assessment { verdict, work }
}

fn look_at(item: &Item, context: &Context) -> Result<(Verdict, Option<Work>)> {
    if let Some(reason) = unmet(item, context)? {
        return Ok((Verdict::because(State::Blocked, reason), None));
    }
    match &item.action {
        Action::WidenNumeric { column, precision, scale } => widen::look_at(item, column, *precision, *scale),
        Action::CheckConstraint { name, expression } => check::look_at(item, name, expression, context),
        Action::Index(index) | Action::ExpressionIndex(index) => index::look_at(item, index, context),
        Action::View { query, options, accepts } => view::look_at(item, query, options.as_deref(), accepts),
        Action::MaterializedView { query, accepts } => materialized_view::look_at(item, query, accepts),
        Action::MonitoringView => monitoring_view::look_at(item),
        Action::RoleSetting { role } => role_setting::look_at(item, role.as_deref()),
        Action::PartitionedTable { key, .. } => partitioned::look_at(item, key),
        Action::Migration => migration::look_at(item),
        Action::DroppedIndex { .. } => Ok(dropped_index::look_at()),
    }
}

/// What taking a change back takes now.
fn reversal(item: &Item, change: &Change) -> Result<Reversal> {
    let place = change.undo.relation.as_ref().unwrap_or(&item.relation);
    match &item.action {
        Action::WidenNumeric { column, .. } => {
            of_relation(item, change, |table| widen::reversal(item, table, column, change))
        }
        Action::CheckConstraint { name, expression } => {
            of_relation(item, change, |table| check::reversal(table, name, expression, change))
        }
        Action::Index(index) | Action::ExpressionIndex(index) => {
            of_relation(item, change, |_| index::reversal(item, place, &index.name))
        }
        Action::View { .. } => of_relation(item, change, |view| Ok(view::reversal(view))),
        Action::MaterializedView { .. } => {
            of_relation(item, change, |view| Ok(materialized_view::reversal(view)))
        }
        Action::Migration => of_relation(item, change, |table| migration::reversal(item, table)),
        Action::MonitoringView => Ok(monitoring_view::reversal()),
        Action::RoleSetting { .. } => role_setting::reversal(change),
        Action::PartitionedTable { .. } => partitioned::reversal(item),
        Action::DroppedIndex { name } => dropped_index::reversal(item, name, change),
    }
}

/// When an item's turn is. What blocks writers comes as late as it can: views first, then short exclusive locks, then
/// builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Views, which lock nothing that is written.
    Views,
    /// Columns, under short exclusive locks.
    Columns,
    /// Constraints, the same.
    Constraints,
    /// Indexes of tables.
    Indexes,
    /// Materialized views, which read tables.
    MaterializedViews,
    /// What stands on those before it, or locks nothing.
    Rest,
}

fn stage(plan: &Plan, item: &Item) -> Stage {
    match item.action {
        Action::WidenNumeric { .. } => widen::STAGE,
        Action::CheckConstraint { .. } => check::STAGE,
        Action::Index(_) | Action::ExpressionIndex(_) => index::stage(plan, item),
        Action::View { .. } => view::STAGE,
        Action::MaterializedView { .. } => materialized_view::STAGE,
        Action::MonitoringView => monitoring_view::STAGE,
        Action::RoleSetting { .. } => role_setting::STAGE,
        Action::PartitionedTable { .. } => partitioned::STAGE,
        Action::Migration => migration::STAGE,
        Action::DroppedIndex { .. } => dropped_index::STAGE,
    }
}

/// Why what an item needs is not there, if so.
fn unmet(item: &Item, context: &Context) -> Result<Option<String>> {
    let mut reasons = Vec::new();
    for need in &item.needs {
        let relation = context.locate(need.relation.as_ref().unwrap_or(&item.relation));
        let fact = catalog::column_fact(relation, &need.column)?;
        if fact == ColumnFact::NoRelation && context.to_be_made.contains(relation) {
            continue;
        }
        if let Some(reason) = decide::unmet_need(need, &item.relation, &fact)
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() && !item.action.makes_relation() && item.needs.is_empty() {
        let absent = catalog::relation(&item.relation)?.is_none();
        let own = !matches!(item.action, Action::RoleSetting { .. });
        if absent && own {
            reasons.push(format!("relation {} does not exist", item.relation));
        }
    }
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}
