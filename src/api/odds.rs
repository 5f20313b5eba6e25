//! Odds arithmetic: prices, probabilities, holds.

use groundskeeper_core::odds::{self, OddsError};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use rust_decimal::Decimal;

use crate::error::Failure;

extension_sql_file!(
    "../../sql/odds.sql",
    name = "odds",
    requires = [
        american_to_decimal,
        american_to_probability,
        decimal_to_american,
        probability_to_american,
        market_hold,
        no_vig_probability
    ]
);

fn refused(error: OddsError) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, error.to_string()).detail(error.detail())
}

fn numeric(value: Result<Decimal, OddsError>) -> Result<AnyNumeric, Failure> {
    let value = value.map_err(refused)?;
    AnyNumeric::try_from(value.to_string().as_str()).map_err(|error| Failure::internal(error.to_string()))
}

/// What no decimal can hold (NaN, an infinity, a size beyond 28 digits) is `otherwise`.
fn decimal(value: &AnyNumeric, otherwise: OddsError) -> Result<Decimal, Failure> {
    value.to_string().parse().map_err(|_| refused(otherwise))
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn american_to_decimal(odds: i32) -> Result<AnyNumeric, ErrorReport> {
    Ok(numeric(odds::american_to_decimal(odds))?)
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn american_to_probability(odds: i32) -> Result<AnyNumeric, ErrorReport> {
    Ok(numeric(odds::american_to_probability(odds))?)
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn decimal_to_american(price: AnyNumeric) -> Result<i32, ErrorReport> {
    let price = decimal(&price, OddsError::Decimal)?;
    Ok(odds::decimal_to_american(price).map_err(refused)?)
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn probability_to_american(probability: AnyNumeric) -> Result<i32, ErrorReport> {
    let probability = decimal(&probability, OddsError::Probability)?;
    Ok(odds::probability_to_american(probability).map_err(refused)?)
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn market_hold(odds: i32, other_odds: i32) -> Result<AnyNumeric, ErrorReport> {
    Ok(numeric(odds::market_hold(odds, other_odds))?)
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn no_vig_probability(odds: i32, other_odds: i32) -> Result<AnyNumeric, ErrorReport> {
    Ok(numeric(odds::no_vig_probability(odds, other_odds))?)
}
