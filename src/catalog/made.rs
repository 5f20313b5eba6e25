//! What a change has made, by OID, and what has become of it.

use crate::error::Result;
use crate::extension::home;
use crate::sql::{self, required};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::drift::{Made, Now};
use pgrx::pg_sys::Oid;

/// A thing that a change makes on, or of, a relation.
#[derive(Debug, Clone, Copy)]
pub enum Thing<'a> {
    /// The relation: a view or materialized view.
    Relation,
    /// An index of it.
    Index(&'a str),
    /// A constraint on it.
    Constraint(&'a str),
    /// The type of a column.
    Column(&'a str),
}

impl<'a> Thing<'a> {
    /// Its name within the relation.
    pub fn name(self) -> Option<&'a str> {
        match self {
            Self::Relation => None,
            Self::Index(name) | Self::Constraint(name) | Self::Column(name) => Some(name),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Relation => "relation",
            Self::Index(_) => "index",
            Self::Constraint(_) => "constraint",
            Self::Column(_) => "column",
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
    let found = sql::first(query, &arguments, |row| {
        Ok(Made {
            home: home(),
            relation: u32::from(required::<Oid>(row, 1)?),
            object: row.get::<Oid>(2)?.map(u32::from),
            column: row.get(3)?,
            definition: row.get(4)?,
            kept: row.get(5)?,
        })
    })?;
    Ok(found.filter(|made| match thing {
        Thing::Relation => made.definition.is_some(),
        Thing::Index(_) | Thing::Constraint(_) => made.object.is_some(),
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
    let now = sql::first(query, &arguments, |row| {
        let relation = row.get::<String>(1)?.zip(row.get::<String>(2)?);
        Ok(Now {
            relation: relation.map(|(schema, name)| Qualified { schema, name }),
            object: row.get(3)?,
            definition: row.get(4)?,
            kept: row.get(5)?,
            namesake: row.get::<String>(6)?.and_then(|kind| kind.chars().next()),
        })
    })?;
    Ok(now.unwrap_or_default())
}
