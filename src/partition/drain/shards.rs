//! Draining on a cluster. On tables in shards there are no triggers that could note what is written while rows are copied,
//! and no storage here to exchange. So the rows of a period move in one transaction, in which the table is locked on every
//! node: one statement takes them out of the default partition and puts them into the table that is attached then. How long
//! that takes is the caller's to say: the default partition has no more than `batch_size` rows, or nothing is done.

use super::exchange::repeatedly;
use super::{Round, periods};
use crate::cluster;
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::jobs::report;
use crate::owner;
use crate::partition::bounds::Parent;
use crate::partition::convert::exchange::{lock, milliseconds};
use crate::partition::create::{self, Planned};
use crate::partition::referring;
use crate::settings;
use crate::sql::{self, quote_literal, required};
use crate::target;
use crate::waiting::{run_before_deadline, with_lock_timeout};
use crate::worker::{Between, toplevel};
use groundskeeper_core::partition::NaiveDate;
use pgrx::PgSqlErrorCode;
use std::collections::BTreeSet;
use std::time::Instant;

/// Moves rows until none is left that can have a partition.
pub fn drain(between: &mut Between, quoted: &str, batch_size: i64) -> Result<()> {
    let mut done: BTreeSet<NaiveDate> = BTreeSet::new();
    while let Some(round) = between.transaction(|| periods::next(quoted, &done))? {
        target::beside(round.planned.iter().map(|planned| planned.name.clone()));
        between.transaction(|| refuse(&round, batch_size))?;
        for planned in &round.planned {
            between.transaction(|| report(&format!("moving the rows of {}", planned.quoted), 0.5))?;
            between.transaction(|| make(&round.parent, planned))?;
            let moved = repeatedly(between, || cluster::one_by_one(|| take(&round, planned, batch_size)));
            if moved.is_err() {
                // Empty, as what was moved went back; where this fails, too, whoever comes next begins with it.
                let _ = between.transaction(|| drop_apart(&round.parent, planned));
            }
            moved?;
            toplevel::run(between, &format!("ANALYZE {}", planned.quoted))?;
        }
        done.extend(round.starts);
    }
    Ok(())
}

/// What is in the way: whatever would notice that rows are deleted here and inserted there, and more rows than that.
fn refuse(round: &Round, batch_size: i64) -> Result<()> {
    let Round { parent, default, .. } = round;
    let obstacles = sql::texts(
        "SELECT pg_catalog.format('foreign key %I of %s refers to it', c.conname, c.conrelid::pg_catalog.regclass)
           FROM pg_catalog.pg_constraint c WHERE c.confrelid IN ($1, $2) AND c.contype = 'f'
         UNION ALL
         SELECT pg_catalog.format('trigger %I', g.tgname) FROM pg_catalog.pg_trigger g
           JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
           LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
          WHERE g.tgrelid IN ($1, $2) AND NOT g.tgisinternal AND d.objid IS NULL
         UNION ALL
         SELECT 'rules' FROM pg_catalog.pg_rewrite r WHERE r.ev_class IN ($1, $2)
         UNION ALL
         SELECT 'row-level security hides rows from its owner' FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relforcerowsecurity
         UNION ALL
         SELECT 'it is another role''s than its table' FROM pg_catalog.pg_class c, pg_catalog.pg_class t
          WHERE c.oid = $1 AND t.oid = $2 AND c.relowner <> t.relowner",
        &[default.oid.into(), parent.oid.into()],
    )?;
    if !obstacles.is_empty() {
        let message = format!("default partition {} cannot be drained on a cluster", default.quoted);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED, message)
            .detail(format!("Rows are deleted there, and inserted elsewhere: {}.", obstacles.join("; "))));
    }
    must_be_few(round, batch_size)
}

fn must_be_few(round: &Round, batch_size: i64) -> Result<()> {
    let default = &round.default.quoted;
    let few = format!(
        "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM {default} LIMIT {}) l",
        batch_size.saturating_add(1)
    );
    let rows = owner::reading(round.default.oid, || sql::first(&few, &[], |row| required::<i64>(row, 1)))?;
    if rows.is_some_and(|rows| rows <= batch_size) {
        return Ok(());
    }
    let message = format!("{default} has more than {batch_size} rows, which would be read under a lock");
    Err(Failure::new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, message)
        .detail("Its rows are in shards, where they cannot be copied beforehand; a larger batch_size takes the lock longer."))
}

/// Makes the partition apart, in shards that lie beside those of its table; anew where a run that was lost has left one.
fn make(parent: &Parent, planned: &Planned) -> Result<()> {
    create::owner_may(parent)?;
    let template = create::template(parent)?;
    drop_apart(parent, planned)?;
    let distribute = sql::texts(
        "SELECT pg_catalog.format('SELECT pg_catalog.create_distributed_table(%L, %L, colocate_with => %L)', $2,
                                  pg_catalog.column_to_column_name(d.logicalrelid, d.partkey), $3)
           FROM pg_catalog.pg_dist_partition d WHERE d.logicalrelid = $1 AND d.partmethod = 'h'",
        &[parent.oid.into(), planned.quoted.as_str().into(), parent.quoted.as_str().into()],
    )?;
    let Some(distribute) = distribute.first() else {
        let message = format!("{} is not distributed by hash", parent.quoted);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED, message));
    };
    owner::of(parent.oid, || {
        run_before_deadline(settings::lock_timeout_ms(), &create::apart(parent, &template, planned))?;
        sql::run(distribute, &[])
    })
}

/// Drops what was made apart and never attached, which is empty.
fn drop_apart(parent: &Parent, planned: &Planned) -> Result<()> {
    owner::of(parent.oid, || {
        if create::is_apart(planned)? {
            sql::run(&format!("DROP TABLE {}", planned.quoted), &[])
        } else {
            Ok(())
        }
    })
}

/// Moves the rows of a period, and attaches its partition.
fn take(round: &Round, planned: &Planned, batch_size: i64) -> Result<()> {
    let Round { parent, default, .. } = round;
    owner::of(parent.oid, || {
        let deadline = Instant::now() + milliseconds(settings::lock_timeout_ms());
        let deadline = referring::lock(parent.oid, deadline)?;
        lock(&[(parent.oid, false), (default.oid, false)], deadline)?;
        target::check()?;
        // On every node: there are writers who come to the shards by others than this one.
        let left =
            i32::try_from(deadline.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(1).max(1);
        let everywhere = [&parent.quoted, &default.quoted]
            .map(|table| format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"));
        run_before_deadline(left, &everywhere)?;
        must_be_few(round, batch_size)?;
        with_lock_timeout(left, || {
            pinned(&[(c"row_security", c"off")], || move_rows(parent, default.quoted.as_str(), planned))
        })?;
        run_before_deadline(left, &create::attach(parent, planned))
    })
}

/// One statement: what is deleted is what is inserted. What has arrived is counted all the same.
fn move_rows(parent: &Parent, default: &str, planned: &Planned) -> Result<()> {
    let columns = sql::texts(
        "SELECT pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute
          WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        &[default.into()],
    )?
    .join(", ");
    let (condition, table) = (planned.condition(&parent.key, parent.key_type), &planned.quoted);
    let count = |from: &str| {
        let query = format!("SELECT pg_catalog.count(*) FROM {from} WHERE {condition}");
        Ok::<_, Failure>(sql::first(&query, &[], |row| required::<i64>(row, 1))?.unwrap_or(-1))
    };
    let before = count(default)?;
    let moved = sql::affected(
        &format!(
            "WITH moved AS (DELETE FROM {default} WHERE {condition} RETURNING {columns})
             INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM moved"
        ),
        &[],
    )?;
    let (arrived, left) = (count(table)?, count(default)?);
    if moved == before && arrived == before && left == 0 {
        return Ok(());
    }
    let message =
        format!("{before} rows were to move to {table}: {moved} did, {arrived} arrived, and {left} stayed");
    Err(Failure::new(PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE, message)
        .detail(format!("Nothing of {} is changed.", quote_literal(default))))
}
