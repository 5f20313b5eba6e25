//! The exchange: nobody sees anything of it but its end. What is done under the lock grows with the partitions and with
//! what was written since the log was last applied, not with the rows.

use super::Round;
use super::{periods, storage};
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::owner;
use crate::partition::convert::exchange::{LEFT, lock, milliseconds, retry};
use crate::partition::convert::record::{LOG, SHADOW};
use crate::partition::convert::steps;
use crate::partition::convert::sync::{self, Pair, quoted};
use crate::partition::{create, referring, watch};
use crate::settings;
use crate::sql::{self, required};
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::time::Instant;

/// How often a step that wants a strong lock is tried before the job is put back.
const TRIES: u32 = 40;

/// The CHECK that says that the default partition has no row of the periods.
const DRAINED: &str = "groundskeeper_drained";

/// The last step of a round.
pub struct Step<'a> {
    pub round: &'a Round,
    /// Indexes of the new partitions that go.
    pub helpers: Vec<Qualified>,
    /// What the tables looked like when all was made.
    pub was: &'a str,
    /// The triggers that log what is written, in their versions.
    pub watches: Vec<String>,
    /// How many rows may be written under the lock.
    pub batch_size: i64,
}

/// Tries a step that wants strong locks again and again, with pauses in which the writers have their way.
pub fn repeatedly<T>(between: &mut Between, step: impl Fn() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match target::unheld(|| between.transaction(&step)) {
            Err(failure) if tries < TRIES && is_refused(&failure) => {
                tries += 1;
                pause(between)?;
            }
            result => return result,
        }
    }
}

fn is_refused(failure: &Failure) -> bool {
    failure.is_lock_not_available() || failure.code == PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED
}

fn pause(between: &mut Between) -> Result<()> {
    let pause = "SELECT pg_catalog.pg_sleep(0.05 + 0.25 * pg_catalog.random())";
    between.transaction(|| sql::run(pause, &[]))
}

/// What must be the same under the lock as when the copy was made, in whose transaction it is asked for first: which
/// tables have the names, their columns, indexes and constraints. All of it is the table's owner's, who could put
/// something else in its place; a storage of other columns would have the server read what is not there.
pub fn shape(round: &Round) -> Result<String> {
    let (log, rest) = (round.copied.beside(LOG), quoted(&round.rest()));
    let names = round.names().into_iter().filter(|name| *name != log).chain([round.parent.name.clone()]);
    let names: Vec<String> = names.map(|name| quoted(&name)).collect();
    let args = [round.parent.oid.into(), round.default.oid.into(), rest.into(), names.into()];
    let found = sql::texts(include_str!("shape.sql"), &args)?;
    found.into_iter().next().ok_or_else(|| changed_meanwhile(round))
}

/// Another attempt begins anew.
pub fn changed_meanwhile(round: &Round) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        format!("{} or {} was altered meanwhile", round.parent.quoted, round.default.quoted),
    )
}

impl Step<'_> {
    /// Takes it, once the locks are to be had.
    pub fn take(&self, between: &mut Between) -> Result<()> {
        let mut tries = 1;
        loop {
            if self.round.has_identity() {
                steps::apply(between, &self.round.copied)?;
            }
            match target::unheld(|| between.transaction(|| self.exchange())) {
                Err(failure) if tries < TRIES && is_refused(&failure) => {
                    tries += 1;
                    pause(between)?;
                }
                result => return result,
            }
        }
    }

    fn exchange(&self) -> Result<()> {
        let Round { parent, default, .. } = self.round;
        if !self.round.has_identity() {
            self.must_be_few()?;
        }
        let deadline = Instant::now() + milliseconds(settings::lock_timeout_ms());
        let deadline = referring::lock(parent.oid, deadline)?;
        lock(&self.to_lock()?, deadline)?;
        target::check()?;
        if shape(self.round)? != *self.was || watch::triggers_of(default.oid)? != self.watches {
            return Err(changed_meanwhile(self.round));
        }
        // What was in the way of nothing when the rows were copied may have come since.
        periods::check_obstacles(parent, default)?;
        self.catch_up()?;
        let run = |statements: &[String]| {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            run_before_deadline(i32::try_from(left).unwrap_or(1).max(1), statements)
        };
        owner::of(parent.oid, || {
            run(&self.part()?)?;
            self.believe()?;
            storage::exchange(default.oid, &quoted(&self.round.rest()))?;
            run(&self.attach())?;
            storage::settle(default.oid)
        })
    }

    /// All that is locked against everybody: what only we know of first, then the whole, then the default partition.
    /// Everybody else waits for the whole, before they have looked which partitions there are.
    fn to_lock(&self) -> Result<Vec<(Oid, bool)>> {
        sql::rows(
            "SELECT l.oid FROM (
                 SELECT 1, relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($3))
                 UNION ALL SELECT 2, $1 UNION ALL SELECT 3, $2
                 -- which autovacuum sees to by itself
                 UNION ALL SELECT 4, reltoastrelid FROM pg_catalog.pg_class WHERE oid = $2 AND reltoastrelid <> 0) l (place, oid)
              ORDER BY l.place, l.oid",
            &[
                self.round.parent.oid.into(),
                self.round.default.oid.into(),
                self.round.copied.beside_quoted(SHADOW).into(),
            ],
            |row| Ok((required(row, 1)?, false)),
        )
    }

    /// The last of the log is applied and compared; where nothing tells rows apart, all are copied now.
    fn catch_up(&self) -> Result<()> {
        if !self.round.has_identity() {
            return self.copy_all();
        }
        let copied = &self.round.copied;
        let pair = Pair::of(copied);
        let limit = usize::try_from(self.batch_size).unwrap_or(LEFT).min(LEFT);
        if sync::backlog(copied, limit + 1)? > limit {
            return Err(retry("too many rows were changed while the table was being locked"));
        }
        let taken = sync::apply(copied, &pair, limit)?;
        sync::verify(copied, &pair, &taken)
    }

    fn copy_all(&self) -> Result<()> {
        let columns = sql::texts(
            "SELECT pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute
              WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            &[self.round.default.oid.into()],
        )?
        .join(", ");
        let Pair { source, target, .. } = Pair::of(&self.round.copied);
        let all = format!("INSERT INTO {target} ({columns}) SELECT {columns} FROM ONLY {source}");
        match sql::affected(&all, &[])? {
            rows if rows > self.batch_size => Err(self.too_many()),
            _ => Ok(()),
        }
    }

    /// The statements that end the copying, part the new partitions from each other, and give them what the whole has.
    fn part(&self) -> Result<Vec<String>> {
        let Round { default, planned, copied, .. } = self.round;
        let mut statements = Vec::new();
        if self.round.has_identity() {
            statements.extend(watch::end(copied));
        }
        statements.extend(self.helpers.iter().map(|index| format!("DROP INDEX {}", quoted(index))));
        let whole = copied.beside_quoted(SHADOW);
        for table in planned.iter().map(|planned| &planned.quoted) {
            statements.push(format!("ALTER TABLE {whole} DETACH PARTITION {table}"));
            statements.extend(self.foreign_keys(table)?);
        }
        statements.push(format!(
            "ALTER TABLE {} ADD CONSTRAINT {DRAINED} CHECK ({}) NOT VALID",
            default.quoted,
            self.outside()
        ));
        Ok(statements)
    }

    /// What holds for every row that stays.
    fn outside(&self) -> String {
        let Round { parent, planned, .. } = self.round;
        let excluded = planned.iter().map(|p| format!("NOT ({})", p.condition(&parent.key, parent.key_type)));
        excluded.collect::<Vec<_>>().join(" AND ")
    }

    /// The foreign keys of the table, for a partition. Not before now: one that is still apart would hold rows that the
    /// table has no more.
    fn foreign_keys(&self, table: &str) -> Result<Vec<String>> {
        sql::texts(
            "SELECT pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', $2, c.conname,
                                      pg_catalog.pg_get_constraintdef(c.oid))
               FROM pg_catalog.pg_constraint c
              WHERE c.conrelid = $1 AND c.contype = 'f' AND c.convalidated
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o
                                 WHERE o.conrelid = pg_catalog.to_regclass($2) AND o.conname = c.conname)
              ORDER BY c.conname",
            &[self.round.parent.oid.into(), table.into()],
        )
    }

    /// Says that the constraints just added are valid: PostgreSQL would read all rows to find that out. The rows of the
    /// new partitions were proven to be those of the default one, for which the same foreign keys hold; and what is
    /// about to be its storage was filled as a partition that takes none of the periods' rows.
    fn believe(&self) -> Result<()> {
        let planned: Vec<&str> = self.round.planned.iter().map(|planned| planned.quoted.as_str()).collect();
        let statement = "UPDATE pg_catalog.pg_constraint SET convalidated = true
                          WHERE NOT convalidated
                            AND (conrelid = $1 AND contype = 'c' AND conname = $2
                              OR contype = 'f' AND conrelid IN (SELECT pg_catalog.to_regclass(t) FROM pg_catalog.unnest($3::text[]) t))";
        let args = [self.round.default.oid.into(), DRAINED.into(), planned.into()];
        as_owner(|| sql::run(statement, &args))
    }

    fn attach(&self) -> Vec<String> {
        let Round { parent, default, planned, copied, .. } = self.round;
        let attach = planned.iter().flat_map(|planned| create::attach(parent, planned));
        let rest = [
            format!("ALTER TABLE {} DROP CONSTRAINT {DRAINED}", default.quoted),
            format!("DROP TABLE {}", copied.beside_quoted(SHADOW)),
        ];
        attach.chain(rest).collect()
    }

    /// Before anybody waits for us.
    fn must_be_few(&self) -> Result<()> {
        let beyond =
            format!("SELECT true FROM ONLY {} OFFSET {} LIMIT 1", self.round.default.quoted, self.batch_size);
        match sql::first(&beyond, &[], |row| required::<bool>(row, 1))? {
            Some(_) => Err(self.too_many()),
            None => Ok(()),
        }
    }

    fn too_many(&self) -> Failure {
        let default = &self.round.default.quoted;
        let message =
            format!("more than {} rows of {default} would be written under a lock", self.batch_size);
        Failure::new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, message).detail(
            "Without a primary key, rows cannot be copied beforehand; a larger batch_size takes the lock longer.",
        )
    }
}
