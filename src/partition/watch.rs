//! A partition whose changes are logged for as long as a job works on its rows outside of a lock: the log names each row
//! that has changed, so that what is left to do under the lock is as little as was written meanwhile.

use super::convert::record::{CAPTURE, Conversion, LOG};
use super::convert::shadow;
use crate::error::Result;
use crate::owner;
use crate::settings;
use crate::sql::{self, quote_literal};
use crate::waiting::run_before_deadline;
use pgrx::pg_sys::Oid;

/// The triggers that log changed rows, and all rows before they are truncated. Not named as a conversion's are, which the
/// partition may have too.
pub const TRIGGERS: [&str; 2] = ["groundskeeper_watch", "groundskeeper_watch_truncate"];

/// How what is ours to drop is known.
const MADE: &str = "Made by a job of groundskeeper, which drops it again";

/// The statement that says so of something.
pub fn ours(what: &str, name: &str) -> String {
    format!("COMMENT ON {what} {name} IS {}", quote_literal(MADE))
}

/// Begins to log changed rows of a partition; under the lock of the triggers' creation every transaction that has written
/// it has ended. The triggers as they are from then on, as [`triggers_of`] tells: looked at any later, they might have been
/// switched off already.
pub fn begin(watched: &Conversion, partition: Oid) -> Result<Vec<String>> {
    let log = watched.beside_quoted(LOG);
    let functions = [format!("{}()", watched.beside_quoted(CAPTURE))];
    owner::of(partition, || {
        let mut statements = shadow::log(watched);
        statements.push(ours("TABLE", &log));
        statements.push(ours("FUNCTION", &functions[0]));
        run_before_deadline(settings::lock_timeout_ms(), &statements)?;
        let private = shadow::to_owner_only(&[log], &functions)?;
        let triggers = shadow::triggers(watched, &watched.quoted(), TRIGGERS);
        let statements: Vec<String> = private.into_iter().chain(triggers).collect();
        run_before_deadline(settings::lock_timeout_ms(), &statements)
    })?;
    triggers_of(partition)
}

/// The statements that end it, under a lock against everybody.
pub fn end(watched: &Conversion) -> Vec<String> {
    let mut statements = TRIGGERS.map(|name| format!("DROP TRIGGER {name} ON {}", watched.quoted())).to_vec();
    statements.push(format!("DROP TABLE {}", watched.beside_quoted(LOG)));
    statements.push(format!("DROP FUNCTION {}()", watched.beside_quoted(CAPTURE)));
    statements
}

/// Clears away what a run that ended on its way has left of this, and of tables by those suffixes. Another's by these
/// names stays.
pub fn clear(watched: &Conversion, partition: Oid, suffixes: &[&str]) -> Result<()> {
    let capture = format!("{}()", watched.beside_quoted(CAPTURE));
    let tables = suffixes.iter().chain(&[LOG]).map(|suffix| watched.beside_quoted(suffix));
    let tables: Vec<String> = tables.collect();
    let statements = sql::texts(
        include_str!("leftovers.sql"),
        &[partition.into(), TRIGGERS.to_vec().into(), tables.into(), MADE.into(), capture.into()],
    )?;
    if statements.is_empty() {
        return Ok(());
    }
    owner::of(partition, || run_before_deadline(settings::lock_timeout_ms(), &statements))
}

/// The triggers as they are now, in their versions: one that was switched off and on again is another.
pub fn triggers_of(partition: Oid) -> Result<Vec<String>> {
    sql::texts(
        "SELECT pg_catalog.concat_ws(' ', oid, xmin, tgenabled) FROM pg_catalog.pg_trigger
          WHERE tgrelid = $1 AND tgname = ANY ($2) ORDER BY oid",
        &[partition.into(), TRIGGERS.to_vec().into()],
    )
}
