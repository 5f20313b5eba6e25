//! How many partitions there will be, which rows will be in the default one, and whether many will be empty.

use super::key_type;
use super::record::Conversion;
use crate::error::Result;
use crate::partition::bounds::{KeyType, literals};
use crate::sql::{self, quote_identifier, quote_literal, required};
use groundskeeper_core::partition::preflight::Finding;
use groundskeeper_core::partition::{KeyFormat, NaiveDate, sparse};

/// How many rows there are where.
#[derive(Default)]
struct Counts {
    /// Those without a key.
    null: i64,
    /// Those before all partitions.
    before: i64,
    /// Those after all of them.
    after: i64,
    /// Those of each.
    within: Vec<i64>,
}

/// What there is to say of the rows: the same partitions as the conversion makes, and one reading of the table.
pub fn findings(conversion: &Conversion, starts: &[NaiveDate]) -> Result<Vec<Finding>> {
    let (Some(first), Some(end)) =
        (starts.first(), starts.last().and_then(|last| conversion.interval.next(*last)))
    else {
        return Ok(Vec::new());
    };
    let key = quote_identifier(&conversion.key);
    let key_type = key_type(conversion)?;
    let edges: Vec<NaiveDate> = starts.iter().copied().chain([end]).collect();
    let bounds = literals(key_type, &conversion.timezone, &edges)?;
    let counts = counts(conversion, &format!("{{{}}}", bounds.join(",")), key_type.as_str(), starts.len())?;
    let mut detail = format!("{} partitions, from {first} on, and a default one", starts.len());
    let outside = counts.before + counts.after;
    let mut found = Vec::new();
    let past = starts.len().saturating_sub(usize::try_from(conversion.premake).unwrap_or(usize::MAX));
    if let Some(many) = sparse(&counts.within, past, counts.before) {
        let since = bounds.get(many.resumes).cloned().unwrap_or_default();
        let rows = conversion.quoted();
        found.push(Finding::warning(
            "rows",
            format!(
                "{} of {} partitions would be empty, because of rows older than {}: {}",
                many.empty,
                starts.len(),
                starts.get(many.resumes).unwrap_or(&end),
                many.older
            ),
            format!(
                "SELECT * FROM {rows} WHERE {key} < {} shows them. Correct them or take them out, or choose a longer interval.",
                quote_literal(&since)
            ),
        ));
    }
    if let Some(format) = conversion.format {
        found.extend(of_format(conversion, format, key_type)?);
    }
    if !conversion.has_default {
        found.push(without_default(conversion, counts.null, outside, starts.len(), first));
        return Ok(found);
    }
    if counts.null + outside == 0 {
        found.push(Finding::ok("rows", detail));
        return Ok(found);
    }
    detail.push_str(&format!(
        "; in the default partition {} rows without {key} and {outside} outside of the others",
        counts.null
    ));
    let remedy = "They stay there. groundskeeper.drain_default() moves those that get a partition later; the past takes at most \
                  half of groundskeeper.max_partitions.";
    found.push(Finding::warning("rows", detail, remedy));
    Ok(found)
}

/// Where there is no default partition, there is no place for rows that no other takes.
fn without_default(
    conversion: &Conversion,
    null: i64,
    outside: i64,
    partitions: usize,
    first: &NaiveDate,
) -> Finding {
    if null + outside == 0 {
        return Finding::ok("rows", format!("{partitions} partitions, from {first} on, and no default one"));
    }
    let key = quote_identifier(&conversion.key);
    Finding::blocker(
        "rows",
        format!(
            "{null} rows without {key} and {outside} outside of the {partitions} partitions from {first} on have no partition to be in"
        ),
        "Correct them or take them out, keep more partitions ready, or have a default partition.",
    )
}

/// Values that are not what the format says. They are in one partition or another by chance.
fn of_format(conversion: &Conversion, format: KeyFormat, key_type: KeyType) -> Result<Option<Finding>> {
    let key = quote_identifier(&conversion.key);
    let right = match format {
        KeyFormat::UuidV7 => format!("pg_catalog.substr({key}::pg_catalog.text, 15, 1) = '7'"),
        _ => key_type.is_dated(&key),
    };
    let query = format!(
        "SELECT pg_catalog.count(*) FILTER (WHERE NOT {right}), pg_catalog.count({key}) FROM {}",
        conversion.quoted()
    );
    let found = sql::first(&query, &[], |row| Ok((required::<i64>(row, 1)?, required::<i64>(row, 2)?)))?;
    let (wrong, all) = found.unwrap_or_default();
    let detail = format!("{wrong} of {all} values of {key} are no {}", format.as_str());
    Ok(match wrong {
        0 => None,
        _ if wrong * 2 > all => Some(Finding::blocker(
            "partition_key",
            detail,
            "Name the key_format that they are of, or another column.",
        )),
        _ => Some(Finding::warning(
            "rows",
            format!("{detail}: the partition that they are in means nothing"),
            "Correct them, or let them be where they are.",
        )),
    })
}

fn counts(conversion: &Conversion, bounds: &str, key_type: &str, partitions: usize) -> Result<Counts> {
    let query = format!(
        "SELECT b.place, pg_catalog.count(*)
           FROM (SELECT pg_catalog.width_bucket({}, {}::{key_type}[]) FROM {}) b (place) GROUP BY 1",
        quote_identifier(&conversion.key),
        quote_literal(bounds),
        conversion.quoted()
    );
    let mut counts = Counts { within: vec![0; partitions], ..Counts::default() };
    for (place, rows) in sql::rows(&query, &[], |row| Ok((row.get::<i32>(1)?, required::<i64>(row, 2)?)))? {
        let place = place.map(|place| usize::try_from(place).unwrap_or(0));
        match place {
            None => counts.null += rows,
            Some(0) => counts.before += rows,
            Some(place) => match counts.within.get_mut(place - 1) {
                Some(partition) => *partition += rows,
                None => counts.after += rows,
            },
        }
    }
    Ok(counts)
}
