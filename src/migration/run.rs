//! A run over one market: its memory is a row of `groundskeeper.migration_runs`, written with each batch.

use super::games;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, home};
use crate::sql::{self, required};
use groundskeeper_core::migration::{Market, Shape};

/// What a run does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The games of all rows that the execution is going to stage.
    Games,
    /// Rows among those dealt with before that have moved since, or came late.
    Moved,
    /// Rows that were collected since.
    New,
    /// Rows that failed before.
    Retry,
}

impl Phase {
    const fn code(self) -> &'static str {
        match self {
            Self::Games => "games",
            Self::Moved => "moved",
            Self::New => "new",
            Self::Retry => "retry",
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        [Self::Games, Self::Moved, Self::New, Self::Retry].into_iter().find(|phase| phase.code() == code)
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
    /// Rows up to this id were staged or failed in earlier runs.
    pub after: i64,
    /// The last row of this run; none where there are no rows.
    pub upto: Option<i64>,
    /// The last row that the phase has dealt with.
    pub cursor: i64,
    /// When that row was updated, in the phase that goes by it.
    pub cursor_at: Option<String>,
    /// Rows updated since then may have moved; unknown before the first run.
    pub moved_since: Option<String>,
    /// Records staged so far.
    pub successful: i64,
    /// Failures.
    pub failed: i64,
    /// Of these, what failed in an earlier run, too: no figure of its own, so that it is in the metadata.
    pub failed_again: i64,
}

/// What is known about the raw table when a run begins.
pub struct Horizon {
    /// As in [`Run::after`].
    pub after: i64,
    /// As in [`Run::upto`].
    pub upto: Option<i64>,
    /// Rows up to this id are all decided: no transaction holds one of them back.
    decided: Option<i64>,
    /// Those who are writing to the table.
    writers: Vec<String>,
    /// As in [`Run::moved_since`].
    pub moved_since: Option<String>,
    /// Which files hold the two tables: others, after they were truncated.
    files: String,
}

/// Runs of the market that were begun and not ended: true if one is still at work. The others are written down as
/// failed and come back with their logs still open.
pub fn interrupted(market: Market) -> Result<(bool, Vec<i64>)> {
    as_owner(|| {
        // A call goes on for as long as its session has begun no other statement.
        let live = sql::first(
            "SELECT EXISTS (
                 SELECT FROM groundskeeper.migration_runs r
                   JOIN pg_catalog.pg_stat_activity a ON a.pid = r.pid AND a.backend_start = r.backend_start
                  WHERE r.bet_type = $1 AND r.state = 'running' AND r.home = $2 AND a.state = 'active'
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
pub fn end(run: i64, error: Option<&str>) -> Result<()> {
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

/// Where the raw table stands: what earlier runs have dealt with, and how far this one goes.
///
/// A row with a low id may be committed late. The ids up to the highest one are all decided once those have ended
/// who were writing to the table when it was seen; until then the next runs look at them again.
pub fn horizon(shape: &Shape) -> Result<Horizon> {
    let (raw, staging) = (shape.market.raw(), shape.market.staging());
    let highest = |table: &str, column: &str| {
        let query = format!("SELECT pg_catalog.max(t.{column})::pg_catalog.int8 FROM {table} t");
        Ok::<_, Failure>(sql::first(&query, &[], |row| Ok(row.get::<i64>(1)?))?.flatten())
    };
    let (upto, staged) = (highest(&raw, "id")?, highest(&staging, shape.raw_id)?);
    let files = files(&[raw.as_str(), staging.as_str()])?;
    as_owner(|| {
        let writers = writers(&raw)?;
        // Another cluster's progress is not this one's: its transactions are unknown here. And what was staged is not
        // staged any more where a table was emptied, or the last rows were deleted.
        sql::run(
            "DELETE FROM groundskeeper.migration_progress
              WHERE raw_table = $1 AND (home <> $2 OR files <> $3 OR staged_id > COALESCE($4, staged_id - 1))",
            &[raw.as_str().into(), home().into(), files.as_str().into(), staged.into()],
        )?;
        let known = sql::first(
            "SELECT CASE WHEN p.swept_at >= pg_catalog.now() - '1 day'::pg_catalog.interval THEN p.confirmed_id END,
                    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l
                                       WHERE l.locktype = 'virtualxid' AND l.virtualxid = ANY (p.writers)
                                          OR l.virtualtransaction LIKE '-1/%')
                         THEN p.confirmed_id ELSE p.seen_id END,
                    p.moved_since::pg_catalog.text
               FROM groundskeeper.migration_progress p WHERE p.raw_table = $1",
            &[raw.as_str().into()],
            |row| Ok((row.get::<i64>(1)?, row.get::<i64>(2)?, row.get::<String>(3)?)),
        )?;
        let (after, seen, moved_since) = known.unwrap_or_default();
        let decided = if writers.is_empty() { upto } else { seen };
        Ok(Horizon { after: after.unwrap_or(i64::MIN), upto, decided, writers, moved_since, files })
    })
}

/// The files of tables and their partitions.
fn files(tables: &[&str]) -> Result<String> {
    let files = sql::first(
        "SELECT pg_catalog.string_agg(pg_catalog.concat(f.oid, '/', pg_catalog.pg_relation_filenode(f.oid)), ' ' ORDER BY f.oid)
           FROM (SELECT pg_catalog.to_regclass(t.name)::pg_catalog.oid
                   FROM pg_catalog.unnest($1::pg_catalog.text[]) t (name)
                 UNION
                 SELECT p.relid FROM pg_catalog.unnest($1::pg_catalog.text[]) t (name),
                        pg_catalog.pg_partition_tree(pg_catalog.to_regclass(t.name)) p) f (oid)",
        &[tables.iter().map(|table| (*table).to_owned()).collect::<Vec<_>>().into()],
        |row| Ok(row.get::<String>(1)?),
    )?;
    Ok(files.flatten().unwrap_or_default())
}

/// The transactions that have locked the table, or a partition of it, in order to write.
fn writers(raw: &str) -> Result<Vec<String>> {
    sql::texts(
        "SELECT DISTINCT l.virtualtransaction FROM pg_catalog.pg_locks l
          WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
            AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
            AND (l.relation = pg_catalog.to_regclass($1)
              OR l.relation IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))))",
        &[raw.into()],
    )
}

/// Begins a run.
pub fn begin(execution: &str, market: Market, batch_size: i64, horizon: &Horizon) -> Result<i64> {
    let caller = sql::texts("SELECT SESSION_USER::pg_catalog.text", &[])?.into_iter().next();
    let id = as_owner(|| {
        sql::returned(
            "INSERT INTO groundskeeper.migration_runs
                 (execution_id, bet_type, raw_table, staging_table, batch_size, phase, after_id, upto_id, cursor_id,
                  cursor_at, decided_id, moved_since, next_moved_since, writers, started_by, pid, backend_start, home, files)
             SELECT $1::pg_catalog.uuid, $2, $3, $4, $5, $6, $7, $8, -9223372036854775808, NULL, $13,
                    $9::pg_catalog.timestamptz,
                    -- what is committed later was updated when its transaction began, or before, by other clocks
                    LEAST(pg_catalog.now(),
                          (SELECT pg_catalog.min(a.xact_start) FROM pg_catalog.pg_stat_activity a
                            WHERE a.datname = pg_catalog.current_database()),
                          (SELECT pg_catalog.min(x.prepared) - '1 hour'::pg_catalog.interval
                             FROM pg_catalog.pg_prepared_xacts x WHERE x.database = pg_catalog.current_database()))
                    - '10 minutes'::pg_catalog.interval,
                    $10, $11, a.pid, a.backend_start, $12, $14
               FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid()
             RETURNING run_id",
            &[
                execution.into(),
                market.bet_type().into(),
                market.raw().into(),
                market.staging().into(),
                batch_size.into(),
                Phase::Games.code().into(),
                horizon.after.into(),
                horizon.upto.into(),
                horizon.moved_since.clone().into(),
                horizon.writers.clone().into(),
                caller.into(),
                home().into(),
                horizon.decided.into(),
                horizon.files.as_str().into(),
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
            "SELECT r.run_id, r.execution_id::pg_catalog.text, r.bet_type, r.batch_size, r.phase, r.after_id, r.upto_id,
                    r.cursor_id, r.cursor_at::pg_catalog.text, r.moved_since::pg_catalog.text, r.successful, r.failed,
                    COALESCE((r.metadata ->> 'failed_again')::pg_catalog.int8, 0)
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
                    after: required(row, 6)?,
                    upto: row.get(7)?,
                    cursor: required(row, 8)?,
                    cursor_at: row.get(9)?,
                    moved_since: row.get(10)?,
                    successful: required(row, 11)?,
                    failed: required(row, 12)?,
                    failed_again: required(row, 13)?,
                })
            },
        )
    })
}

/// The runs of an execution that go on.
pub fn of_execution(execution: &str) -> Result<Vec<i64>> {
    as_owner(|| {
        sql::rows(
            "SELECT run_id FROM groundskeeper.migration_runs
              WHERE execution_id = $1::pg_catalog.uuid AND state = 'running' ORDER BY run_id",
            &[execution.into()],
            |row| required(row, 1),
        )
    })
}

/// Whether a run is the first of its execution.
pub fn is_first(run: i64) -> Result<bool> {
    let first = as_owner(|| {
        sql::first(
            "SELECT NOT EXISTS (SELECT FROM groundskeeper.migration_runs r
                                  JOIN groundskeeper.migration_runs m ON m.run_id = $1
                                 WHERE r.execution_id = m.execution_id AND r.run_id < m.run_id)",
            &[run.into()],
            |row| required::<bool>(row, 1),
        )
    })?;
    Ok(first == Some(true))
}

impl Run {
    /// Writes down where it stands.
    pub fn save(&self) -> Result<()> {
        as_owner(|| {
            sql::run(
                "UPDATE groundskeeper.migration_runs
                    SET phase = $2, cursor_id = $3, cursor_at = $4::pg_catalog.timestamptz, successful = $5, failed = $6,
                        processed = $5 + $6,
                        metadata = CASE WHEN $7 = 0 THEN metadata
                                        ELSE metadata || pg_catalog.jsonb_build_object('failed_again', $7) END
                  WHERE run_id = $1",
                &[
                    self.id.into(),
                    self.phase.code().into(),
                    self.cursor.into(),
                    self.cursor_at.clone().into(),
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

    /// Rows up to the cursor need not be looked at again, as far as they are decided.
    pub fn confirm(&self) -> Result<()> {
        as_owner(|| {
            sql::run(
                "INSERT INTO groundskeeper.migration_progress AS p (raw_table, home, files, confirmed_id, moved_since, swept_at)
                 SELECT r.raw_table, r.home, r.files, LEAST(r.cursor_id, r.decided_id), r.next_moved_since, r.started_at
                   FROM groundskeeper.migration_runs r WHERE r.run_id = $1 AND r.decided_id IS NOT NULL
                 ON CONFLICT (raw_table) DO UPDATE SET confirmed_id = GREATEST(p.confirmed_id, excluded.confirmed_id)",
                &[self.id.into()],
            )
        })
    }

    /// The run has seen the whole table: the next one begins from there.
    pub fn complete(&self, raw_id: &str) -> Result<()> {
        let staged =
            format!("SELECT pg_catalog.max(s.{raw_id})::pg_catalog.int8 FROM {} s", self.market.staging());
        let staged = sql::first(&staged, &[], |row| Ok(row.get::<i64>(1)?))?.flatten();
        as_owner(|| {
            sql::run(
                "INSERT INTO groundskeeper.migration_progress AS p
                     (raw_table, home, files, confirmed_id, seen_id, staged_id, writers, moved_since, swept_at)
                 SELECT r.raw_table, r.home, r.files, r.decided_id, r.upto_id, $3, r.writers, r.next_moved_since, r.started_at
                   FROM groundskeeper.migration_runs r WHERE r.run_id = $1
                 ON CONFLICT (raw_table) DO UPDATE
                    SET confirmed_id = GREATEST(p.confirmed_id, excluded.confirmed_id), seen_id = excluded.seen_id,
                        staged_id = excluded.staged_id, writers = excluded.writers, moved_since = excluded.moved_since,
                        swept_at = CASE WHEN $2 THEN excluded.swept_at ELSE p.swept_at END",
                &[self.id.into(), (self.after == i64::MIN).into(), staged.into()],
            )
        })?;
        end(self.id, None)
    }
}
