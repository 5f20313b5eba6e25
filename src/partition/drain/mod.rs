//! `drain_default`: rows of a default partition go to partitions of their own, one period after the other.
//!
//! A row that is deleted and inserted again fires cascades, and an update that meets it between the two changes
//! nothing. So the partition is made apart and filled with copies while writers go on; then, in one short
//! transaction that locks the table for everybody, what has changed is copied again, the originals are removed
//! without triggers, and the partition is attached. To every other transaction no row ever was elsewhere.

use super::adopt::owned;
use super::bounds::{self, KeyType, Parent, Partition};
use super::convert;
use super::create::{self, Planned};
use super::managed;
use super::premake::{self, wanted};
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::jobs;
use crate::owner;
use crate::settings;
use crate::sql::{self, qualified, quote_identifier, quote_literal, required};
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::{Between, toplevel};
use groundskeeper_core::job::{JobRequest, Task, is_passing};
use groundskeeper_core::partition::{Interval, NaiveDate, from_epoch_days, judge};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::collections::BTreeSet;

/// How far ahead a row may be dated and get a partition; a later one stays, and is reported.
const MONTHS: u32 = 24;

/// How often the last step is tried before the job is put back.
const TRIES: u32 = 40;

/// Which rows have been copied, and in which version. Temporary: gone with the worker.
const COPIED: &str = "pg_temp.groundskeeper_copied";

/// A period whose rows are to be moved.
struct Move {
    parent: Parent,
    default: Partition,
    planned: Planned,
    /// Columns to be written, quoted.
    columns: Vec<String>,
    /// Columns that tell rows apart, quoted; empty where nothing does.
    identity: Vec<String>,
    /// What holds for the period's rows.
    condition: String,
}

/// Queues the draining of a managed table's default partition.
pub fn ask(relation: Oid, batch_size: i32) -> Result<i64> {
    let (_, parent) = owned(relation)?;
    let task = Task::DrainDefault { parent: parent.name.clone(), batch_size: i64::from(batch_size) };
    let item = Some(format!("drain_default {}", parent.quoted));
    jobs::enqueue(&JobRequest { item, ..JobRequest::plain(parent.name, task) })
}

/// Moves rows until none is left that can have a partition.
pub fn drain(between: &mut Between, parent: &Qualified, batch_size: i64) -> Result<()> {
    let quoted = qualified(&parent.schema, &parent.name);
    let mut done = BTreeSet::new();
    while let Some((start, step)) = between.transaction(|| next(&quoted, &done))? {
        between.transaction(|| make_apart(&step))?;
        target::beside([step.planned.name.clone(), step.default.name.clone()]);
        if !step.identity.is_empty() {
            between.transaction(|| copy(&step))?;
        }
        for statement in between.transaction(|| foreign_keys(&step))? {
            between.transaction(|| run_before_deadline(settings::lock_timeout_ms(), &[statement]))?;
        }
        target::unheld(|| repeatedly(between, || exchange(&step, batch_size)))?;
        toplevel::run(between, &format!("ANALYZE {}", step.planned.quoted))?;
        done.insert(start);
    }
    Ok(())
}

/// Whether a table is the default partition of another.
pub fn is_default(quoted: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table WHERE partdefid = pg_catalog.to_regclass($1))";
    Ok(sql::first(query, &[quoted.into()], |row| required::<bool>(row, 1))? == Some(true))
}

/// The first period with rows in the default partition and no partition of its own.
fn next(quoted: &str, done: &BTreeSet<NaiveDate>) -> Result<Option<(NaiveDate, Move)>> {
    let Some(table) = managed::find(quoted)? else { return Ok(None) };
    let Some(parent) = bounds::parent_named(quoted, &table.timezone)? else { return Ok(None) };
    let Some(default) = parent.default.clone() else { return Ok(None) };
    let starts = starts_with_rows(&parent, &default, table.interval)?;
    let Some(start) = starts.into_iter().find(|start| !done.contains(start)) else { return Ok(None) };
    let report = judge(table.interval, &parent.existing(), &[start]);
    if let Some(failure) = premake::misaligned(&parent, table.interval, &report.in_the_way) {
        return Err(failure);
    }
    if parent.partitions.len() >= settings::max_partitions() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("{quoted} has {} partitions", parent.partitions.len()),
        )
        .detail(format!("groundskeeper.max_partitions allows {}.", settings::max_partitions())));
    }
    check_obstacles(&parent, &default)?;
    let planned = create::plan(&parent, table.interval, &[start])?.pop();
    let planned = planned.ok_or_else(|| Failure::internal("a period without a partition"))?;
    let (columns, identity) = (columns(&parent)?, identity(&default)?);
    let condition = planned.condition(&parent.key, parent.key_type);
    Ok(Some((start, Move { parent, default, planned, columns, identity, condition })))
}

/// The periods that rows of the default partition are in, and that have no partition, up to the horizon.
fn starts_with_rows(parent: &Parent, default: &Partition, interval: Interval) -> Result<Vec<NaiveDate>> {
    let key = quote_identifier(&parent.key);
    let day = match parent.key_type {
        KeyType::Date => key.clone(),
        KeyType::Timestamp => format!("{key}::pg_catalog.date"),
        KeyType::Timestamptz => {
            format!("({key} AT TIME ZONE {})::pg_catalog.date", quote_literal(&parent.zone))
        }
    };
    let query = format!(
        "SELECT DISTINCT {day} - pg_catalog.date '1970-01-01' FROM ONLY {} WHERE pg_catalog.isfinite({key})",
        default.quoted
    );
    let days = sql::rows(&query, &[], |row| required::<i32>(row, 1))?;
    let horizon = wanted(interval, parent.today, MONTHS, 1).last().copied();
    let mut starts = BTreeSet::new();
    for day in days.into_iter().filter_map(from_epoch_days) {
        // Where clocks go back at midnight, a day's first hour comes before the bound: it is the period's before.
        let candidates = [interval.floor(day), day.pred_opt().and_then(|before| interval.floor(before))];
        starts.extend(candidates.into_iter().flatten().find(|start| is_free(parent, interval, *start)));
    }
    Ok(starts.into_iter().filter(|start| horizon.is_some_and(|horizon| *start <= horizon)).collect())
}

fn is_free(parent: &Parent, interval: Interval, start: NaiveDate) -> bool {
    judge(interval, &parent.existing(), &[start]).wanted.iter().all(|(_, partition)| partition.is_none())
}

/// What would be wrong with removing rows without triggers.
fn check_obstacles(parent: &Parent, default: &Partition) -> Result<()> {
    let obstacles = sql::texts(
        "SELECT 'trigger ' || pg_catalog.quote_ident(t.tgname) || ' fires always or on replicas'
           FROM pg_catalog.pg_trigger t
          -- what logs keys may: the log says which rows to look at, not what became of them; what keeps them is
          -- switched off for the removal
          WHERE t.tgrelid = $1 AND t.tgenabled IN ('A', 'R') AND t.tgname <> ALL ($3)
         UNION ALL
         SELECT 'rule ' || pg_catalog.quote_ident(r.rulename) FROM pg_catalog.pg_rewrite r WHERE r.ev_class = $1
         UNION ALL
         SELECT pg_catalog.format('foreign key %I of %s refers to the default partition itself', c.conname, c.conrelid::pg_catalog.regclass)
           FROM pg_catalog.pg_constraint c WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0
         UNION ALL
         SELECT 'it is no ordinary table' FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relkind <> 'r'
         UNION ALL
         SELECT 'publication ' || pg_catalog.quote_ident(p.pubname) || ' would pass the removal on, and not the copy'
           FROM pg_catalog.pg_publication p
          WHERE pg_catalog.current_setting('wal_level') = 'logical'
            AND (p.puballtables
              OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid IN ($1, $2))
              OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n
                           JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
                          WHERE n.pnpubid = p.oid AND c.oid IN ($1, $2)))",
        &[default.oid.into(), parent.oid.into(), convert::OWN_TRIGGERS.to_vec().into()],
    )?;
    if obstacles.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("default partition {} cannot be drained", default.quoted),
    )
    .detail(obstacles.join("; ")))
}

/// The columns that are written: what is generated is generated again.
fn columns(parent: &Parent) -> Result<Vec<String>> {
    sql::texts(
        "SELECT pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute
          WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        &[parent.oid.into()],
    )
}

/// The columns of a unique index that no two rows share: of the primary key, if there is one.
fn identity(default: &Partition) -> Result<Vec<String>> {
    sql::texts(
        "SELECT pg_catalog.quote_ident(a.attname)
           FROM (SELECT i.indrelid, i.indkey::int2[] AS keys, i.indnkeyatts FROM pg_catalog.pg_index i
                  WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
                    AND i.indpred IS NULL AND i.indexprs IS NULL
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute n
                                     WHERE n.attrelid = i.indrelid AND n.attnum = ANY (i.indkey) AND NOT n.attnotnull)
                  ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) i
          CROSS JOIN LATERAL pg_catalog.unnest(i.keys[0:i.indnkeyatts - 1]) k (attnum)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum",
        &[default.oid.into()],
    )
}

/// Makes the partition apart. What a run that was interrupted left goes first: nothing is in it but copies.
fn make_apart(step: &Move) -> Result<()> {
    create::owner_may(&step.parent)?;
    let template = create::template(&step.parent)?;
    owner::of(step.parent.oid, || {
        if create::is_apart(&step.planned)? {
            sql::run(&format!("DROP TABLE {}", step.planned.quoted), &[])?;
        }
        run_before_deadline(
            settings::lock_timeout_ms(),
            &create::apart(&step.parent, &template, &step.planned),
        )
    })
}

/// Copies the rows as one snapshot sees them, and remembers which versions those were.
fn copy(step: &Move) -> Result<()> {
    let (default, columns, condition) = (&step.default.quoted, step.columns.join(", "), &step.condition);
    let identity = step.identity.join(", ");
    sql::run(&format!("DROP TABLE IF EXISTS {COPIED}"), &[])?;
    let none =
        format!("SELECT ctid AS source, xmin AS version, {} FROM ONLY {default} WHERE false", keys(step));
    sql::run(&format!("CREATE TEMPORARY TABLE groundskeeper_copied AS {none}"), &[])?;
    sql::run(
        &format!(
            "WITH copied AS (INSERT INTO {} ({columns}) SELECT {columns} FROM ONLY {default} WHERE {condition})
             INSERT INTO {COPIED} SELECT ctid, xmin, {identity} FROM ONLY {default} WHERE {condition}",
            step.planned.quoted
        ),
        &[],
    )?;
    sql::run(&format!("ANALYZE {COPIED}"), &[])
}

/// The columns of the identity under names of our own.
fn keys(step: &Move) -> String {
    let named: Vec<String> =
        step.identity.iter().enumerate().map(|(at, key)| format!("{key} AS k{at}")).collect();
    named.join(", ")
}

/// The foreign keys of the table, for the partition: added unvalidated and validated by themselves, so that
/// attaching finds them there and reads nothing.
fn foreign_keys(step: &Move) -> Result<Vec<String>> {
    let table = &step.planned.quoted;
    let found = sql::rows(
        "SELECT pg_catalog.quote_ident(c.conname), pg_catalog.pg_get_constraintdef(c.oid) FROM pg_catalog.pg_constraint c
          WHERE c.conrelid = $1 AND c.contype = 'f' AND c.convalidated
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o
                             WHERE o.conrelid = pg_catalog.to_regclass($2) AND o.conname = c.conname)
          ORDER BY c.conname",
        &[step.parent.oid.into(), table.as_str().into()],
        |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)),
    )?;
    let statements = found.into_iter().flat_map(|(name, definition)| {
        [
            format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID"),
            format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"),
        ]
    });
    Ok(statements.collect())
}

/// Tries a step that wants strong locks again and again, with pauses in which the writers have their way.
fn repeatedly(between: &mut Between, step: impl Fn() -> Result<()>) -> Result<()> {
    let mut tries = 1;
    loop {
        match between.transaction(&step) {
            Err(failure) if tries < TRIES && is_passing(&crate::error::sqlstate(failure.code)) => {
                tries += 1;
                let pause = "SELECT pg_catalog.pg_sleep(0.05 + 0.25 * pg_catalog.random())";
                between.transaction(|| sql::run(pause, &[]))?;
            }
            result => return result,
        }
    }
}

/// The exchange: nobody sees anything of it but its end. Everybody waits for the parent first, before they have
/// looked which partitions there are.
fn exchange(step: &Move, batch_size: i64) -> Result<()> {
    let Move { parent, default, planned, condition, .. } = step;
    let lock = |tables: String| format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE");
    let tables = format!("ONLY {}, ONLY {}, ONLY {}", parent.quoted, default.quoted, planned.quoted);
    run_before_deadline(settings::lock_timeout_ms(), &[lock(tables)])?;
    let now = bounds::partitions_of(&[parent.oid])?.remove(&parent.oid).unwrap_or_default();
    // Locked was what has the name, and what has it now is emptied.
    let named = sql::first(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
        &[default.quoted.as_str().into()],
        |row| row.get::<Oid>(1),
    )?;
    if !now.contains(&default.oid) || named.flatten() != Some(default.oid) {
        return Err(changed_meanwhile(step));
    }
    // What was in the way of nothing when the rows were copied may have come since.
    check_obstacles(parent, default)?;
    // or a deferred foreign key's check would be pending when the partition is attached
    sql::run("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
    let written = catch_up(step)?;
    if written > batch_size {
        return Err(too_many(step, batch_size));
    }
    let removed = without_triggers(default, || {
        let delete = format!("DELETE FROM ONLY {} WHERE {condition} RETURNING 1", default.quoted);
        count(&format!("WITH removed AS ({delete}) SELECT pg_catalog.count(*) FROM removed"))
    })?;
    let there = count(&format!("SELECT pg_catalog.count(*) FROM ONLY {}", planned.quoted))?;
    if removed != there {
        return Err(Failure::internal(format!(
            "{removed} rows of {} would have left {there} in {}",
            default.quoted, planned.quoted
        )));
    }
    run_before_deadline(settings::lock_timeout_ms(), &create::attach(parent, planned))
}

/// Runs `work` while none of a partition's triggers fires, those of foreign keys included, which only a superuser may
/// switch off. The partition is locked for everybody else. The session stays one for which triggers fire: planning alone
/// runs code of the table's owner, who could reach any other table with it.
fn without_triggers<T>(partition: &Partition, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let triggers = sql::rows(
        "SELECT pg_catalog.quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END
           FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgenabled <> 'D' ORDER BY oid",
        &[partition.oid.into()],
        |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)),
    )?;
    let switch = |how: &str, trigger: &str| {
        as_owner(|| sql::run(&format!("ALTER TABLE ONLY {} {how} TRIGGER {trigger}", partition.quoted), &[]))
    };
    triggers.iter().try_for_each(|(trigger, _)| switch("DISABLE", trigger))?;
    let result = work()?;
    triggers.iter().try_for_each(|(trigger, how)| switch(how, trigger))?;
    Ok(result)
}

/// Brings the copies up to what the rows are now; how many rows that wrote.
fn catch_up(step: &Move) -> Result<i64> {
    let Move { default, planned, condition, .. } = step;
    let columns = step.columns.join(", ");
    let insert =
        format!("INSERT INTO {} ({columns}) SELECT {columns} FROM ONLY {}", planned.quoted, default.quoted);
    if step.identity.is_empty() {
        return count(&format!(
            "WITH copied AS ({insert} WHERE {condition} RETURNING 1) SELECT pg_catalog.count(*) FROM copied"
        ));
    }
    let keys: Vec<String> = (0..step.identity.len()).map(|at| format!("gone.k{at}")).collect();
    let matching: Vec<String> =
        step.identity.iter().zip(&keys).map(|(column, key)| format!("copy.{column} = {key}")).collect();
    let gone = count(&format!(
        "WITH gone AS (
             DELETE FROM {COPIED} c
              WHERE NOT EXISTS (SELECT FROM ONLY {} d WHERE d.ctid = c.source AND d.xmin = c.version AND {condition})
             RETURNING c.*),
         removed AS (DELETE FROM ONLY {} copy USING gone WHERE {} RETURNING 1)
         SELECT pg_catalog.count(*) FROM removed",
        default.quoted,
        planned.quoted,
        matching.join(" AND ")
    ))?;
    let new = count(&format!(
        "WITH copied AS (
             {insert} d WHERE {condition}
                AND NOT EXISTS (SELECT FROM {COPIED} c WHERE c.source = d.ctid AND c.version = d.xmin)
             RETURNING 1)
         SELECT pg_catalog.count(*) FROM copied"
    ))?;
    Ok(gone + new)
}

fn count(query: &str) -> Result<i64> {
    let counted = sql::returned(query, &[], |row| required::<i64>(row, 1))?;
    counted.ok_or_else(|| Failure::internal("a count without a row"))
}

fn changed_meanwhile(step: &Move) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{} is no partition of {} any more", step.default.quoted, step.parent.quoted),
    )
}

/// More has changed since the copy than is to be written under the lock; another attempt copies anew.
fn too_many(step: &Move, batch_size: i64) -> Failure {
    let failure = Failure::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        format!("more than {batch_size} rows of {} would be written under a lock", step.default.quoted),
    );
    if step.identity.is_empty() {
        let failure = Failure { code: PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, ..failure };
        return failure.detail(
            "Without a primary key, rows cannot be copied beforehand; a larger batch_size takes the lock longer.",
        );
    }
    failure
}
