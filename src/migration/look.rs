//! What makes a run look at everything, where notes cannot tell what has changed.

use super::failures;
use super::notes::{EVERYTHING, add};
use crate::error::{Failure, Result};
use crate::extension::{as_owner, home};
use crate::sql::{self, required};
use groundskeeper_core::migration::{self, GAMES, Shape};

/// What the notes of a market came to, and the table it stands in.
struct Known {
    files: String,
    mapping: Option<String>,
    definition: Option<String>,
    seen_id: Option<i64>,
    staged_id: Option<i64>,
    swept_recently: bool,
}

/// Has everything looked at where notes cannot tell what has changed: at first, in a copy, once a table was written
/// anew or staged rows were deleted, when columns or names are called otherwise, once a day, and where nothing is
/// noted. Rows beyond the last one seen are looked at in any case. `captured` says whether changes are noted.
pub fn look(shape: &Shape, mapping: &str, captured: bool, sweep: bool) -> Result<()> {
    let market = shape.market;
    let (raw, staging) = (market.raw(), market.staging());
    let highest = |table: &str, column: &str| {
        let query = format!("SELECT pg_catalog.max(t.{column})::pg_catalog.int8 FROM {table} t");
        Ok::<_, Failure>(sql::first(&query, &[], |row| row.get::<i64>(1))?.flatten())
    };
    let upto = highest(&raw, &shape.raw.id.quoted)?;
    let staged = highest(&staging, &shape.staging.raw_id.quoted)?;
    let files = files(&[raw.as_str(), staging.as_str(), GAMES])?;
    let (definition, makeup) = super::facts::definition(market)?;
    let mapping = format!("{mapping} {makeup}");
    as_owner(|| {
        let known = known(&raw)?;
        let everything = sweep
            || !captured
            || known.as_ref().is_none_or(|known| {
                !known.swept_recently
                    || migration::rewritten(&known.files, &files, 3)
                    || known.mapping.as_deref() != Some(mapping.as_str())
                    || known.staged_id.is_some_and(|before| staged.is_none_or(|now| now < before))
            });
        if everything {
            add(market.bet_type(), Some(EVERYTHING), None, false)?;
        } else if let Some((seen, upto)) = known.as_ref().and_then(|k| k.seen_id).zip(upto)
            && seen < upto
        {
            sql::run(
                "INSERT INTO groundskeeper.migration_notes (subject, ids)
                 VALUES ($1, pg_catalog.int8multirange(pg_catalog.int8range($2, NULLIF($3, 9223372036854775807), '(]')))",
                &[market.bet_type().into(), seen.into(), upto.into()],
            )?;
        }
        if known.as_ref().is_some_and(|known| known.definition.as_deref() != Some(&definition)) || sweep {
            failures::try_all_again(&raw)?;
        }
        sql::run(
            "INSERT INTO groundskeeper.migration_progress AS p (raw_table, home, files, mapping, definition, seen_id, swept_at)
             VALUES ($1, $2, $3, $4, $5, $6, pg_catalog.now())
             ON CONFLICT (raw_table) DO UPDATE
                SET home = excluded.home, files = excluded.files, mapping = excluded.mapping, definition = excluded.definition,
                    seen_id = excluded.seen_id, staged_id = CASE WHEN $7 THEN NULL ELSE p.staged_id END,
                    swept_at = CASE WHEN $7 THEN excluded.swept_at ELSE p.swept_at END",
            &[
                raw.as_str().into(),
                home().into(),
                files.as_str().into(),
                mapping.as_str().into(),
                definition.as_str().into(),
                upto.unwrap_or(i64::MIN).into(),
                everything.into(),
            ],
        )
    })
}

fn known(raw: &str) -> Result<Option<Known>> {
    sql::first(
        "SELECT p.files, p.mapping, p.definition, p.seen_id, p.staged_id,
                p.swept_at >= pg_catalog.now() - '1 day'::pg_catalog.interval
           FROM groundskeeper.migration_progress p WHERE p.raw_table = $1 AND p.home = $2",
        &[raw.into(), home().into()],
        |row| {
            Ok(Known {
                files: required(row, 1)?,
                mapping: row.get(2)?,
                definition: row.get(3)?,
                seen_id: row.get(4)?,
                staged_id: row.get(5)?,
                swept_recently: row.get::<bool>(6)?.unwrap_or(false),
            })
        },
    )
}

/// The files of tables, and then of their partitions.
fn files(tables: &[&str]) -> Result<String> {
    let files = sql::first(
        "SELECT pg_catalog.string_agg(pg_catalog.concat(f.oid, '/', pg_catalog.pg_relation_filenode(f.oid)), ' ' ORDER BY f.place, f.oid)
           FROM (SELECT t.place, pg_catalog.to_regclass(t.name)::pg_catalog.oid
                   FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY t (name, place)
                 UNION ALL
                 SELECT 1000, p.relid FROM pg_catalog.unnest($1::pg_catalog.text[]) t (name),
                        pg_catalog.pg_partition_tree(pg_catalog.to_regclass(t.name)) p
                  WHERE p.level > 0) f (place, oid)",
        &[tables.iter().map(|table| (*table).to_owned()).collect::<Vec<_>>().into()],
        |row| row.get::<String>(1),
    )?;
    Ok(files.flatten().unwrap_or_default())
}

/// Remembers how far a market is staged: where it is less one day, staged rows were deleted.
pub fn completed(shape: &Shape) -> Result<()> {
    let market = shape.market;
    let raw_id = &shape.staging.raw_id.quoted;
    let staged = format!("SELECT pg_catalog.max(s.{raw_id})::pg_catalog.int8 FROM {} s", market.staging());
    let staged = sql::first(&staged, &[], |row| row.get::<i64>(1))?.flatten();
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.migration_progress SET staged_id = $2 WHERE raw_table = $1",
            &[market.raw().into(), staged.into()],
        )
    })
}
