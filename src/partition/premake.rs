//! `create_monthly_partitions()`: each managed table gets the partitions that it lacks, up to the horizon.

use super::absent::Absent;
use super::ahead;
use super::bounds::{self, Parent};
use super::convert;
use super::create::{self, Planned, Template};
use super::managed::{self, Managed};
use super::premade::Premade;
use super::referring;
use super::retention;
use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::owner;
use crate::settings;
use crate::sql;
use crate::subtransaction::{isolated, isolated_each, looked_at};
use crate::waiting::{run_before_deadline, run_waiting, with_lock_timeout};
use groundskeeper_core::partition::{Interval, Left, NaiveDate, Report, judge, leave_old};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::time::{Duration, Instant};

/// The periods that a table is to have: those of so many months, and as many as are kept ready.
pub fn wanted(interval: Interval, today: NaiveDate, months: u32, premake: u32) -> Vec<NaiveDate> {
    let (ahead, premade) = (interval.months_ahead(today, months), interval.premade(today, premake));
    if premade.len() > ahead.len() { premade } else { ahead }
}

/// A managed table with what it lacks.
struct Work {
    parent: Parent,
    interval: Interval,
    report: Report,
    /// Gaps that are not filled unasked.
    left: Option<Left>,
}

/// What there is to say of the tables, and those that lack something.
type Assessed<'a> = (Vec<Premade>, Vec<(&'a Managed, Work)>);

/// Makes what is missing. Tables come one by one, each partition on its own: what fails is reported, the rest is
/// served. All are made apart first, and attached together at the end, so that no lock that others wait for is
/// held while another table's partitions are built.
pub fn create_ahead(months: u32) -> Result<Vec<Premade>> {
    let tables = managed::all()?;
    let (mut outcomes, lacking) = assess_all(&tables, months)?;
    let locks = isolated_each(&lacking, |(_, work)| {
        owner::of(work.parent.oid, || lock(work.parent.oid, settings::lock_timeout_ms()))
    });
    let mut locked = Vec::new();
    for ((table, work), lock) in lacking.into_iter().zip(locks) {
        match lock {
            Ok(()) => locked.push((table, work)),
            Err(failure) => outcomes.push(Premade::failed(&table.parent, &failure.one_line())),
        }
    }
    // What another session made before we had the lock is seen only now.
    let oids: Vec<Oid> = locked.iter().map(|(_, work)| work.parent.oid).collect();
    let now = bounds::partitions_of(&oids)?;
    let mut works = Vec::new();
    for (table, work) in locked {
        let same = now.get(&work.parent.oid).map_or(0, Vec::len) == work.parent.all().count()
            && now.get(&work.parent.oid).is_none_or(|all| work.parent.all().all(|p| all.contains(&p.oid)));
        let again = || {
            let found = bounds::parent_named(&table.parent, &table.timezone)?;
            assess(table, found.ok_or_else(|| no_such_table(table))?, months)
        };
        match if same { Ok(work) } else { isolated(again) } {
            Err(failure) => outcomes.push(Premade::failed(&table.parent, &failure.one_line())),
            Ok(work) => works.push(work),
        }
    }
    outcomes.extend(works.iter().flat_map(present));
    let mut at_once = Vec::new();
    for work in works {
        match isolated(|| ahead::takes_a_job(&work.parent)) {
            Ok(true) => outcomes.extend(queue(&work, months)),
            _ => at_once.push(work),
        }
    }
    outcomes.extend(make(&at_once)?);
    outcomes.sort_by(|a, b| (&a.parent, &a.range_start).cmp(&(&b.parent, &b.range_start)));
    bind_keys(&tables);
    shorten_logs()?;
    Ok(outcomes)
}

/// Says what [`create_ahead`] would make. What it reads the rows of it lets go of at once.
pub fn look_ahead(months: u32) -> Result<Vec<Premade>> {
    let tables = managed::all()?;
    let (mut outcomes, lacking) = assess_all(&tables, months)?;
    for (_, work) in &lacking {
        outcomes.extend(present(work));
        match isolated(|| create::plan(&work.parent, work.interval, &missing(work))) {
            Err(failure) => outcomes.push(Premade::failed(&work.parent.quoted, &failure.one_line())),
            Ok(planned) => outcomes.extend(planned.iter().map(|one| {
                let could = looked_at(|| could_build(&work.parent, one));
                Premade::planned(&work.parent.quoted, one, "would create", &could)
            })),
        }
    }
    outcomes.sort_by(|a, b| (&a.parent, &a.range_start).cmp(&(&b.parent, &b.range_start)));
    Ok(outcomes)
}

fn assess_all(tables: &[Managed], months: u32) -> Result<Assessed<'_>> {
    let (mut outcomes, mut lacking) = (Vec::new(), Vec::new());
    for (table, found) in tables.iter().zip(look_up(tables)?) {
        match found.and_then(|parent| assess(table, parent, months)) {
            Err(failure) => outcomes.push(Premade::failed(&table.parent, &failure.one_line())),
            Ok(work) if work.report.first_missing().is_none() => outcomes.extend(present(&work)),
            Ok(work) => lacking.push((table, work)),
        }
    }
    Ok((outcomes, lacking))
}

/// Tells PostgreSQL again to which tables key tables belong, where a dump has not.
fn bind_keys(tables: &[Managed]) {
    for table in tables.iter().filter(|table| table.key_table.is_some()) {
        // one that is not to be had now is so the next time
        let _ = isolated(|| convert::bind::bind_again(&table.parent));
    }
}

/// Has the logs of conversions shortened that are not finalized: nobody else comes by regularly.
fn shorten_logs() -> Result<()> {
    for table in convert::behind(10_000)? {
        // one that cannot be queued says so when it is asked for
        let _ = isolated(|| convert::catch_up(&table));
    }
    Ok(())
}

/// The tables as they are: all in one query, one by one where that fails for one of them.
pub fn look_up(tables: &[Managed]) -> Result<Vec<Result<Parent>>> {
    let asked: Vec<_> = tables.iter().map(|t| (t.parent.clone(), t.timezone.clone())).collect();
    let found = match isolated(|| bounds::parents(&asked)) {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(_) => asked
            .iter()
            .map(|(parent, zone)| isolated(|| bounds::parent_named(parent, zone)))
            .collect::<Vec<_>>(),
    };
    let there = |(table, found): (&Managed, Result<Option<Parent>>)| {
        found.and_then(|parent| parent.ok_or_else(|| no_such_table(table)))
    };
    Ok(tables.iter().zip(found).map(there).collect())
}

fn no_such_table(table: &Managed) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
        format!("{} is no table partitioned by range of {}", table.parent, table.partition_key),
    )
    .detail("groundskeeper.stop_managing() takes it off the list.")
}

fn assess(table: &Managed, parent: Parent, months: u32) -> Result<Work> {
    if parent.key != table.partition_key {
        return Err(no_such_table(table));
    }
    let wanted = wanted(table.interval, parent.today, months, table.premake);
    let mut report = judge(table.interval, &parent.existing(), &wanted);
    // what has retired is no gap
    let limit = isolated(|| retention::limit(table))?;
    report.gaps.retain(|start| !table.interval.is_over(*start, limit));
    let end = wanted.first().copied().unwrap_or(parent.today);
    let left = leave_old(table.interval, &mut report.gaps, end, settings::max_gap_partitions());
    let work = Work { parent, interval: table.interval, report, left };
    if let Some(misaligned) = misaligned(&work.parent, work.interval, &work.report.in_the_way) {
        return Err(misaligned);
    }
    let missing = missing(&work).len();
    if missing > 0 && !work.parent.may_alter {
        return Err(Failure::not_owner(&work.parent.quoted));
    }
    let all = work.parent.partitions.len() + missing;
    if missing > 0 && all > settings::max_partitions() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("{} would have {all} partitions", work.parent.quoted),
        )
        .detail(format!("groundskeeper.max_partitions allows {}.", settings::max_partitions())));
    }
    Ok(work)
}

/// Why no partition is made beside those, if there are any.
pub fn misaligned(parent: &Parent, interval: Interval, positions: &[usize]) -> Option<Failure> {
    let shown = |at: &usize| {
        let partition = parent.partitions.get(*at)?;
        let bound = |text: &Option<String>, open: &str| text.clone().unwrap_or_else(|| open.to_owned());
        let (from, to) = (bound(&partition.from_text, "MINVALUE"), bound(&partition.to_text, "MAXVALUE"));
        Some(format!("{} has {from} to {to}", partition.quoted))
    };
    let list: Vec<String> = positions.iter().filter_map(shown).collect();
    (!list.is_empty()).then(|| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!(
                "bounds of {} are not where a {} begins in {}",
                parent.quoted,
                interval.as_str(),
                parent.zone
            ),
        )
        .detail(format!("{}; a partition beside them would overlap or leave a gap.", list.join(", ")))
    })
}

/// The periods without a partition, in order.
fn missing(work: &Work) -> Vec<NaiveDate> {
    let ahead =
        work.report.wanted.iter().filter(|(_, partition)| partition.is_none()).map(|(start, _)| *start);
    work.report.gaps.iter().copied().chain(ahead).collect()
}

/// The partitions asked for that are there, one that has several periods named once; and the gaps that stay.
fn present(work: &Work) -> Vec<Premade> {
    let mut held: Vec<usize> = work.report.wanted.iter().filter_map(|(_, partition)| *partition).collect();
    held.dedup();
    let named = |at: usize| work.parent.partitions.get(at);
    let present =
        held.into_iter().filter_map(named).map(|p| Premade::existing(&work.parent.quoted, p, "exists"));
    present
        .chain(work.left.as_ref().map(|left| Premade::left(&work.parent.quoted, work.interval, left)))
        .collect()
}

/// Keeps others from making partitions of the table meanwhile. Blocks no reader and no writer.
/// LOCK TABLE would want privileges that an owner may have revoked from himself.
pub(super) fn lock(parent: Oid, milliseconds: i32) -> Result<()> {
    with_lock_timeout(milliseconds, || {
        // SAFETY: in a transaction, whose end releases the lock.
        unsafe { pg_sys::LockRelationOid(parent, pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE) };
        Ok(())
    })
}

fn make(works: &[Work]) -> Result<Vec<Premade>> {
    let parents: Vec<&Parent> = works.iter().map(|work| &work.parent).collect();
    let templates = if parents.is_empty() { Vec::new() } else { create::templates(&parents)? };
    let plan = |work: &Work| create::plan(&work.parent, work.interval, &missing(work));
    let mut outcomes = Vec::new();
    let mut planned = Vec::new();
    for ((work, template), plan) in works.iter().zip(&templates).zip(isolated_each(works, plan)) {
        match plan {
            Err(failure) => outcomes.push(Premade::failed(&work.parent.quoted, &failure.one_line())),
            Ok(all) => planned.extend(all.into_iter().map(|one| (&work.parent, template, one))),
        }
    }
    let built = isolated_each(&planned, |(parent, template, one)| build(parent, template, one));
    let (mut apart, mut patience) = (Vec::new(), Patience::new());
    for ((parent, _, one), built) in planned.into_iter().zip(built) {
        match built {
            Ok(()) => apart.push((parent, one)),
            failed => outcomes.push(Premade::planned(&parent.quoted, &one, "created", &failed)),
        }
    }
    let attached = isolated_each(&apart, |(parent, one)| attach(parent, one, &mut patience));
    for ((parent, one), attached) in apart.iter().zip(attached) {
        if attached.is_err() {
            owner::of(parent.oid, || sql::run(&format!("DROP TABLE {}", one.quoted), &[]))?;
        }
        outcomes.push(Premade::planned(&parent.quoted, one, "created", &attached));
    }
    Ok(outcomes)
}

/// Leaves a table's partitions to a job, and says so of each.
fn queue(work: &Work, months: u32) -> Vec<Premade> {
    let parent = work.parent.quoted.as_str();
    let queued = isolated(|| {
        let job = ahead::ask(&work.parent, months)?;
        Ok((job, create::plan(&work.parent, work.interval, &missing(work))?))
    });
    match queued {
        Err(failure) => vec![Premade::failed(parent, &failure.one_line())],
        Ok((job, planned)) => {
            let action =
                format!("queued: job {job} reads the default partition first, where nobody waits for it");
            planned.iter().map(|one| Premade::planned(parent, one, &action, &Ok(()))).collect()
        }
    }
}

/// The partitions that a table lacks, so many months ahead.
pub fn lacking(table: &Managed, parent: Parent, months: u32) -> Result<Vec<Planned>> {
    let work = assess(table, parent, months)?;
    create::plan(&work.parent, work.interval, &missing(&work))
}

/// Attaches one. PostgreSQL reads the default partition for that, all of it and under a lock that excludes everybody; where
/// an index tells as much in a moment, it need not.
fn attach(parent: &Parent, one: &Planned, patience: &mut Patience) -> Result<()> {
    owner::of(parent.oid, || {
        let mut statements = create::attach(parent, one);
        patience.lock_referring(parent)?;
        if let Some(absent) = Absent::of(parent, std::slice::from_ref(one))? {
            patience.run(&[format!("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE", absent.default.quoted)])?;
            if absent.is_told_by_index()? {
                patience.run(&[absent.claim()])?;
                absent.believe()?;
                statements.push(absent.unclaim());
            }
        }
        patience.run(&statements)
    })
}

fn build(parent: &Parent, template: &Template, planned: &Planned) -> Result<()> {
    create::rows_in_default(parent, planned)?;
    create::owner_may(parent)?;
    shards_in_default(parent)?;
    owner::of(parent.oid, || {
        run_before_deadline(settings::lock_timeout_ms(), &create::apart(parent, template, planned))
    })
}

/// Refuses to have a large default partition read under a lock, where that is in shards: nothing told here that it has no
/// rows of a period is heard there.
fn shards_in_default(parent: &Parent) -> Result<()> {
    let Some(default) = &parent.default else { return Ok(()) };
    match cluster::bytes(default.oid)? {
        None => Ok(()),
        Some(bytes) if bytes <= ahead::READ_AT_ONCE => Ok(()),
        Some(bytes) => {
            let message = format!("all rows of {} would be read under a lock", default.quoted);
            let detail = if bytes == cluster::UNKNOWN {
                "It is in shards, and not every node tells how large they are."
            } else {
                "It is in shards, and larger than 8 MB: move what it has elsewhere, or drop it where it has nothing."
            };
            Err(Failure::new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, message).detail(detail))
        }
    }
}

/// What would be in the way of building and attaching it, as far as that can be told without a lock.
fn could_build(parent: &Parent, planned: &Planned) -> Result<()> {
    with_lock_timeout(settings::lock_timeout_ms(), || create::rows_in_default(parent, planned))?;
    create::owner_may(parent)?;
    shards_in_default(parent)?;
    if catalog::relation(&planned.name)?.is_none() {
        return Ok(());
    }
    let message = format!("relation {} already exists", planned.quoted);
    Err(Failure::new(PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE, message))
}

/// How long may still be waited for locks. What is locked stays so to the end of the transaction, so all waits
/// count together; once the time is up, a lock is had at once or not at all.
pub struct Patience {
    left: Duration,
}

impl Patience {
    /// As long as `groundskeeper.lock_timeout` says.
    pub fn new() -> Self {
        Self { left: Duration::from_millis(u64::from(settings::lock_timeout_ms().unsigned_abs())) }
    }

    /// Locks what refers to a table by foreign keys.
    fn lock_referring(&mut self, parent: &Parent) -> Result<()> {
        let begun = Instant::now();
        let locked = referring::lock(parent.oid, begun + self.left).map(|_| ());
        self.left = self.left.saturating_sub(begun.elapsed());
        locked
    }

    /// Runs statements that take strong locks and work for a moment only.
    pub fn run(&mut self, statements: &[String]) -> Result<()> {
        statements.iter().try_for_each(|statement| {
            let begun = Instant::now();
            let left = i32::try_from(self.left.as_millis()).unwrap_or(i32::MAX).max(1);
            let result = run_waiting(left, statement);
            self.left = self.left.saturating_sub(begun.elapsed());
            result
        })
    }
}
