//! The moment in which a table becomes a partition. What is done under the lock grows with what was written since the rows
//! were looked at, not with the rows.

use super::{Round, compare};
use crate::error::{Failure, Result};
use crate::owner::{self, oid_by_name};
use crate::partition::bounds::Parent;
use crate::partition::convert::exchange::{lock, milliseconds};
use crate::partition::convert::{self, exchange};
use crate::partition::{premake, referring};
use crate::settings;
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::time::Instant;

/// How often locks are asked for before the job is put back.
const TRIES: u32 = 40;

/// The triggers that log what is written meanwhile, in their versions.
pub struct Watches {
    /// On the default partition.
    pub default: Vec<String>,
    /// On the table.
    pub table: Vec<String>,
}

/// Tries a step that wants a strong lock for a moment again and again, with pauses in which the writers have their way.
pub fn repeatedly<T>(between: &mut Between, step: impl Fn() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match target::unheld(|| between.transaction(&step)) {
            Err(failure) if tries < TRIES && is_refused(&failure) => tries += 1,
            result => return result,
        }
        between.transaction(pause)?;
    }
}

fn is_refused(failure: &Failure) -> bool {
    failure.is_lock_not_available() || failure.code == PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED
}

fn pause() -> Result<()> {
    sql::run("SELECT pg_catalog.pg_sleep(0.05 + 0.25 * pg_catalog.random())", &[])
}

/// Locks what an ATTACH of those tables locks, all before a deadline or none, and again after a pause, each time once all is
/// prepared; until when others wait for it.
pub fn within(parent: &Parent, tables: &[Oid], prepare: impl Fn() -> Result<()>) -> Result<Instant> {
    let mut tries = 1;
    loop {
        prepare()?;
        let deadline = Instant::now() + milliseconds(settings::lock_timeout_ms());
        match isolated(|| lock_all(parent, tables, deadline)) {
            Err(failure) if tries < TRIES && is_refused(&failure) => tries += 1,
            result => return result.map(|()| deadline),
        }
        pause()?;
    }
}

/// Other partitions neither come nor go, nobody writes the tables or the default partition; and what foreign keys refer to
/// is locked as PostgreSQL will lock it, for their triggers.
fn lock_all(parent: &Parent, tables: &[Oid], deadline: Instant) -> Result<()> {
    let deadline = referring::lock(parent.oid, deadline)?;
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    premake::lock(parent.oid, i32::try_from(left).unwrap_or(1).max(1))?;
    let default = parent.default.as_ref().map(|default| default.oid);
    let referred = sql::rows(
        "SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint
          WHERE conrelid = $1 AND contype = 'f' AND confrelid <> $1 ORDER BY 1",
        &[parent.oid.into()],
        |row| required::<Oid>(row, 1),
    )?;
    let relations = default.into_iter().chain(tables.iter().copied()).chain(referred);
    let relations: Vec<(Oid, bool)> = relations.map(|relation| (relation, false)).collect();
    lock(&relations, deadline)
}

impl Round {
    /// Attaches it, in the transaction that has brought its keys.
    pub fn exchange(&self, watches: &Watches) -> Result<()> {
        owner::of(self.parent.oid, || {
            let ours = self.keys.as_ref().map_or(Ok(None), |keys| keys.bring())?;
            let deadline = within(&self.parent, &[self.table], || {
                self.absent.as_ref().map_or(Ok(()), |absent| absent.trim())?;
                self.keys.as_ref().map_or(Ok(()), |keys| keys.catch_up(ours.as_deref()))
            })?;
            target::check()?;
            self.same()?;
            if let Some(absent) = &self.absent {
                absent.still(&watches.default)?;
            }
            let mut statements = Vec::new();
            if let Some(keys) = &self.keys {
                keys.bring_late(ours.as_deref(), &watches.table)?;
                statements.extend(keys.unwatch());
            }
            statements.extend(self.triggers());
            statements.extend(self.replica_identity()?);
            statements.extend(self.absent.iter().flat_map(|absent| absent.unwatch()));
            statements.extend(self.absent.iter().map(|absent| absent.claim()));
            let run = |statements: &[String]| {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                run_before_deadline(i32::try_from(left).unwrap_or(1).max(1), statements)
            };
            run(&statements)?;
            self.absent.as_ref().map_or(Ok(()), |absent| absent.believe())?;
            let attach = self.attach().into_iter().chain(self.absent.iter().map(|absent| absent.unclaim()));
            run(&attach.collect::<Vec<_>>())
        })
    }

    /// What is locked is what was looked at.
    fn same(&self) -> Result<()> {
        let names = [(&self.parent.name, self.parent.oid), (&self.planned.name, self.table)];
        let default = "SELECT partdefid FROM pg_catalog.pg_partitioned_table WHERE partrelid = $1";
        let default = sql::first(default, &[self.parent.oid.into()], |row| required::<Oid>(row, 1))?;
        let was = self.parent.default.as_ref().map_or(pg_sys::InvalidOid, |default| default.oid);
        let known = convert::of_parent(&self.parent.quoted)?.map(|known| known.stage);
        if names.iter().any(|(name, oid)| oid_by_name(name) != Some(*oid))
            || default != Some(was)
            || known != self.conversion.as_ref().map(|known| known.stage)
        {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                format!("{} or {} was altered meanwhile", self.parent.quoted, self.planned.quoted),
            ));
        }
        compare(&self.parent, self.table, &self.planned.name, self.conversion.as_ref())
    }

    /// Those on TRUNCATE, which a partition does not get from the whole.
    fn triggers(&self) -> Vec<String> {
        // one that was detached by a plain statement has them still
        let left = [convert::KEY_TRUNCATED, convert::CAPTURE_TRUNCATE];
        let left = left.map(|trigger| format!("DROP TRIGGER IF EXISTS {trigger} ON {}", self.planned.quoted));
        let needed =
            self.conversion.as_ref().map(|known| exchange::of_partition(known, &self.planned.quoted));
        needed.map_or_else(Vec::new, |needed| left.into_iter().chain(needed).collect())
    }

    /// As the whole has it, which says under which its rows go out.
    fn replica_identity(&self) -> Result<Vec<String>> {
        sql::texts(
            "SELECT pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY %s', $3,
                                      CASE p.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END)
               FROM pg_catalog.pg_class p, pg_catalog.pg_class t
              WHERE p.oid = $1 AND t.oid = $2 AND p.relreplident IN ('f', 'n') AND t.relreplident <> p.relreplident",
            &[self.parent.oid.into(), self.table.into(), self.planned.quoted.as_str().into()],
        )
    }
}
