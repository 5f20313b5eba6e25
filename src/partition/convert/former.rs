//! The unpartitioned table that is kept must be able to hold what the partitioned one has, and to take its place: what
//! its owner has done to the constraints and indexes since is done to it too.

use super::builds::{self, Wanted};
use super::record::{self, Carried, Conversion, FORMER, LOG};
use super::steps::{self, BATCH};
use super::sync::{self, Pair};
use super::{exchange, lost, shadow, triggers};
use crate::error::{Failure, Result};
use crate::partition::managed;
use crate::settings;
use crate::sql::{self, qualified, quote_identifier, required};
use crate::target;
use crate::waiting::run_before_deadline;
use crate::worker::Between;
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::convert::Stage;
use pgrx::PgSqlErrorCode;

/// What its owner may not do to the table any more, as to one that rows are only added to, he must be able to do to the
/// unpartitioned one, which is brought up to date. On the way back it gets the table's grants.
pub fn grant(between: &mut Between, conversion: &Conversion) -> Result<()> {
    between.transaction(|| {
        let statements = sql::texts(
            "SELECT pg_catalog.format('GRANT ALL ON %s TO %I', $1, o.rolname)
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
              WHERE c.oid = pg_catalog.to_regclass($1) AND EXISTS (
                        SELECT FROM pg_catalog.unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) p (privilege)
                         WHERE NOT pg_catalog.has_table_privilege(c.relowner, c.oid, p.privilege))",
            &[conversion.beside_quoted(FORMER).into()],
        )?;
        run_before_deadline(settings::lock_timeout_ms(), &statements)
    })
}

/// Takes off what was taken off the table since: a row that is allowed there must find its place here.
pub fn loosen(between: &mut Between, conversion: &Conversion) -> Result<()> {
    let (table, former) = (conversion.quoted(), conversion.beside_quoted(FORMER));
    between.transaction(|| {
        let mut statements = sql::texts(
            "SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', $2, k.conname)
               FROM pg_catalog.pg_constraint k
              WHERE k.conrelid = pg_catalog.to_regclass($2) AND k.contype = 'c' AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_constraint o
                         WHERE o.conrelid = pg_catalog.to_regclass($1) AND o.contype = 'c' AND o.conname = k.conname)
              ORDER BY k.conname",
            &[table.as_str().into(), former.as_str().into()],
        )?;
        let mut kept = Vec::new();
        for index in record::carried(conversion)? {
            let gone = (index.on_shadow || index.on_keys)
                && !shadow::exists(&conversion.table.schema, &index.name)?;
            match if gone { drop_of(conversion, &index)? } else { None } {
                Some(statement) => statements.push(statement),
                None => kept.push(index),
            }
        }
        if statements.is_empty() {
            return Ok(());
        }
        run_before_deadline(settings::lock_timeout_ms(), &statements)?;
        record::carry(conversion, &kept)
    })
}

/// The statement that drops the unpartitioned table's index of that name, unless rows are told apart by it.
fn drop_of(conversion: &Conversion, index: &Carried) -> Result<Option<String>> {
    let own = suffixed(&index.name, FORMER);
    let quoted = qualified(&conversion.table.schema, &own);
    let of_constraint = sql::first(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid)
           FROM pg_catalog.pg_index x WHERE x.indexrelid = pg_catalog.to_regclass($1) AND NOT x.indisprimary",
        &[quoted.as_str().into()],
        |row| required::<bool>(row, 1),
    )?;
    Ok(of_constraint.map(|of_constraint| match of_constraint {
        true => format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            conversion.beside_quoted(FORMER),
            quote_identifier(&own)
        ),
        false => format!("DROP INDEX {quoted}"),
    }))
}

/// Before the way back: it gets the unique and primary keys and the indexes that the partitioned table has by now.
pub fn complete(between: &mut Between, conversion: &Conversion) -> Result<()> {
    let former = conversion.beside_quoted(FORMER);
    if between.transaction(|| builds::missing_indexes(conversion))?.is_empty() {
        return Ok(());
    }
    // As of one snapshot the rows are the table's, and as unique.
    between.transaction_of_one_snapshot(|| {
        let lock = format!("LOCK TABLE {former} IN ACCESS EXCLUSIVE MODE");
        run_before_deadline(settings::lock_timeout_ms(), &[lock])?;
        let pair = Pair::of(conversion);
        sync::set_aside(conversion, &pair)?;
        while sync::apply(conversion, &pair, BATCH)?.len() > 0 {}
        let mut carried = record::carried(conversion)?;
        for index in builds::wanted(conversion)? {
            if carried.iter().any(|c| c.name == index.name) {
                continue;
            }
            sql::run(&create(&former, &index), &[])?;
            carried.push(Carried { name: index.name, on_shadow: true, on_keys: false });
        }
        record::carry(conversion, &carried)
    })
}

fn create(former: &str, index: &Wanted) -> String {
    let own = quote_identifier(suffixed(&index.name, FORMER));
    match &index.constraint {
        Some(constraint) => format!("ALTER TABLE {former} ADD CONSTRAINT {own} {constraint}"),
        None => {
            let unique = if index.unique { "UNIQUE " } else { "" };
            format!("CREATE {unique}INDEX {own} ON {former} USING {}", index.tail)
        }
    }
}

/// Drops the unpartitioned table, every row of which the partitioned one was proven to have; what was written since is
/// in the log, and compared under the lock.
pub fn drop(between: &mut Between, conversion: &Conversion) -> Result<()> {
    steps::catch_up(between, conversion)?;
    if between.transaction(|| record::get(&conversion.table))?.stage != conversion.stage {
        return Ok(());
    }
    let (table, former) = (conversion.quoted(), conversion.beside_quoted(FORMER));
    let drop = || {
        exchange::lock_all(&table, &former)?;
        lost::must_be_watched(conversion)?;
        let pair = Pair::of(conversion);
        let taken = sync::apply(conversion, &pair, exchange::LEFT)?;
        sync::verify(conversion, &pair, &taken)?;
        if sync::backlog(conversion, 1)? > 0 {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                "too many rows were changed meanwhile",
            ));
        }
        let mut statements = triggers::of_functions(&[conversion.beside_quoted(record::CAPTURE)])?;
        statements.push(format!("DROP TABLE {former}"));
        statements.push(format!("DROP TABLE {}", conversion.beside_quoted(LOG)));
        statements.push(format!("DROP FUNCTION {}()", conversion.beside_quoted(record::CAPTURE)));
        run_before_deadline(settings::lock_timeout_ms(), &statements)?;
        if let Some(mut known) = managed::find(&table)? {
            known.former = None;
            managed::register(&known)?;
        }
        record::reach(conversion, Stage::Finalized)
    };
    target::unheld(|| between.transaction(drop))
}
