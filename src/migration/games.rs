//! Games: one row per external id, made from what all raw tables tell.

use super::facts::Deployment;
use super::lock::Lock;
use super::notes::{self, AboutGames};
use super::{bisect, prepared_memory};
use crate::error::Result;
use crate::guc::pinned;
use crate::sql::{self, Text, required};
use groundskeeper_core::migration::{self, Market};
use pgrx::datum::DatumWithOid;
use serde::Serialize;
use std::collections::HashMap;

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

/// Which games are made: the arguments `$6` (external ids) and, from `$7` on, the rows of each market.
struct Touched {
    query: Option<String>,
    games: Vec<Text>,
    rows: Vec<String>,
}

impl Touched {
    fn games(games: Vec<Text>) -> Self {
        Self { query: Some("SELECT pg_catalog.unnest($6)".to_owned()), games, rows: Vec::new() }
    }

    fn of(deployment: &Deployment, about: &AboutGames) -> Self {
        let mut touched = Self::games(about.moved.iter().chain(&about.left).cloned().collect());
        if about.everything {
            touched.query = None;
            return touched;
        }
        let mut queries: Vec<String> = touched.query.into_iter().collect();
        for (market, rows) in &about.rows {
            if let Ok(shape) = deployment.fit(*market) {
                touched.rows.push(rows.clone());
                queries.push(format!(
                    "SELECT r.{game} FROM ({each}) r",
                    game = shape.raw.tells.game.quoted,
                    each = super::rows_of(&shape, &format!("${}", 6 + touched.rows.len()))
                ));
            }
        }
        touched.query = Some(queries.join(" UNION ALL "));
        touched
    }
}

/// Makes and mends the games that notes tell of: at once, or one by one where some cannot be written.
pub fn make(deployment: &Deployment, about: &AboutGames) -> Result<Tally> {
    // Waiting for another migration blocks no application.
    pinned(&[(c"lock_timeout", c"0")], || Lock::Games.take());
    let touched = Touched::of(deployment, about);
    match crate::subtransaction::isolated(|| write(deployment, &touched)) {
        Ok(tally) => Ok(tally),
        Err(failure) if bisect::is_of_a_record(&failure) => {
            let all = || {
                let every = deployment.sources().into_iter();
                let every = every.map(|s| format!("SELECT {} FROM {}", s.game.quoted, s.market.raw()));
                every.collect::<Vec<_>>().join(" UNION ALL ")
            };
            let query = touched.query.clone().unwrap_or_else(all);
            let ids = format!(
                "SELECT DISTINCT t.id::pg_catalog.text FROM ({query}) t (id) WHERE t.id ~ {} ORDER BY 1",
                migration::BLANKS
            );
            let args = arguments(deployment, &touched)?;
            one_by_one(deployment, sql::rows(&ids, &args, |row| required::<Text>(row, 1))?)
        }
        Err(failure) => Err(failure),
    }
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
        &mut |part| {
            tally.add(write(deployment, &Touched::games(part.to_vec()))?);
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

fn arguments<'a>(deployment: &'a Deployment, touched: &'a Touched) -> Result<Vec<DatumWithOid<'a>>> {
    let [teams, time] = notes::corrections()?;
    let mut args: Vec<DatumWithOid> = vec![
        deployment.rules.as_str().into(),
        deployment.naming.clone().into(),
        deployment.zone.as_str().into(),
        teams.into(),
        time.into(),
        touched.games.clone().into(),
    ];
    args.extend(touched.rows.iter().map(|rows| DatumWithOid::from(rows.as_str())));
    Ok(args)
}

fn write(deployment: &Deployment, touched: &Touched) -> Result<Tally> {
    prepared_memory()?;
    let statement = migration::games(&deployment.sources(), &deployment.games()?, touched.query.as_deref());
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
