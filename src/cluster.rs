//! What is different on a cluster: Citus spreads a table's rows over shards on other nodes, and hands on what is done to
//! the table. Without Citus nothing here does anything, and a database without its library is not even asked.

use crate::error::{Failure, Result};
use crate::guc::{self, pinned};
use crate::sql::{self, Kept, required};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;

/// The setting that says what is handed on of `SET LOCAL`: where it is, Citus is loaded.
const HANDED_ON: &CStr = c"citus.propagate_set_commands";

/// As many bytes a relation counts with whose shards cannot be looked at: too many for whatever is done under a lock.
/// Few of them add up without an overflow.
pub const UNKNOWN: u64 = 1 << 60;

/// What a database is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Coordinator,
    Worker,
}

thread_local! {
    static ROLE: Kept = const { Kept::new("SELECT groundskeeper_internal.cluster_role()") };
    /// What the nodes have said in this statement of the client's.
    static BYTES: RefCell<(i64, HashMap<Oid, Option<u64>>)> = RefCell::default();
}

fn role() -> Result<Option<Role>> {
    if !guc::exists(HANDED_ON) {
        return Ok(None);
    }
    let role = ROLE.with(|role| role.first(&[], |row| row.get::<String>(1)))?.flatten();
    Ok(role.map(|role| if role == "worker" { Role::Worker } else { Role::Coordinator }))
}

/// Whether this is a worker, where the coordinator does what is to be done.
pub fn is_worker() -> Result<bool> {
    Ok(role()? == Some(Role::Worker))
}

/// Refuses on a worker what is the coordinator's to do.
pub fn not_on_worker(what: &str) -> Result<()> {
    if !is_worker()? {
        return Ok(());
    }
    let code = PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED;
    Err(Failure::new(code, format!("cannot {what} on a worker of a cluster"))
        .detail("The coordinator does it, and Citus hands it on to the workers.")
        .hint("Connect to the coordinator."))
}

/// Whether the rows of a table, or the entries of an index, are in shards.
pub fn in_shards(relation: Oid) -> Result<bool> {
    any_in_shards(&[relation])
}

/// Whether those of any of them are.
pub fn any_in_shards(relations: &[Oid]) -> Result<bool> {
    if role()?.is_none() {
        return Ok(false);
    }
    let query = "SELECT EXISTS (SELECT FROM groundskeeper_internal.in_shards($1))";
    Ok(sql::first(query, &[relations.to_vec().into()], |row| required::<bool>(row, 1))? == Some(true))
}

/// Which of the named tables are in shards.
pub fn named_in_shards(names: &[String]) -> Result<Vec<String>> {
    if role()?.is_none() {
        return Ok(Vec::new());
    }
    let query = "SELECT t.name
                   FROM (SELECT n.name, pg_catalog.to_regclass(n.name)::pg_catalog.oid FROM pg_catalog.unnest($1::text[]) n (name)) t (name, oid)
                  WHERE t.oid IN (SELECT groundskeeper_internal.in_shards(ARRAY(
                                      SELECT pg_catalog.to_regclass(m)::pg_catalog.oid FROM pg_catalog.unnest($1::text[]) m)))";
    sql::texts(query, &[names.to_vec().into()])
}

/// The bytes of relations on all nodes, partitions included; none where nothing of it is in shards. The nodes are asked
/// once in each statement of the client's.
pub fn bytes(relation: Oid) -> Result<Option<u64>> {
    if role()?.is_none() {
        return Ok(None);
    }
    // SAFETY: a plain read of the backend's own state.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let known =
        BYTES.with_borrow(|(when, known)| (*when == statement).then(|| known.get(&relation).copied()));
    if let Some(Some(known)) = known {
        return Ok(known);
    }
    let query = "SELECT pg_catalog.count(*), COALESCE(pg_catalog.sum(n.bytes), 0)::bigint, pg_catalog.bool_and(n.bytes IS NOT NULL)
                   FROM groundskeeper_internal.on_nodes(ARRAY(
                        SELECT $1 UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1) p)) n";
    let found = sql::first(query, &[relation.into()], |row| {
        Ok((required::<i64>(row, 1)?, required::<i64>(row, 2)?, row.get::<bool>(3)?))
    })?;
    let bytes = match found {
        None | Some((0, ..)) => None,
        Some((_, bytes, Some(true))) => Some(u64::try_from(bytes).unwrap_or(UNKNOWN)),
        Some(_) => Some(UNKNOWN),
    };
    BYTES.with_borrow_mut(|(when, known)| {
        if *when != statement {
            (*when, *known) = (statement, HashMap::new());
        }
        known.insert(relation, bytes);
    });
    Ok(bytes)
}

/// Runs `work` with this session's `lock_timeout` on the nodes, too, as locks on shards are waited for there. Citus hands on
/// what is set by `SET LOCAL`; afterwards the nodes have what was `before`.
pub fn waiting_likewise<T>(milliseconds: i32, before: &CStr, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if role()? != Some(Role::Coordinator) {
        return work();
    }
    let set = |value: &str| sql::run(&format!("SET LOCAL lock_timeout = {}", sql::quote_literal(value)), &[]);
    pinned(&[(HANDED_ON, c"local")], || {
        set(&format!("{milliseconds}ms"))?;
        let done = work()?;
        set(&before.to_string_lossy())?;
        Ok(done)
    })
}

/// Runs `work` with one connection to each node, this one among them: what follows in the transaction, such as a change to
/// a table that has been read, is refused where several were used, or where rows were read without one.
pub fn one_by_one<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    if role()?.is_none() {
        return work();
    }
    let settings =
        [(c"citus.multi_shard_modify_mode", c"sequential"), (c"citus.enable_local_execution", c"off")];
    pinned(&settings, work)
}

/// Whether a concurrent build failed because of what another has left on a shard, of which only Citus knows: the relation
/// by the table's name has no such index any more.
pub fn is_of_leftover(failure: &Failure) -> bool {
    matches!(failure.code, PgSqlErrorCode::ERRCODE_INTERNAL_ERROR | PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE)
        && !failure.message.starts_with("internal query failed")
}

/// Has the workers take a sample of their own metrics, for their own history.
pub fn record_on_workers() -> Result<()> {
    if role()? != Some(Role::Coordinator) {
        return Ok(());
    }
    let query = "SELECT pg_catalog.format('node %s: %s', n.nodeid, n.result)
                   FROM pg_catalog.run_command_on_all_nodes($1) n WHERE NOT n.success";
    let ask = || sql::texts(query, &[include_str!("cluster/record.sql").into()]);
    let silent = pinned(&[(c"citus.node_connection_timeout", c"3000")], ask)?;
    for silent in silent {
        let message = format!("a worker has taken no sample of its metrics: {silent}");
        Failure::new(PgSqlErrorCode::ERRCODE_WARNING, message).say(pgrx::PgLogLevel::WARNING);
    }
    Ok(())
}
