//! Fresh statistics and views at the lowest cost: what is due is found from counters, and nothing else is touched.

mod facts;
pub mod registry;

use crate::backend;
use crate::compat;
use crate::error::{Failure, Result, sqlstate};
use crate::extension::as_owner;
use crate::subtransaction::isolated;
use crate::waiting::run_before_deadline;
use crate::worker::locks;
use crate::{settings, sql};
use facts::{Below, Facts, Relation};
use groundskeeper_core::figures::milliseconds;
use groundskeeper_core::plan::Plan;
use groundskeeper_core::statistics::{Due, Seen, View, Window, dependencies_first};
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// What became of one relation.
pub struct Maintained {
    /// `schema.name`, quoted.
    pub relation: String,
    /// `analyzed`, `refreshed`, `skipped` or `failed`.
    pub action: &'static str,
    /// Why.
    pub reason: String,
    /// How long it took.
    pub duration_ms: f64,
}

impl Maintained {
    fn skipped(relation: &str, reason: impl Into<String>) -> Self {
        Self { relation: relation.to_owned(), action: "skipped", reason: reason.into(), duration_ms: 0.0 }
    }
}

/// Looks after everything, tables first, then the views in the order in which they read each other. A failure
/// stays with its relation.
pub fn update(plan: &Plan, force: bool) -> Result<Vec<Maintained>> {
    if backend::is_in_recovery() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
            "cannot update statistics during recovery",
        )
        .hint("Call the function on the primary; its statistics and views come here by replication."));
    }
    // Counters that this transaction has read already are forgotten.
    sql::texts("SELECT pg_catalog.pg_stat_clear_snapshot()::text", &[])?;
    let caller = sql::texts("SELECT CURRENT_USER::text", &[])?.remove(0);
    if !locks::take_for_transaction(locks::STATISTICS) {
        let skip = |r: &Relation| Maintained::skipped(&r.name, "another run is under way");
        return Ok(facts::relations(plan, &caller)?.iter().map(skip).collect());
    }
    in_the_plans_zone(|| Run::new(plan, &caller, force)?.carry_out())
}

/// `CURRENT_DATE` follows the time zone of the session, which is whoever's.
fn in_the_plans_zone<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let set = |zone: &str| {
        sql::texts("SELECT pg_catalog.set_config('timezone', $1, true)", &[zone.into()]).map(drop)
    };
    let before = sql::texts("SELECT pg_catalog.current_setting('timezone')", &[])?;
    set(&settings::timezone())?;
    let result = work()?;
    set(before.first().map_or("UTC", String::as_str))?;
    Ok(result)
}

/// One run over all relations.
struct Run {
    force: bool,
    relations: Vec<Relation>,
    below: HashMap<Oid, Below>,
    /// How often each of the views was refreshed, this run's refreshes included.
    refreshes: HashMap<Oid, i64>,
    reset: Option<String>,
    day: String,
    hour: String,
}

impl Run {
    /// All counters are read before anything is done: what changes later is seen by the next run.
    fn new(plan: &Plan, caller: &str, force: bool) -> Result<Self> {
        let relations = facts::relations(plan, caller)?;
        let found = || relations.iter().filter_map(|r| r.found.as_ref());
        let below = facts::below(found().filter(|f| matches!(f.kind, 'p' | 'm')).map(|f| f.oid).collect())?;
        let refreshes = found().filter(|f| f.kind == 'm').map(|f| (f.oid, f.refreshes)).collect();
        let (reset, day, hour) = facts::now()?;
        Ok(Self { force, relations, below, refreshes, reset, day, hour })
    }

    fn carry_out(mut self) -> Result<Vec<Maintained>> {
        let mut out = Vec::new();
        for at in self.order() {
            let relation = &self.relations[at];
            let Some(found) = &relation.found else {
                out.push(Maintained::skipped(&relation.name, "it does not exist"));
                continue;
            };
            match found.kind {
                'm' => {
                    let (outcome, refreshed) = self.view(&relation.name, found)?;
                    let oid = found.oid;
                    if refreshed {
                        *self.refreshes.entry(oid).or_default() += 1;
                    }
                    out.push(outcome);
                }
                'r' => out.push(self.table(&relation.name, found, &found.table, None)?),
                'p' => out.extend(self.partitioned(&relation.name, found)?),
                _ => out.push(Maintained::skipped(
                    &relation.name,
                    "it is neither a table nor a materialized view",
                )),
            }
        }
        Ok(out)
    }

    /// Tables first, then views, each after those that it reads.
    fn order(&self) -> Vec<usize> {
        let kind = |at: &usize| self.relations[*at].found.as_ref().map(|f| f.kind);
        let (views, mut order): (Vec<usize>, Vec<usize>) =
            (0..self.relations.len()).partition(|at| kind(at) == Some('m'));
        let oids: Vec<Option<Oid>> =
            views.iter().map(|at| self.relations[*at].found.as_ref().map(|f| f.oid)).collect();
        let reads = |reader: usize| {
            let below = oids[reader].and_then(|oid| self.below.get(&oid));
            let sources = below.map(|b| b.sources.as_slice()).unwrap_or_default();
            let position = |(oid, _): &(Oid, _)| oids.iter().position(|view| *view == Some(*oid));
            sources.iter().filter_map(position).map(move |read| (reader, read)).collect::<Vec<_>>()
        };
        let reads: Vec<_> = (0..views.len()).flat_map(reads).collect();
        order.extend(dependencies_first(views.len(), &reads).into_iter().map(|at| views[at]));
        order
    }

    /// What a relation is made from now. A view that is refreshed in the same runs counts by its refreshes, as its
    /// own counters move only when the run is over.
    fn seen(&self, oid: Oid) -> Seen {
        let Some(below) = self.below.get(&oid) else { return Seen::default() };
        let sources = below.sources.iter().map(|(source, as_found)| {
            let mut as_found = as_found.clone();
            if let Some(refreshes) = self.refreshes.get(source) {
                (as_found.file, as_found.changes) = (0, *refreshes);
            }
            (u32::from(*source), as_found)
        });
        let window = match below.window {
            Some(Window::Day) => Some(self.day.clone()),
            Some(Window::Hour) => Some(self.hour.clone()),
            _ => None,
        };
        Seen { reset: self.reset.clone(), window, sources: sources.collect::<BTreeMap<_, _>>() }
    }

    fn view(&self, name: &str, found: &Facts) -> Result<(Maintained, bool)> {
        let now = self.seen(found.oid);
        let opaque = self.below.get(&found.oid).and_then(|b| b.opaque.clone());
        let view = View { populated: found.populated, before: found.before.clone(), now, opaque };
        let verdict = view.verdict(self.force);
        if verdict.due && !found.may_maintain {
            return Ok((
                Maintained::skipped(name, format!("only its owner {} may refresh it", found.owner)),
                false,
            ));
        }
        let plainly = !found.populated || !found.has_key;
        let mut reason = verdict.reason.clone();
        if found.populated && plainly {
            reason.push_str("; readers waited, as a refresh beside them needs a unique index over plain columns and all rows");
        }
        let how = if plainly { "" } else { "CONCURRENTLY " };
        let mut statements = vec![format!("REFRESH MATERIALIZED VIEW {how}{name}")];
        if plainly {
            statements.push(format!("ANALYZE {name}"));
        }
        let outcome = attempt(name, "refreshed", Due { reason, ..verdict }, || {
            run_before_deadline(settings::lock_timeout_ms(), &statements)?;
            remember(found.oid, found.refreshes + 1, &view.now)
        })?;
        let refreshed = outcome.action == "refreshed";
        Ok((outcome, refreshed))
    }

    fn table(
        &self,
        name: &str,
        found: &Facts,
        table: &groundskeeper_core::statistics::Table,
        seen: Option<&Seen>,
    ) -> Result<Maintained> {
        let verdict = table.verdict(self.force);
        if verdict.due && !found.may_analyze {
            let reason = format!("only its owner {} or the database's may analyze it", found.owner);
            return Ok(Maintained::skipped(name, reason));
        }
        attempt(name, "analyzed", verdict, || {
            let analyze = if found.kind == 'p' { compat::ANALYZE_WHOLE } else { "ANALYZE" };
            run_before_deadline(settings::lock_timeout_ms(), &[format!("{analyze} {name}")])?;
            seen.map_or(Ok(()), |seen| remember(found.oid, found.refreshes + 1, seen))
        })
    }

    /// Autovacuum never analyzes a partitioned table itself. Its partitions' counters begin again whenever one of
    /// them is analyzed, so what has changed since the whole was is found by comparing.
    fn partitioned(&self, name: &str, found: &Facts) -> Result<Vec<Maintained>> {
        let now = self.seen(found.oid);
        let rows = self.below.get(&found.oid).map_or(0.0, |b| b.rows);
        let mut table = groundskeeper_core::statistics::Table { rows, ..found.table.clone() };
        match &found.before {
            Some(before) if before.reset == now.reset => {
                table.changes = now.changes_since(before) as f64;
            }
            // What has changed since is not known: as much as there is.
            _ => table.changes = now.changes_since(&Seen::default()).max(1) as f64 + table.threshold(),
        }
        if now.sources.is_empty() {
            return Ok(vec![Maintained::skipped(name, "it has no partitions")]);
        }
        Ok(vec![self.table(name, found, &table, Some(&now))?])
    }
}

/// Does what is due, and nothing else: not even a row of ours is written for what is not.
fn attempt(
    name: &str,
    action: &'static str,
    verdict: Due,
    work: impl FnOnce() -> Result<()>,
) -> Result<Maintained> {
    if !verdict.due {
        return Ok(Maintained::skipped(name, verdict.reason));
    }
    let started = Instant::now();
    let result = isolated(work);
    let duration_ms = milliseconds(started.elapsed().as_secs_f64() * 1000.0);
    // The detail may have values of rows: it is for the caller, and not for who reads the log.
    let mut written = None;
    let outcome = match result {
        Ok(()) => Maintained { relation: name.to_owned(), action, reason: verdict.reason, duration_ms },
        Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE && gone(name)? => {
            Maintained { duration_ms, ..Maintained::skipped(name, "it does not exist any more") }
        }
        Err(failure) => {
            let code = sqlstate(failure.code);
            written = Some(format!("{} ({code})", failure.message));
            let reason = format!("{} ({code})", failure.one_line());
            Maintained { relation: name.to_owned(), action: "failed", reason, duration_ms }
        }
    };
    if outcome.action != "skipped" {
        log(&outcome, written.as_ref().unwrap_or(&outcome.reason))?;
    }
    Ok(outcome)
}

fn gone(name: &str) -> Result<bool> {
    let gone = "SELECT pg_catalog.to_regclass($1) IS NULL";
    Ok(sql::first(gone, &[name.into()], |row| sql::required(row, 1))?.unwrap_or(true))
}

/// Writes down what a relation was made from. In a transaction whose snapshot is older than the counters that is
/// not known, so the next run does it again.
fn remember(oid: Oid, refreshes: i64, seen: &Seen) -> Result<()> {
    let seen = if backend::has_one_snapshot() {
        Seen { reset: Some("unknown".to_owned()), ..Seen::default() }
    } else {
        seen.clone()
    };
    let seen = serde_json::to_string(&seen).map_err(|e| Failure::internal(e.to_string()))?;
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.relation_seen (relation_oid, refreshes, seen) VALUES ($1, $2, $3::pg_catalog.jsonb)
             ON CONFLICT (relation_oid) DO UPDATE SET refreshes = EXCLUDED.refreshes, seen = EXCLUDED.seen",
            &[oid.into(), refreshes.into(), seen.as_str().into()],
        )
    })
}

fn log(outcome: &Maintained, reason: &str) -> Result<()> {
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.maintenance_log (relation, action, reason, started_at, duration_ms)
             VALUES ($1, $2, $3, pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $4 / 1000), $4)",
            &[
                outcome.relation.as_str().into(),
                outcome.action.into(),
                reason.into(),
                outcome.duration_ms.into(),
            ],
        )
    })
}
