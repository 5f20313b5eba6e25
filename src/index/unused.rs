//! `drop_unused_indexes()`: what `monitoring.unused_indexes` says can go, dropped by jobs.

use super::dropped;
use crate::error::{Failure, Result};
use crate::extension::home;
use crate::jobs;
use crate::journal::{self, Change};
use crate::sql::{self, quote_literal, required};
use crate::subtransaction::isolated;
use groundskeeper_core::job::{Definition, JobRequest, Part, Task};
use groundskeeper_core::plan::{Item, Plan, Qualified};
use pgrx::pg_sys::Oid;
use serde::de::DeserializeOwned;

fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Failure::internal(error.to_string()))
}

/// What became of an index, or would.
pub struct Candidate {
    /// The item that the change log will have.
    pub item: String,
    /// `queue` or `skip`.
    pub action: &'static str,
    /// `queued`, in a dry run `pending`, or `blocked`.
    pub state: &'static str,
    /// The evidence, or what stands in the way.
    pub detail: String,
    /// The statement that drops it.
    pub sql: String,
}

/// An index that is good for nothing.
struct Unused {
    index: Qualified,
    evidence: String,
    drop: String,
    definition: Option<Definition>,
}

/// Queues the dropping of each unused index; a dry run only says which.
pub fn drop_all(plan: &Plan, dry_run: bool) -> Result<Vec<Candidate>> {
    let found = sql::rows(include_str!("unused/found.sql"), &[], |row| {
        let schema: String = required(row, 1)?;
        let table = Qualified { schema: schema.clone(), name: required(row, 3)? };
        let (oid, kind): (Oid, String) = (required(row, 6)?, required(row, 7)?);
        let after: Vec<String> = json(&required::<String>(row, 9)?)?;
        let parts: Vec<Part> = json(&required::<String>(row, 10)?)?;
        Ok(Unused {
            index: Qualified { schema, name: required(row, 2)? },
            evidence: required(row, 4)?,
            drop: required(row, 5)?,
            definition: row.get::<String>(8)?.map(|statement| Definition {
                oid: u32::from(oid),
                table: table.clone(),
                statement,
                after: after.clone(),
                partitioned: kind == "I",
                parts: parts.clone(),
            }),
        })
    })?;
    let standing = journal::standing()?;
    found.into_iter().map(|unused| drop_one(plan, &standing, unused, dry_run)).collect()
}

fn drop_one(plan: &Plan, standing: &[Change], unused: Unused, dry_run: bool) -> Result<Candidate> {
    let Unused { index, evidence, drop, definition } = unused;
    let outcome =
        |item: String, action, state, detail| Candidate { item, action, state, detail, sql: drop.clone() };
    let Some(definition) = definition else {
        let item = format!("{index}");
        return Ok(outcome(item, "skip", "blocked", "its table is locked by another session".to_owned()));
    };
    let item = dropped::of(definition.table.clone(), index.name.clone()).id();
    let home = home();
    let is_it = |planned: &&Item| {
        let of_it = |change: &&Change| change.item == planned.id();
        let made_there = |change: &Change| {
            let place = change.undo.relation.as_ref().unwrap_or(&planned.relation);
            place.schema == index.schema
        };
        // whatever its name is by now
        let made = |change: &Change| {
            change
                .undo
                .made
                .as_ref()
                .is_some_and(|made| made.home == home && made.object == Some(definition.oid))
        };
        let Some(name) = planned.action.index_name() else { return false };
        standing.iter().filter(of_it).any(made)
            || name == index.name
                && (planned.relation.schema == index.schema || standing.iter().filter(of_it).any(made_there))
    };
    let planned = plan.items.iter().find(is_it);
    if let Some(planned) = planned {
        let detail = format!(
            "the plan wants it: SELECT * FROM groundskeeper.rollback_plan(items => ARRAY[{}]) takes that back; {evidence}",
            quote_literal(planned.id())
        );
        return Ok(outcome(item, "skip", "blocked", detail));
    }
    if plan.item(&item).is_some() {
        let detail = format!("the plan has an item of the id that the change log would give it; {evidence}");
        return Ok(outcome(item, "skip", "blocked", detail));
    }
    if dry_run {
        return Ok(outcome(item, "queue", "pending", evidence));
    }
    let relation = definition.table.clone();
    let task = Task::DropIndex { index, unused: Some(definition) };
    let request = JobRequest { item: Some(item.clone()), ..JobRequest::plain(relation, task) };
    Ok(match isolated(|| jobs::enqueue(&request)) {
        Ok(job) => outcome(item, "queue", "queued", format!("job {job}: {evidence}")),
        Err(failure) => outcome(item, "skip", "blocked", failure.one_line()),
    })
}
