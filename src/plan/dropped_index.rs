//! Unused indexes that `drop_unused_indexes()` has dropped: items of the change log, each taken back by itself.

use super::rollback::{Reversal, Steps};
use super::{Stage, Work, job};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::index::dropped::{SECTION, of};
use crate::journal::{self, Change};
use crate::settings;
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::{Item, Qualified};

/// The item of a dropped index, by its id, if the change log has it standing.
pub fn item(id: &str) -> Result<Option<Item>> {
    Ok(journal::standing()?.into_iter().filter(|change| change.item == id).find_map(|change| {
        let table = change.undo.dropped_index?.table;
        let name = id.strip_prefix(&format!("{SECTION}.{table}."))?.to_owned();
        Some(of(table, name))
    }))
}

/// When its turn is.
pub const STAGE: Stage = Stage::Rest;

/// It is of the change log only, which says that it was dropped.
pub fn look_at() -> (Verdict, Option<Work>) {
    (Verdict::plain(State::Applied), None)
}

/// The index there again: at once over a small table, else by a job.
pub fn reversal(item: &Item, name: &str, change: &Change) -> Result<Reversal> {
    let Some(definition) = &change.undo.dropped_index else {
        return Err(Failure::internal(format!("change {} does not say what it dropped", change.id)));
    };
    let index = Qualified { schema: definition.table.schema.clone(), name: name.to_owned() };
    if catalog::index_named(&index.schema, name)?.is_some_and(|(_, valid)| valid) {
        return Ok(Reversal::Gone(format!("index {name} is there again")));
    }
    let Some(table) = catalog::relation(&definition.table)? else {
        return Ok(Reversal::Gone(format!("relation {} is gone", definition.table)));
    };
    let long = catalog::relation_bytes(table.oid)? > settings::inline_build_limit_bytes();
    if long && definition.partitioned {
        return Ok(Reversal::Refused(
            "building it blocks the writers of all partitions; set groundskeeper.inline_build_limit above their size in \
             a maintenance window"
                .to_owned(),
        ));
    }
    // A partition that is gone needs no index.
    let mut definition = definition.clone();
    let mut parts = Vec::new();
    for part in definition.parts {
        if catalog::relation(&part.table)?.is_some() {
            parts.push(part);
        }
    }
    definition.parts = parts;
    let task = Task::RestoreIndex { index, definition: definition.clone(), change: change.id };
    let job = job(item, &definition.table, task);
    Ok(Reversal::Steps(Box::new(Steps {
        statements: definition.script(),
        job: (!definition.partitioned).then_some(job),
        long,
        ..Steps::default()
    })))
}
