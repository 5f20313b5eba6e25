//! Whose rights an item is looked at and carried out with: the caller's for what is built in, and for what somebody has
//! added that role's, whoever calls. Its words are code. Where they are about a relation or schema of a lesser role, they
//! are that role's business, and what that role has put there is not to run with greater rights.

use crate::catalog;
use crate::error::{Failure, Result};
use crate::owner;
use crate::sql::{self, required};
use groundskeeper_core::plan::words::qualified_names;
use groundskeeper_core::plan::{Author, Item};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// Runs `work` on an item that changes something.
pub fn acting<T>(item: &Item, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match &item.author {
        None => work(),
        Some(author) => {
            let whom = least(item, author)?;
            refuse_strange_types(item, whom)?;
            owner::as_author(whom, work).map_err(|failure| named(failure, author))
        }
    }
}

/// Runs `work` that takes an item back. What stands on a relation that was given away is its owner's business, and the way
/// back has no word of who added the item.
pub fn taking_back<T>(item: &Item, given_away: Option<Oid>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match given_away {
        Some(relation) => owner::of(relation, work),
        None => acting(item, work),
    }
}

/// Runs `work` that only looks at an item.
pub fn looking<T>(item: &Item, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match &item.author {
        None => work(),
        Some(author) => {
            let whom = least(item, author)?;
            refuse_strange_types(item, whom)?;
            owner::as_author_to_look(whom, work)
        }
    }
}

/// Whether rows may be read to tell how an item stands.
pub fn may_look_closely(item: &Item) -> bool {
    item.author.is_none() || may_act(item)
}

/// Whether the caller may act as who has added an item.
pub fn may_act(item: &Item) -> bool {
    item.author.as_ref().and_then(|author| author.oid).is_some_and(|oid| owner::has_rights_of(Oid::from(oid)))
}

/// Who has added an item, or the owner of what it is about where that role has the owner's rights. A group that nobody can
/// log in as trusts its members, but no superuser.
fn least(item: &Item, author: &Author) -> Result<Oid> {
    let author = there(author)?;
    let of_relation = owner::oid_by_name(&item.relation).and_then(owner::owner_of);
    let of = match of_relation {
        Some(of) => Some(of),
        None => catalog::owner_of_schema(&item.relation.schema)?,
    };
    let Some(of) = of.filter(|of| *of != author && owner::roles_rights(author, *of)) else {
        return Ok(author);
    };
    let (Some(owner), Some(role)) = (catalog::role_by_oid(of)?, catalog::role_by_oid(author)?) else {
        return Ok(author);
    };
    Ok(if owner.can_login || role.superuser { of } else { author })
}

/// Refuses words that name another ordinary role's type with checks, or a column of one: to read a constant of it runs what
/// that role has put into it.
fn refuse_strange_types(item: &Item, whom: Oid) -> Result<()> {
    let names = qualified_names(item).map_err(|error| Failure::internal(error.to_string()))?;
    let (schemas, names): (Vec<String>, Vec<String>) = names.into_iter().unzip();
    let strange = sql::kept_first(
        include_str!("strange_types.sql"),
        &[schemas.into(), names.into(), whom.into()],
        |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)),
    )?;
    let Some((domain, of)) = strange else { return Ok(()) };
    let reader = catalog::role_by_oid(whom)?.map(|role| role.name).unwrap_or_default();
    let message = format!("it names what is of the type {domain}, which belongs to {of}");
    Err(Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message)
        .detail(format!("to read it would run that role's checks as {reader}")))
}

fn there(author: &Author) -> Result<Oid> {
    author.oid.map(Oid::from).ok_or_else(|| {
        let message = format!("role {}, which added it, does not exist any more", author.role);
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, message)
            .detail("A superuser can drop the item, and add it again")
    })
}

fn named(failure: Failure, author: &Author) -> Failure {
    if failure.code == PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE && failure.detail.is_none() {
        return failure
            .detail(format!("it was added by {}, and is carried out with that role's rights", author.role));
    }
    failure
}
