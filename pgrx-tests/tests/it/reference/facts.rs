//! What the catalogs say of what a person calls, reads and sets.

use anyhow::{Context as _, Result};
use postgres::Client;
use serde::Deserialize;
use serde_json::Value;

/// A function or a procedure.
#[derive(Deserialize)]
pub struct Routine {
    pub name: String,
    /// Its arguments with their defaults.
    pub arguments: String,
    /// What it returns; nothing, where it is called by CALL.
    pub result: Option<String>,
    pub comment: String,
    /// The roles that may call it, beside its owner and superusers.
    pub may: Vec<String>,
}

/// A view or a table.
#[derive(Deserialize)]
pub struct Relation {
    pub name: String,
    pub comment: String,
    pub columns: Vec<Column>,
    /// The roles that may read it.
    pub may: Vec<String>,
}

#[derive(Deserialize)]
pub struct Column {
    pub name: String,
    pub r#type: String,
    pub comment: Option<String>,
}

#[derive(Deserialize)]
pub struct Setting {
    pub name: String,
    pub default: String,
    pub range: Option<String>,
    pub context: String,
    pub comment: String,
}

/// All of it, in the schemas that people look into.
#[derive(Deserialize)]
pub struct Facts {
    pub routines: Vec<Routine>,
    pub relations: Vec<Relation>,
    pub settings: Vec<Setting>,
}

impl Facts {
    pub fn read(client: &mut Client) -> Result<Self> {
        client.batch_execute("LOAD 'pg_groundskeeper'")?;
        let facts: Value = client.query_one(include_str!("facts.sql"), &[])?.get(0);
        serde_json::from_value(facts).context("what the catalogs say is of another form")
    }

    pub fn routine(&self, name: &str) -> Option<&Routine> {
        self.routines.iter().find(|routine| routine.name == name)
    }

    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        let relations = self.relations.iter().map(|relation| relation.name.as_str());
        self.routines.iter().map(|routine| routine.name.as_str()).chain(relations)
    }
}
