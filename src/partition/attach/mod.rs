//! `attach_partition`: a table with rows becomes the partition of the one period that all of them fit, and keeps its name.
//!
//! Whatever grows with rows comes before the lock, and keeps no writer waiting: indexes are built concurrently, foreign
//! keys and the bounds validated, the default partition is read (`absent`), and keys are written (`keys`). Under the lock
//! (`exchange`) is done what was changed meanwhile, and PostgreSQL attaches without reading a row.
//!
//! Until then nothing of the partitioned table is changed. A run that is interrupted begins anew, and goes on from the
//! indexes and constraints that it finds; where the job fails, those stay with the table, and do it no harm.

pub(super) mod exchange;
mod keys;
mod lacking;
mod period;

use super::absent::Absent;
use super::adopt::owned;
use super::bounds::Parent;
use super::convert;
use super::convert::record::{Conversion, FORMER, KEYS, LOG, SHADOW};
use super::create::Planned;
use super::managed::Managed;
use super::retention;
use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::jobs::{self, report};
use crate::owner::{self, oid_by_name};
use crate::settings;
use crate::sql::{self, qualified, quote_literal, required};
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::{Between, toplevel, write_at_once};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use keys::Keys;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// A table that is to be attached, and to what.
struct Round {
    parent: Parent,
    table: Oid,
    /// The partition that it is to be, by its own name.
    planned: Planned,
    absent: Option<Absent>,
    keys: Option<Keys>,
    conversion: Option<Conversion>,
}

/// The CHECK that says that the table has rows of the period only. Not the one by which partitions are known that are made
/// apart, and dropped where they are left over: the rows of this one are nowhere else.
const FITS: &str = "groundskeeper_fits";

/// Queues the attaching of a table, if it can be attached as it is now.
pub fn ask(parent: Oid, table: Oid) -> Result<i64> {
    let (managed, parent) = owned(parent)?;
    let found = catalog::relation_by_oid(table)?.ok_or_else(gone)?;
    if cluster::any_in_shards(&[parent.oid, table])? {
        let message = format!("{} cannot be attached to {}", found.quoted, parent.quoted);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED, message)
            .detail("One of them is in shards of Citus, which refuses the triggers that note what is written meanwhile.")
            .hint("ALTER TABLE ... ATTACH PARTITION does it, and reads all rows under its lock."));
    }
    let planned = fit(&managed, &parent, table, &found.name)?;
    warn_of_retention(&managed, &planned)?;
    let task =
        Task::AttachPartition { parent: parent.name.clone(), table: found.name, oid: u32::from(table) };
    let item = Some(format!("attach_partition {}", found.quoted));
    jobs::enqueue(&JobRequest { item, ..JobRequest::plain(parent.name, task) })
}

fn gone() -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
}

/// The partition that a table would be; or why it cannot be one.
fn fit(managed: &Managed, parent: &Parent, table: Oid, name: &Qualified) -> Result<Planned> {
    let conversion = convert::of_parent(&parent.quoted)?;
    compare(parent, table, name, conversion.as_ref())?;
    let ready = conversion.is_none_or(|known| matches!(known.stage, Stage::Converted | Stage::Finalized));
    if !ready {
        let message = format!("the conversion of {} is under way", parent.quoted);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("SELECT * FROM groundskeeper.jobs shows the job that is at it."));
    }
    period::of_rows(managed, parent, table, name)
}

/// Refuses a table that differs from what a partition must be, and says what helps.
fn compare(parent: &Parent, table: Oid, name: &Qualified, conversion: Option<&Conversion>) -> Result<()> {
    let beside =
        conversion.map(|known| [FORMER, KEYS, LOG, SHADOW].map(|suffix| known.beside_quoted(suffix)));
    let beside = beside.map(|names| names.to_vec()).unwrap_or_default();
    let problems =
        sql::rows(include_str!("compare.sql"), &[parent.oid.into(), table.into(), beside.into()], |row| {
            Ok((required::<String>(row, 1)?, row.get::<String>(2)?))
        })?;
    if problems.is_empty() {
        return Ok(());
    }
    let (problems, remedies): (Vec<String>, Vec<Option<String>>) = problems.into_iter().unzip();
    let remedies: Vec<String> = remedies.into_iter().flatten().map(|remedy| format!("{remedy};")).collect();
    let message = format!(
        "{} cannot be a partition of {} as it is",
        qualified(&name.schema, &name.name),
        parent.quoted
    );
    let failure = Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .detail(problems.join("; "));
    Err(if remedies.is_empty() { failure } else { failure.hint(remedies.join(" ")) })
}

/// What is attached today and retires tomorrow is worth a word.
fn warn_of_retention(managed: &Managed, planned: &Planned) -> Result<()> {
    let Some(limit) = retention::limit(managed)? else { return Ok(()) };
    if planned.to.get(..10).is_some_and(|end| end <= limit.to_string().as_str()) {
        Failure::new(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("{} is older than what the retention of {} keeps", planned.quoted, managed.parent),
        )
        .detail(format!("apply_retention() will {} it.", managed.retention_action))
        .say(pgrx::PgLogLevel::WARNING);
    }
    Ok(())
}

/// Attaches it, from whatever an earlier run has left.
pub fn attach(between: &mut Between, parent: &Qualified, table: &Qualified, oid: u32) -> Result<()> {
    write_at_once(between);
    let oid = Oid::from(oid);
    target::beside([table.clone()]);
    let Some(round) = between.transaction(|| look(parent, table, oid))? else { return Ok(()) };
    target::beside(round.absent.iter().map(Absent::beside).chain(round.keys.iter().map(Keys::beside)));
    if let Err(failure) = carry_out(between, &round) {
        // Where this fails too, or nobody is left to do it, whoever attaches next begins with it.
        let _ = between.transaction(|| round.clear());
        return Err(failure);
    }
    toplevel::run(between, &format!("ANALYZE {}", round.planned.quoted))
}

/// The table and what it is to be; nothing where it is that already.
fn look(parent: &Qualified, table: &Qualified, oid: Oid) -> Result<Option<Round>> {
    let whole = oid_by_name(parent).ok_or_else(gone)?;
    if oid_by_name(table) != Some(oid) {
        let message = format!("{table} was dropped, renamed or replaced since the job was queued");
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("Ask for it again by the name that it has now."));
    }
    if catalog::parent_of_partition(oid)?.as_ref() == Some(parent) {
        return Ok(None);
    }
    let (managed, parent) = owned(whole)?;
    let planned = fit(&managed, &parent, oid, table)?;
    let conversion = convert::of_parent(&parent.quoted)?;
    let absent = Absent::of(&parent, std::slice::from_ref(&planned))?;
    let keys = Keys::of(conversion.as_ref(), table, oid);
    Ok(Some(Round { parent, table: oid, planned, absent, keys, conversion }))
}

/// All that takes long, and then the exchange.
fn carry_out(between: &mut Between, round: &Round) -> Result<()> {
    exchange::repeatedly(between, || round.clear())?;
    between.transaction(|| report("comparing", 0.05))?;
    if let Some(keys) = &round.keys {
        between.transaction(|| owner::of(round.table, || keys.check()))?;
    }
    between.transaction(|| report("building indexes", 0.1))?;
    lacking::build(between, round)?;
    between.transaction(|| report("proving bounds", 0.5))?;
    exchange::repeatedly(between, || round.bound())?;
    let validate = format!("ALTER TABLE {} VALIDATE CONSTRAINT {FITS}", round.planned.quoted);
    between.transaction(|| owner::run(&validate))?;
    let watches = exchange::Watches {
        default: match &round.absent {
            Some(absent) => exchange::repeatedly(between, || absent.watch())?,
            None => Vec::new(),
        },
        table: match &round.keys {
            Some(keys) => exchange::repeatedly(between, || keys.watch())?,
            None => Vec::new(),
        },
    };
    if let Some(absent) = &round.absent {
        between.transaction(|| absent.look(&round.parent, &round.planned))?;
        between.transaction(|| absent.trim())?;
    }
    between.transaction(|| report("attaching", 0.8))?;
    target::unheld(|| between.transaction(|| round.exchange(&watches)))
}

impl Round {
    /// Clears away what is made on the way.
    fn clear(&self) -> Result<()> {
        self.absent.as_ref().map_or(Ok(()), Absent::clear)?;
        self.keys.as_ref().map_or(Ok(()), Keys::clear)?;
        let unbound = format!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {FITS}", self.planned.quoted);
        let is_bound =
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND conname = $2)";
        let args = [self.table.into(), FITS.into()];
        match sql::first(is_bound, &args, |row| required::<bool>(row, 1))? {
            Some(true) => run_before_deadline(settings::lock_timeout_ms(), &[unbound]),
            _ => Ok(()),
        }
    }

    /// From here on the table takes rows of the period only.
    fn bound(&self) -> Result<()> {
        let fits = self.planned.condition(&self.parent.key, self.parent.key_type);
        let bound =
            format!("ALTER TABLE {} ADD CONSTRAINT {FITS} CHECK ({fits}) NOT VALID", self.planned.quoted);
        run_before_deadline(settings::lock_timeout_ms(), &[bound])
    }

    /// The statements that attach it: no row is read.
    fn attach(&self) -> Vec<String> {
        let Planned { quoted, from, to, .. } = &self.planned;
        let (from, to) = (quote_literal(from), quote_literal(to));
        vec![
            format!(
                "ALTER TABLE {} ATTACH PARTITION {quoted} FOR VALUES FROM ({from}) TO ({to})",
                self.parent.quoted
            ),
            format!("ALTER TABLE {quoted} DROP CONSTRAINT {FITS}"),
        ]
    }
}
