//! `statistics`: a table or materialized view that `update_table_statistics()` looks after, by its name.

use super::drift;
use super::rollback::Reversal;
use super::{Stage, Work};
use crate::catalog;
use crate::error::Result;
use crate::journal::Change;
use crate::sql::{qualified, quote_literal};
use crate::statistics::registry;
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::{Item, Qualified};

/// When its turn is.
pub const STAGE: Stage = Stage::Rest;

/// Whether the relation is looked after.
pub fn look_at(item: &Item) -> Result<(Verdict, Option<Work>)> {
    let quoted = qualified(&item.relation.schema, &item.relation.name);
    if registry::has(&quoted)? {
        return Ok((Verdict::plain(State::Applied), None));
    }
    let (inline, inverse) =
        (vec![call("maintain", &item.relation)], vec![call("stop_maintaining", &item.relation)]);
    Ok((Verdict::plain(State::Pending), Some(Work { inline, inverse, ..Work::default() })))
}

fn call(function: &str, relation: &Qualified) -> String {
    let relation = quote_literal(qualified(&relation.schema, &relation.name));
    format!("SELECT groundskeeper.{function}({relation})")
}

/// The relation looked after no more. What has its name by now, and is another, is looked after on.
pub fn reversal(item: &Item, change: &Change) -> Result<Reversal> {
    let quoted = qualified(&item.relation.schema, &item.relation.name);
    if !registry::has(&quoted)? {
        return Ok(Reversal::Gone(format!("{quoted} is not looked after any more")));
    }
    let (stands, note) = match drift::find(item, change)? {
        Ok(found) => (Some(found.relation.oid), found.difference),
        Err(reason) => (None, Some(reason)),
    };
    let named = catalog::relation(&item.relation)?;
    if named.is_some_and(|named| Some(named.oid) != stands) {
        return Ok(Reversal::Gone(note.unwrap_or_default()));
    }
    Ok(Reversal::with_note(vec![call("stop_maintaining", &item.relation)], note))
}

/// Does what [`look_at`] says, or takes it back, by the statement that says so: its function need not be the caller's.
pub fn carry_out(statement: &str, item: &Item) -> Result<bool> {
    let relation = catalog::relation(&item.relation)?;
    if statement == call("stop_maintaining", &item.relation) {
        if let Some(relation) = &relation {
            catalog::must_maintain(relation.oid, &relation.quoted)?;
        }
        registry::take_off(&qualified(&item.relation.schema, &item.relation.name))?;
        return Ok(true);
    }
    let Some(relation) = relation.filter(|_| statement == call("maintain", &item.relation)) else {
        return Ok(false);
    };
    registry::add(relation.oid)?;
    Ok(true)
}
