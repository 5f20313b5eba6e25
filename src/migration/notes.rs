//! The notes that tell which rows and games have changed, and what makes a run look at everything.

use super::failures;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, home};
use crate::sql::{self, Text, required};
use groundskeeper_core::migration::{self, GAMES, GAMES_SUBJECT, Market, Shape, Source};
use std::collections::HashSet;

/// Numbers of raw rows, as PostgreSQL spells a multirange.
pub type Ranges = String;

/// All numbers that there are.
pub const EVERYTHING: &str = "{(,)}";

/// Notes that one step deals with at most; each has at most some thousand ranges.
const AT_ONCE: i64 = 1_000;

/// Beyond so many bytes the triggers note nothing more.
const MOST_BYTES: i64 = 64 * 1024 * 1024;

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
        Ok::<_, Failure>(sql::first(&query, &[], |row| Ok(row.get::<i64>(1)?))?.flatten())
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
        |row| Ok(row.get::<String>(1)?),
    )?;
    Ok(files.flatten().unwrap_or_default())
}

/// Begins anew where more was to be noted than there is room for: whatever was left out is among everything.
pub fn overflowed() -> Result<bool> {
    as_owner(|| {
        let bytes =
            sql::first("SELECT pg_catalog.pg_relation_size('groundskeeper.migration_notes')", &[], |row| {
                required::<i64>(row, 1)
            })?;
        if bytes.unwrap_or(0) <= MOST_BYTES {
            return Ok(false);
        }
        sql::run(
            "INSERT INTO groundskeeper.migration_corrections AS c (external_id, teams, \"time\")
             SELECT g.id, pg_catalog.bool_or('teams' = ANY (n.facts)), pg_catalog.bool_or('time' = ANY (n.facts))
               FROM groundskeeper.migration_notes n, pg_catalog.unnest(n.games) g (id)
              WHERE n.subject = $1 AND pg_catalog.cardinality(n.facts) > 0 GROUP BY g.id
             ON CONFLICT (external_id) DO UPDATE SET teams = c.teams OR excluded.teams, \"time\" = c.\"time\" OR excluded.\"time\"",
            &[GAMES_SUBJECT.into()],
        )?;
        // Writers hold it for a moment only; where one does longer, the next run tries again.
        let emptied =
            crate::subtransaction::isolated(|| sql::run("TRUNCATE groundskeeper.migration_notes", &[]));
        match emptied {
            Ok(()) => Ok(true),
            Err(failure) if failure.is_lock_not_available() => Ok(true),
            Err(failure) => Err(failure),
        }
    })
}

/// Writes a note of our own.
fn add(subject: &str, ids: Option<&str>, games: Option<Vec<Text>>, made: bool) -> Result<()> {
    sql::run(
        "INSERT INTO groundskeeper.migration_notes (subject, ids, games, made)
         VALUES ($1, $2::pg_catalog.text::pg_catalog.int8multirange, $3, $4)",
        &[subject.into(), ids.into(), games.into(), made.into()],
    )
}

/// Whether anything is to be done for a market.
pub fn pending(market: Market) -> Result<bool> {
    let pending = as_owner(|| {
        sql::first(
            "SELECT EXISTS (SELECT FROM groundskeeper.migration_notes WHERE subject IN ($1, $2))
                 OR EXISTS (SELECT FROM groundskeeper.migration_failures WHERE raw_table = $3 AND retry_at <= pg_catalog.now())",
            &[market.bet_type().into(), GAMES_SUBJECT.into(), market.raw().into()],
            |row| required::<bool>(row, 1),
        )
    })?;
    Ok(pending == Some(true))
}

/// What the notes tell of games.
#[derive(Default)]
pub struct AboutGames {
    /// All references to games are to be looked at.
    pub emptied: bool,
    /// All games are to be made.
    pub everything: bool,
    /// Games whose rows came, went, or were changed by others: references to them are to be looked at.
    pub moved: Vec<Text>,
    /// Games that records have left, or that were locked.
    pub left: Vec<Text>,
    /// The rows that are to be staged, by market; their games are to be made.
    pub rows: Vec<(Market, Ranges)>,
    /// The notes of markets that this is all of.
    notes: Vec<i64>,
    /// Whether there are more notes.
    pub more: bool,
}

/// Reads what the notes tell of games: those of the games themselves are taken, those of markets are left for
/// [`made`]. What others have corrected is remembered.
pub fn about_games(markets: &[Market]) -> Result<AboutGames> {
    as_owner(|| {
        let mut about = AboutGames::default();
        let taken = sql::first(
            "WITH t AS MATERIALIZED (
                 DELETE FROM groundskeeper.migration_notes WHERE subject = $1 RETURNING ids, games, facts),
             g AS MATERIALIZED (SELECT DISTINCT g.id, t.facts FROM t, pg_catalog.unnest(t.games) g (id)),
             corrected AS (
                 INSERT INTO groundskeeper.migration_corrections AS c (external_id, teams, \"time\")
                 SELECT id, pg_catalog.bool_or('teams' = ANY (facts)), pg_catalog.bool_or('time' = ANY (facts))
                   FROM g WHERE pg_catalog.cardinality(facts) > 0 GROUP BY id
                 ON CONFLICT (external_id) DO UPDATE SET teams = c.teams OR excluded.teams, \"time\" = c.\"time\" OR excluded.\"time\"),
             gone AS (
                 DELETE FROM groundskeeper.migration_corrections c
                  WHERE EXISTS (SELECT FROM t WHERE 'gone' = ANY (t.facts))
                     OR c.external_id IN (SELECT id FROM g GROUP BY id HAVING pg_catalog.count(facts) = 0))
             SELECT EXISTS (SELECT FROM t WHERE t.ids IS NOT NULL), (SELECT pg_catalog.array_agg(DISTINCT id) FROM g)",
            &[GAMES_SUBJECT.into()],
            |row| Ok((required::<bool>(row, 1)?, row.get::<Vec<Text>>(2)?)),
        );
        let (everything, moved) = taken?.unwrap_or_default();
        (about.emptied, about.everything) = (everything, everything);
        about.moved = moved.unwrap_or_default();
        for market in markets {
            let notes = sql::first(
                "SELECT pg_catalog.array_agg(n.note_id), pg_catalog.range_agg(n.ids)::pg_catalog.text, pg_catalog.count(*) = $2,
                        COALESCE(pg_catalog.bool_or(pg_catalog.lower_inf(n.ids) AND pg_catalog.upper_inf(n.ids)), false)
                   FROM (SELECT note_id, ids FROM groundskeeper.migration_notes
                          WHERE subject = $1 AND NOT made ORDER BY note_id LIMIT $2) n",
                &[market.bet_type().into(), AT_ONCE.into()],
                |row| {
                    let (notes, rows) = (row.get::<Vec<i64>>(1)?, row.get::<String>(2)?);
                    Ok((notes, rows, required::<bool>(row, 3)?, required::<bool>(row, 4)?))
                },
            )?;
            let Some((Some(notes), rows, more, everything)) = notes else { continue };
            let left = sql::first(
                "SELECT pg_catalog.array_agg(DISTINCT g.id) FROM groundskeeper.migration_notes n, pg_catalog.unnest(n.games) g (id)
                  WHERE n.note_id = ANY ($1)",
                &[notes.clone().into()],
                |row| Ok(row.get::<Vec<Text>>(1)?),
            )?;
            about.left.extend(left.flatten().unwrap_or_default());
            about.everything |= everything;
            about.more |= more;
            about.notes.extend(notes);
            about.rows.extend(rows.map(|rows| (*market, rows)));
        }
        Ok(about)
    })
}

impl AboutGames {
    /// Whether the notes tell of any game or row.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.moved.is_empty() && self.left.is_empty() && self.rows.is_empty()
    }

    /// The games are made: the rows may be staged. Notes of games alone are done with.
    pub fn made(&self) -> Result<()> {
        as_owner(|| {
            sql::run(
                "DELETE FROM groundskeeper.migration_notes WHERE note_id = ANY ($1) AND ids IS NULL",
                &[self.notes.clone().into()],
            )?;
            sql::run(
                "UPDATE groundskeeper.migration_notes SET made = true, games = NULL WHERE note_id = ANY ($1)",
                &[self.notes.clone().into()],
            )
        })
    }
}

/// Games that could not be changed are to be tried again.
pub fn leave_games(market: Market, games: Vec<Text>) -> Result<()> {
    if games.is_empty() {
        return Ok(());
    }
    as_owner(|| add(market.bet_type(), None, Some(games), false))
}

/// Rows that others have locked are left to the next run.
pub fn put_off(market: Market, ids: &HashSet<i64>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let ranges: Vec<String> = ids.iter().map(|id| format!("({},{id}]", id.saturating_sub(1))).collect();
    as_owner(|| add(market.bet_type(), Some(&format!("{{{}}}", ranges.join(","))), None, false))
}

/// The rows of games are to be looked at, in all markets.
pub fn fan_out(sources: &[(Source, Option<String>)], games: &[Text], everything: bool) -> Result<()> {
    for (source, id) in sources {
        let market = source.market.bet_type();
        let whole = as_owner(|| {
            sql::first(
                "SELECT EXISTS (SELECT FROM groundskeeper.migration_notes
                                 WHERE subject = $1 AND pg_catalog.lower_inf(ids) AND pg_catalog.upper_inf(ids))",
                &[market.into()],
                |row| required::<bool>(row, 1),
            )
        })?;
        if whole == Some(true) || !everything && games.is_empty() {
            continue;
        }
        let ids = match id.as_deref().filter(|_| !everything) {
            None => Some(EVERYTHING.to_owned()),
            Some(id) => {
                let query = format!(
                    "SELECT pg_catalog.range_agg(pg_catalog.int8range(p.low, NULLIF(p.high, 9223372036854775807), '[]'))::pg_catalog.text
                       FROM (SELECT pg_catalog.min(r.{id}), pg_catalog.max(r.{id}) FROM {raw} r
                              WHERE r.{game} = ANY ($1) GROUP BY r.{id} / 64) p (low, high)",
                    raw = source.market.raw(),
                    game = source.game.quoted
                );
                sql::first(&query, &[games.to_vec().into()], |row| Ok(row.get::<String>(1)?))?.flatten()
            }
        };
        if let Some(ids) = ids {
            as_owner(|| add(market, Some(&ids), None, true))?;
        }
    }
    Ok(())
}

/// The next rows of a market.
pub struct Next {
    notes: Vec<i64>,
    /// The rows that the notes tell of.
    pub ranges: Ranges,
}

/// The next rows that are to be looked at. Those that were noted by themselves are tried whatever failed before.
pub fn next(market: Market) -> Result<Option<Next>> {
    as_owner(|| {
        let next = sql::first(
            "SELECT pg_catalog.array_agg(n.note_id), pg_catalog.range_agg(n.ids)::pg_catalog.text,
                    (pg_catalog.range_agg(n.ids) FILTER (WHERE NOT pg_catalog.upper_inf(n.ids)))::pg_catalog.text
               FROM (SELECT note_id, ids FROM groundskeeper.migration_notes
                      WHERE subject = $1 AND made ORDER BY note_id LIMIT $2) n",
            &[market.bet_type().into(), AT_ONCE.into()],
            |row| Ok((row.get::<Vec<i64>>(1)?, row.get::<String>(2)?, row.get::<String>(3)?)),
        )?;
        let Some((Some(notes), Some(ranges), alone)) = next else { return Ok(None) };
        if let Some(alone) = alone {
            failures::try_again(&market.raw(), &alone)?;
        }
        Ok(Some(Next { notes, ranges }))
    })
}

impl Next {
    /// The rows up to that number are dealt with; all of them, where there is none.
    pub fn done(&self, upto: Option<i64>) -> Result<()> {
        as_owner(|| match upto.filter(|upto| *upto < i64::MAX) {
            None => sql::run(
                "DELETE FROM groundskeeper.migration_notes WHERE note_id = ANY ($1)",
                &[self.notes.clone().into()],
            ),
            Some(upto) => {
                sql::run(
                    "UPDATE groundskeeper.migration_notes
                        SET ids = ids * pg_catalog.int8multirange(pg_catalog.int8range($2, NULL, '()'))
                      WHERE note_id = ANY ($1)",
                    &[self.notes.clone().into(), upto.into()],
                )?;
                sql::run(
                    "DELETE FROM groundskeeper.migration_notes WHERE note_id = ANY ($1) AND pg_catalog.isempty(ids)",
                    &[self.notes.clone().into()],
                )
            }
        })
    }
}

/// What somebody else has corrected of games: teams, and days and times.
pub fn corrections() -> Result<[Vec<Text>; 2]> {
    let corrections = as_owner(|| {
        sql::first(
            "SELECT pg_catalog.array_agg(external_id) FILTER (WHERE teams), pg_catalog.array_agg(external_id) FILTER (WHERE \"time\")
               FROM groundskeeper.migration_corrections",
            &[],
            |row| Ok([row.get::<Vec<Text>>(1)?, row.get::<Vec<Text>>(2)?]),
        )
    })?;
    Ok(corrections.unwrap_or_default().map(Option::unwrap_or_default))
}

/// Remembers how far a market is staged: where it is less one day, staged rows were deleted.
pub fn completed(shape: &Shape) -> Result<()> {
    let market = shape.market;
    let raw_id = &shape.staging.raw_id.quoted;
    let staged = format!("SELECT pg_catalog.max(s.{raw_id})::pg_catalog.int8 FROM {} s", market.staging());
    let staged = sql::first(&staged, &[], |row| Ok(row.get::<i64>(1)?))?.flatten();
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.migration_progress SET staged_id = $2 WHERE raw_table = $1",
            &[market.raw().into(), staged.into()],
        )
    })
}
