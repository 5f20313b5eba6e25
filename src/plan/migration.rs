//! `migration`: triggers that note a table's changes for the migration, and columns that it fits.

use super::rollback::Reversal;
use super::{Stage, Work, job};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::migration::{Deployment, captured};
use groundskeeper_core::job::Task;
use groundskeeper_core::migration::{GAMES, Market};
use groundskeeper_core::plan::Item;
use groundskeeper_core::plan::decide::{State, Verdict};

/// When its turn is.
pub const STAGE: Stage = Stage::Rest;

/// How the migration's part of a table stands: what does not fit is named, and what notes changes is made all the
/// same where the table itself allows it.
pub fn look_at(item: &Item) -> Result<(Verdict, Option<Work>)> {
    let deployment = Deployment::load()?;
    let (capture, facts) = match deployment.capture(&item.relation) {
        Ok(capture) => capture,
        Err(reason) => return Ok((Verdict::because(State::Blocked, reason), None)),
    };
    let noted = !captured(&deployment, &[item.relation.to_string()])?.is_empty();
    let unfit = misfits(&deployment, item);
    if noted && unfit.is_empty() {
        return Ok((Verdict::plain(State::Applied), None));
    }
    if !unfit.is_empty() {
        return Ok((Verdict::because(State::Blocked, format!("the migration does not fit: {unfit}")), None));
    }
    let Some(relation) = catalog::relation(&item.relation)? else {
        return Ok((
            Verdict::because(State::Blocked, format!("relation {} does not exist", item.relation)),
            None,
        ));
    };
    let work = Work {
        inline: capture.statements(&facts, &relation.owner),
        job: Some(job(item, &item.relation, Task::AlterTable { item: item.id() })),
        inverse: capture.inverse(),
        ..Work::default()
    };
    Ok((Verdict::plain(State::Pending), Some(work)))
}

/// What does not fit, but for scores that the plan itself widens.
fn misfits(deployment: &Deployment, item: &Item) -> String {
    let relation = item.relation.to_string();
    if relation == GAMES {
        return String::new();
    }
    let market = Market::ALL.into_iter().find(|market| market.raw() == relation);
    let unfit = market.and_then(|market| deployment.fit(market).err()).unwrap_or_default();
    let named: Vec<String> = unfit.iter().filter(|misfit| !misfit.planned).map(ToString::to_string).collect();
    named.join("; ")
}

/// The triggers gone, and their function.
pub fn reversal(item: &Item, relation: &Relation) -> Result<Reversal> {
    Ok(match Deployment::load()?.capture(&item.relation) {
        Ok((capture, _)) => Reversal::by(capture.inverse()),
        Err(_) => Reversal::by(groundskeeper_core::migration::Capture::inverse_of(
            &relation.name.schema,
            &relation.name.name,
        )),
    })
}
