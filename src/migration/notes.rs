//! The notes that tell which rows and games have changed, and what makes a run look at everything.

use super::failures;
use crate::error::Result;
use crate::extension::as_owner;
use crate::sql::{self, Text, required};
use groundskeeper_core::migration::{GAMES_SUBJECT, Market, Source};
use std::collections::HashSet;

/// Numbers of raw rows, as PostgreSQL spells a multirange.
pub type Ranges = String;

/// All numbers that there are.
pub const EVERYTHING: &str = "{(,)}";

/// Notes that one step deals with at most; each has at most some thousand ranges.
const AT_ONCE: i64 = 1_000;

/// Beyond so many bytes the triggers note nothing more.
const MOST_BYTES: i64 = 64 * 1024 * 1024;

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
        // Writers hold it for a moment only; where one does longer, the next run tries again. What somebody has corrected
        // is kept, and nothing more comes between.
        let emptied = crate::subtransaction::isolated(|| {
            sql::run("LOCK TABLE groundskeeper.migration_notes IN ACCESS EXCLUSIVE MODE", &[])?;
            sql::run(
                "INSERT INTO groundskeeper.migration_corrections AS c (external_id, teams, date, \"time\")
                 SELECT g.id, pg_catalog.bool_or('teams' = ANY (n.facts)), pg_catalog.bool_or('date' = ANY (n.facts)),
                        pg_catalog.bool_or('time' = ANY (n.facts))
                   FROM groundskeeper.migration_notes n, pg_catalog.unnest(n.games) g (id)
                  WHERE n.subject = $1 AND pg_catalog.cardinality(n.facts) > 0 GROUP BY g.id
                 ON CONFLICT (external_id) DO UPDATE
                    SET teams = c.teams OR excluded.teams, date = c.date OR excluded.date, \"time\" = c.\"time\" OR excluded.\"time\"",
                &[GAMES_SUBJECT.into()],
            )?;
            sql::run("TRUNCATE groundskeeper.migration_notes", &[])
        });
        match emptied {
            Ok(()) => Ok(true),
            Err(failure) if failure.is_lock_not_available() => Ok(true),
            Err(failure) => Err(failure),
        }
    })
}

/// Writes a note of our own.
pub fn add(subject: &str, ids: Option<&str>, games: Option<Vec<Text>>, made: bool) -> Result<()> {
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
                 INSERT INTO groundskeeper.migration_corrections AS c (external_id, teams, date, \"time\")
                 SELECT id, pg_catalog.bool_or('teams' = ANY (facts)), pg_catalog.bool_or('date' = ANY (facts)),
                        pg_catalog.bool_or('time' = ANY (facts))
                   FROM g WHERE pg_catalog.cardinality(facts) > 0 GROUP BY id
                 ON CONFLICT (external_id) DO UPDATE SET teams = c.teams OR excluded.teams, date = c.date OR excluded.date, \"time\" = c.\"time\" OR excluded.\"time\"),
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
                |row| row.get::<Vec<Text>>(1),
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
                sql::first(&query, &[games.to_vec().into()], |row| row.get::<String>(1))?.flatten()
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

/// What somebody else has corrected of games: teams, days, and moments.
pub fn corrections() -> Result<[Vec<Text>; 3]> {
    let corrections = as_owner(|| {
        sql::first(
            "SELECT pg_catalog.array_agg(external_id) FILTER (WHERE teams), pg_catalog.array_agg(external_id) FILTER (WHERE date),
                    pg_catalog.array_agg(external_id) FILTER (WHERE \"time\")
               FROM groundskeeper.migration_corrections",
            &[],
            |row| Ok([1, 2, 3].map(|column| row.get::<Vec<Text>>(column))),
        )
    })?;
    let Some([teams, date, time]) = corrections else { return Ok(Default::default()) };
    Ok([teams?, date?, time?].map(Option::unwrap_or_default))
}
