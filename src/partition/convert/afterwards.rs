//! What will behave otherwise than before: of the table, its triggers, and the functions that use it. Their sources are
//! read, never run; everybody may read them.

use crate::catalog::Relation;
use crate::error::Result;
use crate::partition::convert::OWN_TRIGGERS;
use crate::sql::{self, quote_identifier, required};
use groundskeeper_core::partition::afterwards::{self, Table, Trigger};
use groundskeeper_core::partition::preflight::Finding;
use groundskeeper_core::partition::source::{self, Use};
use pgrx::pg_sys::Oid;

/// Everything of this kind. `lost` are the columns of a primary key that the whole will not have, and the key table;
/// `loses_unique` says whether there is any unique index that it will not have.
pub fn findings(
    table: &Relation,
    key: &str,
    lost: Option<(&[String], &str)>,
    loses_unique: bool,
) -> Result<Vec<Finding>> {
    let columns: Vec<String> = lost.iter().flat_map(|(columns, _)| *columns).map(quote_identifier).collect();
    let (columns, quoted_key) = (columns.join(", "), quote_identifier(key));
    let known = Table {
        quoted: &table.quoted,
        key: &quoted_key,
        lost: lost.map(|(_, keys)| (columns.as_str(), keys)),
    };
    let mut found = afterwards::of_table(&known);
    for trigger in triggers(table.oid)? {
        found.extend(afterwards::of_trigger(&known, key, &trigger));
    }
    let used = source::Table {
        schema: &table.name.schema,
        name: &table.name.name,
        lost_key: lost.map_or(&[], |(columns, _)| columns),
        loses_unique,
    };
    for function in functions(table)? {
        let uses = source::uses(&function.source, &used);
        // What PostgreSQL knows itself of a body in SQL is told by the catalogs.
        let known = |used: &Use| function.is_parsed && matches!(used, Use::GroupBy | Use::Only);
        found.extend(
            uses.iter().filter(|used| !known(used)).map(|used| afterwards::of_function(&function.name, used)),
        );
    }
    Ok(found)
}

fn triggers(relation: Oid) -> Result<Vec<Trigger>> {
    sql::rows(
        "SELECT pg_catalog.quote_ident(g.tgname), p.oid::pg_catalog.regprocedure::text, g.tgtype::integer, g.tgenabled <> 'D', p.prosrc
           FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
          WHERE g.tgrelid = $1 AND NOT g.tgisinternal AND g.tgtype & 1 = 1 AND g.tgname <> ALL ($2)
          ORDER BY g.tgname",
        &[relation.into(), OWN_TRIGGERS.to_vec().into()],
        |row| {
            Ok(Trigger {
                name: required(row, 1)?,
                function: required(row, 2)?,
                kind: required(row, 3)?,
                is_enabled: required(row, 4)?,
                source: required(row, 5)?,
            })
        },
    )
}

struct Function {
    name: String,
    source: String,
    /// Whether PostgreSQL has parsed it, so that all names in it are known.
    is_parsed: bool,
}

/// The functions whose source has the table's name in it. Those of extensions are for these to know.
fn functions(table: &Relation) -> Result<Vec<Function>> {
    sql::rows(
        "SELECT p.oid::pg_catalog.regprocedure::text, s.source, p.prosqlbody IS NOT NULL
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
          CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)) s (source)
          WHERE l.lanname <> ALL ('{c,internal}')
            AND CASE WHEN p.prosqlbody IS NULL
                     THEN pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower(pg_catalog.replace($2, '\"', '\"\"'))) > 0
                     ELSE EXISTS (SELECT FROM pg_catalog.pg_depend d
                                   WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
                                     AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1) END
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                             WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
            AND p.pronamespace NOT IN ('pg_catalog'::pg_catalog.regnamespace, 'information_schema'::pg_catalog.regnamespace)
          ORDER BY 1",
        &[table.oid.into(), table.name.name.as_str().into()],
        |row| Ok(Function { name: required(row, 1)?, source: required(row, 2)?, is_parsed: required(row, 3)? }),
    )
}
