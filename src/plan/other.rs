//! Kinds that `apply_plan()` only reports: members of the extension, and what waits until it is asked for.

use super::Work;
use crate::catalog;
use crate::error::Result;
use groundskeeper_core::plan::Item;
use groundskeeper_core::plan::decide::{State, Verdict};

/// A view of the extension's own comes and goes with it.
pub fn monitoring_view(item: &Item) -> Result<(Verdict, Option<Work>)> {
    let ours = catalog::relation(&item.relation)?
        .is_some_and(|r| r.kind == 'v' && r.extension.as_deref() == Some("pg_groundskeeper"));
    Ok(if ours {
        (Verdict::plain(State::Applied), None)
    } else {
        (
            Verdict::because(State::Blocked, format!("view {} of this extension is missing", item.relation)),
            None,
        )
    })
}

/// Partitioning is never automatic.
pub fn partitioned_table(item: &Item, key: &str) -> Result<(Verdict, Option<Work>)> {
    let partitioned = catalog::partition_key(&item.relation)?;
    Ok(match partitioned {
        Some(found) if found == key => (Verdict::plain(State::Applied), None),
        Some(found) => {
            let detail = format!("{} is partitioned by {found}, the plan asks for {key}", item.relation);
            (Verdict::because(State::Conflict, detail), None)
        }
        None => {
            let detail = "partitioning waits until the operator asks for it; not yet part of this release";
            (Verdict::because(State::Pending, detail), None)
        }
    })
}
