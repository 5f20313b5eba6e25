//! One batch: raw rows in, and each of them staged or written down as failed.

use super::facts::Deployment;
use super::{bisect, failures, games, notes};
use crate::error::{Failure, Result, sqlstate};
use crate::sql::Argument;
use crate::sql::{self, Text, required};
use crate::subtransaction::isolated;
use groundskeeper_core::migration::{self, Scope, Shape};
use pgrx::PgSqlErrorCode;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

/// The raw rows of a batch.
#[derive(Debug, Clone)]
pub enum Rows {
    /// Ids above the first up to the second.
    Range {
        /// Above this one.
        after: i64,
        /// Up to this one.
        upto: i64,
        /// How many there were when they were counted.
        count: i64,
        /// But for these, which have failed and are not due.
        left_out: Vec<i64>,
    },
    /// These ids.
    Ids(Vec<i64>),
}

impl Rows {
    fn scope(&self) -> Scope {
        match self {
            Self::Range { .. } => Scope::Range,
            Self::Ids(_) => Scope::Ids,
        }
    }

    fn count(&self) -> i64 {
        let length = |ids: &Vec<i64>| i64::try_from(ids.len()).unwrap_or(i64::MAX);
        match self {
            Self::Range { count, left_out, .. } => count - length(left_out),
            Self::Ids(ids) => length(ids),
        }
    }

    fn plain_args(&self) -> Vec<Argument> {
        match self {
            Self::Range { after, upto, left_out, .. } => {
                vec![(*after).into(), (*upto).into(), left_out.clone().into()]
            }
            Self::Ids(ids) => vec![ids.clone().into()],
        }
    }

    /// Arguments of a statement that scores and names.
    pub fn args(&self, deployment: &Deployment) -> Vec<Argument> {
        let configured = [deployment.rules.as_str().into(), deployment.naming.clone().into()];
        configured.into_iter().chain(self.plain_args()).collect()
    }
}

/// What became of the rows that had to be staged.
#[derive(Debug, Default)]
pub struct Tally {
    /// Those that were staged, or staged again.
    pub successful: i64,
    /// Those that were written down as failed.
    pub failed: i64,
    /// Of these, what failed in an earlier run, too.
    pub again: i64,
}

/// Stages what is not staged or has changed. Every row of the batch is staged afterwards, or among the failures.
/// Where rows may be put off, those that others have locked are left to the next run.
pub fn migrate(deployment: &Deployment, shape: &Shape, rows: &Rows, put_off: bool) -> Result<Tally> {
    let fresh = is_fresh(shape, rows)?;
    let mut batch = Batch {
        deployment,
        shape,
        may_put_off: put_off,
        written: 0,
        kept_out: HashSet::new(),
        put_off: HashSet::new(),
        failed: HashMap::new(),
    };
    batch.stage(rows, fresh)?;
    if batch.written < rows.count() || !fresh {
        batch.account_for_the_rest(rows)?;
    }
    notes::put_off(shape.market, &batch.put_off)?;
    let again = failures::settle(&shape.market.raw(), rows, &batch.failed)?;
    let failed = i64::try_from(batch.failed.len()).unwrap_or(i64::MAX);
    Ok(Tally { successful: batch.written, failed, again })
}

/// Whether nothing of the batch can be staged yet, as no row at or beyond it is.
fn is_fresh(shape: &Shape, rows: &Rows) -> Result<bool> {
    let Rows::Range { after, .. } = rows else { return Ok(false) };
    // The highest one is at the end of the index; whether a higher one exists might be planned as a scan.
    let highest = format!(
        "SELECT pg_catalog.max(s.{})::pg_catalog.int8 FROM {} s",
        shape.staging.raw_id.quoted,
        shape.market.staging()
    );
    let highest = sql::first(&highest, &[], |row| row.get::<i64>(1))?.flatten();
    Ok(highest.is_none_or(|highest| highest <= *after))
}

/// Locked rows of a batch that are looked for one by one.
const MOST_PUT_OFF: usize = 10;

fn is_of_a_lock(failure: &Failure) -> bool {
    migration::is_worth_another_try(&sqlstate(failure.code))
}

struct Batch<'a> {
    deployment: &'a Deployment,
    shape: &'a Shape,
    may_put_off: bool,
    written: i64,
    /// Rows that should have been written, and were not.
    kept_out: HashSet<i64>,
    /// Rows that others have locked.
    put_off: HashSet<i64>,
    /// Reason and detail.
    failed: HashMap<i64, (String, String)>,
}

impl Batch<'_> {
    fn stage(&mut self, rows: &Rows, fresh: bool) -> Result<()> {
        match isolated(|| self.write(rows, fresh)) {
            Ok((written, kept_out)) => {
                self.written += written;
                self.kept_out.extend(kept_out);
                Ok(())
            }
            Err(failure) if self.is_of_some_rows(&failure) => self.stage_by_halves(&self.ids(rows)?),
            Err(failure) => Err(failure),
        }
    }

    fn is_of_some_rows(&self, failure: &Failure) -> bool {
        bisect::is_of_a_record(failure) || self.may_put_off && is_of_a_lock(failure)
    }

    fn stage_by_halves(&mut self, ids: &[i64]) -> Result<()> {
        let (mut written, mut kept_out) = (0, Vec::new());
        let failed = RefCell::new(Vec::new());
        let locked = Cell::new(self.put_off.len());
        bisect::each(
            ids,
            // Where more are locked, it is a table that is.
            &|failure| {
                self.is_of_some_rows(failure) && (!is_of_a_lock(failure) || locked.get() < MOST_PUT_OFF)
            },
            &mut |part| {
                let (these, kept) = self.write(&Rows::Ids(part.to_vec()), false)?;
                written += these;
                kept_out.extend(kept);
                Ok(())
            },
            &mut |id, failure| {
                locked.set(locked.get() + usize::from(is_of_a_lock(&failure)));
                failed.borrow_mut().push((*id, failure));
            },
        )?;
        self.written += written;
        self.kept_out.extend(kept_out);
        for (id, failure) in failed.into_inner() {
            if is_of_a_lock(&failure) {
                self.put_off.insert(id);
                continue;
            }
            let detail = self.detail(id, &failure)?;
            self.failed.insert(id, (migration::reason(&sqlstate(failure.code)), detail));
        }
        Ok(())
    }

    /// What was said, and of which columns where PostgreSQL does not say so itself.
    fn detail(&self, id: i64, failure: &Failure) -> Result<String> {
        let silent = [
            PgSqlErrorCode::ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
            PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        ];
        let query = self.shape.unfit_values().filter(|_| silent.contains(&failure.code));
        let Some(query) = query else { return Ok(failure.message.clone()) };
        let columns = isolated(|| sql::first(&query, &[id.into()], |row| required::<String>(row, 1)));
        Ok(match columns.ok().flatten().filter(|columns| !columns.is_empty()) {
            Some(columns) => format!("{columns}: {}", failure.message),
            None => failure.message.clone(),
        })
    }

    /// How many were written, and which were not.
    fn write(&self, rows: &Rows, fresh: bool) -> Result<(i64, Vec<i64>)> {
        let scope = rows.scope();
        let mut written = sql::affected(&self.shape.insert(scope, fresh), &rows.args(self.deployment))?;
        let mut kept_out = Vec::new();
        if !fresh && written < rows.count() {
            let updated = sql::returned(&self.shape.update(scope), &rows.args(self.deployment), |row| {
                Ok((required::<i64>(row, 1)?, row.get::<Vec<i64>>(2)?, required::<bool>(row, 3)?))
            })?;
            let (count, kept, locked) = updated.unwrap_or_default();
            if locked {
                let message =
                    format!("rows of {} are locked by another session", self.shape.market.staging());
                return Err(Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, message));
            }
            written += count;
            kept_out = kept.unwrap_or_default();
        }
        Ok((written, kept_out))
    }

    fn ids(&self, rows: &Rows) -> Result<Vec<i64>> {
        match rows {
            Rows::Ids(ids) => Ok(ids.clone()),
            Rows::Range { .. } => {
                let id = &self.shape.raw.id.quoted;
                let ids = format!(
                    "SELECT r.{id}::pg_catalog.int8 FROM {} r WHERE {} ORDER BY 1",
                    self.shape.market.raw(),
                    Scope::Range.plain_condition(id)
                );
                sql::rows(&ids, &rows.plain_args(), |row| required(row, 1))
            }
        }
    }

    /// Rows that were neither staged nor refused: their game is missing, something kept them out, or they were written
    /// meanwhile. What a second try leaves as it was is a failure.
    fn account_for_the_rest(&mut self, rows: &Rows) -> Result<()> {
        let left = self.unstaged(rows)?;
        if left.is_empty() {
            return Ok(());
        }
        // Collected since the games were made.
        let missing: HashSet<Text> = self.missing_games(&left)?.into_values().collect();
        let refused = if missing.is_empty() { HashMap::new() } else { self.make(missing)? };
        self.kept_out.clear();
        self.stage(&Rows::Ids(left.clone()), false)?;
        let left = self.unstaged(&Rows::Ids(left))?;
        for (id, game) in self.missing_games(&left)? {
            let why = refused.get(&game).map_or("it was not written", String::as_str);
            self.failed.insert(id, ("game_not_staged".to_owned(), format!("game {}: {why}", game.shown())));
        }
        self.fail_suppressed(&left);
        Ok(())
    }

    /// Makes games that are missing; the reasons why some cannot be.
    fn make(&self, missing: HashSet<Text>) -> Result<HashMap<Text, String>> {
        let made = games::make_these(self.deployment, missing.into_iter().collect())?;
        let mut made = made.ok_or_else(|| {
            Failure::new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                "another session is making the games of a migration",
            )
        })?;
        let outcome = made.outcome();
        notes::leave_games(self.shape.market, outcome.left)?;
        Ok(outcome.refused)
    }

    fn fail_suppressed(&mut self, left: &[i64]) {
        for id in left {
            self.failed.entry(*id).or_insert_with(|| {
                let detail = format!("a trigger or rule kept it out of {}", self.shape.market.staging());
                ("suppressed".to_owned(), detail)
            });
        }
    }

    /// The rows that are not staged as they are, but for those that failed.
    fn unstaged(&self, rows: &Rows) -> Result<Vec<i64>> {
        let absent =
            sql::rows(&self.shape.unstaged(rows.scope()), &rows.plain_args(), |row| required(row, 1))?;
        let left: HashSet<i64> = absent.into_iter().chain(self.kept_out.iter().copied()).collect();
        let mut left: Vec<i64> = left
            .into_iter()
            .filter(|id| !self.failed.contains_key(id) && !self.put_off.contains(id))
            .collect();
        left.sort_unstable();
        Ok(left)
    }

    /// Which of the rows lack their game, and which that is.
    fn missing_games(&self, ids: &[i64]) -> Result<HashMap<i64, Text>> {
        let Some(query) = self.shape.missing_games().filter(|_| !ids.is_empty()) else {
            return Ok(HashMap::new());
        };
        let games =
            sql::rows(&query, &[ids.to_vec().into()], |row| Ok((required(row, 1)?, required(row, 2)?)))?;
        Ok(games.into_iter().collect())
    }
}
