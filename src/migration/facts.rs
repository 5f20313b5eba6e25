//! What the catalogs tell of the tables.

use crate::error::{Failure, Result};
use crate::sql::{self, required};
use groundskeeper_core::migration::{self, Column, Market, Misfit, Shape, Table, Words};
use pgrx::prelude::*;

/// How the migration is spelled for a market's tables, or an error that names what does not fit.
pub fn shape(market: Market) -> Result<Shape> {
    let names = [market.raw(), market.staging(), "staging.games".to_owned()];
    let ([raw, staging, games], [_, staged, game]) = tables(names)?;
    migration::fit(market, &raw, &staging, &games, [staged.as_deref(), game.as_deref()]).map_err(unfit)
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
    let (tables, _) = tables(Market::ALL.map(Market::raw))?;
    let tells = |table: &Table| needed.iter().all(|name| table.columns.iter().any(|c| c.name == *name));
    Ok(Market::ALL
        .into_iter()
        .zip(&tables)
        .filter(|(_, table)| tells(table))
        .map(|(market, _)| market)
        .collect())
}

/// Tables with their columns, and the CHECK constraints on the status alone of each, as one text.
fn tables<const N: usize>(names: [String; N]) -> Result<([Table; N], [Option<String>; N])> {
    let asked = names.to_vec();
    let mut tables = names.map(|name| Table { name, columns: Vec::new() });
    let mut checks = [const { None }; N];
    sql::rows(
        "SELECT t.place, a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod),
                CASE WHEN a.attname = 'validation_status' THEN (
                    SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(con.oid), ' ' ORDER BY con.conname)
                      FROM pg_catalog.pg_constraint con
                     WHERE con.conrelid = a.attrelid AND con.conkey = ARRAY[a.attnum] AND con.contype = 'c') END,
                -- what a trigger before the insert may still fill in
                a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND y.typdefault IS NULL
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 7 = 7)
           FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY t (name, place)
           JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name) AND c.relkind IN ('r', 'p')
           JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           JOIN pg_catalog.pg_type y ON y.oid = a.atttypid",
        &[asked.into()],
        |row| {
            let place = usize::try_from(required::<i64>(row, 1)?).unwrap_or(0).wrapping_sub(1);
            if let (Some(table), Some(check)) = (tables.get_mut(place), checks.get_mut(place)) {
                let (name, type_name) = (required(row, 2)?, required(row, 3)?);
                table.columns.push(Column { name, type_name, required: required(row, 5)? });
                *check = check.take().or(row.get(4)?);
            }
            Ok(())
        },
    )?;
    Ok((tables, checks))
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
