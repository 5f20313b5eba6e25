//! Tables that the plan wants partitioned: never by itself, only when the operator asks.

use super::apply::Outcome;
use super::rollback::Reversal;
use super::{Stage, Work, rights};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::owner;
use crate::partition::convert::plan_item::{asking, out_of_reach, taking_back};
use crate::partition::convert::{self, Asked, Request};
use crate::subtransaction::isolated;
use groundskeeper_core::partition::convert::{Goal, Stage as Reached};
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::{Action, Item, Plan, Qualified};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::rc::Rc;

/// When its turn is.
pub const STAGE: Stage = Stage::Rest;

/// The id of the item that a table is about, if the plan has one. One that somebody has added to the plan is about that
/// role's tables.
pub fn item_of(plan: &Plan, table: Oid) -> Result<Option<String>> {
    let Some(found) = catalog::relation_by_oid(table)? else { return Ok(None) };
    let owns = |item: &Item| match (&item.author, owner::owner_of(table)) {
        (None, _) => true,
        (Some(author), Some(of)) => author.oid.is_some_and(|oid| owner::roles_rights(Oid::from(oid), of)),
        (Some(_), None) => false,
    };
    let is_it = |item: &&Item| {
        item.relation == found.name && matches!(item.action, Action::PartitionedTable { .. }) && owns(item)
    };
    Ok(plan.items.iter().find(is_it).map(Item::id))
}

/// Asks for the conversion of an item's table, as `partition_table()` does with its defaults; the job's number.
pub fn ask_for(item: &Item, key: &str, interval: &str) -> Result<i64> {
    let table = catalog::relation(&item.relation)?.ok_or_else(|| {
        let message = format!("relation {} does not exist", item.relation);
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, message)
    })?;
    let asked = Asked::read(interval, None, PREMAKE, None, true)?;
    let request = Request {
        relation: table.oid,
        item: Some(item.id()),
        key: key.to_owned(),
        asked,
        accept: Vec::new(),
    };
    convert::partition_table(&request)
}

/// How many partitions are kept ready where nobody says otherwise.
const PREMAKE: i32 = 3;

/// How a table stands.
pub fn look_at(item: &Item, key: &str, interval: &str) -> Result<(Verdict, Option<Work>)> {
    let conversion = convert::record::find(&item.relation)?;
    let partitioned = catalog::partition_key(&item.relation)?;
    let verdict = match (partitioned, conversion) {
        (Some(found), _) if found != key => {
            let detail = format!("{} is partitioned by {found}, the plan asks for {key}", item.relation);
            return Ok((Verdict::because(State::Conflict, detail), None));
        }
        (Some(_), Some(conversion)) if conversion.stage != Reached::Finalized => Verdict::because(
            State::Applied,
            format!(
                "{} is kept until groundskeeper.finalize_partitioning()",
                conversion.beside_quoted(convert::record::FORMER)
            ),
        ),
        (Some(_), _) => return Ok((Verdict::plain(State::Applied), None)),
        (None, Some(conversion)) => Verdict::because(
            State::Pending,
            format!(
                "a conversion was begun and is {}: groundskeeper.partition_table() goes on with it, \
                 groundskeeper.undo_partitioning() takes it back",
                conversion.stage.as_str()
            ),
        ),
        (None, None) => Verdict::because(State::Pending, "partitioning waits until the operator asks for it"),
    };
    Ok((verdict, Some(work(&item.relation, key, interval)?)))
}

fn work(relation: &Qualified, key: &str, interval: &str) -> Result<Work> {
    let bytes = catalog::relation(relation)?.map_or(Ok(0), |table| catalog::relation_bytes(table.oid))?;
    let inline = vec![asking(relation, key, interval)];
    Ok(Work { inline, bytes, inverse: vec![taking_back(relation)], ..Work::default() })
}

/// What takes the partitioning of a table back; not what was finalized.
pub fn reversal(item: &Item) -> Result<Reversal> {
    Ok(match convert::record::find(&item.relation)? {
        None => Reversal::Gone(format!("{} was not converted by us", item.relation)),
        Some(conversion) if conversion.stage == Reached::Finalized => Reversal::Refused(
            "the unpartitioned table was dropped by groundskeeper.finalize_partitioning()".to_owned(),
        ),
        Some(conversion) => match out_of_reach(&conversion)? {
            Some(reason) => Reversal::Refused(reason),
            None => Reversal::by(vec![taking_back(&item.relation)]),
        },
    })
}

/// Queues the way back of a table, wherever its conversion is; nothing where there is none.
pub fn take_back(item: &Rc<Item>, dry_run: bool) -> Result<Option<Outcome>> {
    let outcome =
        |action, state, detail, sql| Some(Outcome { item: Rc::clone(item), action, state, detail, sql });
    Ok(match reversal(item)? {
        Reversal::Gone(_) => None,
        Reversal::Refused(reason) => outcome("skip", State::Blocked, Some(reason), None),
        Reversal::Steps(_) => {
            let sql = Some(taking_back(&item.relation));
            let queued = || {
                let found = catalog::relation(&item.relation)?;
                found.map_or(Ok(None), |table| convert::ask(table.oid, Goal::Undo).map(Some))
            };
            match if dry_run { Ok(None) } else { isolated(|| rights::acting(item, queued)) } {
                Ok(job) => {
                    let detail = job.map(|job| format!("job {job} makes the table what it was"));
                    outcome("queue", State::Queued, detail, sql)
                }
                Err(failure) => outcome("skip", State::Blocked, Some(failure.one_line()), sql),
            }
        }
    })
}
