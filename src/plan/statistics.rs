//! `statistics`: a table or materialized view that `update_table_statistics()` looks after.

use super::rollback::Reversal;
use super::{Stage, Work};
use crate::catalog;
use crate::error::Result;
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

/// The relation looked after no more.
pub fn reversal(item: &Item) -> Result<Reversal> {
    let quoted = qualified(&item.relation.schema, &item.relation.name);
    if !registry::has(&quoted)? {
        return Ok(Reversal::Gone(format!("{quoted} is not looked after any more")));
    }
    Ok(match catalog::relation(&item.relation)? {
        Some(_) => Reversal::by(vec![call("stop_maintaining", &item.relation)]),
        None => Reversal::Gone(format!("relation {} is gone", item.relation)),
    })
}

/// Does what [`look_at`] says, or takes it back, by the statement that says so: its function need not be the caller's.
pub fn carry_out(statement: &str, item: &Item) -> Result<bool> {
    let Some(relation) = catalog::relation(&item.relation)? else { return Ok(false) };
    if statement == call("maintain", &item.relation) {
        registry::add(relation.oid)?;
        return Ok(true);
    }
    if statement == call("stop_maintaining", &item.relation) {
        registry::take_off(&relation)?;
        return Ok(true);
    }
    Ok(false)
}
