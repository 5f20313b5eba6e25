//! Unused indexes: dropped with a word in the change log, and built again when that is taken back.

use super::build;
use crate::catalog::{self, Thing};
use crate::error::{Failure, Result};
use crate::journal::{self, Change};
use crate::settings;
use crate::sql::qualified;
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::job::Definition;
use groundskeeper_core::plan::{Action, Entry, Item, Qualified, Undo};
use pgrx::PgSqlErrorCode;

/// Drops an index, unless another has its name by now. The change is recorded when the index is gone: a crash before
/// that is made up for by the next run, which finds it gone.
pub fn drop(between: &mut Between, index: &Qualified, definition: &Definition) -> Result<()> {
    let now = between.transaction(|| Ok(catalog::relation(index)?.map(|found| u32::from(found.oid))))?;
    if now.is_some_and(|oid| oid != definition.oid) {
        let code = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
        let name = qualified(&index.schema, &index.name);
        return Err(Failure::new(
            code,
            format!("index {name} is another than the one that was found unused"),
        )
        .hint("Call groundskeeper.drop_unused_indexes() again."));
    }
    build::away(between, index)?;
    between.transaction(|| record(index, definition))
}

/// Builds it again.
pub fn restore(between: &mut Between, index: &Qualified, definition: &Definition, change: i64) -> Result<()> {
    let statement = definition
        .concurrently()
        .ok_or_else(|| Failure::internal("an index that cannot be built concurrently"))?;
    build::again(between, index, &definition.table, &statement)?;
    between.transaction(|| {
        run_before_deadline(settings::lock_timeout_ms(), &definition.after)?;
        journal::mark_reverted(change)
    })
}

/// The section of the plan that these items are of.
pub const SECTION: &str = "beyond";

/// The item of an index of a table.
pub fn of(table: Qualified, name: String) -> Item {
    Item {
        section: SECTION.to_owned(),
        relation: table,
        action: Action::DroppedIndex { name },
        needs: Vec::new(),
        author: None,
    }
}

/// Records that an index was dropped, unless that has been recorded. One that was built again by hand meanwhile is
/// another.
fn record(index: &Qualified, definition: &Definition) -> Result<()> {
    let item = of(definition.table.clone(), index.name.clone());
    let recorded = |change: &Change| {
        change.undo.dropped_index.as_ref().is_some_and(|dropped| dropped.oid == definition.oid)
    };
    if journal::standing()?.iter().any(|change| change.item == item.id() && recorded(change)) {
        return Ok(());
    }
    journal::add(&Entry {
        item: item.id(),
        forward: vec![format!("DROP INDEX {}", qualified(&index.schema, &index.name))],
        inverse: definition.script(),
        prior_definition: Some(definition.statement.clone()),
        undo: Undo {
            dropped_index: Some(definition.clone()),
            made: catalog::made(&definition.table, Thing::Place)?,
            ..Undo::default()
        },
    })
}
