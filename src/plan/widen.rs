//! `widen_numeric`: more digits for a column without rewriting the table, its views saved and recreated.

use super::drift::Found;
use super::retype::Retype;
use super::rollback::{Reversal, Steps};
use super::{Stage, Work, job};
use crate::catalog;
use crate::error::Result;
use crate::journal;
use crate::settings;
use groundskeeper_core::job::Task;
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
    let change = Retype::new(&table, column, attnum)?;
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
        job: Some(job(item, &item.relation, Task::AlterTable { item: item.id() })),
        after: change.after()?,
        inverse,
        prior_definition: Some(change.prior_definition(before.as_deref())),
        undo: Undo { column_type: before, ..Undo::default() },
    };
    Ok((verdict, Some(work)))
}

/// A column back to the type that it had. That rewrites the table, and must not lose a digit; who does not look closely is
/// not told whether it would.
pub fn reversal(stands: &Found, column: &str, change: &journal::Change, closely: bool) -> Result<Reversal> {
    let table = &stands.relation;
    let column = stands.object.as_deref().unwrap_or(column);
    let Some((attnum, digits)) = catalog::numeric_column(table.oid, column)? else {
        return Ok(Reversal::Gone(format!("column {column} is gone, or numeric no more")));
    };
    let now = digits.map_or_else(|| "numeric".to_owned(), |(p, s)| format!("numeric({p},{s})"));
    let before = change.undo.column_type.clone().unwrap_or_else(|| "numeric".to_owned());
    if now == before {
        return Ok(Reversal::Gone(format!("column {column} is {before} again")));
    }
    let too_wide = if closely { catalog::rows_beyond(&table.quoted, column, &before)? } else { 0 };
    if too_wide > 0 {
        return Ok(Reversal::Refused(format!(
            "{too_wide} row{} of {} hold a {column} that {before} cannot; lower {} first",
            if too_wide == 1 { "" } else { "s" },
            table.name,
            if too_wide == 1 { "it" } else { "them" },
        )));
    }
    if stands.edited {
        let difference = stands.difference.as_deref().unwrap_or_default();
        return Ok(Reversal::Refused(format!("{difference}; it is left as it is")));
    }
    let bytes = catalog::relation_bytes(table.oid)?;
    if bytes > settings::inline_build_limit_bytes() {
        return Ok(Reversal::Refused(format!(
            "narrowing {column} rewrites {} MB of {} under ACCESS EXCLUSIVE; set groundskeeper.inline_build_limit \
             above that in a maintenance window",
            bytes.div_ceil(1024 * 1024),
            table.name,
        )));
    }
    let narrowing = Retype::new(table, column, attnum)?;
    if let Some(reason) = narrowing.obstacle()? {
        return Ok(Reversal::Refused(reason));
    }
    let statements = narrowing.statements(&before);
    Ok(Reversal::Steps(Box::new(Steps { statements, after: narrowing.after()?, ..Steps::default() })))
}
