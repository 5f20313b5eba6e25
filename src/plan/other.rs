//! Views of the extension's own: `apply_plan()` only reports them.

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
