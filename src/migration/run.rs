//! A run over one market: its memory is a row of `groundskeeper.migration_runs`, written with each batch.

use super::games;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, home};
use crate::sql::{self, Text, required};
use groundskeeper_core::migration::Market;

/// What a run does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The games that the notes of the execution tell of.
    Games,
    /// The rows that the notes of the market tell of.
    Rows,
    /// Rows that failed before, and are due.
    Retry,
}

impl Phase {
    const fn code(self) -> &'static str {
        match self {
            Self::Games => "games",
            Self::Rows => "rows",
            Self::Retry => "retry",
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        [Self::Games, Self::Rows, Self::Retry].into_iter().find(|phase| phase.code() == code)
    }
}

/// Where a run stands.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// What the runs of one call share.
    pub execution: String,
    /// Its market.
    pub market: Market,
    /// Rows per transaction.
    pub batch_size: i64,
    /// What it does next.
    pub phase: Phase,
    /// The last row that the retries have dealt with; in the phase of the games, how often locked ones were tried.
    pub cursor: i64,
    /// Records staged so far.
    pub successful: i64,
    /// Failures.
    pub failed: i64,
    /// Of these, what failed in an earlier run, too: no figure of its own, so that it is in the metadata.
    pub failed_again: i64,
}

/// Runs of the market that were begun and not ended: true if one is still at work. The others are written down as
/// failed and come back with their logs still open.
pub fn interrupted(market: Market) -> Result<(bool, Vec<i64>)> {
    as_owner(|| {
        // A call goes on for as long as its session has begun no other statement.
        let live = sql::first(
            "SELECT EXISTS (
                 SELECT FROM groundskeeper.migration_runs r
                   CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(r.pid) a
                  WHERE a.backend_start = r.backend_start AND r.bet_type = $1 AND r.state = 'running' AND r.home = $2 AND a.state = 'active'
                    AND a.query_start <= r.started_at AND a.pid <> pg_catalog.pg_backend_pid())",
            &[market.bet_type().into(), home().into()],
            |row| required::<bool>(row, 1),
        )?;
        if live == Some(true) {
            return Ok((true, Vec::new()));
        }
        let dead = sql::rows(
            "SELECT run_id FROM groundskeeper.migration_runs
              WHERE bet_type = $1 AND state = 'running' ORDER BY run_id",
            &[market.bet_type().into()],
            |row| required(row, 1),
        )?;
        Ok((false, dead))
    })
}

/// Writes down how a run ended.
pub fn end(run: i64, error: Option<Text>) -> Result<()> {
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.migration_runs
                SET state = CASE WHEN $2::pg_catalog.text IS NULL THEN 'completed' ELSE 'failed' END, error = $2,
                    finished_at = pg_catalog.clock_timestamp()
              WHERE run_id = $1",
            &[run.into(), error.into()],
        )
    })
}

/// Begins a run.
pub fn begin(execution: &str, market: Market, batch_size: i64, phase: Phase) -> Result<i64> {
    let caller = sql::texts("SELECT SESSION_USER::pg_catalog.text", &[])?.into_iter().next();
    let id = as_owner(|| {
        sql::returned(
            "INSERT INTO groundskeeper.migration_runs
                 (execution_id, bet_type, raw_table, staging_table, batch_size, phase, cursor_id, started_by, pid,
                  backend_start, home)
             SELECT $1::pg_catalog.uuid, $2, $3, $4, $5, $6, 0, $7, a.pid, a.backend_start, $8
               FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a
             RETURNING run_id",
            &[
                execution.into(),
                market.bet_type().into(),
                market.raw().into(),
                market.staging().into(),
                batch_size.into(),
                phase.code().into(),
                caller.into(),
                home().into(),
            ],
            |row| required::<i64>(row, 1),
        )
    })?;
    id.ok_or_else(|| Failure::internal("the run was not written down"))
}

/// The run with that number, if it is this session's and goes on.
pub fn load(run: i64) -> Result<Option<Run>> {
    as_owner(|| {
        sql::first(
            "SELECT r.run_id, r.execution_id::pg_catalog.text, r.bet_type, r.batch_size, r.phase, r.cursor_id,
                    r.successful, r.failed, COALESCE((r.metadata ->> 'failed_again')::pg_catalog.int8, 0)
               FROM groundskeeper.migration_runs r
              WHERE r.run_id = $1 AND r.state = 'running' AND r.pid = pg_catalog.pg_backend_pid()
                AND r.started_by = SESSION_USER AND r.home = $2",
            &[run.into(), home().into()],
            |row| {
                let market = Market::of_bet_type(&required::<String>(row, 3)?);
                let phase = Phase::of_code(&required::<String>(row, 5)?);
                Ok(Run {
                    id: required(row, 1)?,
                    execution: required(row, 2)?,
                    market: market.ok_or_else(|| Failure::internal("a run of no market"))?,
                    batch_size: required(row, 4)?,
                    phase: phase.ok_or_else(|| Failure::internal("a run in no phase"))?,
                    cursor: required(row, 6)?,
                    successful: required(row, 7)?,
                    failed: required(row, 8)?,
                    failed_again: required(row, 9)?,
                })
            },
        )
    })
}

/// The runs that go on of the execution that a run is of.
pub fn with_execution_of(run: i64) -> Result<Vec<i64>> {
    as_owner(|| {
        sql::rows(
            "SELECT r.run_id FROM groundskeeper.migration_runs r
               JOIN groundskeeper.migration_runs o ON o.execution_id = r.execution_id AND o.run_id = $1
              WHERE r.state = 'running' ORDER BY r.run_id",
            &[run.into()],
            |row| required(row, 1),
        )
    })
}

/// The markets of an execution whose runs go on.
pub fn markets_of_execution(execution: &str) -> Result<Vec<Market>> {
    let markets = as_owner(|| {
        sql::texts(
            "SELECT bet_type FROM groundskeeper.migration_runs
              WHERE execution_id = $1::pg_catalog.uuid AND state = 'running' ORDER BY run_id",
            &[execution.into()],
        )
    })?;
    Ok(markets.iter().filter_map(|market| Market::of_bet_type(market)).collect())
}

impl Run {
    /// Writes down where it stands.
    pub fn save(&self) -> Result<()> {
        as_owner(|| {
            sql::run(
                "UPDATE groundskeeper.migration_runs
                    SET phase = $2, cursor_id = $3, successful = $4, failed = $5, processed = $4 + $5,
                        metadata = CASE WHEN $6 = 0 THEN metadata
                                        ELSE metadata || pg_catalog.jsonb_build_object('failed_again', $6) END
                  WHERE run_id = $1",
                &[
                    self.id.into(),
                    self.phase.code().into(),
                    self.cursor.into(),
                    self.successful.into(),
                    self.failed.into(),
                    self.failed_again.into(),
                ],
            )
        })
    }

    /// Adds what became of the games to what the log says of the run.
    pub fn annotate_games(&self, games: &games::Tally) -> Result<()> {
        let games = serde_json::to_string(games).map_err(|error| Failure::internal(error.to_string()))?;
        as_owner(|| {
            sql::run(
                "UPDATE groundskeeper.migration_runs
                    SET metadata = metadata || pg_catalog.jsonb_build_object('games', $2::pg_catalog.jsonb
                            || pg_catalog.jsonb_build_object('made_at', pg_catalog.clock_timestamp()))
                  WHERE run_id = $1",
                &[self.id.into(), games.into()],
            )
        })
    }
}
