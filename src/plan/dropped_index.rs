//! Unused indexes that `drop_unused_indexes()` has dropped: items of the change log, each taken back by itself.

use super::drift::{self, Found};
use super::rollback::{Reversal, Steps};
use super::{Stage, Work, job};
use crate::catalog::{self, Relation};
use crate::error::{Failure, Result};
use crate::index::dropped::{SECTION, of};
use crate::journal::{self, Change};
use crate::settings;
use crate::sql::{qualified, quote_identifier};
use groundskeeper_core::job::{Definition, Task};
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::{Item, Qualified};

/// The item of a dropped index, by its id, if the change log has it standing.
pub fn item(id: &str) -> Result<Option<Item>> {
    Ok(journal::standing()?.iter().filter(|change| change.item == id).find_map(item_of))
}

/// The item of the dropped index that a change is about, if it is.
pub fn item_of(change: &Change) -> Option<Item> {
    let table = &change.undo.dropped_index.as_ref()?.table;
    let name = change.item.strip_prefix(&format!("{SECTION}.{table}."))?.to_owned();
    Some(of(table.clone(), name))
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
    let Found { relation: table, difference: note, .. } = match drift::find(item, change)? {
        Ok(found) => found,
        Err(reason) => return Ok(Reversal::Gone(reason)),
    };
    let Some(mut definition) = on(definition, name, &table) else {
        let reason = note.unwrap_or_else(|| format!("{} is another table", table.quoted));
        return Ok(Reversal::Refused(format!("{reason}; build the index by hand: {}", definition.statement)));
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
        note,
        ..Steps::default()
    })))
}

/// The index on its table, which may have another name by now.
fn on(definition: &Definition, name: &str, table: &Relation) -> Option<Definition> {
    if table.name == definition.table {
        return Some(definition.clone());
    }
    let was = qualified(&definition.table.schema, &definition.table.name);
    (table.name.schema == definition.table.schema)
        .then(|| definition.renamed(&quote_identifier(name), &was, &table.name, &table.quoted))
        .flatten()
}
