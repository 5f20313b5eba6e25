//! One batch: raw rows in, and each of them staged or written down as failed.

use super::{bisect, failures, games};
use crate::error::{Result, sqlstate};
use crate::sql::{self, required};
use crate::subtransaction::isolated;
use groundskeeper_core::migration::{self, Scope, Shape};
use pgrx::datum::DatumWithOid;
use std::collections::{HashMap, HashSet};

/// The raw rows of a batch.
#[derive(Debug, Clone)]
pub enum Rows {
    /// Ids above the first up to the second; how many there were when they were counted.
    Range(i64, i64, i64),
    /// These ids.
    Ids(Vec<i64>),
}

impl Rows {
    fn scope(&self) -> Scope {
        match self {
            Self::Range(..) => Scope::Range,
            Self::Ids(_) => Scope::Ids,
        }
    }

    fn count(&self) -> i64 {
        match self {
            Self::Range(_, _, count) => *count,
            Self::Ids(ids) => i64::try_from(ids.len()).unwrap_or(i64::MAX),
        }
    }

    fn args<'a>(&self, rules: &'a str) -> Vec<DatumWithOid<'a>> {
        let mut args: Vec<DatumWithOid> = vec![rules.into()];
        match self {
            Self::Range(after, upto, _) => args.extend([(*after).into(), (*upto).into()]),
            Self::Ids(ids) => args.push(ids.clone().into()),
        }
        args
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

/// Stages what is not staged or has moved. Every row of the batch is staged afterwards, or among the failures.
pub fn migrate(shape: &Shape, rules: &str, rows: &Rows) -> Result<Tally> {
    let fresh = is_fresh(shape, rows)?;
    let mut batch = Batch { shape, rules, written: 0, failed: HashMap::new() };
    batch.stage(rows, fresh)?;
    if batch.written < rows.count() || !fresh {
        batch.account_for_the_rest(rows)?;
    }
    let again = failures::settle(&shape.market.raw(), rows, &batch.failed)?;
    let failed = i64::try_from(batch.failed.len()).unwrap_or(i64::MAX);
    Ok(Tally { successful: batch.written, failed, again })
}

/// Whether nothing of the batch can be staged yet, as no row at or beyond it is.
fn is_fresh(shape: &Shape, rows: &Rows) -> Result<bool> {
    let Rows::Range(after, ..) = rows else { return Ok(false) };
    // The highest one is at the end of the index; whether a higher one exists might be planned as a scan.
    let highest = format!(
        "SELECT pg_catalog.max(s.{})::pg_catalog.int8 FROM {} s",
        shape.raw_id,
        shape.market.staging()
    );
    let highest = sql::first(&highest, &[], |row| Ok(row.get::<i64>(1)?))?.flatten();
    Ok(highest.is_none_or(|highest| highest <= *after))
}

struct Batch<'a> {
    shape: &'a Shape,
    rules: &'a str,
    written: i64,
    /// Reason and detail.
    failed: HashMap<i64, (String, String)>,
}

impl Batch<'_> {
    fn stage(&mut self, rows: &Rows, fresh: bool) -> Result<()> {
        match isolated(|| self.write(rows, fresh)) {
            Ok(written) => {
                self.written += written;
                Ok(())
            }
            Err(failure) if bisect::is_of_a_record(&failure) => self.stage_by_halves(&self.ids(rows)?),
            Err(failure) => Err(failure),
        }
    }

    fn stage_by_halves(&mut self, ids: &[i64]) -> Result<()> {
        let (mut written, mut failed) = (0, HashMap::new());
        bisect::each(
            ids,
            &mut |part| {
                written += self.write(&Rows::Ids(part.to_vec()), false)?;
                Ok(())
            },
            &mut |id, failure| {
                failed.insert(*id, (migration::reason(&sqlstate(failure.code)), failure.message));
            },
        )?;
        self.written += written;
        self.failed.extend(failed);
        Ok(())
    }

    fn write(&self, rows: &Rows, fresh: bool) -> Result<i64> {
        let (scope, args) = (rows.scope(), rows.args(self.rules));
        let mut written = sql::affected(&self.shape.insert(scope, fresh), &args)?;
        if !fresh && written < rows.count() {
            written += sql::affected(&self.shape.update(scope), &args)?;
        }
        Ok(written)
    }

    fn ids(&self, rows: &Rows) -> Result<Vec<i64>> {
        match rows {
            Rows::Ids(ids) => Ok(ids.clone()),
            Rows::Range(..) => {
                let raw = self.shape.market.raw();
                let ids = format!(
                    "SELECT r.id::pg_catalog.int8 FROM {raw} r
                      WHERE $1::pg_catalog.text IS NOT NULL AND {} ORDER BY 1",
                    Scope::Range.condition()
                );
                sql::rows(&ids, &rows.args(self.rules), |row| required(row, 1))
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
        let without_game: HashSet<String> = left.iter().filter_map(|(_, game)| game.clone()).collect();
        // Collected since the games were made.
        let ids: Vec<String> = without_game.into_iter().collect();
        let refused = match ids.as_slice() {
            [] => HashMap::new(),
            ids => games::make_these(ids, self.shape.game_words, self.rules)?.1,
        };
        let left: Vec<i64> = left.iter().map(|(id, _)| *id).collect();
        self.stage(&Rows::Ids(left.clone()), false)?;
        let left = self.unstaged(&Rows::Ids(left))?;
        for (id, game) in left.iter().filter_map(|(id, game)| Some((id, game.as_ref()?))) {
            let why = refused.get(game).map_or("it was not written", String::as_str);
            self.failed.insert(*id, ("game_not_staged".to_owned(), format!("game {game}: {why}")));
        }
        self.fail_suppressed(&left);
        Ok(())
    }

    fn fail_suppressed(&mut self, left: &[(i64, Option<String>)]) {
        for (id, _) in left {
            self.failed.entry(*id).or_insert_with(|| {
                let detail = format!("a trigger or rule kept it out of {}", self.shape.market.staging());
                ("suppressed".to_owned(), detail)
            });
        }
    }

    fn unstaged(&self, rows: &Rows) -> Result<Vec<(i64, Option<String>)>> {
        let left = sql::rows(&self.shape.unstaged(rows.scope()), &rows.args(self.rules), |row| {
            Ok((required::<i64>(row, 1)?, row.get::<String>(2)?))
        })?;
        Ok(left.into_iter().filter(|(id, _)| !self.failed.contains_key(id)).collect())
    }
}
