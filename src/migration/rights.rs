//! Whose rights the migration has. Staging tables have their owner's triggers and expressions: for a caller who may do
//! more than the owner, a superuser for one, it works as the owner; for one who may do less, as that caller.

use crate::error::{Failure, Result};
use crate::owner;
use crate::sql::{self, required};
use groundskeeper_core::migration::{GAMES, Market, Shape};
use pgrx::PgSqlErrorCode;

/// Runs `work` on a market's staging table.
pub fn on<T>(market: Market, work: impl FnOnce() -> Result<T>) -> Result<T> {
    owner::at_most_named(&market.staging(), work)
}

/// The same on the games.
pub fn on_games<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    owner::at_most_named(GAMES, work)
}

/// Refuses what an owner could not do for the caller: games belong to who owns the records, and the raw rows are to be
/// readable for that role.
pub fn check(shapes: &[&Shape]) -> Result<()> {
    shapes.iter().try_for_each(|shape| {
        let missing = sql::texts(
            include_str!("rights.sql"),
            &[shape.market.raw().into(), shape.market.staging().into(), GAMES.into()],
        )?;
        if missing.is_empty() {
            return Ok(());
        }
        let staging = shape.market.staging();
        let owner =
            "SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(relowner)) FROM pg_catalog.pg_class
                      WHERE oid = pg_catalog.to_regclass($1)";
        let owner = sql::first(owner, &[staging.as_str().into()], |row| required::<String>(row, 1))?;
        let owner = owner.unwrap_or_default();
        let message = format!("{staging} cannot be filled as its owner {owner}");
        Err(Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message)
            .detail(
                "What its owner has put on a table does not run with the rights of somebody who may do more.",
            )
            .hint(format!("{};", missing.join("; "))))
    })
}
