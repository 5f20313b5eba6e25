//! `check_constraint`: enforced for new rows at once, for old ones after they have been looked at.

use super::drift::Found;
use super::rollback::Reversal;
use super::{After, EveryRow, Stage, Work, job};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::journal::Change;
use crate::settings;
use crate::sql::quote_identifier;
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::{CheckProgress, State, Verdict, check};
use groundskeeper_core::plan::{Item, Undo};

/// When its turn is.
pub const STAGE: Stage = Stage::Constraints;

/// How a constraint stands.
pub fn look_at(
    item: &Item,
    name: &str,
    expression: &str,
    rows_unread: bool,
) -> Result<(Verdict, Option<Work>)> {
    let Some(table) = catalog::relation(&item.relation)? else {
        let reason = format!("relation {} does not exist", item.relation);
        return Ok((Verdict::because(State::Blocked, reason), None));
    };
    match check(name, &catalog::checks(table.oid, &table.quoted, expression)?) {
        CheckProgress::Settled(verdict) => Ok((verdict, None)),
        CheckProgress::Absent => {
            let work = absent(item, &table, name, expression)?;
            Ok((Verdict::plain(State::Pending), Some(work)))
        }
        CheckProgress::NotValid(found) => not_valid(item, &table, &found, expression, rows_unread),
    }
}

fn absent(item: &Item, table: &Relation, name: &str, expression: &str) -> Result<Work> {
    let constraint = quote_identifier(name);
    let quoted = &table.quoted;
    Ok(Work {
        inline: vec![format!(
            "ALTER TABLE {quoted} ADD CONSTRAINT {constraint} CHECK ({expression}) NOT VALID"
        )],
        job: Some(job(item, &item.relation, Task::AlterTable { item: item.id() })),
        after: vec![validation(item, table, name, expression)?],
        inverse: vec![format!("ALTER TABLE {quoted} DROP CONSTRAINT {constraint}")],
        ..Work::default()
    })
}

/// A constraint that was left NOT VALID: rows are in the way, or nobody has looked yet.
fn not_valid(
    item: &Item,
    table: &Relation,
    name: &str,
    expression: &str,
    rows_unread: bool,
) -> Result<(Verdict, Option<Work>)> {
    let mut validation = validation(item, table, name, expression)?;
    let mut verdict =
        Verdict::because(State::Pending, "enforced for new rows, not yet validated for the old ones");
    // A big table is looked at by a job; only a small one here and now.
    if !rows_unread && validation.bytes <= settings::inline_build_limit_bytes() {
        let violating = catalog::rows_violating(&table.quoted, expression)?;
        if violating > 0 {
            return Ok((
                Verdict::because(State::Blocked, rows_in_the_way(name, violating, expression)),
                None,
            ));
        }
    } else if let Some(error) = crate::jobs::last_error(&item.id())? {
        verdict = Verdict::because(State::Blocked, error);
    }
    let constraint = quote_identifier(name);
    let inverse = catalog::check_named(table.oid, name)?
        .map(|check| check.off_and_on(&table.quoted))
        .map_or_else(Vec::new, |(off, on)| std::iter::once(off).chain(on).collect());
    let mut work = Work {
        inverse,
        prior_definition: Some(format!("CONSTRAINT {constraint} CHECK ({expression}) NOT VALID")),
        undo: Undo { was_not_valid: Some(name.to_owned()), ..Undo::default() },
        ..Work::default()
    };
    // It was the user's, and NOT VALID: that it is so no more is a change, whoever makes it.
    validation.job.entry = Some(work.entry(item, std::slice::from_ref(&validation.statement)));
    work.after.push(validation);
    Ok((verdict, Some(work)))
}

/// A constraint gone; one that was there before, and NOT VALID, is that again.
pub fn reversal(stands: &Found, name: &str, expression: &str, change: &Change) -> Result<Reversal> {
    let table = &stands.relation;
    let name = stands.object.as_deref().or(change.undo.was_not_valid.as_deref()).unwrap_or(name);
    if !stands.by_oid {
        let checks = catalog::checks(table.oid, &table.quoted, expression)?;
        let Some(found) = checks.into_iter().find(|check| check.name == name) else {
            return Ok(Reversal::Gone(format!("constraint {name} is gone")));
        };
        if !found.same_definition {
            let reason = format!("constraint {name} has been redefined since and is left as it is");
            return Ok(Reversal::Refused(reason));
        }
    }
    let (mut statements, again) = catalog::check_named(table.oid, name)?
        .map(|check| check.off_and_on(&table.quoted))
        .map_or_else(Default::default, |(off, on)| (vec![off], on));
    if change.undo.was_not_valid.is_some() {
        statements.extend(again);
    }
    Ok(Reversal::by(statements))
}

/// What a person must know to mend the rows.
pub fn rows_in_the_way(constraint: &str, violating: i64, expression: &str) -> String {
    format!(
        "{constraint} is NOT VALID: it holds for new rows, but {violating} existing row{} violate{} it; \
         correct those with NOT ({expression}), then call groundskeeper.apply_plan() again",
        if violating == 1 { "" } else { "s" },
        if violating == 1 { "s" } else { "" },
    )
}

fn validation(item: &Item, table: &Relation, name: &str, expression: &str) -> Result<After> {
    Ok(After {
        statement: format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.quoted, quote_identifier(name)),
        bytes: catalog::relation_bytes(table.oid)?,
        only_if_all: Some(EveryRow {
            table: table.quoted.clone(),
            constraint: name.to_owned(),
            expression: expression.to_owned(),
        }),
        job: job(
            item,
            &item.relation,
            Task::ValidateConstraint {
                table: item.relation.clone(),
                constraint: name.to_owned(),
                expression: expression.to_owned(),
            },
        ),
    })
}
