//! What the catalogs tell of the tables.

use crate::error::{Failure, Result};
use crate::sql::{self, required};
use groundskeeper_core::migration::{self, Column, Market, Misfit, Shape, Table, Words};
use pgrx::prelude::*;

/// How the migration is spelled for a market's tables, or an error that names what does not fit.
pub fn shape(market: Market) -> Result<Shape> {
    let (raw, staging, games) = (table(&market.raw())?, table(&market.staging())?, table("staging.games")?);
    let checks = [status_check(&staging.name)?, status_check(&games.name)?];
    migration::fit(market, &raw, &staging, &games, [checks[0].as_deref(), checks[1].as_deref()])
        .map_err(unfit)
}

fn unfit(misfits: Vec<Misfit>) -> Failure {
    let all: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    let remedies: Vec<&str> = misfits.iter().filter_map(|misfit| misfit.remedy.as_deref()).collect();
    let failure = Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the migration does not fit: {}", all.first().map_or("", String::as_str)),
    )
    .detail(format!("{}.", all.join("; ")));
    if remedies.is_empty() {
        failure.hint("The columns that it needs are listed in docs/migration.md.")
    } else {
        failure.hint(format!(
            "SELECT * FROM groundskeeper.plan_status() says whether the plan can widen it; else: {};",
            remedies.join("; ")
        ))
    }
}

/// The raw tables that tell of games: those that are there with the columns that games are made from.
pub fn tables_with_games() -> Result<Vec<Market>> {
    let needed = [
        "game_external_id",
        "sportsbook_name",
        "game_date",
        "home_team_name",
        "away_team_name",
        "collected_at",
    ];
    let mut found = Vec::new();
    for market in Market::ALL {
        let table = table(&market.raw())?;
        if needed.iter().all(|name| table.columns.iter().any(|column| column.name == *name)) {
            found.push(market);
        }
    }
    Ok(found)
}

fn table(name: &str) -> Result<Table> {
    let columns = sql::rows(
        "SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod)
           FROM pg_catalog.pg_attribute a
           JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
          WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
        &[name.into()],
        |row| Ok(Column { name: required(row, 1)?, type_name: required(row, 2)? }),
    )?;
    Ok(Table { name: name.to_owned(), columns })
}

/// The CHECK constraints on a table's status alone, as one text.
fn status_check(table: &str) -> Result<Option<String>> {
    let checks = sql::texts(
        "SELECT pg_catalog.pg_get_constraintdef(con.oid)
           FROM pg_catalog.pg_constraint con
           JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND con.conkey = ARRAY[a.attnum]
          WHERE con.conrelid = pg_catalog.to_regclass($1) AND con.contype = 'c' AND a.attname = 'validation_status'
          ORDER BY con.conname",
        &[table.into()],
    )?;
    Ok((!checks.is_empty()).then(|| checks.join(" ")))
}

/// Whether an index begins with the column, so that a look-up by it does not read the whole table.
pub fn is_indexed(table: &str, column: &str) -> Result<bool> {
    let found = sql::first(
        "SELECT EXISTS (
             SELECT FROM pg_catalog.pg_index i
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
              WHERE i.indrelid = pg_catalog.to_regclass($1) AND a.attname = $2 AND i.indisvalid)",
        &[table.into(), column.into()],
        |row| required::<bool>(row, 1),
    )?;
    Ok(found == Some(true))
}

/// The quality rules in force, as text.
pub fn rules() -> Result<String> {
    let rules = crate::extension::as_owner(|| {
        sql::first(
            "SELECT pg_catalog.jsonb_object_agg(rule, points)::pg_catalog.text FROM groundskeeper.quality_rules",
            &[],
            |row| Ok(row.get::<String>(1)?),
        )
    })?;
    Ok(rules.flatten().unwrap_or_else(|| "{}".to_owned()))
}

/// The words that the games' status admits.
pub fn game_words() -> Result<Words> {
    let shape = Market::ALL.into_iter().find_map(|market| shape(market).ok());
    Ok(shape.ok_or_else(|| Failure::internal("no market's tables fit the migration"))?.game_words)
}
