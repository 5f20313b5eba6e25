//! `view`, and what it has in common with a materialized one: they belong to the owner of what they read, and are readable by those who
//! may read that.

use super::drift::needed_by;
use super::rollback::Reversal;
use super::{Scene, Stage, Work, materialized_view};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::owner::{has_rights_of, owner_of};
use crate::sql::{qualified, quote_identifier};
use groundskeeper_core::plan::decide::{self, State, Verdict};
use groundskeeper_core::plan::order::named_in;
use groundskeeper_core::plan::{Action, Item};
use pgrx::pg_sys::Oid;

/// When its turn is.
pub const STAGE: Stage = Stage::Views;

/// How a view stands.
pub fn look_at(
    item: &Item,
    query: &str,
    options: Option<&str>,
    accepts: &[String],
) -> Result<(Verdict, Option<Work>)> {
    let sources = sources(item, query)?;
    let verdict = judge(item, 'v', query, accepts, &sources)?;
    if verdict.state != State::Pending {
        return Ok((verdict, None));
    }
    Ok((verdict, Some(work(item, query, options, &sources)?)))
}

/// How a view stands that reads one which is not there yet, and which an item before it makes.
pub fn on_one_to_be_made(item: &Item, scene: &Scene) -> Option<(Verdict, Option<Work>)> {
    let below = named_in(item).into_iter().find(|name| scene.to_be_made.contains(name))?;
    let work = match &item.action {
        Action::View { query, options, .. } => work(item, query, options.as_deref(), &[]),
        Action::MaterializedView { query, .. } => materialized_view::work(item, query, &[]),
        _ => return None,
    };
    let detail = format!("it reads {below}, which an item before it makes");
    Some((Verdict::because(State::Pending, detail), Some(work.ok()?)))
}

/// What makes it.
pub(super) fn work(item: &Item, query: &str, options: Option<&str>, sources: &[Relation]) -> Result<Work> {
    let view = qualified(&item.relation.schema, &item.relation.name);
    let options = options.map(|o| format!(" WITH ({o})")).unwrap_or_default();
    let mut inline = vec![format!("CREATE VIEW {view}{options} AS\n{}", query.trim())];
    inline.extend(ownership(item, "VIEW", &view, sources)?);
    Ok(Work { inline, inverse: vec![format!("DROP VIEW {view}")], ..Work::default() })
}

/// The view dropped, unless something stands on it.
pub fn reversal(view: &Relation, with_it: &[Oid]) -> Result<Reversal> {
    dropped("VIEW", view, with_it)
}

/// What drops a view or materialized view, unless something stands on it.
pub(super) fn dropped(what: &str, view: &Relation, with_it: &[Oid]) -> Result<Reversal> {
    Ok(match needed_by(view.oid, &format!("{} {}", what.to_lowercase(), view.quoted), with_it)? {
        Some(reason) => Reversal::Refused(reason),
        None => Reversal::by(vec![format!("DROP {what} {}", view.quoted)]),
    })
}

/// How relations compare with the wanted view.
pub(super) fn judge(
    item: &Item,
    kind: char,
    query: &str,
    accepts: &[String],
    sources: &[Relation],
) -> Result<Verdict> {
    let queries = std::iter::once(query).chain(accepts.iter().map(String::as_str)).collect();
    let wanted = catalog::View { name: &item.relation, kind, queries };
    let oids: Vec<_> = sources.iter().map(|s| s.oid).collect();
    Ok(decide::view(&item.relation, &catalog::views(&wanted, &oids)?))
}

/// The relations that a view reads, as its needs name them. What somebody has added may read more than it needs.
pub(super) fn sources(item: &Item, query: &str) -> Result<Vec<Relation>> {
    let mut out: Vec<Relation> = Vec::new();
    for name in item.needs.iter().filter_map(|need| need.relation.as_ref()) {
        out.extend(
            catalog::relation(name)?.filter(|relation| !out.iter().any(|seen| seen.oid == relation.oid)),
        );
    }
    if item.author.is_some() {
        for oid in catalog::relations_in(query)? {
            if !out.iter().any(|seen| seen.oid == oid) {
                out.extend(catalog::relation_by_oid(oid)?);
            }
        }
    }
    Ok(out)
}

/// Whether the current role can give a view to the owner of what it reads.
pub(super) fn may_give(source: &Relation) -> bool {
    owner_of(source.oid).is_some_and(has_rights_of)
}

/// The view goes to the owner of the relation that it reads first; whoever may read all of its sources may
/// read it. One that somebody has added stays with that role where it has no greater rights than that owner, and is for
/// nobody else to read until that role grants it.
pub(super) fn ownership(item: &Item, what: &str, view: &str, sources: &[Relation]) -> Result<Vec<String>> {
    let first = sources.first().filter(|source| item.author.is_none() || may_give(source));
    let owner = first.map(|s| format!("ALTER {what} {view} OWNER TO {}", quote_identifier(&s.owner)));
    if item.author.is_some() {
        return Ok(owner.into_iter().collect());
    }
    let oids: Vec<_> = sources.iter().map(|s| s.oid).collect();
    Ok(owner.into_iter().chain(catalog::default_grants(view, &oids)?).collect())
}
