//! A change of a column's type with all that stands on the column: the plan's own, and those that a user asks for.

use super::After;
use super::apply::{Allowance, follow};
use crate::catalog::{self, Check, Dependents, Relation};
use crate::error::{Failure, Result};
use crate::jobs;
use crate::parse;
use crate::partition::convert;
use crate::settings;
use crate::sql::{quote_identifier, script};
use crate::subtransaction::isolated;
use crate::waiting::run_before_deadline;
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::decide::noun;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// Gives a column another type, at once where the table is small and the lock is to be had; else by a job, whose number
/// this is.
pub fn alter_column_type(relation: Oid, column: &str, type_name: &str) -> Result<Option<i64>> {
    let table = catalog::relation_by_oid(relation)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, "the relation does not exist")
    })?;
    catalog::must_own(table.oid, &table.quoted)?;
    if !matches!(table.kind, 'r' | 'p') {
        let message = format!("{} is a {}, a table is needed", table.quoted, noun(table.kind));
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, message));
    }
    if !parse::is_type(type_name) {
        let message = format!("\"{type_name}\" is not the name of a type");
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
            .hint("Types of other schemas than pg_catalog are qualified: app.status."));
    }
    let change = checked(&table, column)?;
    let bytes = change.bytes()?.saturating_add(catalog::relation_bytes(table.oid)?);
    let task = || Task::AlterColumnType {
        table: table.name.clone(),
        column: column.to_owned(),
        type_name: type_name.to_owned(),
    };
    let queue = || jobs::enqueue(&JobRequest::plain(table.name.clone(), task())).map(Some);
    if bytes > settings::inline_build_limit_bytes() {
        return queue();
    }
    match isolated(|| carry_out(&change, type_name)) {
        Ok(()) => Ok(None),
        Err(failure) if failure.is_lock_not_available() => queue(),
        Err(failure) => Err(failure),
    }
}

/// The same in a worker, once the lock is to be had.
pub fn retype(table: &Qualified, column: &str, type_name: &str) -> Result<()> {
    let found = catalog::relation(table)?.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, format!("relation {table} does not exist"))
    })?;
    carry_out(&checked(&found, column)?, type_name)
}

/// A change that nothing is in the way of.
fn checked<'a>(table: &'a Relation, column: &'a str) -> Result<Retype<'a>> {
    let attnum = catalog::column_number(table.oid, column)?.ok_or_else(|| {
        let message = format!("column {column} of relation {} does not exist", table.quoted);
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN, message)
    })?;
    let change = Retype::new(table, column, attnum)?;
    match change.in_the_way()? {
        Some(reason) => Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, reason)),
        None => Ok(change),
    }
}

fn carry_out(change: &Retype, type_name: &str) -> Result<()> {
    let after = change.after()?;
    let statements = change.statements(type_name);
    run_before_deadline(settings::lock_timeout_ms(), &statements)?;
    catalog::forget_default_acls(&statements)?;
    let mut budget = Allowance::new();
    after.iter().try_for_each(|after| follow(after, &mut budget).map(drop))
}

/// A change of a column's type, and all that it drags along.
pub struct Retype<'a> {
    table: &'a Relation,
    column: &'a str,
    /// What stands on the column.
    dependents: Dependents,
    /// The CHECK constraints on it.
    pub checks: Vec<Check>,
}

impl<'a> Retype<'a> {
    /// Looks up what stands on the column.
    pub fn new(table: &'a Relation, column: &'a str, attnum: i16) -> Result<Self> {
        let dependents = catalog::dependents_of_column(table.oid, attnum)?;
        let checks = catalog::checks_on_column(table.oid, attnum)?;
        Ok(Self { table, column, dependents, checks })
    }

    /// What rules the change out, if anything does.
    pub fn obstacle(&self) -> Result<Option<String>> {
        if let Some(reason) = self.in_the_way()? {
            return Ok(Some(reason));
        }
        let bytes = self.bytes()?;
        let limit = settings::inline_build_limit_bytes();
        Ok((bytes > limit).then(|| {
            let indexes = self.dependents.rebuilt.iter().map(|name| format!("index {name} would be built again"));
            let views = (!self.dependents.refill.is_empty()).then(|| "materialized views would be filled again".to_owned());
            format!(
                "{}, reading {} MB under ACCESS EXCLUSIVE; drop these, apply the item and create them again, or set \
                 groundskeeper.inline_build_limit above that in a maintenance window",
                indexes.chain(views).collect::<Vec<_>>().join(", "),
                bytes.div_ceil(1024 * 1024)
            )
        }))
    }

    /// What no waiting for a quiet hour would mend.
    fn in_the_way(&self) -> Result<Option<String>> {
        if convert::is_in_between(&self.table.quoted)? {
            return Ok(Some(format!(
                "{} is kept twice until its partitioning is undone or finalized, and both must have the same columns; \
                 what apply_plan() was asked for is done after that, anything else is to be called again",
                self.table.quoted
            )));
        }
        let list = self.dependents.obstacles.join(", ");
        Ok((!list.is_empty()).then(|| {
            format!(
                "the type of column {} cannot be changed under: {list}; drop these, call again, and create them anew",
                self.column
            )
        }))
    }

    /// Bytes that the change reads: partial and expression indexes on the column are built again from the
    /// table, and the materialized views on it are filled again.
    pub fn bytes(&self) -> Result<u64> {
        let views: u64 =
            self.dependents.refill.iter().map(|view| catalog::relation_bytes(*view)).sum::<Result<_>>()?;
        if self.dependents.rebuilt.is_empty() {
            return Ok(views);
        }
        let indexes = u64::try_from(self.dependents.rebuilt.len()).unwrap_or(u64::MAX);
        Ok(views.saturating_add(catalog::relation_bytes(self.table.oid)?.saturating_mul(indexes)))
    }

    /// The change itself. CHECK constraints on the column are taken off and put back NOT VALID, since
    /// PostgreSQL would otherwise read the whole table to verify them under ACCESS EXCLUSIVE.
    pub fn statements(&self, to: &str) -> Vec<String> {
        let table = &self.table.quoted;
        let mut out = self.dependents.drops.clone();
        let (off, on): (Vec<_>, Vec<_>) = self.checks.iter().map(|check| check.off_and_on(table)).unzip();
        out.extend(off);
        out.push(format!("ALTER TABLE {table} ALTER COLUMN {} TYPE {to}", quote_identifier(self.column)));
        out.extend(on.into_iter().flatten());
        out.extend(self.dependents.recreates.iter().cloned());
        out
    }

    /// What follows: constraints that were valid become valid again, and the column's statistics, which the
    /// change emptied, are gathered.
    pub fn after(&self) -> Result<Vec<After>> {
        let bytes = catalog::relation_bytes(self.table.oid)?;
        let validations = self.checks.iter().filter(|check| check.validated).map(|check| After {
            statement: check.validate(&self.table.quoted),
            bytes,
            only_if_all: None,
            job: self.job(Task::ValidateConstraint {
                table: self.table.name.clone(),
                constraint: check.name.clone(),
                expression: check.expression.clone(),
            }),
        });
        let analyze = After {
            statement: format!("ANALYZE {} ({})", self.table.quoted, quote_identifier(self.column)),
            bytes,
            only_if_all: None,
            job: self.job(Task::Analyze { table: self.table.name.clone(), column: self.column.to_owned() }),
        };
        Ok(validations.chain([analyze]).collect())
    }

    /// A job that follows the change; no item waits for it.
    fn job(&self, task: Task) -> JobRequest {
        JobRequest::plain(self.table.name.clone(), task)
    }

    /// What was there before, in SQL.
    pub fn prior_definition(&self, before: Option<&str>) -> String {
        let mut out = vec![format!("{} {}", quote_identifier(self.column), before.unwrap_or("numeric"))];
        out.extend(
            self.checks.iter().map(|check| format!("CONSTRAINT {} {}", check.quoted, check.definition)),
        );
        if !self.dependents.recreates.is_empty() {
            out.push(script(&self.dependents.recreates));
        }
        out.join("\n")
    }
}
