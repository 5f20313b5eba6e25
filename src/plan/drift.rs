//! What has become of what a change made: written down by OID when it was made, looked up again before anything is said
//! or taken back.

use super::own;
use crate::catalog::{self, Relation, Thing};
use crate::error::Result;
use crate::extension::home;
use crate::journal::{self, Change};
use crate::owner::{owner_of, roles_rights};
use crate::partition::convert;
use groundskeeper_core::migration::TRIGGERS;
use groundskeeper_core::plan::drift::{Fate, fate};
use groundskeeper_core::plan::{Action, Entry, Item, Qualified};
use pgrx::pg_sys::Oid;

/// What stands there of a change.
pub struct Found {
    /// The relation.
    pub relation: Relation,
    /// The name of the index, constraint or column, where it is known by OID.
    pub object: Option<String>,
    /// What differs from what was made.
    pub difference: Option<String>,
    /// Whether somebody has given it another definition.
    pub edited: bool,
    /// Whether it is known by OID, and so is ours whatever it is called.
    pub by_oid: bool,
}

/// Writes a change down, with what it made.
pub fn record(item: &Item, mut entry: Entry) -> Result<()> {
    own::hold(item)?;
    note(item, &mut entry)?;
    journal::record(&entry)
}

/// Adds to an entry what the change has made. A converted table changes places with another, so there names are all that
/// counts.
pub fn note(item: &Item, entry: &mut Entry) -> Result<()> {
    let place = entry.undo.relation.as_ref().unwrap_or(&item.relation);
    let Some(thing) = thing(item, entry.undo.was_not_valid.as_deref()) else { return Ok(()) };
    if entry.undo.data_only || convert::record::find(place)?.is_some() {
        return Ok(());
    }
    entry.undo.made = catalog::made(place, thing)?;
    Ok(())
}

/// What an item makes.
fn thing<'a>(item: &'a Item, was_not_valid: Option<&'a str>) -> Option<Thing<'a>> {
    match &item.action {
        Action::WidenNumeric { column, .. } => Some(Thing::Column(column)),
        Action::CheckConstraint { name, .. } => Some(Thing::Constraint(was_not_valid.unwrap_or(name))),
        Action::Index(index) | Action::ExpressionIndex(index) => Some(Thing::Index(&index.name)),
        Action::View { .. } | Action::MaterializedView { .. } => Some(Thing::Relation),
        Action::Migration => Some(Thing::Triggers(&TRIGGERS)),
        Action::PartitionedTable { .. } | Action::Statistics | Action::DroppedIndex { .. } => {
            Some(Thing::Place)
        }
        Action::MonitoringView | Action::RoleSetting { .. } => None,
    }
}

fn is_of_table(item: &Item) -> bool {
    matches!(item.action, Action::PartitionedTable { .. })
}

/// What has become of what a change made.
fn fate_of(item: &Item, change: &Change) -> Result<Fate> {
    let place = change.undo.relation.as_ref().unwrap_or(&item.relation);
    let by_name = || Ok(Fate::ByName(place.clone()));
    let Some(made) = &change.undo.made else { return by_name() };
    let home = home();
    // of a table that we have converted the item itself follows the partitioned one
    let converted = !is_of_table(item) && convert::record::find(place)?.is_some();
    if made.home != home || converted {
        return by_name();
    }
    let object = thing(item, change.undo.was_not_valid.as_deref()).and_then(Thing::name);
    Ok(fate(made, &home, place, object, &catalog::made_now(made, place)?))
}

/// What stands there of a change; why there is nothing, where that is so.
pub fn find(item: &Item, change: &Change) -> Result<std::result::Result<Found, String>> {
    let relation = |name: &Qualified| catalog::relation(name);
    let gone = |name: &Qualified| Ok(Err(format!("relation {name} is gone")));
    match fate_of(item, change)? {
        Fate::Gone(reason) => Ok(Err(reason)),
        Fate::ByName(place) => match relation(&place)? {
            None => gone(&place),
            Some(relation) => {
                let (object, difference) = (None, None);
                Ok(Ok(Found { relation, object, difference, edited: false, by_oid: false }))
            }
        },
        Fate::There { relation: place, object, difference, edited } => match relation(&place)? {
            None => gone(&place),
            Some(relation) => Ok(Ok(Found { relation, object, difference, edited, by_oid: true })),
        },
    }
}

/// The relation that a change is about, known by OID, where it is not for who has added the item to alter any more.
pub fn given_away(item: &Item, change: &Change) -> Result<Option<Oid>> {
    let Some(author) = &item.author else { return Ok(None) };
    let Fate::There { relation, .. } = fate_of(item, change)? else { return Ok(None) };
    let Some(found) = catalog::relation(&relation)? else { return Ok(None) };
    let of_author = |owner| author.oid.is_some_and(|role| roles_rights(Oid::from(role), owner));
    Ok((!owner_of(found.oid).is_some_and(of_author)).then_some(found.oid))
}

/// How what stands of an item differs from what was made, if it does.
pub fn difference(item: &Item, change: &Change) -> Result<Option<String>> {
    Ok(match fate_of(item, change)? {
        Fate::There { difference, .. } => difference,
        Fate::ByName(_) | Fate::Gone(_) => None,
    })
}

/// Why the relation or index cannot be dropped without what stands on it, if so.
pub fn needed_by(object: Oid, what: &str, but_for: &[Oid]) -> Result<Option<String>> {
    let dependents = catalog::depend_on(object, but_for)?;
    Ok((!dependents.is_empty()).then(|| {
        let verb = if dependents.len() == 1 { "depends" } else { "depend" };
        format!("{} {verb} on {what}; drop that first", dependents.join(", "))
    }))
}
