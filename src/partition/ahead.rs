//! Partitions that are made by a job: beside a default partition that is large, and has no index by which PostgreSQL could
//! be told that it has none of their rows. The job reads it outside of a lock (`absent`), and attaches in a moment.

use super::absent::Absent;
use super::attach::exchange::{repeatedly, within};
use super::bounds::{self, Parent};
use super::create::{self, Planned};
use super::managed;
use super::premake;
use crate::catalog;
use crate::error::{Failure, Result};
use crate::jobs::{self, report};
use crate::owner;
use crate::settings;
use crate::sql::{self, qualified};
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::{Between, write_at_once};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::Qualified;
use std::time::{Duration, Instant};

/// As much of a default partition PostgreSQL may read while everybody waits.
pub const READ_AT_ONCE: u64 = 8 << 20;

/// Whether making partitions of a table is better left to a job.
pub fn takes_a_job(parent: &Parent) -> Result<bool> {
    let Some(absent) = Absent::of(parent, &[])? else { return Ok(false) };
    Ok(catalog::relation_bytes(absent.default.oid)? > READ_AT_ONCE && !absent.has_index()?)
}

/// Queues the making of what a table lacks, so many months ahead.
pub fn ask(parent: &Parent, months: u32) -> Result<i64> {
    let task = Task::CreatePartitions { parent: parent.name.clone(), months };
    let item = Some(format!("create_partitions {}", parent.quoted));
    jobs::enqueue(&JobRequest { item, ..JobRequest::plain(parent.name.clone(), task) })
}

/// Makes what a table lacks. Periods whose rows the default partition has are left, and named at the end.
pub fn make(between: &mut Between, parent: &Qualified, months: u32) -> Result<()> {
    write_at_once(between);
    let quoted = qualified(&parent.schema, &parent.name);
    let (parent, mut planned) = between.transaction(|| lacking(&quoted, months))?;
    if planned.is_empty() {
        return Ok(());
    }
    let Some(absent) = between.transaction(|| Absent::of(&parent, &planned))? else {
        return between.transaction(|| premake::create_ahead(months)).map(drop);
    };
    target::beside(planned.iter().map(|one| one.name.clone()).chain([absent.beside()]));
    let mut left = None;
    let watches = repeatedly(between, || absent.clear().and_then(|()| absent.watch()))?;
    let done = (|| {
        between.transaction(|| report("reading the default partition", 0.2))?;
        planned.retain(|one| match between.transaction(|| absent.look(&parent, one)) {
            Ok(()) => true,
            Err(failure) => {
                left = Some(failure);
                false
            }
        });
        if planned.is_empty() {
            return Ok(());
        }
        between.transaction(|| build(&parent, &planned))?;
        between.transaction(|| absent.trim())?;
        between.transaction(|| report("attaching", 0.8))?;
        target::unheld(|| between.transaction(|| attach(&parent, &absent, &planned, &watches)))
    })();
    if done.is_err() || planned.is_empty() {
        // Where this fails too, whoever comes next begins with it.
        let _ = between.transaction(|| absent.clear());
        let _ = between.transaction(|| drop_apart(&parent, &planned));
    }
    done.and(left.map_or(Ok(()), Err))
}

/// The table and what it lacks now.
fn lacking(quoted: &str, months: u32) -> Result<(Parent, Vec<Planned>)> {
    let table = managed::find(quoted)?.ok_or_else(|| super::adopt::not_managed(quoted))?;
    let parent = bounds::parent_named(quoted, &table.timezone)?;
    let parent = parent.ok_or_else(|| Failure::internal(format!("{quoted} is gone")))?;
    let planned = premake::lacking(&table, parent.clone(), months)?;
    Ok((parent, planned))
}

/// Makes them apart, and anew where a run that ended on its way has left one.
fn build(parent: &Parent, planned: &[Planned]) -> Result<()> {
    create::owner_may(parent)?;
    let template = create::template(parent)?;
    drop_apart(parent, planned)?;
    owner::of(parent.oid, || {
        planned.iter().try_for_each(|one| {
            run_before_deadline(settings::lock_timeout_ms(), &create::apart(parent, &template, one))
        })
    })
}

/// Drops what was made apart and never attached: nobody has put a row there.
fn drop_apart(parent: &Parent, planned: &[Planned]) -> Result<()> {
    owner::of(parent.oid, || {
        planned.iter().try_for_each(|one| {
            if create::is_apart(one)? { sql::run(&format!("DROP TABLE {}", one.quoted), &[]) } else { Ok(()) }
        })
    })
}

fn attach(parent: &Parent, absent: &Absent, planned: &[Planned], watches: &[String]) -> Result<()> {
    owner::of(parent.oid, || {
        let deadline = within(parent, &[], || absent.trim())?;
        target::check()?;
        absent.still(watches)?;
        let run = |statements: &[String]| {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            run_before_deadline(i32::try_from(left.as_millis()).unwrap_or(1), statements)
        };
        // those that were left out have rows, and are claimed of nobody
        let kept = Absent::of(parent, planned)?.ok_or_else(|| Failure::internal("no default partition"))?;
        run(&absent.unwatch())?;
        run(&[kept.claim()])?;
        kept.believe()?;
        let attach = planned.iter().flat_map(|one| create::attach(parent, one));
        run(&attach.chain([kept.unclaim()]).collect::<Vec<_>>())
    })
}
