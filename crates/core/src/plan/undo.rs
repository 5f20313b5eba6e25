//! What is written down of a change, so that it can be taken back.

use super::drift::Made;
use super::role::Changed;
use crate::job::Definition;
use crate::names::Qualified;
use serde::{Deserialize, Serialize};

/// A change as the change log is to have it. A job carries the one that it will have made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The id of its item.
    pub item: String,
    /// The statements that made it.
    pub forward: Vec<String>,
    /// Those that take it back.
    pub inverse: Vec<String>,
    /// What was there before.
    pub prior_definition: Option<String>,
    /// What the catalogs will no longer tell.
    pub undo: Undo,
}

/// What rollback must know that the catalogs no longer tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Undo {
    /// The type that a column had.
    pub column_type: Option<String>,
    /// A constraint that was there, but not validated.
    pub was_not_valid: Option<String>,
    /// The relation, where it has another name than in the plan.
    pub relation: Option<Qualified>,
    /// What a role was given.
    pub role: Option<Given>,
    /// The unused index that was dropped.
    pub dropped_index: Option<Definition>,
    /// What was made, by which it is known again whatever its name is by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// Nothing to take back: only data was computed.
    pub data_only: bool,
}

/// What a role was given, for the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The role's name, by which a copy of the database elsewhere knows it.
    pub role: String,
    /// Its OID, by which it is known where it was given them, whatever its name is by now.
    pub oid: u32,
    /// That place.
    pub home: String,
    /// The settings.
    pub settings: Vec<Changed>,
}
