//! The change log: written in the transaction that made the change, as the extension's owner.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, required, script};
use groundskeeper_core::plan::{Entry, Undo};

/// A change that still stands.
pub struct Change {
    /// Its number.
    pub id: i64,
    /// Its item.
    pub item: String,
    /// What the catalogs no longer tell.
    pub undo: Undo,
    /// The statements that took it back then.
    pub inverse_sql: String,
}

/// Records that an item was carried out, unless a change of it stands already.
pub fn record(entry: &Entry) -> Result<()> {
    if entry.undo.data_only {
        return Ok(());
    }
    match standing()?.iter().find(|change| change.item == entry.item) {
        None => add(entry),
        Some(change) => made_again(change, entry),
    }
}

/// What was dropped meanwhile and made again has other OIDs.
fn made_again(change: &Change, entry: &Entry) -> Result<()> {
    let Some(made) = entry.undo.made.as_ref().filter(|made| Some(*made) != change.undo.made.as_ref()) else {
        return Ok(());
    };
    let made = serde_json::to_string(made).map_err(|e| Failure::internal(e.to_string()))?;
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.change SET undo = pg_catalog.jsonb_set(undo, '{made}', $2::pg_catalog.jsonb)
              WHERE change_id = $1",
            &[change.id.into(), made.as_str().into()],
        )
    })
}

/// Records a change beside those of the item that stand: each is taken back by itself, newest first.
pub fn add(entry: &Entry) -> Result<()> {
    let undo = serde_json::to_string(&entry.undo).map_err(|e| Failure::internal(e.to_string()))?;
    let caller = caller()?;
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.change
                    (item, applied_by, forward_sql, inverse_sql, prior_definition, undo)
             VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.jsonb)",
            &[
                entry.item.as_str().into(),
                caller.as_str().into(),
                script(&entry.forward).into(),
                script(&entry.inverse).into(),
                entry.prior_definition.clone().into(),
                undo.as_str().into(),
            ],
        )
    })
}

/// The changes that have not been taken back, newest first.
pub fn standing() -> Result<Vec<Change>> {
    as_owner(|| {
        sql::kept(
            "SELECT change_id, item, undo::text, inverse_sql FROM groundskeeper.change
              WHERE reverted_at IS NULL ORDER BY change_id DESC",
            &[],
            |row| {
                let undo: String = required(row, 3)?;
                Ok(Change {
                    id: required(row, 1)?,
                    item: required(row, 2)?,
                    undo: serde_json::from_str(&undo).map_err(|e| Failure::internal(e.to_string()))?,
                    inverse_sql: required(row, 4)?,
                })
            },
        )
    })
}

/// Whether an item was ever carried out.
pub fn mentions(item: &str) -> Result<bool> {
    let mentioned = as_owner(|| {
        sql::first(
            "SELECT EXISTS (SELECT FROM groundskeeper.change WHERE item = $1)",
            &[item.into()],
            |row| required::<bool>(row, 1),
        )
    })?;
    Ok(mentioned == Some(true))
}

/// Marks all that stands of an item as taken back.
pub fn mark_item_reverted(item: &str) -> Result<()> {
    standing()?.iter().filter(|change| change.item == item).try_for_each(|change| mark_reverted(change.id))
}

/// Marks a change as taken back.
pub fn mark_reverted(change: i64) -> Result<()> {
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.change SET reverted_at = pg_catalog.clock_timestamp() WHERE change_id = $1",
            &[change.into()],
        )
    })
}

/// The role that asks.
fn caller() -> Result<String> {
    Ok(sql::texts("SELECT SESSION_USER::text", &[])?.into_iter().next().unwrap_or_default())
}
