//! Views and materialized views that could be the plan's.

use super::canonical::canonical_query;
use crate::error::Result;
use crate::owner;
use crate::sql::{self, required};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::decide::{ViewFact, noun};
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
    sql::kept(
        "WITH candidate (oid) AS (
             SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = $1 AND c.relname = $2
             UNION
             SELECT r.ev_class FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
              WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY ($4))
         SELECT n.nspname::text, c.relname::text, c.relkind::text,
                CASE WHEN c.relkind = $3::\"char\" AND (c.relowner = $5 OR NOT EXISTS (
                    -- what takes user-defined types to read is not the plan's, and might call functions to be read
                    SELECT FROM pg_catalog.pg_rewrite w
                      JOIN pg_catalog.pg_depend t ON t.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                       AND t.objid = w.oid AND t.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                     WHERE w.ev_class = c.oid AND t.refobjid >= 16384))
                THEN pg_catalog.pg_get_viewdef(c.oid) END
           FROM candidate f
           JOIN pg_catalog.pg_class c ON c.oid = f.oid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE (n.nspname = $1 AND c.relname = $2) OR c.relkind = $3::\"char\"
          ORDER BY 1, 2",
        &[
            wanted.name.schema.as_str().into(),
            wanted.name.name.as_str().into(),
            kind.as_str().into(),
            sources.to_vec().into(),
            owner::author().into(),
        ],
        |row| {
            let definition: Option<String> = row.get(4)?;
            Ok(ViewFact {
                name: Qualified { schema: required(row, 1)?, name: required(row, 2)? },
                what: noun(required::<String>(row, 3)?.chars().next().unwrap_or(' ')),
                same_definition: definition
                    .is_some_and(|d| canonical_query(&d).is_ok_and(|d| canonical.contains(&d))),
            })
        },
    )
}
