//! `monitoring_view`, a view of the extension's own: `apply_plan()` only reports them.

use super::rollback::Reversal;
use super::{Stage, Work};
use crate::catalog;
use crate::error::Result;
use groundskeeper_core::plan::Item;
use groundskeeper_core::plan::decide::{State, Verdict};

/// When its turn is.
pub const STAGE: Stage = Stage::Rest;

/// How the view stands, which comes and goes with the extension.
pub fn look_at(item: &Item) -> Result<(Verdict, Option<Work>)> {
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

/// Nothing is to be taken back: no change of the log is its.
pub fn reversal() -> Reversal {
    Reversal::Refused("it comes and goes with the extension".to_owned())
}
