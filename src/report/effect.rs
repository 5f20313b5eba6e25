//! What the plan has changed, and how the statements that an applied index serves did before and after it.

use super::Window;
use crate::error::Result;
use crate::latency;
use crate::sql::{self, required};
use groundskeeper_core::report::{Change, Moment, Quantiles, words};
use std::collections::HashSet;

/// For how many indexes statements are looked up: each reads samples.
const INDEXES: usize = 3;
/// How long a look goes back and forth from the change at most, in microseconds.
const LONGEST: i64 = 2 * 3_600_000_000;

/// Changes before the window's end, the newest first.
pub fn changes(window: &Window) -> Result<Vec<Change>> {
    let found = sql::rows(include_str!("changes.sql"), &[window.ends.into()], |row| {
        let change = Change {
            item: required(row, 1)?,
            applied_at: Moment(required(row, 2)?),
            reverted_at: row.get::<String>(3)?.map(Moment),
            is_index: required(row, 4)?,
            statements: None,
            before: None,
            after: None,
            reason: None,
        };
        let served = row.get::<String>(5)?.zip(row.get::<String>(6)?);
        Ok((change, served, required::<i64>(row, 7)?))
    })?;
    let texts = if found.iter().any(|(_, served, _)| served.is_some()) { texts()? } else { Vec::new() };
    let mut left = INDEXES;
    let mut changes = Vec::new();
    for (mut change, served, applied) in found {
        if let Some((table, column)) = served.filter(|_| left > 0) {
            let names = [table.to_lowercase(), column.to_lowercase()];
            let names_both = |words: &HashSet<String>| names.iter().all(|name| words.contains(name));
            let queries: Vec<i64> =
                texts.iter().filter(|(_, words)| names_both(words)).map(|(queryid, _)| *queryid).collect();
            change.statements = i64::try_from(queries.len()).ok();
            if queries.is_empty() {
                change.reason = Some(
                    "no statement whose text may be read names an applied index's table and first column"
                        .to_owned(),
                );
            } else {
                left -= 1;
                measure(&mut change, window, applied, &queries)?;
            }
        }
        changes.push(change);
    }
    Ok(changes)
}

fn measure(change: &mut Change, window: &Window, applied: i64, queries: &[i64]) -> Result<()> {
    let length = (window.unix.1 - applied).clamp(0, LONGEST);
    let before = latency::of_statements(applied - length, applied, queries)?;
    let after = latency::of_statements(applied, applied + length, queries)?;
    if before.calls() == 0 || after.calls() == 0 {
        let when = if before.calls() == 0 { "before" } else { "after" };
        change.reason =
            Some(format!("no sample {when} an index was applied has the statements that it serves"));
        return Ok(());
    }
    change.before = Some(Quantiles::from(&before));
    change.after = Some(Quantiles::from(&after));
    Ok(())
}

/// The words of statements, as far as the caller may read them.
fn texts() -> Result<Vec<(i64, HashSet<String>)>> {
    sql::rows("SELECT queryid, query FROM groundskeeper_internal.statement_texts()", &[], |row| {
        Ok((required::<i64>(row, 1)?, words(&required::<String>(row, 2)?)))
    })
}
