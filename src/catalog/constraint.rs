//! CHECK constraints.

use super::canonical::{canonical_query, same_query};
use crate::error::Result;
use crate::owner;
use crate::sql::{self, required};
use groundskeeper_core::deparsed::read_back_same;
use groundskeeper_core::plan::decide::CheckFact;
use pgrx::pg_sys::Oid;

/// A CHECK constraint on a column that is to change its type.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Its name, quoted.
    pub quoted: String,
    /// Its expression.
    pub expression: String,
    /// `CHECK (...)`, without NOT VALID.
    pub definition: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Whether it has been validated.
    pub validated: bool,
}

/// The CHECK constraints of a table, each compared with the wanted expression.
pub fn checks(oid: Oid, table: &str, wanted: &str) -> Result<Vec<CheckFact>> {
    let question = |expression: &str| format!("SELECT {expression} FROM ONLY {table}");
    let wanted = canonical_query(&question(&format!("({wanted})")))?;
    sql::kept(
        "SELECT con.conname::text,
                CASE WHEN t.relowner = $2 OR NOT EXISTS (
                    SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = con.oid
                       AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid >= 16384)
                THEN pg_catalog.pg_get_expr(con.conbin, con.conrelid) END, con.convalidated
           FROM pg_catalog.pg_constraint con
           JOIN pg_catalog.pg_class t ON t.oid = con.conrelid
          WHERE con.conrelid = $1 AND con.contype = 'c'
          ORDER BY con.conname",
        &[oid.into(), owner::author().into()],
        |row| {
            let expression: Option<String> = row.get(2)?;
            Ok(CheckFact {
                name: required(row, 1)?,
                same_definition: expression.is_some_and(|e| same_query(&wanted, &question(&e))),
                validated: required(row, 3)?,
            })
        },
    )
}

/// The query for the CHECK constraints of a table that satisfy a condition.
macro_rules! checks {
    ($condition:literal) => {
        concat!(
            "
    SELECT pg_catalog.quote_ident(con.conname),
                pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(con.oid), ' NOT VALID$', ''),
                pg_catalog.obj_description(con.oid, 'pg_constraint'), con.convalidated,
                con.conname::text, pg_catalog.pg_get_expr(con.conbin, con.conrelid)
           FROM pg_catalog.pg_constraint con
          WHERE con.conrelid = $1 AND con.contype = 'c' AND ",
            $condition
        )
    };
}

/// The CHECK constraints that involve a column. Those that are inherited or call a function of the user's are
/// obstacles, found with the other dependents.
pub fn checks_on_column(oid: Oid, attnum: i16) -> Result<Vec<Check>> {
    found(checks!("$2 = ANY (con.conkey) ORDER BY con.conname"), &[oid.into(), attnum.into()])
}

/// The CHECK constraint of that name.
pub fn check_named(oid: Oid, name: &str) -> Result<Option<Check>> {
    Ok(found(checks!("con.conname = $2"), &[oid.into(), name.into()])?.pop())
}

fn found(query: &'static str, args: &[crate::sql::Argument]) -> Result<Vec<Check>> {
    sql::kept(query, args, |row| {
        Ok(Check {
            quoted: required(row, 1)?,
            definition: read_back_same(&required::<String>(row, 2)?),
            comment: row.get(3)?,
            validated: required(row, 4)?,
            name: required(row, 5)?,
            expression: required(row, 6)?,
        })
    })
}

/// How many rows a CHECK expression rejects. Reads the whole table, as its owner.
pub fn rows_violating(table: &str, expression: &str) -> Result<i64> {
    let query = format!("SELECT pg_catalog.count(*) FROM {table} WHERE NOT ({expression})");
    let count = || sql::first(&query, &[], |row| required::<i64>(row, 1));
    Ok(owner::reading_named(table, count)?.unwrap_or(0))
}

impl Check {
    /// Statements that take the constraint off, and put it back without looking at the rows.
    pub fn off_and_on(&self, table: &str) -> (String, Vec<String>) {
        let off = format!("ALTER TABLE {table} DROP CONSTRAINT {}", self.quoted);
        let mut on =
            vec![format!("ALTER TABLE {table} ADD CONSTRAINT {} {} NOT VALID", self.quoted, self.definition)];
        if let Some(comment) = &self.comment {
            let comment = sql::quote_literal(comment);
            on.push(format!("COMMENT ON CONSTRAINT {} ON {table} IS {comment}", self.quoted));
        }
        (off, on)
    }

    /// The statement that validates it.
    pub fn validate(&self, table: &str) -> String {
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", self.quoted)
    }
}
