//! `index` and `expression_index`: built at once where the relation is small, else concurrently by a job.

use super::drift::{Found, needed_by};
use super::rollback::{Reversal, Steps};
use super::{Scene, Stage, Work, job};
use crate::catalog::{self, Build};
use crate::error::Result;
use crate::sql::{qualified, quote_identifier};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::decide::{self, State, Verdict};
use groundskeeper_core::plan::{Action, Index, IndexKeys, Item, Plan, Qualified, Undo};

/// When its turn is: an index of a view that the plan makes comes after the view.
pub fn stage(plan: &Plan, item: &Item) -> Stage {
    let is_made = |made: &Item| made.action.makes_relation() && made.relation == item.relation;
    if plan.items.iter().any(is_made) { Stage::Rest } else { Stage::Indexes }
}

/// How an index stands.
pub fn look_at(item: &Item, index: &Index, scene: &Scene) -> Result<(Verdict, Option<Work>)> {
    if scene.taken.contains(&item.relation) {
        let reason = format!("{} is not the plan's", item.relation);
        return Ok((Verdict::because(State::Blocked, reason), None));
    }
    let keys = match index.key_source() {
        IndexKeys::Listed(keys) => keys.to_vec(),
        IndexKeys::ForeignKeyTo(referenced) => {
            let mut columns = catalog::foreign_key_columns(&item.relation, referenced)?;
            if columns.is_empty() {
                columns.extend(catalog::first_column(&item.relation, &index.or_first_of)?);
            }
            if columns.is_empty() {
                let reason = format!("{} has no foreign key to {referenced}", item.relation);
                return Ok((Verdict::because(State::NotApplicable, reason), None));
            }
            columns.iter().map(quote_identifier).collect()
        }
    };
    let place = scene.locate(&item.relation);
    let quoted = qualified(&place.schema, &place.name);
    let wanted = catalog::WantedIndex {
        name: &index.name,
        relation: &quoted,
        keys: &keys,
        predicate: index.predicate.as_deref(),
        unique: index.unique,
    };
    let Some(relation) = catalog::relation(place)? else {
        // an item before this one makes it
        return Ok((Verdict::plain(State::Pending), Some(work(item, place, &wanted, false))));
    };
    let found = catalog::indexes(relation.oid, &wanted, index.prefix_will_do())?;
    let taken = catalog::name_taken_by(&place.schema, &index.name, relation.oid)?;
    let verdict = decide::index(&index.name, index.prefix_will_do(), &found, taken.as_deref());
    if verdict.state != State::Pending {
        return Ok((verdict, None));
    }
    if index.prefix_will_do()
        && let Some(other) = scene.to_be_built.iter().find_map(|other| begins_with(other, item, &keys))
    {
        let reason = format!("index {other}, which is to be built, begins with the same keys and will serve");
        return Ok((Verdict::because(State::NotApplicable, reason), None));
    }
    let leftover = found.iter().any(|i| i.name == index.name);
    let mut work = work(item, place, &wanted, leftover);
    work.bytes = catalog::relation_bytes(relation.oid)?;
    Ok((verdict, Some(work)))
}

fn begins_with<'a>(other: &'a Item, item: &Item, keys: &[String]) -> Option<&'a str> {
    match &other.action {
        Action::Index(index)
            if other.relation == item.relation
                && index.predicate.is_none()
                && index.keys.starts_with(keys) =>
        {
            Some(&index.name)
        }
        _ => None,
    }
}

fn work(item: &Item, place: &Qualified, wanted: &catalog::WantedIndex, leftover: bool) -> Work {
    let name = Qualified { schema: place.schema.clone(), name: wanted.name.to_owned() };
    let drop = format!("DROP INDEX {}", qualified(&name.schema, &name.name));
    let build = catalog::index_statement(wanted, Build::Plain);
    let mut work = Work {
        inverse: vec![drop.clone()],
        undo: Undo { relation: (*place != item.relation).then(|| place.clone()), ..Undo::default() },
        ..Work::default()
    };
    let task = Task::CreateIndex {
        index: name,
        table: place.clone(),
        keys: wanted.keys.to_vec(),
        predicate: wanted.predicate.map(str::to_owned),
        unique: wanted.unique,
    };
    let entry = Some(work.entry(item, std::slice::from_ref(&build)));
    work.job = Some(JobRequest { entry, ..job(item, place, task) });
    work.clears = leftover;
    work.inline = if leftover { vec![drop, build] } else { vec![build] };
    work
}

/// An index gone: at once if the lock is to be had, else concurrently by a job.
pub fn reversal(item: &Item, stands: &Found, name: &str) -> Result<Reversal> {
    let place = &stands.relation.name;
    let schema = &place.schema;
    let name = stands.object.as_deref().unwrap_or(name);
    let index = Qualified { schema: schema.clone(), name: name.to_owned() };
    let Some(found) = catalog::relation(&index)?.filter(|found| matches!(found.kind, 'i' | 'I')) else {
        return Ok(Reversal::Gone(format!("index {name} is gone")));
    };
    if let Some(reason) = needed_by(found.oid, &format!("index {}", found.quoted), &[])? {
        return Ok(Reversal::Refused(reason));
    }
    Ok(Reversal::Steps(Box::new(Steps {
        statements: vec![format!("DROP INDEX {}", qualified(schema, name))],
        job: Some(job(item, place, Task::DropIndex { index, unused: None })),
        ..Steps::default()
    })))
}
