//! A conversion that the plan asks for is an item of the plan, and the change log has it.

use super::record::Conversion;
use crate::error::Result;
use crate::journal;
use crate::sql::{qualified, quote_literal};
use groundskeeper_core::plan::{Action, Entry, Item, Qualified, built_in};

/// The statement that asks for a conversion.
pub fn asking(relation: &Qualified, key: &str) -> String {
    let table = quote_literal(qualified(&relation.schema, &relation.name));
    format!("SELECT groundskeeper.partition_table({table}, {})", quote_literal(key))
}

/// The statement that asks for the way back.
pub fn taking_back(relation: &Qualified) -> String {
    let table = quote_literal(qualified(&relation.schema, &relation.name));
    format!("SELECT groundskeeper.undo_partitioning({table})")
}

/// The item that a table is about, if the plan has one.
pub fn item_of(table: &Qualified) -> Result<Option<&'static Item>> {
    let is_it =
        |item: &&Item| item.relation == *table && matches!(item.action, Action::PartitionedTable { .. });
    Ok(built_in()?.items.iter().find(is_it))
}

/// Writes down that a table has become a partitioned one.
pub fn record(conversion: &Conversion) -> Result<()> {
    let Some(item) = item_of(&conversion.table)? else { return Ok(()) };
    journal::record(&Entry {
        item: item.id(),
        forward: vec![asking(&conversion.table, &conversion.key)],
        inverse: vec![taking_back(&conversion.table)],
        ..Entry::default()
    })
}

/// Writes down that it is what it was before.
pub fn record_undone(conversion: &Conversion) -> Result<()> {
    let Some(item) = item_of(&conversion.table)? else { return Ok(()) };
    journal::mark_item_reverted(&item.id())
}
