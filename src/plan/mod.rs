//! The plan engine: what each item needs, looked up and done. One file per kind of item, which says how it stands
//! (`look_at`), how it is taken back (`reversal`) and when its turn is (`STAGE`); [`apply`] and [`rollback`] drive
//! them all.

mod apply;
mod check;
mod drift;
pub mod dropped_index;
mod index;
mod materialized_view;
mod migration;
mod monitoring_view;
pub mod own;
pub mod partitioned;
mod rehearsal;
mod retype;
mod rights;
pub mod role_setting;
mod rollback;
mod statistics;
mod view;
mod wanted;
mod widen;

pub use apply::{Asked, Outcome, apply_item, apply_plan};
pub use check::rows_in_the_way;
pub use drift::note;
pub use rehearsal::{analyze, apply_sql, effort, validate};
pub use retype::{alter_column_type, retype};
pub use rollback::{revert_sql, rollback_plan};
pub use wanted::take_up;

use crate::catalog;
use crate::cluster;
use crate::error::Result;
use crate::jobs;
use crate::journal::{self, Change};
use drift::Found;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::decide::{self, ColumnFact, State, Verdict};
use groundskeeper_core::plan::{Action, Author, Entry, Item, Plan, Qualified, Undo};
use pgrx::pg_sys::Oid;
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
    /// Items that are not wanted, with the reason.
    declined: HashMap<String, String>,
    /// Whether the plan is another node's to carry out.
    is_worker: bool,
    /// The changes that stand, newest first.
    standing: Vec<Change>,
    /// What the built-in items tell each other, and those of each role: nobody's item says anything to another's.
    scenes: HashMap<Option<Author>, Scene>,
}

/// What items tell those that come after them.
#[derive(Default)]
pub struct Scene {
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
        let is_worker = cluster::is_worker()?;
        let (declined, standing) = (own::declined()?, journal::standing()?);
        Ok(Self { jobs, declined, is_worker, standing, scenes: HashMap::new() })
    }

    /// The last change of an item, if one stands.
    pub fn change(&self, id: &str) -> Option<&Change> {
        self.standing.iter().find(|change| change.item == id)
    }

    /// What an item is told.
    fn scene(&mut self, item: &Item) -> &mut Scene {
        self.scenes.entry(item.author.clone()).or_default()
    }
}

impl Scene {
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
    if context.is_worker && !matches!(item.action, Action::MonitoringView) {
        let reason = "this is a worker of a cluster, whose coordinator carries the plan out";
        return Assessment { verdict: Verdict::because(State::NotApplicable, reason), work: None };
    }
    let id = item.id();
    // who may not act as who has added an item does not have its words read rows
    let rows_unread = context.jobs.contains_key(&id) || !rights::may_look_closely(item);
    let scene = context.scene(item);
    let assessed =
        crate::subtransaction::isolated(|| rights::looking(item, || look_at(item, scene, rows_unread)));
    let (mut verdict, mut work) = assessed.unwrap_or_else(|failure| {
        view::on_one_to_be_made(item, context.scene(item)).unwrap_or_else(|| {
            let reason = format!("could not be looked at: {}", failure.one_line());
            (Verdict::because(State::Blocked, reason), None)
        })
    });
    if verdict.state == State::Pending {
        if let Some(job) = context.jobs.get(&id) {
            verdict = Verdict::because(State::Queued, job.clone());
            work = None;
        } else if item.action.makes_relation() {
            context.scene(item).to_be_made.insert(item.relation.clone());
        }
    }
    if verdict.state != State::Queued
        && let Some(drifted) = context.change(&id).and_then(|change| drifted(item, change))
    {
        (verdict, work) = (drifted, None);
    }
    let settled = matches!(verdict.state, State::Applied | State::Queued | State::Drifted);
    if let Some(reason) = context.declined.get(&id).filter(|_| !settled) {
        (verdict, work) = (Verdict::because(State::Declined, reason.clone()), None);
    }
    tell(context.scene(item), item, &verdict);
    // what was applied is in nobody's way but of who has put another in its place
    if verdict.state == State::Conflict
        && !matches!(item.action, Action::RoleSetting { .. })
        && context.change(&id).is_some()
    {
        verdict.state = State::Drifted;
    }
    Assessment { verdict, work }
}

/// What has changed of an applied item since, whatever else stands there now.
fn drifted(item: &Item, change: &Change) -> Option<Verdict> {
    let difference = crate::subtransaction::isolated(|| drift::difference(item, change)).ok()??;
    Some(Verdict::because(State::Drifted, difference))
}

/// What an item has to tell those after it.
fn tell(scene: &mut Scene, item: &Rc<Item>, verdict: &Verdict) {
    if let Some(alias) = &verdict.found_as {
        scene.aliases.insert(item.relation.clone(), alias.clone());
    }
    match item.action {
        Action::Index(_) if matches!(verdict.state, State::Pending | State::Queued) => {
            scene.to_be_built.push(Rc::clone(item));
        }
        Action::View { .. } | Action::MaterializedView { .. } if verdict.state == State::Conflict => {
            scene.taken.insert(item.relation.clone());
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
        | Action::Statistics
        | Action::DroppedIndex { .. } => {}
    }
}

fn look_at(item: &Item, scene: &Scene, rows_unread: bool) -> Result<(Verdict, Option<Work>)> {
    if let Some(reason) = unmet(item, scene)? {
        return Ok((Verdict::because(State::Blocked, reason), None));
    }
    match &item.action {
        Action::WidenNumeric { column, precision, scale } => widen::look_at(item, column, *precision, *scale),
        Action::CheckConstraint { name, expression } => check::look_at(item, name, expression, rows_unread),
        Action::Index(index) | Action::ExpressionIndex(index) => index::look_at(item, index, scene),
        Action::View { query, options, accepts } => view::look_at(item, query, options.as_deref(), accepts),
        Action::MaterializedView { query, accepts } => materialized_view::look_at(item, query, accepts),
        Action::MonitoringView => monitoring_view::look_at(item),
        Action::RoleSetting { role } => role_setting::look_at(item, role.as_deref()),
        Action::PartitionedTable { key, interval } => partitioned::look_at(item, key, interval),
        Action::Migration => migration::look_at(item),
        Action::Statistics => statistics::look_at(item),
        Action::DroppedIndex { .. } => Ok(dropped_index::look_at()),
    }
}

/// What taking a change back takes now. `with_it` are relations that are taken back before it; `closely` has rows read that
/// may be in the way.
fn reversal(item: &Item, change: &Change, with_it: &[Oid], closely: bool) -> Result<Reversal> {
    let of = |reversal: &dyn Fn(&Found) -> Result<Reversal>| of_relation(item, change, closely, reversal);
    match &item.action {
        Action::WidenNumeric { column, .. } => of(&|found| widen::reversal(found, column, change, closely)),
        Action::CheckConstraint { name, expression } => {
            of(&|found| check::reversal(found, name, expression, change))
        }
        Action::Index(index) | Action::ExpressionIndex(index) => {
            of(&|found| index::reversal(item, found, &index.name))
        }
        Action::View { .. } => of(&|found| view::reversal(&found.relation, with_it)),
        Action::MaterializedView { .. } => of(&|found| materialized_view::reversal(&found.relation, with_it)),
        Action::Migration => migration::reversal(item, change, closely),
        Action::MonitoringView => Ok(monitoring_view::reversal()),
        Action::RoleSetting { .. } => role_setting::reversal(change),
        Action::PartitionedTable { .. } => partitioned::reversal(item),
        Action::Statistics => statistics::reversal(item, change),
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
        Action::Statistics => statistics::STAGE,
        Action::DroppedIndex { .. } => dropped_index::STAGE,
    }
}

/// Why what an item needs is not there, if so.
fn unmet(item: &Item, scene: &Scene) -> Result<Option<String>> {
    let mut reasons = Vec::new();
    for need in &item.needs {
        let relation = scene.locate(need.relation.as_ref().unwrap_or(&item.relation));
        let fact = catalog::column_fact(relation, &need.column)?;
        if fact == ColumnFact::NoRelation && scene.to_be_made.contains(relation) {
            continue;
        }
        if let Some(reason) = decide::unmet_need(need, &item.relation, &fact)
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
    }
    if reasons.is_empty()
        && !item.action.makes_relation()
        && !matches!(item.action, Action::RoleSetting { .. })
    {
        let place = scene.locate(&item.relation);
        match catalog::relation(place)? {
            Some(found) => reasons.extend(decide::unfit_relation(&item.action, place, found.kind)),
            None if item.needs.is_empty() && !scene.to_be_made.contains(&item.relation) => {
                reasons.push(format!("relation {} does not exist", item.relation))
            }
            None => {}
        }
    }
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}
