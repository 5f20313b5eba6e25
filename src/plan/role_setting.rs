//! `role_setting`: the plan's server settings for a role in this database, an item per role.

use super::rollback::Reversal;
use super::{Outcome, Stage, Work};
use crate::catalog::{self, Role};
use crate::error::{Failure, Result};
use crate::extension::home;
use crate::jobs;
use crate::journal::{self, Change};
use crate::sql::{self, quote_identifier, quote_literal, required, script};
use groundskeeper_core::plan::decide::{State, Verdict};
use groundskeeper_core::plan::role::{Changed, Pair, Restoration, changes, restorations, standing};
use groundskeeper_core::plan::{Entry, Given, Item, Plan, Undo};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::rc::Rc;

/// When its turn is.
pub const STAGE: Stage = Stage::Rest;

/// The role that was given settings, as it is here.
fn role_of(given: &Given) -> Result<Option<Role>> {
    if given.home == home() { catalog::role_by_oid(Oid::from(given.oid)) } else { catalog::role(&given.role) }
}

/// How a role stands, and what would give it again what it lacks.
pub fn look_at(item: &Item, role: Option<&str>) -> Result<(Verdict, Option<Work>)> {
    let Some(role) = role else {
        let detail =
            "settings are given to a role by name: SELECT groundskeeper.apply_server_settings('role')";
        return Ok((Verdict::because(State::Pending, detail), None));
    };
    let given = given(item)?;
    let Some(found) = given.last().map(role_of).transpose()?.flatten() else {
        return Ok((Verdict::because(State::Blocked, format!("role {role} does not exist")), None));
    };
    let made: Vec<Changed> = given.into_iter().flat_map(|given| given.settings).collect();
    let verdict = standing(&made, &found.settings);
    if verdict.state == State::Applied {
        return Ok((verdict, None));
    }
    let wanted: Vec<Pair> = made.into_iter().map(|change| (change.name, change.after)).collect();
    let inline = wanted.iter().map(|pair| set(&found, pair)).collect::<Result<_>>()?;
    Ok((verdict, Some(Work { inline, ..Work::default() })))
}

/// What the standing changes of an item gave its role, oldest first.
fn given(item: &Item) -> Result<Vec<Given>> {
    let id = item.id();
    let standing = journal::standing()?.into_iter().rev();
    Ok(standing.filter(|change| change.item == id).filter_map(|change| change.undo.role).collect())
}

/// Gives a role these settings in this database, as the caller: PostgreSQL decides who may.
pub fn apply(plan: &Plan, role: Oid, wanted: &[Pair]) -> Result<Outcome> {
    let role = catalog::role_by_oid(role)?
        .ok_or_else(|| Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, "the role does not exist"))?;
    refuse_unfit(plan, &role)?;
    let item = plan.item_for_role(&role.name).ok_or_else(|| Failure::internal("the plan sets no role"))?;
    let item = Rc::new(item);
    let first = given(&item)?.is_empty();
    let mut settings = changes(wanted, &role.settings);
    // What stands already is noted the first time only; later changes are what they change.
    settings.retain(|change| first || change.before.as_deref() != Some(&change.after));
    if settings.is_empty() {
        return Ok(Outcome { item, action: "skip", state: State::Applied, detail: None, sql: None });
    }
    let to_set = settings.iter().filter(|change| change.before.as_deref() != Some(&change.after));
    let statements: Vec<String> = to_set
        .map(|change| set(&role, &(change.name.clone(), change.after.clone())))
        .collect::<Result<_>>()?;
    statements.iter().try_for_each(|statement| sql::run(statement, &[]))?;

    let after: Vec<Pair> = settings.iter().map(|c| (c.name.clone(), c.after.clone())).collect();
    let inverse = statements_of(&role, &restorations(&settings, &after))?;
    let before = settings.iter().filter_map(|c| Some(set(&role, &(c.name.clone(), c.before.clone()?))));
    let before = before.collect::<Result<Vec<_>>>()?;
    let given = Given { role: role.name, oid: u32::from(role.oid), home: home(), settings };
    journal::add(&Entry {
        item: item.id(),
        forward: statements.clone(),
        inverse,
        prior_definition: (!before.is_empty()).then(|| script(&before)),
        undo: Undo { role: Some(given), ..Undo::default() },
    })?;
    let detail = Some("new sessions have them".to_owned());
    Ok(Outcome { item, action: "apply", state: State::Applied, detail, sql: Some(script(&statements)) })
}

/// Refuses roles for which the settings would do harm, or nothing.
fn refuse_unfit(plan: &Plan, role: &Role) -> Result<()> {
    let refused = |message: String| Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message);
    let quoted = &role.quoted;
    if role.superuser {
        return Err(refused(format!("role {quoted} is a superuser"))
            .detail(
                "Its sessions maintain the database; a statement_timeout would end index builds and dumps.",
            )
            .hint("Name the role that the application connects as, and let that be no superuser."));
    }
    if !role.can_login {
        let members = catalog::login_members(role.oid)?;
        let detail =
            "Settings of a role hold for sessions that log in as it; its members do not inherit them.";
        return Err(refused(format!("role {quoted} cannot log in")).detail(detail).hint(
            if members.is_empty() {
                "Name the role that the application connects as.".to_owned()
            } else {
                format!("Name the role that the application connects as, one of: {}.", members.join(", "))
            },
        ));
    }
    let mut reasons = catalog::maintenance_as(role, &plan.schemas)?;
    reasons.extend(jobs::open_as(&role.name)?);
    if reasons.is_empty() {
        return Ok(());
    }
    Err(refused(format!("maintenance runs as role {quoted}"))
        .detail(format!("A statement_timeout would end it: {}.", reasons.join("; ")))
        .hint("Let the application connect as a role that owns none of these, with grants on what it uses."))
}

/// `ALTER ROLE ... IN DATABASE ... SET`, as PostgreSQL quotes it.
fn set(role: &Role, (name, value): &Pair) -> Result<String> {
    let database = database()?;
    let (name, value) = (quote_identifier(name), quote_literal(value));
    Ok(format!("ALTER ROLE {} IN DATABASE {database} SET {name} = {value}", role.quoted))
}

fn database() -> Result<String> {
    let name =
        sql::first("SELECT pg_catalog.current_database()::text", &[], |row| required::<String>(row, 1))?;
    name.map(quote_identifier).ok_or_else(|| Failure::internal("there is no current database"))
}

fn statements_of(role: &Role, restorations: &[Restoration]) -> Result<Vec<String>> {
    let database = database()?;
    let statement = |restoration: &Restoration| match restoration {
        Restoration::Set(pair) => Some(set(role, pair)),
        Restoration::Reset(name) => Some(Ok(format!(
            "ALTER ROLE {} IN DATABASE {database} RESET {}",
            role.quoted,
            quote_identifier(name)
        ))),
        Restoration::Left(_) => None,
    };
    restorations.iter().filter_map(statement).collect()
}

/// What taking a change back takes now: what is still as the change made it becomes what it was.
pub fn reversal(change: &Change) -> Result<Reversal> {
    let Some(given) = &change.undo.role else {
        return Err(Failure::internal(format!("change {} does not say what it set", change.id)));
    };
    let Some(role) = role_of(given)? else {
        return Ok(Reversal::Gone(format!("role {} is gone", given.role)));
    };
    let restorations = restorations(&given.settings, &role.settings);
    let left: Vec<&str> = restorations
        .iter()
        .filter_map(|r| if let Restoration::Left(name) = r { Some(name.as_str()) } else { None })
        .collect();
    let note = (!left.is_empty()).then(|| format!("changed since and left as it is: {}", left.join(", ")));
    let statements = statements_of(&role, &restorations)?;
    if statements.is_empty() {
        return Ok(Reversal::Gone(
            note.unwrap_or_else(|| format!("role {} has none of the settings here", role.quoted)),
        ));
    }
    Ok(Reversal::with_note(statements, note))
}
