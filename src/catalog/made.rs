//! What a change has made, by OID, and what has become of it.

use crate::error::Result;
use crate::extension::home;
use crate::sql::{self, required};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::drift::{Made, Now, Trigger};
use pgrx::pg_sys::Oid;

/// A thing that a change makes on, or of, a relation.
#[derive(Debug, Clone, Copy)]
pub enum Thing<'a> {
    /// The relation: a view or materialized view.
    Relation,
    /// Nothing of the relation, which is only known of elsewhere.
    Place,
    /// An index of it.
    Index(&'a str),
    /// A constraint on it.
    Constraint(&'a str),
    /// The type of a column.
    Column(&'a str),
    /// Triggers of these names, and the function that they run.
    Triggers(&'a [&'a str]),
}

impl<'a> Thing<'a> {
    /// Its name within the relation.
    pub fn name(self) -> Option<&'a str> {
        match self {
            Self::Relation | Self::Place | Self::Triggers(_) => None,
            Self::Index(name) | Self::Constraint(name) | Self::Column(name) => Some(name),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Relation => "relation",
            Self::Place => "place",
            Self::Index(_) => "index",
            Self::Constraint(_) => "constraint",
            Self::Column(_) => "column",
            Self::Triggers(_) => "triggers",
        }
    }
}

/// What is there by these names.
pub fn made(place: &Qualified, thing: Thing) -> Result<Option<Made>> {
    let query = "
        SELECT c.oid,
               CASE $3 WHEN 'index' THEN (SELECT i.indexrelid FROM pg_catalog.pg_index i
                                            JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                                           WHERE i.indrelid = c.oid AND x.relname = $4)
                       WHEN 'constraint' THEN (SELECT n.oid FROM pg_catalog.pg_constraint n
                                                WHERE n.conrelid = c.oid AND n.conname = $4) END,
               a.attnum,
               CASE $3 WHEN 'column' THEN pg_catalog.format_type(a.atttypid, a.atttypmod)
                       WHEN 'relation' THEN pg_catalog.pg_get_viewdef(c.oid) END,
               CASE WHEN $3 = 'relation' THEN (SELECT pg_catalog.md5(w.ev_action::text) FROM pg_catalog.pg_rewrite w
                                                WHERE w.ev_class = c.oid AND w.rulename = '_RETURN') END
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
          LEFT JOIN pg_catalog.pg_attribute a
            ON $3 = 'column' AND a.attrelid = c.oid AND a.attname = $4 AND a.attnum > 0 AND NOT a.attisdropped
         WHERE s.nspname = $1 AND c.relname = $2";
    let arguments =
        [place.schema.as_str().into(), place.name.as_str().into(), thing.kind().into(), thing.name().into()];
    let found = sql::kept_first(query, &arguments, |row| {
        Ok(Made {
            home: home(),
            relation: u32::from(required::<Oid>(row, 1)?),
            object: row.get::<Oid>(2)?.map(u32::from),
            column: row.get(3)?,
            definition: row.get(4)?,
            kept: row.get(5)?,
            ..Made::default()
        })
    })?;
    let found = match thing {
        Thing::Triggers(names) => found.map(|made| with_triggers(made, names)).transpose()?,
        _ => found,
    };
    Ok(found.filter(|made| match thing {
        Thing::Relation => made.definition.is_some(),
        Thing::Place => true,
        Thing::Index(_) | Thing::Constraint(_) | Thing::Triggers(_) => made.object.is_some(),
        Thing::Column(_) => made.column.is_some(),
    }))
}

/// What has become of it; `place` is the name that the relation had.
pub fn made_now(made: &Made, place: &Qualified) -> Result<Now> {
    let query = "
        SELECT s.nspname::text, c.relname::text,
               CASE WHEN $2 IS NOT NULL
                    THEN COALESCE((SELECT x.relname FROM pg_catalog.pg_index i
                                     JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                                    WHERE i.indexrelid = $2 AND i.indrelid = c.oid),
                                  (SELECT n.conname FROM pg_catalog.pg_constraint n
                                    WHERE n.oid = $2 AND n.conrelid = c.oid))
                    ELSE a.attname END::text,
               CASE WHEN $3 IS NOT NULL THEN pg_catalog.format_type(a.atttypid, a.atttypmod)
                    WHEN $2 IS NULL AND c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
               CASE WHEN $2 IS NULL AND $3 IS NULL
                    THEN (SELECT pg_catalog.md5(w.ev_action::text) FROM pg_catalog.pg_rewrite w
                           WHERE w.ev_class = c.oid AND w.rulename = '_RETURN') END,
               (SELECT k.relkind::text FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace t ON t.oid = k.relnamespace
                 WHERE t.nspname = $4 AND k.relname = $5 AND k.oid <> $1)
          FROM (SELECT) one
          LEFT JOIN pg_catalog.pg_class c ON c.oid = $1
          LEFT JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
          LEFT JOIN pg_catalog.pg_attribute a
            ON a.attrelid = c.oid AND a.attnum = $3 AND a.attnum > 0 AND NOT a.attisdropped";
    let arguments = [
        Oid::from(made.relation).into(),
        made.object.map(Oid::from).into(),
        made.column.into(),
        place.schema.as_str().into(),
        place.name.as_str().into(),
    ];
    let now = sql::kept_first(query, &arguments, |row| {
        let relation = row.get::<String>(1)?.zip(row.get::<String>(2)?);
        Ok(Now {
            relation: relation.map(|(schema, name)| Qualified { schema, name }),
            object: row.get(3)?,
            definition: row.get(4)?,
            kept: row.get(5)?,
            namesake: row.get::<String>(6)?.and_then(|kind| kind.chars().next()),
            ..Now::default()
        })
    })?;
    let now = now.unwrap_or_default();
    match (&made.function, made.object) {
        (Some(_), Some(function)) if now.relation.is_some() => {
            let (object, definition) = function_of(function)?.unzip();
            let triggers = triggers(made.relation, function)?;
            Ok(Now { object, definition, triggers, ..now })
        }
        _ => Ok(now),
    }
}

/// Adds the triggers of these names, and the function that they run.
fn with_triggers(made: Made, names: &[&str]) -> Result<Made> {
    let run = "SELECT tgfoid FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname::text = ANY ($2) ORDER BY tgname LIMIT 1";
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let arguments = [Oid::from(made.relation).into(), names.into()];
    let Some(function) = sql::kept_first(run, &arguments, |row| required::<Oid>(row, 1))?.map(u32::from)
    else {
        return Ok(made);
    };
    let (name, definition) = function_of(function)?.unzip();
    let triggers = triggers(made.relation, function)?;
    Ok(Made { object: Some(function), function: name, definition, triggers, ..made })
}

/// A function's name, and a checksum of what it does.
fn function_of(function: u32) -> Result<Option<(String, String)>> {
    let query =
        "SELECT proname::text, pg_catalog.md5(pg_catalog.concat_ws(' ', prosrc, prosecdef, proconfig::text))
                   FROM pg_catalog.pg_proc WHERE oid = $1";
    sql::kept_first(query, &[Oid::from(function).into()], |row| Ok((required(row, 1)?, required(row, 2)?)))
}

/// Whether the function of that signature is another than the one that a change made elsewhere.
pub fn is_edited(made: &Made, signature: &str) -> Result<bool> {
    let found = "SELECT pg_catalog.to_regprocedure($1)::pg_catalog.oid";
    let found = sql::kept_first(found, &[signature.into()], |row| row.get::<Oid>(1))?.flatten();
    let now = found.map_or(Ok(None), |oid| function_of(u32::from(oid)))?;
    Ok(now.is_some_and(|(_, now)| made.definition.as_ref().is_some_and(|was| *was != now)))
}

/// A function with the types of its arguments, quoted.
pub fn signature(function: u32) -> Result<Option<String>> {
    let query = "SELECT oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc WHERE oid = $1";
    sql::kept_first(query, &[Oid::from(function).into()], |row| required(row, 1))
}

/// The function that a change made, where it is as it was made and no trigger runs it any more.
pub fn function_left(made: &Made) -> Result<Option<String>> {
    let Some(function) = made.object.filter(|_| made.function.is_some()) else { return Ok(None) };
    let runs = "SELECT true FROM pg_catalog.pg_trigger WHERE tgfoid = $1";
    let is_run = sql::kept_first(runs, &[Oid::from(function).into()], |row| required::<bool>(row, 1))?;
    let now = function_of(function)?.map(|(_, definition)| definition);
    if is_run.is_some() || now.is_none() || now != made.definition {
        return Ok(None);
    }
    signature(function)
}

/// The triggers of a relation that run a function.
pub fn triggers(relation: u32, function: u32) -> Result<Vec<Trigger>> {
    let query = "
        SELECT oid, tgname::text, pg_catalog.md5(pg_catalog.concat_ws(' ', tgtype, tgqual, tgattr)), tgenabled = 'D'
          FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgfoid = $2 AND NOT tgisinternal ORDER BY tgname";
    sql::kept(query, &[Oid::from(relation).into(), Oid::from(function).into()], |row| {
        let oid = u32::from(required::<Oid>(row, 1)?);
        Ok(Trigger { oid, name: required(row, 2)?, definition: required(row, 3)?, off: required(row, 4)? })
    })
}
