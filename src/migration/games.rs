//! Games: one row per external id, made from what all raw tables tell.

use super::facts::Deployment;
use super::lock::Lock;
use super::notes::{self, AboutGames};
use super::{bisect, prepared_memory};
use crate::error::Result;
use crate::guc::pinned;
use crate::sql::Argument;
use crate::sql::{self, Text, required};
use groundskeeper_core::migration::{self, Market};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// What became of games, for the log.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    seen: i64,
    inserted: i64,
    updated: i64,
    date_conflicts: i64,
    /// External ids that had several rows before; none of them is deleted, the first one is kept up.
    repeated: i64,
    /// Games whose records disagree on teams or sides.
    disputed: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disputes: Vec<serde_json::Value>,
    failed: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<String>,
    #[serde(skip)]
    outcome: Outcome,
}

/// What follows from games that were made.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Their teams have changed: their records are to be looked at.
    pub renamed: Vec<Text>,
    /// They could not be changed yet.
    pub left: Vec<Text>,
    /// They cannot be written, and why.
    pub refused: HashMap<Text, String>,
}

/// How many examples the log has room for.
const EXAMPLES: usize = 20;

/// As many games as are changed at once, so that nobody waits long for one.
const AT_ONCE: i64 = 5_000;

impl Tally {
    /// A sentence on dates and one on teams, if there is anything to say.
    pub fn notices(&self) -> Vec<String> {
        let dates = (self.date_conflicts > 0).then(|| {
            format!(
                "{} games were given more than one date; the one collected last counts",
                self.date_conflicts
            )
        });
        let teams = (self.disputed > 0)
            .then(|| format!("records of {} games disagree on the teams or on their sides", self.disputed));
        dates.into_iter().chain(teams).collect()
    }

    /// Whether as many were changed as are at once.
    pub fn is_full(&self) -> bool {
        self.updated >= AT_ONCE
    }

    /// What follows from it.
    pub fn outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.date_conflicts += other.date_conflicts;
        self.repeated += other.repeated;
        self.disputed += other.disputed;
        self.conflicts.extend(other.conflicts);
        self.conflicts.truncate(EXAMPLES);
        self.disputes.extend(other.disputes);
        self.disputes.truncate(EXAMPLES);
        self.outcome.renamed.extend(other.outcome.renamed);
        self.outcome.left.extend(other.outcome.left);
    }
}

/// Which games are made: all, or those in the argument `$6`.
struct Touched(Option<Vec<Text>>);

impl Touched {
    fn of(deployment: &Deployment, about: &AboutGames) -> Result<Self> {
        if about.everything {
            return Ok(Self(None));
        }
        let mut games: Vec<Text> = about.moved.iter().chain(&about.left).cloned().collect();
        for (market, rows) in &about.rows {
            if let Ok(shape) = deployment.fit(*market) {
                let query = super::games_of(&shape);
                games.extend(sql::rows(&query, &[rows.as_str().into()], |row| required::<Text>(row, 1))?);
            }
        }
        let games: HashSet<Text> = games.into_iter().collect();
        Ok(Self(Some(games.into_iter().collect())))
    }

    fn query(&self) -> Option<&'static str> {
        self.0.is_some().then_some("SELECT pg_catalog.unnest($6)")
    }
}

/// Makes and mends the games that notes tell of: at once, or one by one where some cannot be written.
pub fn make(deployment: &Deployment, about: &AboutGames) -> Result<Tally> {
    // Waiting for another migration blocks no application.
    pinned(&[(c"lock_timeout", c"0")], || Lock::Games.take());
    let touched = Touched::of(deployment, about)?;
    match crate::subtransaction::isolated(|| write(deployment, &touched)) {
        Ok(tally) => Ok(tally),
        Err(failure) if bisect::is_of_a_record(&failure) => {
            let ids = match touched.0 {
                Some(ids) => ids,
                None => every_game(deployment)?,
            };
            one_by_one(deployment, ids)
        }
        Err(failure) => Err(failure),
    }
}

fn every_game(deployment: &Deployment) -> Result<Vec<Text>> {
    let sources = deployment.sources().into_iter();
    let all = sources.map(|s| format!("SELECT {}::pg_catalog.text FROM {}", s.game.quoted, s.market.raw()));
    let ids = format!(
        "SELECT DISTINCT t.id FROM ({}) t (id) WHERE t.id ~ {} ORDER BY 1",
        all.collect::<Vec<_>>().join(" UNION ALL "),
        migration::BLANKS
    );
    sql::rows(&ids, &[], |row| required(row, 1))
}

/// The same for external ids, unless another migration is at it.
pub fn make_these(deployment: &Deployment, ids: Vec<Text>) -> Result<Option<Tally>> {
    if !Lock::Games.try_take() {
        return Ok(None);
    }
    one_by_one(deployment, ids).map(Some)
}

fn one_by_one(deployment: &Deployment, ids: Vec<Text>) -> Result<Tally> {
    let (mut tally, mut refused) = (Tally::default(), HashMap::new());
    bisect::each(
        &ids,
        &bisect::is_of_a_record,
        &mut |part| {
            tally.add(write(deployment, &Touched(Some(part.to_vec())))?);
            Ok(())
        },
        &mut |id, failure| {
            refused.insert(id.clone(), failure.message);
        },
    )?;
    tally.failed = refused.len();
    tally.failures =
        refused.iter().take(EXAMPLES).map(|(id, why)| format!("{}: {why}", id.shown())).collect();
    tally.outcome.refused = refused;
    Ok(tally)
}

fn arguments(deployment: &Deployment, touched: &Touched) -> Result<Vec<Argument>> {
    let [teams, date, time] = notes::corrections()?;
    Ok(vec![
        deployment.rules.as_str().into(),
        deployment.naming.clone().into(),
        deployment.zone.as_str().into(),
        teams.into(),
        time.into(),
        touched.0.clone().unwrap_or_default().into(),
        date.into(),
    ])
}

fn write(deployment: &Deployment, touched: &Touched) -> Result<Tally> {
    prepared_memory()?;
    let statement = migration::games(&deployment.sources(), &deployment.games()?, touched.query());
    let tally = sql::returned(&statement, &arguments(deployment, touched)?, |row| {
        let examples = |text: Option<Text>| {
            text.and_then(|text| serde_json::from_str(&text.shown()).ok()).unwrap_or_default()
        };
        Ok(Tally {
            seen: required(row, 1)?,
            inserted: required(row, 2)?,
            updated: required(row, 3)?,
            date_conflicts: required(row, 4)?,
            repeated: required(row, 5)?,
            disputed: required(row, 6)?,
            conflicts: examples(row.get(7)?),
            disputes: examples(row.get(8)?),
            outcome: Outcome {
                renamed: row.get(9)?.unwrap_or_default(),
                left: row.get(10)?.unwrap_or_default(),
                refused: HashMap::new(),
            },
            ..Tally::default()
        })
    })?;
    Ok(tally.unwrap_or_default())
}

/// The raw tables that tell of games, each with its column of numbers where the market fits.
pub fn sources(deployment: &Deployment) -> Vec<(migration::Source, Option<String>)> {
    let id = |market: Market| deployment.fit(market).ok().map(|shape| shape.raw.id.quoted);
    deployment.sources().into_iter().map(|source| (source.clone(), id(source.market))).collect()
}
