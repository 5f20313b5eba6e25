//! The steps in the catalogs, rehearsed: a shadow with one partition and all indexes is made, and nothing of it is left.
//! What fails there would fail in the job, some of it after hours of copying.

use super::key_type;
use super::record::{Conversion, SHADOW};
use super::{builds, shadow};
use crate::error::Result;
use crate::owner;
use crate::settings;
use crate::sql::{self, required};
use crate::subtransaction::looked_at;
use crate::waiting::run_before_deadline;
use groundskeeper_core::partition::NaiveDate;
use groundskeeper_core::partition::preflight::Finding;
use pgrx::pg_sys::Oid;

/// What failed, or why nothing was tried. The table is read by nobody, and locked no more than by a SELECT.
pub fn finding(relation: Oid, conversion: &Conversion, start: NaiveDate) -> Result<Finding> {
    let not_tried = |why: &str| Ok(Finding::ok("rehearsal", format!("not tried: {why}")));
    if !owner::owner_of(relation).is_some_and(owner::has_rights_of) {
        return not_tried("it takes the rights of the table's owner");
    }
    if is_read_only()? {
        return not_tried("the transaction is read-only");
    }
    match looked_at(|| owner::of(relation, || rehearse(conversion, start))) {
        Ok(()) => Ok(Finding::ok("rehearsal", "nothing in the way")),
        Err(failure) if failure.is_lock_not_available() => not_tried("a lock was not to be had"),
        Err(failure) => Ok(Finding::blocker(
            "rehearsal",
            format!("the partitioned table cannot be made: {}", failure.with_code()),
            "Take away what the message names.",
        )),
    }
}

fn rehearse(conversion: &Conversion, start: NaiveDate) -> Result<()> {
    let run = |statements: &[String]| run_before_deadline(settings::lock_timeout_ms(), statements);
    let key_type = key_type(conversion)?;
    run(&shadow::make(conversion, key_type, &[start])?)?;
    run(&shadow::replica_identity(conversion)?)?;
    let partitions = shadow::partitions(&conversion.beside_quoted(SHADOW))?;
    let wanted = builds::wanted(conversion)?;
    builds::builds(conversion, &wanted, &partitions).iter().try_for_each(|build| run(&build.statements))
}

fn is_read_only() -> Result<bool> {
    let query = "SELECT pg_catalog.current_setting('transaction_read_only')::boolean";
    Ok(sql::first(query, &[], |row| required::<bool>(row, 1))? != Some(false))
}
