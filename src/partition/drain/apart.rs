//! What is made beside a default partition while it is drained: a partitioned copy of it, whose partitions are those to
//! be and, as its default one, what stays. So rows find their place by PostgreSQL's own routing, and one pair of tables
//! is kept equal and compared.

use super::Round;
use crate::error::{Failure, Result};
use crate::guc::{self, pinned};
use crate::jobs::{pace, report};
use crate::owner;
use crate::partition::convert::record::SHADOW;
use crate::partition::convert::sync::quoted;
use crate::partition::convert::{builds, shadow};
use crate::partition::{create, watch};
use crate::settings;
use crate::sql::{self, quote_identifier, quote_literal, required};
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::names::suffixed;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// Makes the copy, empty; the names of indexes that its partitions have for as long as they are part of it.
pub fn make(round: &Round) -> Result<Vec<Qualified>> {
    let parent = &round.parent;
    create::owner_may(parent)?;
    let template = create::template(parent)?;
    let (whole, rest) = (round.copied.beside_quoted(SHADOW), quoted(&round.rest()));
    owner::of(parent.oid, || {
        let mut statements = Vec::new();
        for planned in &round.planned {
            if create::is_apart(planned)? {
                statements.push(format!("DROP TABLE {}", planned.quoted));
            }
            statements.extend(create::apart(parent, &template, planned));
        }
        statements.push(format!(
            "CREATE TABLE {whole} (LIKE {} INCLUDING GENERATED) PARTITION BY RANGE ({})",
            parent.quoted,
            quote_identifier(&parent.key)
        ));
        statements.extend(make_rest(round)?);
        statements.extend([&whole, &rest].map(|table| watch::ours("TABLE", table)));
        // or whoever gets in a role's default privileges what is made would read all of it
        let briefly = |statements: &[String]| run_before_deadline(settings::lock_timeout_ms(), statements);
        pinned(&[(c"default_tablespace", c"")], || briefly(&statements))?;
        briefly(&shadow::to_owner_only(&[whole.clone(), rest.clone()], &[])?)?;
        briefly(&attach(round))?;
        pinned(&[(c"default_tablespace", c"")], || make_indexes(round))
    })
}

/// The default partition's twin: of the same columns at the same places, dropped ones too, as it is to give its storage.
fn make_rest(round: &Round) -> Result<Vec<String>> {
    let (rest, default) = (quoted(&round.rest()), round.default.quoted.as_str());
    let storage = shadow::storage(default)?;
    let args = [round.default.oid.into(), rest.into(), storage.into()];
    sql::texts(include_str!("rest.sql"), &args)
}

fn attach(round: &Round) -> Vec<String> {
    let whole = round.copied.beside_quoted(SHADOW);
    let parts = round.planned.iter().map(|planned| {
        format!(
            "ALTER TABLE {whole} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})",
            planned.quoted,
            quote_literal(&planned.from),
            quote_literal(&planned.to)
        )
    });
    let rest = format!("ALTER TABLE {whole} ATTACH PARTITION {} DEFAULT", quoted(&round.rest()));
    parts.chain([rest]).collect()
}

/// The indexes of the twin, each as one of the default partition, and one for each new partition that has none by which
/// a row is found.
fn make_indexes(round: &Round) -> Result<Vec<Qualified>> {
    let rest = quoted(&round.rest());
    for index in builds::wanted(&round.copied)? {
        let unique = if index.unique { "UNIQUE " } else { "" };
        sql::run(&format!("CREATE {unique}INDEX ON {rest} USING {}", index.tail), &[])?;
    }
    let mut helpers = Vec::new();
    for planned in round.planned.iter().filter(|_| round.has_identity()) {
        if finds_rows(&planned.quoted, &round.copied.key_columns)? {
            continue;
        }
        let name = suffixed(&planned.name.name, "drained");
        let (index, keys) = (quote_identifier(&name), round.copied.key_list(""));
        sql::run(&format!("CREATE INDEX {index} ON {} ({keys})", planned.quoted), &[])?;
        helpers.push(Qualified { schema: planned.name.schema.clone(), name });
    }
    Ok(helpers)
}

fn finds_rows(table: &str, columns: &[String]) -> Result<bool> {
    let query = "SELECT EXISTS (
        SELECT FROM pg_catalog.pg_index x
         WHERE x.indrelid = pg_catalog.to_regclass($1) AND x.indpred IS NULL
           AND (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname)
                  FROM pg_catalog.unnest((x.indkey::int2[])[0:pg_catalog.cardinality($2) - 1]) k (attnum)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum)
             = (SELECT pg_catalog.array_agg(c ORDER BY c::name) FROM pg_catalog.unnest($2::text[]) c))";
    let found = sql::first(query, &[table.into(), columns.to_vec().into()], |row| required::<bool>(row, 1))?;
    Ok(found == Some(true))
}

/// A value that must be unique has passed from a row that was copied to one that is: another attempt copies both as they
/// are then.
fn passing(failure: Failure) -> Failure {
    match failure.code {
        PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => {
            Failure { code: PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE, ..failure }
        }
        _ => failure,
    }
}

/// Copies all rows, in the order of what tells them apart.
pub fn fill(between: &mut Between, round: &Round) -> Result<()> {
    let rows = "SELECT GREATEST(reltuples, 1)::bigint FROM pg_catalog.pg_class WHERE oid = $1";
    let expected = between
        .transaction(|| sql::first(rows, &[round.default.oid.into()], |row| required::<i64>(row, 1)))?;
    let (mut now, mut copied) = (round.copied.clone(), 0);
    let mut pace = pace::begin();
    loop {
        let last = between.transaction(|| {
            let (rows, last) = owner::of(round.parent.oid, || shadow::copy(&now))?;
            if !pace::is_considerate() {
                guc::commit_asynchronously();
            }
            copied += rows;
            report("copying rows", 0.8 * (copied as f64 / expected.unwrap_or(1) as f64).min(1.0))?;
            Ok(last)
        });
        let last = last.map_err(passing)?;
        if last.is_none() {
            break;
        }
        now.copied_to = last;
        pace.rest(between)?;
    }
    // What is applied and compared from here on is planned by them.
    between.transaction(|| {
        let analyze = format!("ANALYZE {}", round.copied.beside_quoted(SHADOW));
        owner::of(round.parent.oid, || sql::run(&analyze, &[]))
    })
}
