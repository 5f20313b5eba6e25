//! A conversion that the plan asks for is an item of the plan, and the change log has it.

use super::lost::{Whereabouts, lost, whereabouts};
use super::record::Conversion;
use crate::catalog::{self, Thing};
use crate::error::Result;
use crate::journal;
use crate::sql::{qualified, quote_literal};
use groundskeeper_core::plan::{Entry, Qualified, Undo};

/// The statement that asks for a conversion.
pub fn asking(relation: &Qualified, key: &str, interval: &str) -> String {
    let table = quote_literal(qualified(&relation.schema, &relation.name));
    let interval = if interval == "month" { String::new() } else { format!(", {}", quote_literal(interval)) };
    format!("SELECT groundskeeper.partition_table({table}, {}{interval})", quote_literal(key))
}

/// The statement that asks for the way back.
pub fn taking_back(relation: &Qualified) -> String {
    let table = quote_literal(qualified(&relation.schema, &relation.name));
    format!("SELECT groundskeeper.undo_partitioning({table})")
}

/// Writes down that a table has become a partitioned one.
pub fn record(conversion: &Conversion) -> Result<()> {
    let Some(item) = &conversion.item else { return Ok(()) };
    journal::record(&Entry {
        item: item.clone(),
        forward: vec![asking(&conversion.table, &conversion.key, conversion.interval.as_str())],
        inverse: vec![taking_back(&conversion.table)],
        undo: Undo { made: catalog::made(&conversion.table, Thing::Place)?, ..Undo::default() },
        ..Entry::default()
    })
}

/// Why the way back of a conversion cannot be asked for by the name of its table, if so.
pub fn out_of_reach(conversion: &Conversion) -> Result<Option<String>> {
    let table = conversion.quoted();
    Ok(match whereabouts(conversion)? {
        Whereabouts::Same => None,
        Whereabouts::Renamed(name) => {
            Some(format!("{table} is {name} now; it can be taken back once it has its name and schema again"))
        }
        // the way back clears away what is left beside another of its name
        Whereabouts::Lost if catalog::relation(&conversion.table)?.is_some() => None,
        Whereabouts::Lost => Some(lost(conversion)?.one_line()),
    })
}

/// Writes down that it is what it was before.
pub fn record_undone(conversion: &Conversion) -> Result<()> {
    conversion.item.as_deref().map_or(Ok(()), journal::mark_item_reverted)
}
