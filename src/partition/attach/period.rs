//! The period that all rows of a table fit.

use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::owner;
use crate::partition::bounds::{KeyType, PLAIN, Parent};
use crate::partition::create::{self, Planned};
use crate::partition::managed::Managed;
use crate::partition::premake;
use crate::settings;
use crate::sql::{self, quote_identifier, quote_literal, required};
use groundskeeper_core::partition::{KeyFormat, NaiveDate, from_epoch_days, judge};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// The first and the last key of a table's rows.
struct Ends {
    first: String,
    last: String,
    /// The day of the first, by the clock of the table's zone.
    day: NaiveDate,
}

/// The partition that a table would be.
pub fn of_rows(managed: &Managed, parent: &Parent, table: Oid, name: &Qualified) -> Result<Planned> {
    let quoted = sql::qualified(&name.schema, &name.name);
    let look = || pinned(&[(c"row_security", c"off")], || ends(parent, &quoted));
    let ends = pinned(&PLAIN, || owner::reading(table, look))?;
    let interval = managed.interval;
    // Where clocks go back at midnight, a day's first hour comes before the bound: it is the period's before.
    let candidates =
        [interval.floor(ends.day), ends.day.pred_opt().and_then(|before| interval.floor(before))];
    for start in candidates.into_iter().flatten() {
        let planned = create::plan(parent, interval, &[start])?;
        let Some(planned) = planned.into_iter().next() else { continue };
        let (has_first, has_last) = holds(parent, &planned, &ends)?;
        if !has_first {
            continue;
        }
        if !has_last {
            return Err(several(managed, parent, &quoted, &ends));
        }
        is_free(managed, parent, start)?;
        return Ok(Planned { name: name.clone(), quoted, ..planned });
    }
    Err(Failure::internal(format!("no period has the first row of {quoted}")))
}

fn refused(message: String) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

fn ends(parent: &Parent, quoted: &str) -> Result<Ends> {
    let key = quote_identifier(&parent.key);
    let (dated, cast) = (parent.key_type.is_dated(&key), parent.key_type.as_str());
    // The least UUID is the least text: before 18 there is no other way to say it.
    let ordered = match parent.key_type {
        KeyType::Coded(KeyFormat::UuidV7) => format!("{key}::pg_catalog.text COLLATE \"C\""),
        _ => key.clone(),
    };
    let query = format!(
        "SELECT e.outside, e.first::text, e.last::text, {} - pg_catalog.date '1970-01-01'
           FROM (SELECT pg_catalog.count(*) FILTER (WHERE {dated} IS NOT TRUE),
                        pg_catalog.min({ordered}) FILTER (WHERE {dated}), pg_catalog.max({ordered}) FILTER (WHERE {dated})
                   FROM {quoted}) e (outside, first, last)",
        parent.key_type.day(&format!("e.first::{cast}"), &parent.zone)
    );
    let found = sql::first(&query, &[], |row| {
        let outside = required::<i64>(row, 1)?;
        Ok((outside, row.get::<String>(2)?, row.get::<String>(3)?, row.get::<i32>(4)?))
    })?;
    match found {
        Some((outside, ..)) if outside > 0 => {
            Err(refused(format!("{outside} rows of {quoted} have no {key}, or an infinite one"))
                .detail("They fit no period; in a partitioned table they are in the default partition."))
        }
        Some((_, Some(first), Some(last), day)) => {
            let beyond = || refused(format!("{key} of {quoted} goes back beyond the calendar"));
            let day = day.and_then(from_epoch_days).ok_or_else(beyond)?;
            Ok(Ends { first, last, day })
        }
        _ => Err(refused(format!("{quoted} has no rows, which would say what period it is for")).hint(
            format!(
                "ALTER TABLE {} ATTACH PARTITION does it, or create_monthly_partitions() makes one.",
                parent.quoted
            ),
        )),
    }
}

/// Whether the period has the first row, and the last.
fn holds(parent: &Parent, planned: &Planned, ends: &Ends) -> Result<(bool, bool)> {
    let within = |end: &str| {
        let cast = parent.key_type.as_str();
        let [end, from, to] =
            [end, &planned.from, &planned.to].map(|text| format!("{}::{cast}", quote_literal(text)));
        format!("{end} >= {from} AND {end} < {to}")
    };
    let query = format!("SELECT {}, {}", within(&ends.first), within(&ends.last));
    let found = pinned(&PLAIN, || sql::first(&query, &[], |row| Ok((required(row, 1)?, required(row, 2)?))))?;
    Ok(found.unwrap_or_default())
}

fn several(managed: &Managed, parent: &Parent, quoted: &str, ends: &Ends) -> Failure {
    let Ends { first, last, .. } = ends;
    let interval = managed.interval.as_str();
    refused(format!("rows of {quoted} are of more than one {interval}"))
        .detail(format!("They go from {first} to {last}; a {interval} begins at midnight in {}.", parent.zone))
        .hint(format!(
            "Let each {interval}'s rows be a table of their own, or insert them: INSERT INTO {} SELECT * FROM {quoted};",
            parent.quoted
        ))
}

fn is_free(managed: &Managed, parent: &Parent, start: NaiveDate) -> Result<()> {
    let report = judge(managed.interval, &parent.existing(), &[start]);
    if let Some(partition) = report.wanted.iter().find_map(|(_, held)| parent.partitions.get((*held)?)) {
        let interval = managed.interval.as_str();
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE,
            format!("the {interval} from {start} on has a partition already: {}", partition.quoted),
        )
        .hint(format!("INSERT INTO {} SELECT ... puts the rows there.", parent.quoted)));
    }
    if let Some(failure) = premake::misaligned(parent, managed.interval, &report.in_the_way) {
        return Err(failure);
    }
    let all = parent.partitions.len() + 1;
    if all > settings::max_partitions() {
        let message = format!("{} would have {all} partitions", parent.quoted);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, message)
            .detail(format!("groundskeeper.max_partitions allows {}.", settings::max_partitions())));
    }
    Ok(())
}
