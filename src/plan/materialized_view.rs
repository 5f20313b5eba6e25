//! `materialized_view`: made empty, and filled where the budget allows, else by a job.

use super::rollback::Reversal;
use super::view::{dropped, judge, may_give, ownership, sources};
use super::{After, Stage, Work, job};
use crate::backend;
use crate::catalog::{self, Relation, Role};
use crate::error::Result;
use crate::sql::qualified;
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::{Item, Undo};
use pgrx::pg_sys::Oid;

/// When its turn is.
pub const STAGE: Stage = Stage::MaterializedViews;

/// How a materialized view stands.
pub fn look_at(item: &Item, query: &str, accepts: &[String]) -> Result<(Verdict, Option<Work>)> {
    let sources = sources(item, query)?;
    // Filling the view would call whatever its owner put into it, with the rights of the owner of ours.
    let maker = maker(item, &sources)?;
    let strange = |source: &&Relation| match &maker {
        None => matches!(source.kind, 'v' | 'f'),
        // planning alone calls what is in a table's indexes and checks
        Some(role) => role.name != source.owner && (matches!(source.kind, 'v' | 'f') || role.superuser),
    };
    if let Some(view) = sources.iter().find(strange) {
        return Ok((Verdict::because(State::Blocked, strangeness(view, maker.as_ref())), None));
    }
    let verdict = judge(item, 'm', query, accepts, &sources)?;
    match verdict.state {
        State::Pending => Ok((verdict, Some(work(item, query, &sources)?))),
        State::Applied
            if catalog::relation(&item.relation)?.is_some_and(|r| r.kind == 'm' && !r.populated) =>
        {
            let refresh = refresh(item, &sources)?;
            let undo = Undo { data_only: true, ..Undo::default() };
            let verdict = Verdict::because(State::Pending, "the view is there and is still to be filled");
            Ok((verdict, Some(Work { after: vec![refresh], undo, ..Work::default() })))
        }
        _ => Ok((verdict, None)),
    }
}

/// What makes it.
pub(super) fn work(item: &Item, query: &str, sources: &[Relation]) -> Result<Work> {
    let view = qualified(&item.relation.schema, &item.relation.name);
    let mut inline = vec![format!("CREATE MATERIALIZED VIEW {view} AS\n{}\nWITH NO DATA", query.trim())];
    inline.extend(ownership(item, "MATERIALIZED VIEW", &view, sources)?);
    let inverse = vec![format!("DROP MATERIALIZED VIEW {view}")];
    Ok(Work { inline, after: vec![refresh(item, sources)?], inverse, ..Work::default() })
}

/// Who will own a view that somebody has added.
fn maker(item: &Item, sources: &[Relation]) -> Result<Option<Role>> {
    if item.author.is_none() {
        return Ok(None);
    }
    match sources.first().filter(|source| may_give(source)) {
        Some(source) => catalog::role(&source.owner),
        None => catalog::role_by_oid(backend::role()),
    }
}

fn strangeness(source: &Relation, maker: Option<&Role>) -> String {
    match maker {
        None => format!("{} is no table", source.quoted),
        Some(role) => format!(
            "{} belongs to {}: filling the view would run what that role has put into it as {}",
            source.quoted, source.owner, role.name
        ),
    }
}

/// The view dropped, unless something stands on it.
pub fn reversal(view: &Relation, with_it: &[Oid]) -> Result<Reversal> {
    dropped("MATERIALIZED VIEW", view, with_it)
}

fn refresh(item: &Item, sources: &[Relation]) -> Result<After> {
    let view = qualified(&item.relation.schema, &item.relation.name);
    let bytes = sources.iter().map(|s| catalog::relation_bytes(s.oid)).sum::<Result<u64>>()?;
    Ok(After {
        statement: format!("REFRESH MATERIALIZED VIEW {view}"),
        bytes,
        only_if_all: None,
        job: job(item, &item.relation, Task::RefreshView { view: item.relation.clone() }),
    })
}
