//! `drain_default`: rows of a default partition go to partitions of their own.
//!
//! A row that is deleted and inserted again fires cascades, and an update that meets it between the two changes
//! nothing; and whatever is done row by row keeps writers waiting as long as there are rows. So nothing is removed:
//! the partitions, and the default one as it is to be, are made apart (`apart`) and filled with copies while writers go
//! on, kept equal by a log and proven as a conversion's shadow is. Then, in one short transaction that locks the
//! table for everybody (`exchange`), the last entries of the log are applied, the default partition takes over the
//! storage that was filled for it, and the partitions are attached. To every later snapshot no row ever was elsewhere.

mod apart;
mod exchange;
mod periods;
mod shards;
mod storage;

pub use periods::horizon;

use super::adopt::owned;
use super::bounds::{Parent, Partition};
use super::convert::record::{Conversion, LOG, SHADOW};
use super::convert::{steps, sync};
use super::create::Planned;
use super::watch;
use crate::cluster;
use crate::error::Result;
use crate::jobs::{self, report};
use crate::owner;
use crate::sql::{self, qualified, required};
use crate::target;
use crate::worker::{Between, toplevel, write_at_once};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::partition::NaiveDate;
use groundskeeper_core::plan::Qualified;
use pgrx::pg_sys::Oid;
use std::collections::BTreeSet;

/// What is moved together: some periods, each of which gets a partition.
struct Round {
    parent: Parent,
    default: Partition,
    /// The first days of the periods.
    starts: Vec<NaiveDate>,
    planned: Vec<Planned>,
    /// The default partition as what is copied, and its copy, by the names and with the means of a conversion.
    copied: Conversion,
}

impl Round {
    /// Whether its rows can be told apart, so that what has changed can be copied again.
    fn has_identity(&self) -> bool {
        !self.copied.key_columns.is_empty()
    }

    /// What the default partition is to have, apart.
    fn rest(&self) -> Qualified {
        self.copied.beside("rest")
    }

    /// Clears away what is made on the way.
    fn clear(&self) -> Result<()> {
        watch::clear(&self.copied, self.default.oid, &[SHADOW, "rest"])
    }

    /// The names of all that it works on.
    fn names(&self) -> Vec<Qualified> {
        let own =
            [self.default.name.clone(), self.rest(), self.copied.beside(SHADOW), self.copied.beside(LOG)];
        self.planned.iter().map(|planned| planned.name.clone()).chain(own).collect()
    }
}

/// Queues the draining of a managed table's default partition.
pub fn ask(relation: Oid, batch_size: i32) -> Result<i64> {
    let (_, parent) = owned(relation)?;
    let task = Task::DrainDefault { parent: parent.name.clone(), batch_size: i64::from(batch_size) };
    let item = Some(format!("drain_default {}", parent.quoted));
    jobs::enqueue(&JobRequest { item, ..JobRequest::plain(parent.name, task) })
}

/// Whether a table is the default partition of another.
pub fn is_default(quoted: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table WHERE partdefid = pg_catalog.to_regclass($1))";
    Ok(sql::first(query, &[quoted.into()], |row| required::<bool>(row, 1))? == Some(true))
}

/// Moves rows until none is left that can have a partition.
pub fn drain(between: &mut Between, parent: &Qualified, batch_size: i64) -> Result<()> {
    write_at_once(between);
    let quoted = qualified(&parent.schema, &parent.name);
    if between.transaction(|| owner::oid_by_name(parent).map_or(Ok(false), cluster::in_shards))? {
        return shards::drain(between, &quoted, batch_size);
    }
    let mut done = BTreeSet::new();
    while let Some(round) = between.transaction(|| periods::next(&quoted, &done))? {
        target::beside(round.names());
        if let Err(failure) = carry_out(between, &round, batch_size) {
            // Where this fails too, or nobody is left to do it, whoever drains next begins with it.
            let _ = between.transaction(|| round.clear());
            return Err(failure);
        }
        for table in round.planned.iter().map(|planned| &planned.quoted).chain([&round.default.quoted]) {
            toplevel::run(between, &format!("ANALYZE {table}"))?;
        }
        done.extend(round.starts);
    }
    Ok(())
}

/// A run that was interrupted has left copies only, and copies anew.
fn carry_out(between: &mut Between, round: &Round, batch_size: i64) -> Result<()> {
    exchange::repeatedly(between, || round.clear())?;
    let (helpers, was) = between.transaction(|| Ok((apart::make(round)?, exchange::shape(round)?)))?;
    let result = move_rows(between, round, helpers, &was, batch_size);
    match result {
        // What a step stumbles over where the table was altered meanwhile says nothing to anybody.
        Err(failure) if !failure.is_stop_request() && !failure.is_lock_not_available() => {
            match between.transaction(|| exchange::shape(round)) {
                Ok(now) if now == was => Err(failure),
                _ => Err(exchange::changed_meanwhile(round)),
            }
        }
        result => result,
    }
}

fn move_rows(
    between: &mut Between,
    round: &Round,
    helpers: Vec<Qualified>,
    was: &str,
    batch_size: i64,
) -> Result<()> {
    let mut watches = Vec::new();
    if round.has_identity() {
        watches = exchange::repeatedly(between, || watch::begin(&round.copied, round.default.oid))?;
        apart::fill(between, round)?;
        steps::apply(between, &round.copied)?;
        between.transaction(|| report("comparing rows", 0.8))?;
        between.transaction(|| {
            sync::prove(&round.copied, &sync::Pair::of(&round.copied), round.parent.key_type)
        })?;
    }
    exchange::Step { round, helpers, was, watches, batch_size }.take(between)
}
