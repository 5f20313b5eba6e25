//! CHECK constraints.

use super::canonical::{canonical_query, same_query};
use crate::error::Result;
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
    sql::rows(
        "SELECT con.conname::text, pg_catalog.pg_get_expr(con.conbin, con.conrelid), con.convalidated
           FROM pg_catalog.pg_constraint con
          WHERE con.conrelid = $1 AND con.contype = 'c'
          ORDER BY con.conname",
        &[oid.into()],
        |row| {
            let expression: String = required(row, 2)?;
            Ok(CheckFact {
                name: required(row, 1)?,
                same_definition: same_query(&wanted, &question(&expression)),
                validated: required(row, 3)?,
            })
        },
    )
}

/// The CHECK constraints that involve a column. Those that are inherited or call a function of the user's are
/// obstacles, found with the other dependents.
pub fn checks_on_column(oid: Oid, attnum: i16) -> Result<Vec<Check>> {
    sql::rows(
        "SELECT pg_catalog.quote_ident(con.conname),
                pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(con.oid), ' NOT VALID$', ''),
                pg_catalog.obj_description(con.oid, 'pg_constraint'), con.convalidated,
                con.conname::text, pg_catalog.pg_get_expr(con.conbin, con.conrelid)
           FROM pg_catalog.pg_constraint con
          WHERE con.conrelid = $1 AND con.contype = 'c' AND $2 = ANY (con.conkey)
          ORDER BY con.conname",
        &[oid.into(), attnum.into()],
        |row| {
            Ok(Check {
                quoted: required(row, 1)?,
                definition: read_back_same(&required::<String>(row, 2)?),
                comment: row.get(3)?,
                validated: required(row, 4)?,
                name: required(row, 5)?,
                expression: required(row, 6)?,
            })
        },
    )
}

/// How many rows a CHECK expression rejects. Reads the whole table.
pub fn rows_violating(table: &str, expression: &str) -> Result<i64> {
    let query = format!("SELECT pg_catalog.count(*) FROM {table} WHERE NOT ({expression})");
    Ok(sql::first(&query, &[], |row| required::<i64>(row, 1))?.unwrap_or(0))
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
