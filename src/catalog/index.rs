//! Indexes: the wanted one as a statement, and those that exist, compared with it.

use super::canonical::canonical_query;
use crate::error::Result;
use crate::owner;
use crate::sql::{self, quote_identifier, required};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::decide::IndexFact;
use pgrx::pg_sys::Oid;

/// An index as it is wanted, its keys looked up.
#[derive(Debug, Clone)]
pub struct WantedIndex<'a> {
    /// Its name.
    pub name: &'a str,
    /// The relation, quoted.
    pub relation: &'a str,
    /// Key columns or expressions in SQL, each with its direction.
    pub keys: &'a [String],
    /// Its predicate, in SQL.
    pub predicate: Option<&'a str>,
    /// Whether it is unique.
    pub unique: bool,
}

/// How an index is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Under a lock that blocks writers.
    Plain,
    /// Without blocking writers, outside of a transaction.
    Concurrent,
    /// On a partitioned table alone: not valid until an index of each partition is attached.
    OnlyParent,
}

/// The statement that builds an index.
pub fn statement(index: &WantedIndex, build: Build) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let concurrently = if build == Build::Concurrent { "CONCURRENTLY " } else { "" };
    let only = if build == Build::OnlyParent { "ONLY " } else { "" };
    let predicate = index.predicate.map(|p| format!(" WHERE {p}")).unwrap_or_default();
    format!(
        "CREATE {unique}INDEX {concurrently}{} ON {only}{} USING btree ({}){predicate}",
        quote_identifier(index.name),
        index.relation,
        index.keys.join(", "),
    )
}

/// The indexes of a relation, each compared with the wanted one; whether one begins with its keys only where that will do.
pub fn indexes(oid: Oid, wanted: &WantedIndex, prefix_will_do: bool) -> Result<Vec<IndexFact>> {
    let (keys, directions) = split_directions(wanted.keys);
    let wanted_shape = shape(wanted.relation, &keys, wanted.predicate)?;
    // where it serves that another begins with the same keys
    let wanted_keys = match wanted.predicate {
        _ if !prefix_will_do => None,
        None => Some(wanted_shape.clone()),
        Some(_) => Some(shape(wanted.relation, &keys, None)?),
    };
    sql::kept(
        "SELECT c.relname::text, i.indisvalid AND i.indisready AND i.indislive, i.indisunique,
                ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, true)
                        FROM pg_catalog.generate_series(1, i.indnkeyatts) k ORDER BY k),
                ARRAY(SELECT o::integer FROM pg_catalog.unnest(i.indoption) WITH ORDINALITY u(o, place) ORDER BY place),
                pg_catalog.pg_get_expr(i.indpred, i.indrelid, true),
                am.amname = 'btree' AND i.indnatts = i.indnkeyatts AND NOT i.indisexclusion
                    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indclass) oc(oid)
                                      JOIN pg_catalog.pg_opclass o ON o.oid = oc.oid WHERE NOT o.opcdefault)
                    AND pg_catalog.pg_get_indexdef(i.indexrelid) NOT LIKE '%NULLS NOT DISTINCT%'
                    AND (c.relowner = $2
                         OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                                         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                                           AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                                           AND d.refobjid >= 16384))
           FROM pg_catalog.pg_index i
           JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
           JOIN pg_catalog.pg_am am ON am.oid = c.relam
          WHERE i.indrelid = $1
          ORDER BY c.relname",
        &[oid.into(), owner::author().into()],
        |row| {
            let found = Row {
                unique: required(row, 3)?,
                keys: required(row, 4)?,
                directions: required(row, 5)?,
                predicate: row.get(6)?,
                ordinary: required(row, 7)?,
            };
            Ok(IndexFact {
                name: required(row, 1)?,
                valid: required(row, 2)?,
                same_definition: found.is(wanted, &directions, &wanted_shape),
                serves: wanted_keys
                    .as_ref()
                    .is_some_and(|wanted_keys| found.begins_with(wanted.relation, keys.len(), wanted_keys)),
            })
        },
    )
}

/// An index as the catalog has it.
struct Row {
    unique: bool,
    keys: Vec<String>,
    directions: Vec<i32>,
    predicate: Option<String>,
    ordinary: bool,
}

impl Row {
    fn is(&self, wanted: &WantedIndex, directions: &[i32], wanted_shape: &str) -> bool {
        self.ordinary
            && self.unique == wanted.unique
            && self.directions == directions
            && self.predicate.is_some() == wanted.predicate.is_some()
            && shape(wanted.relation, &self.keys, self.predicate.as_deref()).is_ok_and(|s| s == wanted_shape)
    }

    fn begins_with(&self, relation: &str, keys: usize, wanted_keys: &str) -> bool {
        self.ordinary
            && self.predicate.is_none()
            && self.keys.len() >= keys
            && shape(relation, &self.keys[..keys], None).is_ok_and(|s| s == wanted_keys)
    }
}

/// Keys and predicate as a query, in PostgreSQL's own words.
fn shape(relation: &str, keys: &[String], predicate: Option<&str>) -> Result<String> {
    let filter = predicate.map(|p| format!(" WHERE {p}")).unwrap_or_default();
    canonical_query(&format!("SELECT {} FROM ONLY {relation}{filter}", keys.join(", ")))
}

/// Keys without their direction, and `pg_index.indoption` of each: DESC is 3, as it puts NULLs first.
fn split_directions(keys: &[String]) -> (Vec<String>, Vec<i32>) {
    keys.iter()
        .map(|key| match key.strip_suffix(" DESC") {
            Some(plain) => (plain.to_owned(), 3),
            None => (key.clone(), 0),
        })
        .unzip()
}

/// What has the index's name in its schema and is no index of this relation.
pub fn name_taken_by(schema: &str, name: &str, relation: Oid) -> Result<Option<String>> {
    sql::kept_first(
        "SELECT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0)
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
          WHERE n.nspname = $1 AND c.relname = $2 AND i.indrelid IS DISTINCT FROM $3",
        &[schema.into(), name.into(), relation.into()],
        |row| required::<String>(row, 1),
    )
}

/// An index by name: its size in bytes, and whether queries may use it.
pub fn index_named(schema: &str, name: &str) -> Result<Option<(u64, bool)>> {
    let found = sql::kept_first(
        "SELECT c.oid, i.indisvalid AND i.indisready AND i.indislive
           FROM pg_catalog.pg_index i
           JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = $2",
        &[schema.into(), name.into()],
        |row| Ok((required::<Oid>(row, 1)?, required::<bool>(row, 2)?)),
    )?;
    found.map(|(oid, valid)| Ok((super::relation_bytes(oid)?, valid))).transpose()
}

/// The partitions of a table that have no index attached to one of the parent's, the oldest first.
pub fn partitions_without(table: &Qualified, index: &Qualified) -> Result<Vec<Qualified>> {
    sql::kept(
        "SELECT pn.nspname::text, p.relname::text
           FROM pg_catalog.pg_inherits i
           JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
           JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
           JOIN pg_catalog.pg_class t ON t.oid = i.inhparent
           JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
          WHERE tn.nspname = $1 AND t.relname = $2
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_index x
                  JOIN pg_catalog.pg_inherits a ON a.inhrelid = x.indexrelid
                  JOIN pg_catalog.pg_class pi ON pi.oid = a.inhparent
                  JOIN pg_catalog.pg_namespace n ON n.oid = pi.relnamespace
                 WHERE x.indrelid = p.oid AND n.nspname = $3 AND pi.relname = $4)
          ORDER BY p.oid",
        &[
            table.schema.as_str().into(),
            table.name.as_str().into(),
            index.schema.as_str().into(),
            index.name.as_str().into(),
        ],
        |row| Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? }),
    )
}

/// The INVALID indexes that an interrupted `REINDEX CONCURRENTLY` left beside an index.
pub fn reindex_leftovers(index: &Qualified) -> Result<Vec<Qualified>> {
    sql::kept(
        "SELECT n.nspname::text, l.relname::text
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
           JOIN pg_catalog.pg_index x ON x.indrelid = i.indrelid AND NOT x.indisvalid
           JOIN pg_catalog.pg_class l ON l.oid = x.indexrelid
          WHERE n.nspname = $1 AND c.relname = $2
            AND l.relname ~ '_cc(new|old)[0-9]*$'
            AND pg_catalog.starts_with(c.relname, pg_catalog.regexp_replace(l.relname, '_cc(new|old)[0-9]*$', ''))",
        &[index.schema.as_str().into(), index.name.as_str().into()],
        |row| Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? }),
    )
}
