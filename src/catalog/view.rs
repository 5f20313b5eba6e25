//! Views and materialized views that could be the plan's.

use super::canonical::canonical_query;
use crate::error::Result;
use crate::sql::{self, required};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::decide::ViewFact;
use pgrx::pg_sys::Oid;

/// A view as it is wanted.
pub struct View<'a> {
    /// Its name.
    pub name: &'a Qualified,
    /// `v` or `m`.
    pub kind: char,
    /// Its query, and others that count as the same.
    pub queries: Vec<&'a str>,
}

/// The relation that has the wanted name, and the views of the same kind over the same relations.
pub fn views(wanted: &View, sources: &[Oid]) -> Result<Vec<ViewFact>> {
    let canonical: Vec<String> = wanted.queries.iter().map(|q| canonical_query(q)).collect::<Result<_>>()?;
    let kind = wanted.kind.to_string();
    sql::rows(
        "SELECT n.nspname::text, c.relname::text, c.relkind::text,
                CASE WHEN c.relkind = $3::\"char\" AND NOT EXISTS (
                    -- what takes user-defined types to read is not the plan's, and might call functions to be read
                    SELECT FROM pg_catalog.pg_rewrite w
                      JOIN pg_catalog.pg_depend t ON t.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                       AND t.objid = w.oid AND t.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                     WHERE w.ev_class = c.oid AND t.refobjid >= 16384)
                THEN pg_catalog.pg_get_viewdef(c.oid) END
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE (n.nspname = $1 AND c.relname = $2)
             OR (c.relkind = $3::\"char\" AND EXISTS (
                    SELECT FROM pg_catalog.pg_rewrite r
                      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                       AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                     WHERE r.ev_class = c.oid AND d.refobjid = ANY ($4)))
          ORDER BY 1, 2",
        &[
            wanted.name.schema.as_str().into(),
            wanted.name.name.as_str().into(),
            kind.as_str().into(),
            sources.to_vec().into(),
        ],
        |row| {
            let definition: Option<String> = row.get(4)?;
            Ok(ViewFact {
                name: Qualified { schema: required(row, 1)?, name: required(row, 2)? },
                what: noun(&required::<String>(row, 3)?),
                same_definition: definition
                    .is_some_and(|d| canonical_query(&d).is_ok_and(|d| canonical.contains(&d))),
            })
        },
    )
}

fn noun(relkind: &str) -> &'static str {
    match relkind {
        "v" => "view",
        "m" => "materialized view",
        "r" | "p" => "table",
        "i" | "I" => "index",
        "S" => "sequence",
        "f" => "foreign table",
        _ => "relation",
    }
}
