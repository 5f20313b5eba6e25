//! `materialized_view`: made empty, and filled where the budget allows, else by a job.

use super::rollback::Reversal;
use super::view::{judge, ownership, sources};
use super::{After, Stage, Work, job};
use crate::catalog::{self, Relation};
use crate::error::Result;
use crate::sql::qualified;
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::{Item, Undo};

/// When its turn is.
pub const STAGE: Stage = Stage::MaterializedViews;

/// How a materialized view stands.
pub fn look_at(item: &Item, query: &str, accepts: &[String]) -> Result<(Verdict, Option<Work>)> {
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
        State::Applied | State::Queued | State::Blocked | State::Conflict | State::NotApplicable => {
            Ok((verdict, None))
        }
    }
}

/// The view dropped.
pub fn reversal(view: &Relation) -> Reversal {
    Reversal::by(vec![format!("DROP MATERIALIZED VIEW {}", view.quoted)])
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
