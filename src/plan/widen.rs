//! `widen_numeric`: more digits for a column without rewriting the table, its views saved and recreated.

use super::rollback::{Reversal, Steps};
use super::{After, Stage, Work};
use crate::catalog::{self, Check, Dependents, Relation};
use crate::error::Result;
use crate::journal;
use crate::partition::convert;
use crate::settings;
use crate::sql::{quote_identifier, script};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::decide::{State, Verdict, widening};
use groundskeeper_core::plan::{Item, Undo};

/// When its turn is.
pub const STAGE: Stage = Stage::Columns;

/// How a column stands.
pub fn look_at(item: &Item, column: &str, precision: i32, scale: i32) -> Result<(Verdict, Option<Work>)> {
    let blocked = |detail: String| Ok((Verdict::because(State::Blocked, detail), None));
    let Some(table) = catalog::relation(&item.relation)? else {
        return blocked(format!("relation {} does not exist", item.relation));
    };
    let Some((attnum, digits)) = catalog::numeric_column(table.oid, column)? else {
        return blocked(format!("relation {} has no column {column} of type numeric", item.relation));
    };
    let verdict = widening(column, digits, precision, scale);
    if verdict.state != State::Pending {
        return Ok((verdict, None));
    }
    let change = Retype::new(item, &table, column, attnum)?;
    if let Some(reason) = change.obstacle()? {
        return blocked(reason);
    }
    let before = digits.map(|(p, s)| format!("numeric({p},{s})"));
    let wanted = format!("numeric({precision},{scale})");
    let mut inverse = change.statements(before.as_deref().unwrap_or("numeric"));
    inverse.extend(
        change.checks.iter().filter(|check| check.validated).map(|check| check.validate(&table.quoted)),
    );
    let work = Work {
        inline: change.statements(&wanted),
        clears: false,
        bytes: change.bytes()?,
        job: Some(change.job(Task::AlterTable { item: item.id() })),
        after: change.after()?,
        inverse,
        prior_definition: Some(change.prior_definition(before.as_deref())),
        undo: Undo { column_type: before, ..Undo::default() },
    };
    Ok((verdict, Some(work)))
}

/// A column back to the type that it had. That rewrites the table, and must not lose a digit.
pub fn reversal(item: &Item, table: &Relation, column: &str, change: &journal::Change) -> Result<Reversal> {
    let Some((attnum, digits)) = catalog::numeric_column(table.oid, column)? else {
        return Ok(Reversal::Gone(format!("column {column} is gone, or numeric no more")));
    };
    let now = digits.map_or_else(|| "numeric".to_owned(), |(p, s)| format!("numeric({p},{s})"));
    let before = change.undo.column_type.clone().unwrap_or_else(|| "numeric".to_owned());
    if now == before {
        return Ok(Reversal::Gone(format!("column {column} is {before} again")));
    }
    let too_wide = catalog::rows_beyond(&table.quoted, column, &before)?;
    if too_wide > 0 {
        return Ok(Reversal::Refused(format!(
            "{too_wide} row{} of {} hold a {column} that {before} cannot; lower {} first",
            if too_wide == 1 { "" } else { "s" },
            item.relation,
            if too_wide == 1 { "it" } else { "them" },
        )));
    }
    let bytes = catalog::relation_bytes(table.oid)?;
    if bytes > settings::inline_build_limit_bytes() {
        return Ok(Reversal::Refused(format!(
            "narrowing {column} rewrites {} MB of {} under ACCESS EXCLUSIVE; set groundskeeper.inline_build_limit \
             above that in a maintenance window",
            bytes.div_ceil(1024 * 1024),
            item.relation,
        )));
    }
    let narrowing = Retype::new(item, table, column, attnum)?;
    if let Some(reason) = narrowing.obstacle()? {
        return Ok(Reversal::Refused(reason));
    }
    let statements = narrowing.statements(&before);
    Ok(Reversal::Steps(Box::new(Steps { statements, after: narrowing.after()?, ..Steps::default() })))
}

/// A change of a column's type, and all that it drags along.
struct Retype<'a> {
    item: &'a Item,
    table: &'a Relation,
    column: &'a str,
    dependents: Dependents,
    checks: Vec<Check>,
}

impl<'a> Retype<'a> {
    /// Looks up what stands on the column.
    fn new(item: &'a Item, table: &'a Relation, column: &'a str, attnum: i16) -> Result<Self> {
        let dependents = catalog::dependents_of_column(table.oid, attnum)?;
        let checks = catalog::checks_on_column(table.oid, attnum)?;
        Ok(Self { item, table, column, dependents, checks })
    }

    /// What rules the change out, if anything does.
    fn obstacle(&self) -> Result<Option<String>> {
        if convert::is_in_between(&self.table.quoted)? {
            return Ok(Some(format!(
                "{} is kept twice until its partitioning is undone or finalized, and both must have the same columns; \
                 call again after that",
                self.table.quoted
            )));
        }
        if !self.dependents.obstacles.is_empty() {
            let list = self.dependents.obstacles.join(", ");
            return Ok(Some(format!(
                "the type of column {} cannot be changed under: {list}; drop these, apply the item, and create them again",
                self.column
            )));
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

    /// Bytes that the change reads: partial and expression indexes on the column are built again from the
    /// table, and the materialized views on it are filled again.
    fn bytes(&self) -> Result<u64> {
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
    fn statements(&self, to: &str) -> Vec<String> {
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
    fn after(&self) -> Result<Vec<After>> {
        let bytes = catalog::relation_bytes(self.table.oid)?;
        let validations = self.checks.iter().filter(|check| check.validated).map(|check| After {
            statement: check.validate(&self.table.quoted),
            bytes,
            only_if_all: None,
            job: self.job(Task::ValidateConstraint {
                table: self.item.relation.clone(),
                constraint: check.name.clone(),
                expression: check.expression.clone(),
            }),
        });
        let analyze = After {
            statement: format!("ANALYZE {} ({})", self.table.quoted, quote_identifier(self.column)),
            bytes,
            only_if_all: None,
            job: self
                .job(Task::Analyze { table: self.item.relation.clone(), column: self.column.to_owned() }),
        };
        Ok(validations.chain([analyze]).collect())
    }

    fn job(&self, task: Task) -> JobRequest {
        let item = matches!(task, Task::AlterTable { .. }).then(|| self.item.id());
        JobRequest { item, ..JobRequest::plain(self.item.relation.clone(), task) }
    }

    fn prior_definition(&self, before: Option<&str>) -> String {
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
