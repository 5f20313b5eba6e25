//! The plan as its users have extended it: items that are kept in a table, and which of all are not wanted.

use super::dropped_index;
use crate::backend;
use crate::catalog;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, home};
use crate::jobs;
use crate::journal;
use crate::owner;
use crate::parse;
use crate::sql::{self, quote_literal, required};
use groundskeeper_core::plan::own::{self, Unfit};
use groundskeeper_core::plan::{Action, Author, Item, Plan, Qualified};
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;

/// An item that somebody has added.
pub struct Added {
    /// The item, with who has added it.
    pub item: Item,
    /// When.
    pub at: TimestampWithTimeZone,
}

/// What a plan that is imported does about an item.
pub struct Imported {
    /// Its id.
    pub item: String,
    /// `add`, `keep` or `conflict`.
    pub action: &'static str,
    /// Why, where it is not added.
    pub detail: Option<String>,
}

/// The built-in plan with all that was added to it.
pub fn whole(built_in: &'static Plan) -> Result<Cow<'static, Plan>> {
    let added = added()?;
    if added.is_empty() {
        return Ok(Cow::Borrowed(built_in));
    }
    let mut plan = built_in.clone();
    for Added { item, .. } in added {
        if !plan.sections.contains(&item.section) {
            plan.sections.push(item.section.clone());
        }
        plan.items.push(item);
    }
    Ok(Cow::Owned(plan))
}

/// What was added, in that order. The role is known by its OID where it added the item, whatever its name is by now; a
/// copy of the database elsewhere knows it by its name.
pub fn added() -> Result<Vec<Added>> {
    let query = "
        SELECT i.definition::text, COALESCE(r.rolname::text, i.added_by), r.oid, i.added_at
          FROM groundskeeper.plan_item i
          LEFT JOIN pg_catalog.pg_roles r
            ON CASE WHEN i.home = $1 THEN r.oid = i.added_by_oid ELSE r.rolname::text = i.added_by END
         ORDER BY i.added_at, i.item COLLATE \"C\"";
    let rows = as_owner(|| {
        sql::rows(query, &[home().into()], |row| {
            let author = Author { role: required(row, 2)?, oid: row.get::<Oid>(3)?.map(u32::from) };
            Ok((required::<String>(row, 1)?, author, required::<TimestampWithTimeZone>(row, 4)?))
        })
    })?;
    let added = |(definition, author, at): (String, _, _)| {
        let read = serde_json::from_str(&definition).map_err(|error| error.to_string());
        match read.and_then(|value| own::read(&value).map_err(|unfit| unfit.to_string())) {
            Ok(item) => Some(Added { item: Item { author: Some(author), ..item }, at }),
            // of a release to come, say: the rest of the plan goes on
            Err(reason) => {
                invalid(format!("an item that was added to the plan cannot be read: {reason}"))
                    .say(PgLogLevel::WARNING);
                None
            }
        }
    };
    Ok(rows.into_iter().filter_map(added).collect())
}

/// Which items are not wanted, each with the reason.
pub fn declined() -> Result<HashMap<String, String>> {
    let declined = "SELECT item, reason FROM groundskeeper.plan_decline";
    let rows = as_owner(|| {
        sql::rows(declined, &[], |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)))
    })?;
    Ok(rows.into_iter().collect())
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
}

fn unfit_item(unfit: &Unfit) -> Failure {
    invalid(format!("this cannot be an item of the plan: {unfit}"))
}

/// Adds an item, which is the current role's from now on; its id.
pub fn add(built_in: &'static Plan, json: &str) -> Result<String> {
    let value =
        serde_json::from_str(json).map_err(|error| invalid(format!("the item cannot be read: {error}")))?;
    let item = own::read(&value).map_err(|unfit| unfit_item(&unfit))?;
    check(&item)?;
    let id = item.id();
    // what is just being dropped will be an item of the change log
    if taken(built_in, &id)?.is_some() || jobs::active_by_item()?.contains_key(&id) {
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
            format!("the plan has an item \"{id}\" already"),
        );
        return Err(failure.hint("Give it another section, or another name."));
    }
    keep(&item)?;
    Ok(id)
}

/// Adds the items of a plan file that are not there; a rehearsal only says which.
pub fn import(built_in: &'static Plan, text: &str, dry_run: bool) -> Result<Vec<Imported>> {
    let items =
        own::import(text).map_err(|unfit| invalid(format!("the plan cannot be imported: {unfit}")))?;
    items.iter().try_for_each(check)?;
    let mut out = Vec::new();
    for item in items {
        let id = item.id();
        let (action, detail) = match taken(built_in, &id)? {
            None => ("add", None),
            Some(there) if (Item { author: None, ..there.clone() }) == item => {
                ("keep", Some("it is there".to_owned()))
            }
            Some(_) => {
                let remedy = format!("groundskeeper.drop_plan_item({}) first", quote_literal(&id));
                ("conflict", Some(format!("it is there with another definition; {remedy}")))
            }
        };
        if action == "add" && !dry_run {
            keep(&item)?;
        }
        out.push(Imported { item: id, action, detail });
    }
    Ok(out)
}

/// What was added, in the form of the plan file.
pub fn export() -> Result<String> {
    let items: Vec<Item> = added()?.into_iter().map(|added| added.item).collect();
    own::export(&items).map_err(Failure::internal)
}

/// The item that has an id, whoever's it is.
fn taken(built_in: &'static Plan, id: &str) -> Result<Option<Item>> {
    let plan = whole(built_in)?;
    if let Some(role) = plan.role_of(id) {
        return Ok(plan.item_for_role(role));
    }
    plan.item(id).cloned().map_or_else(|| dropped_index::item(id), |item| Ok(Some(item)))
}

/// Refuses what is no SQL of the kind that it must be, what is somebody else's, and what cannot be the user's to say.
fn check(item: &Item) -> Result<()> {
    let unfit = |field: &str, what: &str| {
        unfit_item(&Unfit { field: field.to_owned(), reason: format!("is not {what}") })
            .hint("Names are looked up in pg_catalog alone: those of other schemas are qualified.")
    };
    let is_query = |query: &String| parse::is_query(query);
    match &item.action {
        Action::CheckConstraint { expression, .. } if !parse::is_expression(expression) => {
            return Err(unfit("expression", "one expression of SQL"));
        }
        Action::Index(index) | Action::ExpressionIndex(index) => {
            if index.predicate.as_ref().is_some_and(|predicate| !parse::is_expression(predicate)) {
                return Err(unfit("predicate", "one expression of SQL"));
            }
            if index.keys.iter().any(|key| !parse::is_index_key(key)) {
                let what = "a list of columns and parenthesised expressions, each with DESC or without, and nothing else";
                return Err(unfit("keys", what));
            }
        }
        Action::View { query, options, accepts } => {
            if !parse::is_query(query) || !accepts.iter().all(is_query) {
                return Err(unfit("query", "one query"));
            }
            if options.as_ref().is_some_and(|options| !parse::is_view_options(options)) {
                return Err(unfit("options", "a list of storage options"));
            }
        }
        Action::MaterializedView { query, accepts }
            if !parse::is_query(query) || !accepts.iter().all(is_query) =>
        {
            return Err(unfit("query", "one query"));
        }
        _ => {}
    }
    let ours = ["groundskeeper", "groundskeeper_internal", "monitoring", "pg_catalog", "information_schema"];
    if ours.contains(&item.relation.schema.as_str()) {
        let reason = format!("is {}, which is not the user's", item.relation);
        return Err(unfit_item(&Unfit { field: "relation".to_owned(), reason }));
    }
    match catalog::relation(&item.relation)? {
        Some(relation) => catalog::must_own(relation.oid, &relation.quoted),
        None => Ok(()),
    }
}

/// Keeps an item from being dropped from the plan while it is applied.
pub fn hold(item: &Item) -> Result<()> {
    if item.author.is_none() {
        return Ok(());
    }
    let id = item.id();
    // who takes it off the plan and goes on for long holds nobody up who has locks on tables
    let row = "SELECT true FROM groundskeeper.plan_item WHERE item = $1 FOR KEY SHARE SKIP LOCKED";
    match as_owner(|| sql::returned(row, &[id.as_str().into()], |row| required::<bool>(row, 1)))? {
        Some(_) => Ok(()),
        None if added()?.iter().any(|added| added.item.id() == id) => {
            let message = format!("item \"{id}\" is being taken off the plan");
            Err(Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, message))
        }
        None => Err(unknown(&id)),
    }
}

fn keep(item: &Item) -> Result<()> {
    let definition = own::definition(item).map_err(|error| Failure::internal(error.to_string()))?.to_string();
    let role = backend::role();
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.plan_item (item, definition, added_by, added_by_oid, home)
             SELECT $1, $2::pg_catalog.jsonb, r.rolname, r.oid, $4 FROM pg_catalog.pg_roles r WHERE r.oid = $3",
            &[item.id().into(), definition.into(), role.into(), home().into()],
        )
    })
}

/// Takes an item off the plan that is applied no more; who has added it does, or who may act as that role.
pub fn drop(built_in: &'static Plan, id: &str) -> Result<()> {
    let Some(Added { item, .. }) = added()?.into_iter().find(|added| added.item.id() == id) else {
        let known = taken(built_in, id)?.is_some();
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("nobody has added an item \"{id}\" to the plan"),
        );
        return Err(if known {
            failure.hint(format!(
                "It is built in: SELECT groundskeeper.decline({}, 'reason') has apply_plan() leave it out.",
                quote_literal(id)
            ))
        } else {
            failure
                .hint("SELECT item FROM groundskeeper.plan_items WHERE origin = 'own' lists what was added.")
        });
    };
    // who is just applying it has its row until the transaction ends
    let row = "SELECT true FROM groundskeeper.plan_item WHERE item = $1 FOR UPDATE";
    as_owner(|| sql::returned(row, &[id.into()], |row| required::<bool>(row, 1)))?;
    let orphaned = item.author.as_ref().is_some_and(|author| author.oid.is_none());
    if !(super::rights::may_act(&item) || orphaned && backend::is_superuser()) {
        return Err(denied(&item));
    }
    let applied = journal::standing()?.iter().any(|change| change.item == id);
    // what a role has left that is gone goes with it
    if applied && !orphaned || jobs::active_by_item()?.contains_key(id) {
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("item \"{id}\" is applied, or a job has it"),
        );
        let roll_back =
            format!("SELECT * FROM groundskeeper.rollback_plan(items => ARRAY[{}]);", quote_literal(id));
        return Err(failure.hint(format!("Take it back first: {roll_back}")));
    }
    if applied {
        journal::mark_item_reverted(id)?;
    }
    as_owner(|| {
        sql::run("DELETE FROM groundskeeper.plan_item WHERE item = $1", &[id.into()])?;
        sql::run("DELETE FROM groundskeeper.plan_decline WHERE item = $1", &[id.into()])
    })
}

fn denied(item: &Item) -> Failure {
    let failure = Failure::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for item \"{}\"", item.id()),
    );
    match &item.author {
        Some(author) => failure.detail(format!("It was added by {}.", author.role)),
        None => failure.detail(format!("It takes the rights of the owner of {}.", item.relation)),
    }
}

/// Has `apply_plan()` leave an item out, or take it up again where there is no reason any more.
pub fn decline(built_in: &'static Plan, id: &str, reason: Option<&str>) -> Result<()> {
    let Some(item) = taken(built_in, id)?.filter(|item| !matches!(item.action, Action::DroppedIndex { .. }))
    else {
        return Err(unknown(id));
    };
    if !may_decide(&item)? {
        return Err(denied(&item));
    }
    let Some(reason) = reason else {
        return as_owner(|| sql::run("DELETE FROM groundskeeper.plan_decline WHERE item = $1", &[id.into()]));
    };
    if reason.trim().is_empty() {
        return Err(invalid("reason must not be empty").hint("NULL takes a decline back."));
    }
    if journal::standing()?.iter().any(|change| change.item == id) || jobs::active_by_item()?.contains_key(id)
    {
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("item \"{id}\" is applied, or a job has it"),
        );
        let roll_back =
            format!("SELECT * FROM groundskeeper.rollback_plan(items => ARRAY[{}]);", quote_literal(id));
        return Err(failure.hint(format!("Take it back first: {roll_back}")));
    }
    let caller = sql::texts("SELECT CURRENT_USER::text", &[])?.into_iter().next();
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.plan_decline (item, reason, declined_by) VALUES ($1, $2, $3)
             ON CONFLICT (item) DO UPDATE SET reason = EXCLUDED.reason, declined_by = EXCLUDED.declined_by,
                                              declined_at = EXCLUDED.declined_at",
            &[id.into(), reason.into(), caller.into()],
        )
    })
}

/// An id that no item has.
pub fn unknown(id: &str) -> Failure {
    invalid(format!("the plan has no item \"{id}\""))
        .hint("SELECT item FROM groundskeeper.plan_status() lists them.")
}

/// Whether the caller may say what is done about an item: who has added it, or who may act as the owner of its relation,
/// or of the extension where that is not there.
fn may_decide(item: &Item) -> Result<bool> {
    if item.author.is_some() {
        return Ok(super::rights::may_act(item) || backend::is_superuser());
    }
    let of_relation = |name: &Qualified| owner::oid_by_name(name).and_then(owner::owner_of);
    match of_relation(&item.relation) {
        Some(role) => Ok(owner::has_rights_of(role)),
        None => Ok(backend::is_superuser()),
    }
}
