//! The exchange: a table and its twin swap names, and all that hangs on the one goes over to the other, in one short
//! transaction. The way there and the way back are the same work: the twin is the shadow there, and the former table back.

use super::record::{self, Carried, Conversion, FORMER, KEYS, LOG, SHADOW};
use super::sync::{self, Pair, Taken};
use super::{builds, columns, keys, lost, shadow};
use crate::catalog;
use crate::error::{Failure, Result};
use crate::partition::referring::OTHERS;
use crate::settings;
use crate::sql::{self, quote_identifier, required};
use crate::target;
use crate::waiting::{run_before_deadline, with_lock_timeout};
use groundskeeper_core::names::suffixed;
use groundskeeper_core::partition::convert::Stage;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::time::{Duration, Instant};

/// How many entries of the log may be left for when the table is locked.
pub const LEFT: usize = 2_000;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The partitioned twin takes the name.
    There,
    /// The unpartitioned table takes it back.
    Back,
}

impl Way {
    /// The suffix that the twin has now, and the one that the table will have.
    fn suffixes(self) -> (&'static str, &'static str) {
        match self {
            Self::There => (SHADOW, FORMER),
            Self::Back => (FORMER, SHADOW),
        }
    }
}

/// Exchanges the two; what is to follow is returned, in transactions of its own, and which of the two has the name then.
///
/// What belongs to others is locked last, when nothing is left to do that takes as long as the table's owner likes, and
/// waited for by our own measure.
pub fn run(conversion: &Conversion, way: Way) -> Result<(Vec<Vec<String>>, Oid)> {
    let (twin, _) = way.suffixes();
    let table = conversion.quoted();
    let twin = conversion.beside_quoted(twin);
    let (table_oid, twin_oid) = (oid(&table)?, oid(&twin)?);
    let key_table =
        if conversion.has_key_table { oid(&conversion.beside_quoted(KEYS))? } else { pg_sys::InvalidOid };
    let deadline = Instant::now() + milliseconds(settings::lock_timeout_ms());
    let (strangers, own): (Vec<_>, Vec<_>) =
        to_lock(table_oid, twin_oid, key_table)?.into_iter().partition(|(_, strange)| *strange);
    lock(&own, deadline)?;
    target::check()?;
    if oid(&table)? != table_oid || oid(&twin)? != twin_oid {
        return Err(retry("the table was replaced meanwhile"));
    }
    lost::must_be_watched(conversion)?;
    columns::must_be_same(&table, &twin)?;
    if !builds::missing_indexes(conversion)?.is_empty() {
        return Err(retry("an index was created meanwhile"));
    }
    catch_up_under_lock(conversion)?;
    let plan = Plan::of(conversion, way, table_oid, twin_oid, key_table)?;
    lock(&strangers, Instant::now() + OTHERS)?;
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    let left = i32::try_from(left).unwrap_or(1).max(1);
    target::unchecked(|| run_before_deadline(left, &plan.statements))?;
    Ok((plan.later, twin_oid))
}

/// What is worth another try at once.
pub fn retry(why: &str) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, why)
}

/// That long.
pub fn milliseconds(n: i32) -> Duration {
    Duration::from_millis(u64::try_from(n).unwrap_or(0))
}

fn oid(quoted: &str) -> Result<Oid> {
    let found =
        sql::first("SELECT pg_catalog.to_regclass($1)::oid", &[quoted.into()], |row| row.get::<Oid>(1))?;
    found.flatten().ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, format!("relation {quoted} does not exist"))
    })
}

/// All that will be changed, and whether it is another owner's, in the order in which readers come to it: views first, then what refers to the table,
/// then the table.
fn to_lock(table: Oid, twin: Oid, keys: Oid) -> Result<Vec<(Oid, bool)>> {
    sql::rows(
        "SELECT l.oid, c.relowner <> (SELECT relowner FROM pg_catalog.pg_class WHERE oid = $1) FROM (
             SELECT 1, r.ev_class
               FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
               JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
              WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1
             UNION
             SELECT 2, k.conrelid FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.confrelid IN ($1, NULLIF($3, 0::oid))
                AND k.conrelid <> $1 AND k.conparentid = 0
             UNION
             SELECT 3, k.confrelid FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conrelid = $1 AND k.confrelid <> $1
                AND k.conparentid = 0
             UNION ALL SELECT 4, $1 UNION ALL SELECT 5, NULLIF($3, 0::oid) UNION ALL SELECT 6, $2
         ) l (stage, oid)
           JOIN pg_catalog.pg_class c ON c.oid = l.oid
          ORDER BY l.stage, l.oid",
        &[table.into(), twin.into(), keys.into()],
        |row| Ok((required(row, 1)?, required(row, 2)?)),
    )
}

/// Locks relations against everybody, all of them before the deadline or none.
pub fn lock(relations: &[(Oid, bool)], deadline: Instant) -> Result<()> {
    relations.iter().try_for_each(|(relation, _)| {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        with_lock_timeout(i32::try_from(left).unwrap_or(1).max(1), || {
            // SAFETY: in a transaction, whose end releases the lock. What is done to the relation checks its rights.
            unsafe { pg_sys::LockRelationOid(*relation, pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE) };
            Ok(())
        })
    })
}

/// Locks a table with its partitions, and its twin, against everybody. LOCK TABLE would want privileges that an owner may
/// have revoked from himself.
pub fn lock_all(table: &str, twin: &str) -> Result<()> {
    let relations = sql::rows(
        "SELECT pg_catalog.to_regclass($1)::oid
          UNION ALL SELECT p.relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) p WHERE p.level > 0
          UNION ALL SELECT pg_catalog.to_regclass($2)::oid",
        &[table.into(), twin.into()],
        |row| Ok((required::<Oid>(row, 1)?, false)),
    )?;
    lock(&relations, Instant::now() + milliseconds(settings::lock_timeout_ms()))?;
    target::check()
}

/// Applies what is left of the log, and compares what it named.
fn catch_up_under_lock(conversion: &Conversion) -> Result<()> {
    let pair = Pair::of(conversion);
    if sync::backlog(conversion, LEFT + 1)? > LEFT {
        return Err(retry("too many rows were changed while the table was being locked"));
    }
    let taken: Taken = sync::apply(conversion, &pair, LEFT)?;
    sync::verify(conversion, &pair, &taken)
}

/// What is to be run.
struct Plan {
    statements: Vec<String>,
    later: Vec<Vec<String>>,
}

impl Plan {
    fn of(conversion: &Conversion, way: Way, table: Oid, twin: Oid, key_table: Oid) -> Result<Self> {
        let referred = match way {
            Way::There if conversion.has_key_table => conversion.beside_quoted(KEYS),
            _ => conversion.quoted(),
        };
        let views = redefined(table)?;
        let materialized = super::matview::exchanged(table)?;
        let (mut before, mut after, mut later) = (Vec::new(), Vec::new(), Vec::new());
        let args = [
            table.into(),
            twin.into(),
            key_table.into(),
            referred.into(),
            super::OWN_TRIGGERS.to_vec().into(),
            conversion.key.as_str().into(),
        ];
        for (phase, statement) in sql::rows(include_str!("exchange.sql"), &args, |row| {
            Ok((required::<String>(row, 1)?, required::<String>(row, 2)?))
        })? {
            match phase.as_str() {
                "before" => before.push(statement),
                "after" => after.push(statement),
                _ => later.push(vec![statement]),
            }
        }
        let mut statements = before;
        statements.extend(renames(conversion, way, table, twin)?);
        statements.extend(after);
        statements.extend(index_comments(conversion, table)?);
        statements.extend(views);
        if way == Way::There {
            statements.extend(of_partitioned(conversion)?);
        }
        later.extend(materialized);
        Ok(Self { statements, later })
    }
}

/// The triggers that the partitioned table has of us: those of its keys, and those that log what the unpartitioned
/// one then lacks.
fn of_partitioned(conversion: &Conversion) -> Result<Vec<String>> {
    let table = conversion.quoted();
    let partitions = shadow::partitions(&conversion.beside_quoted(SHADOW))?;
    let mut statements = shadow::capture_triggers(conversion, &table).to_vec();
    if conversion.has_key_table {
        statements.extend(keys::functions(conversion));
        statements.extend(keys::triggers(conversion, &table));
    }
    for partition in partitions {
        statements.extend(of_partition(conversion, &sync::quoted(&partition)));
    }
    Ok(statements)
}

/// The triggers that a partition does not have from the whole: those of TRUNCATE.
pub fn of_partition(conversion: &Conversion, partition: &str) -> Vec<String> {
    let mut statements = Vec::new();
    if conversion.stage != Stage::Finalized {
        statements.extend(shadow::capture_truncate(conversion, partition));
    }
    if conversion.has_key_table {
        statements.extend(keys::of_partition(conversion, partition));
    }
    statements
}

/// The statements that exchange the names: of the tables, their indexes, and the sequences of identity columns.
fn renames(conversion: &Conversion, way: Way, table: Oid, twin: Oid) -> Result<Vec<String>> {
    let (now, then) = way.suffixes();
    let name = &conversion.table.name;
    let schema = quote_identifier(&conversion.table.schema);
    let rename = |what: &str, from: &str, to: &str| {
        format!("ALTER {what} {schema}.{} RENAME TO {}", quote_identifier(from), quote_identifier(to))
    };
    let indexes = record::carried(conversion)?;
    let sequences = sequences(table, twin)?;
    let on_table = |index: &&Carried| way == Way::There || index.on_shadow;
    let on_twin = |index: &&Carried| way == Way::Back || index.on_shadow;
    let there = |name: &str| shadow::exists(&conversion.table.schema, name);
    let mut out = Vec::new();
    let on_keys = indexes.iter().filter(|index| index.on_keys);
    for index in on_keys.clone().filter(|_| way == Way::Back) {
        if builds::is_of(&conversion.beside_quoted(KEYS), &index.name)? {
            out.push(rename("INDEX", &index.name, &suffixed(&index.name, KEYS)));
        }
    }
    for index in indexes.iter().filter(on_table) {
        if there(&index.name)? {
            out.push(rename("INDEX", &index.name, &suffixed(&index.name, then)));
        }
    }
    for (of_table, of_twin) in &sequences {
        out.push(rename("SEQUENCE", of_table, &suffixed(of_table, then)));
        out.push(rename("SEQUENCE", of_twin, of_table));
    }
    out.push(rename("TABLE", name, &suffixed(name, then)));
    out.push(rename("TABLE", &suffixed(name, now), name));
    for index in indexes.iter().filter(on_twin) {
        if there(&suffixed(&index.name, now))? {
            out.push(rename("INDEX", &suffixed(&index.name, now), &index.name));
        }
    }
    // What is refused is told by the name that it had on the table.
    out.extend(
        on_keys
            .filter(|_| way == Way::There)
            .map(|index| rename("INDEX", &suffixed(&index.name, KEYS), &index.name)),
    );
    Ok(out)
}

/// The sequences of identity columns, of the table and of its twin.
fn sequences(table: Oid, twin: Oid) -> Result<Vec<(String, String)>> {
    sql::rows(
        "WITH s AS (
             SELECT d.refobjid, a.attname, c.relname
               FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
               JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'i')
         SELECT o.relname::text, n.relname::text FROM s o JOIN s n USING (attname)
          WHERE o.refobjid = $1 AND n.refobjid = $2 ORDER BY attname",
        &[table.into(), twin.into()],
        |row| Ok((required(row, 1)?, required(row, 2)?)),
    )
}

fn index_comments(conversion: &Conversion, table: Oid) -> Result<Vec<String>> {
    let indexes = record::carried(conversion)?.into_iter();
    let names: Vec<String> = indexes.filter(|i| i.on_shadow || i.on_keys).map(|i| i.name).collect();
    sql::texts(
        "SELECT pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', n.nspname, c.relname, pg_catalog.obj_description(c.oid, 'pg_class'))
           FROM pg_catalog.pg_index x
           JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE x.indrelid = $1 AND c.relname = ANY ($2) AND pg_catalog.obj_description(c.oid, 'pg_class') IS NOT NULL
          ORDER BY c.oid",
        &[table.into(), names.into()],
    )
}

/// Views and functions with SQL bodies, as statements that define them again: their texts name the table by the name
/// that its twin then has.
pub fn redefined(table: Oid) -> Result<Vec<String>> {
    let views: Vec<Oid> = sql::rows(
        "SELECT DISTINCT r.ev_class
           FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
           JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
          WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1
          ORDER BY 1",
        &[table.into()],
        |row| required(row, 1),
    )?;
    let mut statements = Vec::new();
    for view in views {
        let create = catalog::definition(view)?
            .into_iter()
            .find_map(|s| s.strip_prefix("CREATE VIEW").map(str::to_owned));
        statements.extend(create.map(|rest| format!("CREATE OR REPLACE VIEW{rest}")));
    }
    statements.extend(sql::texts(
        "SELECT DISTINCT pg_catalog.pg_get_functiondef(d.objid)
           FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'n'
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1",
        &[table.into()],
    )?);
    Ok(statements)
}

/// The statements that drop what the conversion has made beside the table, and nothing that it has not.
pub fn leftovers(conversion: &Conversion) -> Vec<String> {
    let mut statements = Vec::new();
    if conversion.stage == Stage::Begun {
        return statements;
    }
    statements.push(format!("DROP TABLE IF EXISTS {}", conversion.beside_quoted(SHADOW)));
    if conversion.has_key_table {
        statements.push(format!("DROP TABLE IF EXISTS {}", conversion.beside_quoted(KEYS)));
    }
    if conversion.stage == Stage::Shadowed {
        return statements;
    }
    statements.push(format!("DROP TABLE IF EXISTS {}", conversion.beside_quoted(LOG)));
    statements.push(format!("DROP FUNCTION IF EXISTS {}()", conversion.beside_quoted(record::CAPTURE)));
    if conversion.has_key_table && conversion.stage == Stage::Restored {
        let functions =
            keys::FUNCTIONS.map(|f| format!("DROP FUNCTION IF EXISTS {}()", conversion.beside_quoted(f)));
        statements.extend(functions);
    }
    statements
}
