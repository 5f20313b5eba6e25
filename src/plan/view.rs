//! `view`, and what it has in common with a materialized one: they belong to the owner of what they read, and are readable by those who
//! may read that.

use super::rollback::Reversal;
use super::{Stage, Work};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::sql::{qualified, quote_identifier};
use groundskeeper_core::plan::Item;
use groundskeeper_core::plan::decide::{self, State, Verdict};

/// When its turn is.
pub const STAGE: Stage = Stage::Views;

/// How a view stands.
pub fn look_at(
    item: &Item,
    query: &str,
    options: Option<&str>,
    accepts: &[String],
) -> Result<(Verdict, Option<Work>)> {
    let sources = sources(item)?;
    let verdict = judge(item, 'v', query, accepts, &sources)?;
    if verdict.state != State::Pending {
        return Ok((verdict, None));
    }
    let view = qualified(&item.relation.schema, &item.relation.name);
    let options = options.map(|o| format!(" WITH ({o})")).unwrap_or_default();
    let mut inline = vec![format!("CREATE VIEW {view}{options} AS\n{}", query.trim())];
    inline.extend(ownership("VIEW", &view, &sources)?);
    Ok((verdict, Some(Work { inline, inverse: vec![format!("DROP VIEW {view}")], ..Work::default() })))
}

/// The view dropped.
pub fn reversal(view: &Relation) -> Reversal {
    Reversal::by(vec![format!("DROP VIEW {}", view.quoted)])
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

/// The relations that a view reads, as its needs name them.
pub(super) fn sources(item: &Item) -> Result<Vec<Relation>> {
    let mut out: Vec<Relation> = Vec::new();
    for name in item.needs.iter().filter_map(|need| need.relation.as_ref()) {
        if let Some(relation) = catalog::relation(name)?
            && !out.iter().any(|seen| seen.oid == relation.oid)
        {
            out.push(relation);
        }
    }
    Ok(out)
}

/// The view goes to the owner of the relation that it reads first; whoever may read all of its sources may
/// read it.
pub(super) fn ownership(what: &str, view: &str, sources: &[Relation]) -> Result<Vec<String>> {
    let owner =
        sources.first().map(|s| format!("ALTER {what} {view} OWNER TO {}", quote_identifier(&s.owner)));
    let oids: Vec<_> = sources.iter().map(|s| s.oid).collect();
    Ok(owner.into_iter().chain(catalog::default_grants(view, &oids)?).collect())
}
