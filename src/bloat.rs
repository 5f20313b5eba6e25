//! Estimates of bloat: the facts are read as the extension's owner, who may see every table's statistics, and only the
//! figure is handed out.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, required};
use groundskeeper_core::bloat::{BTree, Distrust, Heap};
use pgrx::pg_sys::Oid;
use serde::de::DeserializeOwned;

/// A relation, and its share of waste or why there is no telling.
pub struct Estimate {
    /// Which.
    pub relation: Oid,
    /// In percent.
    pub percent: Option<f64>,
    /// Why not.
    pub reason: Option<String>,
}

/// Of tables whose files have so many bytes.
pub fn of_tables(relations: Vec<Oid>, bytes: Vec<i64>) -> Result<Vec<Estimate>> {
    judged(include_str!("bloat/tables.sql"), relations, bytes, Heap::waste)
}

/// Of B-trees whose files have so many bytes.
pub fn of_indexes(relations: Vec<Oid>, bytes: Vec<i64>) -> Result<Vec<Estimate>> {
    judged(include_str!("bloat/indexes.sql"), relations, bytes, BTree::waste)
}

fn judged<T: DeserializeOwned>(
    query: &str,
    relations: Vec<Oid>,
    bytes: Vec<i64>,
    judge: fn(&T) -> std::result::Result<f64, Distrust>,
) -> Result<Vec<Estimate>> {
    as_owner(|| {
        sql::rows(query, &[relations.into(), bytes.into()], |row| {
            let facts: String = required(row, 2)?;
            let facts: T =
                serde_json::from_str(&facts).map_err(|error| Failure::internal(error.to_string()))?;
            let verdict = judge(&facts);
            Ok(Estimate {
                relation: required(row, 1)?,
                percent: verdict.as_ref().ok().map(|share| share * 100.0),
                reason: verdict.err().map(|distrust| distrust.to_string()),
            })
        })
    })
}
