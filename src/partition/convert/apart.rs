//! What the key table keeps unique besides what tells rows apart, looked for in the table itself.

use super::record::{Conversion, KEYS};
use crate::error::{Failure, Result};
use crate::sql::{self, required};
use pgrx::PgSqlErrorCode;

/// How many values an error names.
const NAMED: usize = 20;

/// Refuses a table in which values are there more than once that one of these indexes has once.
pub fn refuse_duplicates(conversion: &Conversion, table: &str) -> Result<()> {
    for Unique { name, columns, condition, nulls_differ } in uniques(conversion)? {
        let list = columns.join(", ");
        let not_null =
            columns.iter().filter(|_| nulls_differ).map(|column| format!("({column}) IS NOT NULL"));
        let conditions: Vec<String> =
            not_null.chain(condition.map(|condition| format!("({condition})"))).collect();
        let conditions = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
        let query = format!(
            "WITH d AS MATERIALIZED (
                 SELECT pg_catalog.concat_ws(', ', {list}), pg_catalog.string_agg(tableoid::pg_catalog.regclass::text, ', ')
                   FROM {table} WHERE {conditions} GROUP BY {list} HAVING pg_catalog.count(*) > 1)
             SELECT (SELECT pg_catalog.count(*) FROM d),
                    (SELECT pg_catalog.string_agg(pg_catalog.format('(%s)=(%s) in %s', $1, s.shown, s.places), '; ')
                       FROM (SELECT * FROM d LIMIT {NAMED}) s (shown, places))"
        );
        let args = [list.into()];
        let found = sql::first(&query, &args, |row| Ok((required::<i64>(row, 1)?, row.get::<String>(2)?)))?;
        let Some((count, Some(named))) = found else { continue };
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
            format!("{table} has {count} values more than once that {name} has once"),
        )
        // remedies are part of the detail: that is what is written down of a job's error
        .detail(format!("Among them: {named}. Delete or change all rows but one of each, then try again.")));
    }
    Ok(())
}

struct Unique {
    name: String,
    /// Its columns and expressions.
    columns: Vec<String>,
    /// Of which rows.
    condition: Option<String>,
    /// Whether any number of rows may have NULL.
    nulls_differ: bool,
}

fn uniques(conversion: &Conversion) -> Result<Vec<Unique>> {
    sql::rows(
        "SELECT i.relname::text, pg_catalog.pg_get_expr(x.indpred, x.indrelid), NOT x.indnullsnotdistinct,
                ARRAY(SELECT pg_catalog.pg_get_indexdef(x.indexrelid, place, false)
                        FROM pg_catalog.generate_series(1, x.indnkeyatts) place ORDER BY place)
           FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
          WHERE x.indrelid = pg_catalog.to_regclass($1) AND x.indisunique AND x.indisvalid AND NOT x.indisprimary
          ORDER BY x.indexrelid",
        &[conversion.beside_quoted(KEYS).into()],
        |row| {
            Ok(Unique {
                name: required(row, 1)?,
                condition: row.get(2)?,
                nulls_differ: required(row, 3)?,
                columns: required(row, 4)?,
            })
        },
    )
}
