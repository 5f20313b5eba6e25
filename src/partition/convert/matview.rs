//! Materialized views on a table that is exchanged: each gets a populated copy beside it first, then they swap names,
//! so that readers never see an empty one.

use crate::catalog;
use crate::error::{Failure, Result};
use crate::sql::{self, qualified, quote_identifier, required};
use groundskeeper_core::names::suffixed;
use pgrx::pg_sys::Oid;

const COPY: &str = "again";
const OLD: &str = "before";

/// For each materialized view on the table two lists of statements, a transaction each: one that fills the copy, one
/// that exchanges them. Read off now, while the texts name the table by the name that its twin will have.
pub fn exchanged(table: Oid) -> Result<Vec<Vec<String>>> {
    let views: Vec<Oid> = sql::rows(
        "SELECT DISTINCT r.ev_class
           FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
           JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'm'
          WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1
          ORDER BY 1",
        &[table.into()],
        |row| required(row, 1),
    )?;
    let mut lists = Vec::new();
    for view in views {
        lists.extend(of_view(view)?);
    }
    Ok(lists)
}

fn of_view(view: Oid) -> Result<[Vec<String>; 2]> {
    let found =
        catalog::relation_by_oid(view)?.ok_or_else(|| Failure::internal("a materialized view is gone"))?;
    let (schema, name) = (&found.name.schema, &found.name.name);
    let indexes = indexes(view)?;
    let (mut fill, mut then) = (Vec::new(), Vec::new());
    let (head, copy) =
        (format!("CREATE MATERIALIZED VIEW {} ", found.quoted), qualified(schema, &suffixed(name, COPY)));
    let statistics = statistics(view)?;
    for statement in catalog::definition(view)? {
        if let Some(rest) = statement.strip_prefix(&head) {
            fill.push(format!("CREATE MATERIALIZED VIEW {copy} {rest}"));
        } else if statement.starts_with("REFRESH MATERIALIZED VIEW ") {
            fill.push(format!("REFRESH MATERIALIZED VIEW {copy}"));
        } else if let Some(index) = indexes.iter().find(|index| statement.starts_with(&index.head)) {
            let own = quote_identifier(suffixed(&index.name, COPY));
            let unique = if index.unique { "UNIQUE " } else { "" };
            let tail = &statement[index.head.len()..];
            fill.push(format!("CREATE {unique}INDEX {own} ON {copy} USING {tail}"));
        } else if let Some(object) = statistics.iter().find(|object| statement.starts_with(&object.head)) {
            let own = qualified(&object.schema, &suffixed(&object.name, COPY));
            fill.push(format!("CREATE STATISTICS {own}{} FROM {copy}", object.definition));
        } else {
            then.push(statement);
        }
    }
    fill.push(format!("ANALYZE {copy}"));
    let rename = |what: &str, from: &str, to: &str| {
        format!("ALTER {what} {} RENAME TO {}", qualified(schema, from), quote_identifier(to))
    };
    let mut exchange: Vec<String> =
        indexes.iter().map(|i| rename("INDEX", &i.name, &suffixed(&i.name, OLD))).collect();
    exchange.push(rename("MATERIALIZED VIEW", name, &suffixed(name, OLD)));
    exchange.push(rename("MATERIALIZED VIEW", &suffixed(name, COPY), name));
    exchange.extend(indexes.iter().map(|i| rename("INDEX", &suffixed(&i.name, COPY), &i.name)));
    for object in &statistics {
        let rename = |from: &str, to: &str| {
            let (from, to) = (qualified(&object.schema, from), quote_identifier(to));
            format!("ALTER STATISTICS {from} RENAME TO {to}")
        };
        exchange.push(rename(&object.name, &suffixed(&object.name, OLD)));
        exchange.push(rename(&suffixed(&object.name, COPY), &object.name));
    }
    exchange.extend(then);
    exchange.extend(super::exchange::redefined(view)?);
    exchange.push(format!("DROP MATERIALIZED VIEW {}", qualified(schema, &suffixed(name, OLD))));
    Ok([fill, exchange])
}

struct ViewIndex {
    name: String,
    unique: bool,
    /// What its definition begins with, up to `USING`.
    head: String,
}

fn indexes(view: Oid) -> Result<Vec<ViewIndex>> {
    sql::rows(
        "SELECT i.relname::text, x.indisunique,
                pg_catalog.format('CREATE %sINDEX %I ON %I.%I USING ', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END,
                                  i.relname, n.nspname, c.relname)
           FROM pg_catalog.pg_index x
           JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
           JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE x.indrelid = $1 ORDER BY i.oid",
        &[view.into()],
        |row| Ok(ViewIndex { name: required(row, 1)?, unique: required(row, 2)?, head: required(row, 3)? }),
    )
}

/// A statistics object on a materialized view.
struct Statistics {
    schema: String,
    name: String,
    /// What its definition begins with, up to its name.
    head: String,
    /// The kinds and columns, between its name and FROM.
    definition: String,
}

fn statistics(view: Oid) -> Result<Vec<Statistics>> {
    sql::rows(
        "SELECT n.nspname::text, s.stxname::text,
                pg_catalog.format('CREATE STATISTICS %I.%I ', n.nspname, s.stxname),
                COALESCE((SELECT ' (' || pg_catalog.string_agg(
                                     CASE k WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END, ', ') || ')'
                            FROM pg_catalog.unnest(s.stxkind) k WHERE k <> 'e'), '')
                    || ' ON ' || pg_catalog.pg_get_statisticsobjdef_columns(s.oid)
           FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
          WHERE s.stxrelid = $1 ORDER BY s.oid",
        &[view.into()],
        |row| {
            Ok(Statistics {
                schema: required(row, 1)?,
                name: required(row, 2)?,
                head: required(row, 3)?,
                definition: required(row, 4)?,
            })
        },
    )
}
