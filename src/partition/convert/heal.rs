//! The log names every change, or it is made to: where its triggers were switched off or dropped, they are put back, and
//! both tables are compared once. So no way there or back depends on what somebody's tool did to triggers meanwhile.

use super::record::{self, Conversion, LOG};
use super::sync::{self, Pair};
use super::{apart, columns, steps, triggers};
use crate::error::{Failure, Result};
use crate::jobs;
use crate::settings;
use crate::sql::{self, required};
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::partition::convert::Stage;
use pgrx::PgSqlErrorCode;

/// How many keys an error names.
const NAMED: usize = 20;

/// Before the log is relied on: puts back what writes it, and has all that was not logged in it. The lock for the first
/// waits for writers and is held for a moment; the second takes none that anybody waits for.
pub fn heal(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| mend(conversion))?;
    if !matches!(conversion.stage, Stage::Begun | Stage::Shadowed | Stage::Captured)
        && between.transaction(|| record::is_unlogged(conversion))?
    {
        between.transaction(|| jobs::report("comparing rows", 0.5))?;
        between.transaction(|| {
            let pair = Pair::of(conversion);
            refuse_duplicates(conversion, &pair)?;
            let rows = sync::note_differences(conversion, &pair, sync::Lost::MayBe)?;
            remark(conversion, &pair, rows)?;
            record::unlogged(conversion, false)
        })?;
    }
    Ok(())
}

/// Puts back the triggers, functions and the log that are not there or not on.
pub fn mend(conversion: &Conversion) -> Result<()> {
    let lacking = triggers::lacking(conversion)?;
    let is_there = conversion.stage == Stage::Finalized || log_is_there(conversion)?;
    let is_logged = is_there && !lacking.iter().any(triggers::Lacking::is_of_log);
    if lacking.is_empty() && is_logged {
        return Ok(());
    }
    let mut statements = Vec::new();
    if !is_there {
        statements.extend(super::shadow::log_table(conversion));
    }
    statements.extend(triggers::mending(conversion, &lacking)?);
    run_before_deadline(settings::lock_timeout_ms(), &statements)?;
    steps::give_to_owner(conversion, if is_there { &[] } else { &[LOG] })?;
    if is_logged {
        return Ok(());
    }
    columns::compare_anew(conversion)
}

fn log_is_there(conversion: &Conversion) -> Result<bool> {
    super::shadow::exists(&conversion.table.schema, &conversion.beside(LOG).name)
}

/// What a proof has found to differ although the triggers are as they should be: rows that bypassed them are brought over.
/// Those that the other table alone has are not taken away on that ground: nobody may have them but it.
pub fn bring_over(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| {
        let pair = Pair::of(conversion);
        refuse_duplicates(conversion, &pair)?;
        let rows = sync::note_differences(conversion, &pair, sync::Lost::MustNotBe)?;
        remark(conversion, &pair, rows)
    })
}

fn remark(conversion: &Conversion, pair: &Pair, rows: i64) -> Result<()> {
    if rows == 0 {
        return Ok(());
    }
    jobs::remark(&format!(
        "{rows} rows of {} were others in {}, and were brought over",
        conversion.quoted(),
        pair.target
    ))
}

/// Refuses a table that has a key twice, which no unpartitioned table can hold.
pub fn refuse_duplicates(conversion: &Conversion, pair: &Pair) -> Result<()> {
    if !conversion.has_key_table {
        return Ok(());
    }
    let (count, named) = duplicates(conversion, &pair.source)?;
    if count == 0 {
        return apart::refuse_duplicates(conversion, &pair.source);
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
        format!("{} has {count} {} more than once", pair.source, if count == 1 { "key" } else { "keys" }),
    )
    // remedies are part of the detail: that is what is written down of a job's error
    .detail(format!("{named} Delete or change all rows but one of each, then try again.")))
}

/// How many keys a table has more than once, and some of them in words, with the partitions that they are in.
pub fn duplicates(conversion: &Conversion, table: &str) -> Result<(i64, String)> {
    let (list, keys) = (conversion.key_list(""), conversion.key_list("x."));
    let query = format!(
        "WITH d AS MATERIALIZED (SELECT {keys} FROM {table} x GROUP BY {keys} HAVING pg_catalog.count(*) > 1)
         SELECT (SELECT pg_catalog.count(*) FROM d),
                (SELECT pg_catalog.string_agg(pg_catalog.format('(%s)=(%s) in %s', $1, pg_catalog.concat_ws(', ', {keys}), p.places), '; ')
                   FROM (SELECT * FROM d LIMIT {NAMED}) x
                  CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(y.tableoid::pg_catalog.regclass::text, ', ' ORDER BY y.tableoid)
                                        FROM {table} y WHERE {same}) p (places))",
        same = conversion.same_key("y", "x")
    );
    let found =
        sql::first(&query, &[list.into()], |row| Ok((required::<i64>(row, 1)?, row.get::<String>(2)?)))?;
    let (count, named) = found.unwrap_or((0, None));
    let named = named.unwrap_or_default();
    Ok((count, if count > NAMED as i64 { format!("Among them: {named}.") } else { format!("{named}.") }))
}
