//! `view` and `materialized_view`: they belong to the owner of what they read, and are readable by those who
//! may read that.

use super::{After, Work, job};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::sql::{qualified, quote_identifier};
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::{self, State, Verdict};
use groundskeeper_core::plan::{Item, Undo};

/// How a view stands.
pub fn look_at_view(
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

/// How a materialized view stands.
pub fn look_at_materialized(item: &Item, query: &str, accepts: &[String]) -> Result<(Verdict, Option<Work>)> {
    let sources = sources(item)?;
    // Filling the view would call whatever its owner put into it, with the rights of the owner of ours.
    if let Some(view) = sources.iter().find(|source| matches!(source.kind, 'v' | 'f')) {
        return Ok((Verdict::because(State::Blocked, format!("{} is no table", view.quoted)), None));
    }
    let verdict = judge(item, 'm', query, accepts, &sources)?;
    let view = qualified(&item.relation.schema, &item.relation.name);
    let refresh = refresh(item, &view, &sources)?;
    match verdict.state {
        State::Pending => {
            let mut inline =
                vec![format!("CREATE MATERIALIZED VIEW {view} AS\n{}\nWITH NO DATA", query.trim())];
            inline.extend(ownership("MATERIALIZED VIEW", &view, &sources)?);
            let inverse = vec![format!("DROP MATERIALIZED VIEW {view}")];
            Ok((verdict, Some(Work { inline, after: vec![refresh], inverse, ..Work::default() })))
        }
        State::Applied
            if catalog::relation(&item.relation)?.is_some_and(|r| r.kind == 'm' && !r.populated) =>
        {
            let undo = Undo { data_only: true, ..Undo::default() };
            let verdict = Verdict::because(State::Pending, "the view is there and is still to be filled");
            Ok((verdict, Some(Work { after: vec![refresh], undo, ..Work::default() })))
        }
        _ => Ok((verdict, None)),
    }
}

fn judge(item: &Item, kind: char, query: &str, accepts: &[String], sources: &[Relation]) -> Result<Verdict> {
    let queries = std::iter::once(query).chain(accepts.iter().map(String::as_str)).collect();
    let wanted = catalog::View { name: &item.relation, kind, queries };
    let oids: Vec<_> = sources.iter().map(|s| s.oid).collect();
    Ok(decide::view(&item.relation, &catalog::views(&wanted, &oids)?))
}

/// The relations that a view reads, as its needs name them.
fn sources(item: &Item) -> Result<Vec<Relation>> {
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
fn ownership(what: &str, view: &str, sources: &[Relation]) -> Result<Vec<String>> {
    let owner =
        sources.first().map(|s| format!("ALTER {what} {view} OWNER TO {}", quote_identifier(&s.owner)));
    let oids: Vec<_> = sources.iter().map(|s| s.oid).collect();
    Ok(owner.into_iter().chain(catalog::default_grants(view, &oids)?).collect())
}

fn refresh(item: &Item, view: &str, sources: &[Relation]) -> Result<After> {
    let bytes = sources.iter().map(|s| catalog::relation_bytes(s.oid)).sum::<Result<u64>>()?;
    Ok(After {
        statement: format!("REFRESH MATERIALIZED VIEW {view}"),
        bytes,
        only_if_all: None,
        job: job(item, &item.relation, Task::RefreshView { view: item.relation.clone() }),
    })
}
