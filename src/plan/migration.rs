//! `migration`: triggers that note a table's changes for the migration, and columns that it fits.

use super::drift::Found;
use super::rollback::{Reversal, of_relation};
use super::{Stage, Work, job};
use crate::catalog;
use crate::error::Result;
use crate::extension::home;
use crate::journal::{self, Change};
use crate::migration::{Deployment, captured, strange};
use crate::sql::quote_identifier;
use groundskeeper_core::job::Task;
use groundskeeper_core::migration::{Capture, GAMES, Market, TRIGGERS};
use groundskeeper_core::plan::Item;
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::drift::{Made, Trigger};

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
    let ours: Vec<u32> = made_by(item)?.iter().filter_map(|made| made.object).collect();
    if let Some(other) = strange(&relation, &capture, &facts, &ours)? {
        let detail = format!("{other} exists with another definition and is left as it is");
        return Ok((Verdict::because(State::Conflict, detail), None));
    }
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

/// What the standing changes of an item have made here.
fn made_by(item: &Item) -> Result<Vec<Made>> {
    let (id, home) = (item.id(), home());
    let standing = journal::standing()?.into_iter().filter(|change| change.item == id);
    Ok(standing.filter_map(|change| change.undo.made).filter(|made| made.home == home).collect())
}

/// The triggers gone, and their function, by whatever names they have now.
pub fn reversal(item: &Item, change: &Change, closely: bool) -> Result<Reversal> {
    let reversal = of_relation(item, change, closely, |found| {
        match change.undo.made.as_ref().filter(|_| found.by_oid) {
            Some(made) => by_oid(found, made),
            None => by_name(item, found, change),
        }
    })?;
    let reason = match reversal {
        Reversal::Gone(reason) => reason,
        other => return Ok(other),
    };
    // a table that is dropped leaves the function of its triggers
    let left = change.undo.made.as_ref().filter(|made| made.home == home());
    Ok(match left.map_or(Ok(None), catalog::function_left)? {
        Some(signature) => Reversal::with_note(vec![format!("DROP FUNCTION {signature}")], Some(reason)),
        None => Reversal::Gone(reason),
    })
}

fn by_oid(found: &Found, made: &Made) -> Result<Reversal> {
    let Some(function) = made.object else { return Ok(Reversal::Gone("its function is gone".to_owned())) };
    let relation = &found.relation;
    let is_ours = |trigger: &&Trigger| {
        TRIGGERS.contains(&trigger.name.as_str()) || made.triggers.iter().any(|was| was.oid == trigger.oid)
    };
    let mut statements: Vec<String> = catalog::triggers(u32::from(relation.oid), function)?
        .iter()
        .filter(is_ours)
        .map(|trigger| format!("DROP TRIGGER {} ON {}", quote_identifier(&trigger.name), relation.quoted))
        .collect();
    statements.extend(catalog::signature(function)?.map(|signature| format!("DROP FUNCTION {signature}")));
    Ok(Reversal::by(statements))
}

fn by_name(item: &Item, found: &Found, change: &Change) -> Result<Reversal> {
    let place = &found.relation.name;
    let signature = Capture::signature_of(&place.schema, &place.name);
    if let Some(made) = &change.undo.made
        && catalog::is_edited(made, &signature)?
    {
        return Ok(Reversal::Refused(format!("{signature} was edited since, and it is left as it is")));
    }
    Ok(Reversal::by(match Deployment::load()?.capture(&item.relation) {
        Ok((capture, _)) => capture.inverse(),
        Err(_) => Capture::inverse_of(&place.schema, &place.name),
    }))
}
