//! Items that were asked for while a conversion of ours was in their way: the job that ends it goes on with them.

use super::{Assessment, job, own, rights};
use crate::catalog;
use crate::error::Result;
use crate::extension::as_owner;
use crate::jobs;
use crate::owner;
use crate::partition::convert;
use crate::sql::{self, required};
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::State;
use groundskeeper_core::plan::{Action, Item, Plan, Qualified};

/// Remembers an item that is blocked by a conversion of its table alone, where the caller could have it done otherwise:
/// the job that goes on with it has the rights of the table's owner.
pub fn remember(item: &Item, assessment: &Assessment) -> Result<()> {
    if assessment.verdict.state != State::Blocked || !matches!(item.action, Action::WidenNumeric { .. }) {
        return Ok(());
    }
    let Some(table) = catalog::relation(&item.relation)? else { return Ok(()) };
    let may = owner::owner_of(table.oid).is_some_and(owner::has_rights_of)
        && (item.author.is_none() || rights::may_act(item));
    if !may || !convert::is_in_between(&table.quoted)? {
        return Ok(());
    }
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.plan_wanted (item) VALUES ($1) ON CONFLICT DO NOTHING",
            &[item.id().into()],
        )
    })
}

/// Queues what was asked for of a table that is not kept twice any more.
pub fn take_up(plan: &Plan, table: &Qualified) -> Result<()> {
    let wanted: Vec<String> = as_owner(|| {
        sql::rows("SELECT item FROM groundskeeper.plan_wanted ORDER BY item", &[], |row| required(row, 1))
    })?;
    let declined = own::declined()?;
    for item in plan.items.iter().filter(|item| item.relation == *table) {
        let id = item.id();
        if !wanted.contains(&id) {
            continue;
        }
        if !declined.contains_key(&id) {
            jobs::enqueue(&job(item, table, Task::AlterTable { item: id.clone() }))?;
        }
        as_owner(|| {
            sql::run("DELETE FROM groundskeeper.plan_wanted WHERE item = $1", &[id.as_str().into()])
        })?;
    }
    Ok(())
}
