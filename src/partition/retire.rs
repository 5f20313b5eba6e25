//! Partitions whose time is over leave their table, each in a transaction of its own, so that no lock that others wait
//! for is held while another partition's rows are looked at: a worker does that for the caller, who waits.

use super::before;
use super::bounds::{self, Parent, Partition};
use super::managed::{self, Managed};
use super::release::{Leaving, ties};
use crate::backend;
use crate::catalog::{self, Login};
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::owner;
use crate::settings;
use crate::sql::{self, qualified, quote_identifier, quote_literal, required};
use crate::subtransaction::{isolated, looked_at};
use crate::worker::{Between, Mailbox, answer, session};
use groundskeeper_core::partition::Action;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgSqlErrorCode, pg_guard};
use serde::{Deserialize, Serialize};

/// The partitions of one table that are due.
#[derive(Debug, Serialize, Deserialize)]
pub struct Due {
    /// The managed table.
    pub parent: String,
    /// Whether the caller may do that. The worker may be able to do more.
    pub may_alter: bool,
    /// What becomes of them.
    pub action: Action,
    /// Where they go that are archived: the setting is the caller's.
    pub archive_schema: Option<String>,
    /// The partitions, by OID and name.
    pub partitions: Vec<(u32, String)>,
}

/// What became of a partition whose time is over, or of a table that could not be looked at.
#[derive(Debug, Serialize, Deserialize)]
pub struct Retired {
    /// The managed table.
    pub parent: String,
    /// The partition.
    pub partition: Option<String>,
    /// `detached`, `dropped`, `archived` or `kept`; `would ...` in a dry run.
    pub action: String,
    /// Why it was kept, or where it is now.
    pub detail: Option<String>,
}

impl Retired {
    /// One that stays.
    pub fn kept(parent: &str, partition: Option<&str>, why: String) -> Self {
        let (parent, partition) = (parent.to_owned(), partition.map(str::to_owned));
        Self { parent, partition, action: "kept".to_owned(), detail: Some(why) }
    }
}

/// What the worker is asked: the settings are the caller's.
#[derive(Serialize, Deserialize)]
struct Request {
    lock_timeout: i32,
    tables: Vec<Due>,
}

/// What would become of them: all is done as it would be, and taken back.
pub fn look(tables: &[Due]) -> Vec<Retired> {
    each(tables, |due, partition| {
        isolated(|| {
            let (table, parent, partition) = find(&due.parent, partition)?;
            only_rows_within(&parent, &partition)?;
            before::check(&table, parent.oid)?;
            let (leaving, detail) = leaving(&table, &parent, &partition, due)?;
            looked_at(|| leaving.at_once(None))?;
            Ok((format!("would {}", due.action.as_str()), detail))
        })
    })
}

/// Retires them, in a worker that is connected as the caller.
pub fn all(tables: Vec<Due>) -> Result<Vec<Retired>> {
    may_write()?;
    let (mut outcomes, mut free) = (Vec::new(), Vec::new());
    for due in tables {
        match withheld(&due)? {
            Some(failure) => outcomes.extend(each(&[due], |_, _| Err(failure.clone()))),
            None => free.push(due),
        }
    }
    if !free.is_empty() {
        outcomes.extend(by_worker(free)?);
    }
    Ok(outcomes)
}

/// Why nothing of a table is handed on, if so.
fn withheld(due: &Due) -> Result<Option<Failure>> {
    if !due.may_alter {
        return Ok(Some(Failure::not_owner(&due.parent)));
    }
    let message = format!("this transaction holds a lock on {}", due.parent);
    let detail = "Each partition retires in a transaction of its own: call it where nothing was read or written before.";
    Ok(is_held(&due.parent)?
        .then(|| Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, message).detail(detail)))
}

/// A transaction that may not write is not to have others do so.
fn may_write() -> Result<()> {
    let read_only = "SELECT pg_catalog.current_setting('transaction_read_only')::boolean";
    if sql::first(read_only, &[], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(());
    }
    let message = "cannot retire partitions in a read-only transaction";
    Err(Failure::new(PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION, message))
}

/// Whether the caller's own transaction keeps the worker from its locks.
fn is_held(parent: &str) -> Result<bool> {
    let query = "SELECT EXISTS (
        SELECT FROM pg_catalog.pg_locks l
         WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND l.granted
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
           AND l.relation = pg_catalog.to_regclass($1))";
    Ok(sql::first(query, &[parent.into()], |row| required::<bool>(row, 1))? == Some(true))
}

fn by_worker(tables: Vec<Due>) -> Result<Vec<Retired>> {
    let request = Request { lock_timeout: settings::lock_timeout_ms(), tables };
    let unreadable = |error: serde_json::Error| Failure::internal(error.to_string());
    let asked = serde_json::to_vec(&request).map_err(unreadable)?;
    let partitions: usize = request.tables.iter().map(|due| due.partitions.len()).sum();
    let refused = |why: &str| {
        Failure::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES, "partitions cannot be retired now")
            .detail(why)
    };
    let room = asked.len() + (partitions + 1) * ANSWER;
    let mailbox = Mailbox::new(room).ok_or_else(|| refused("There is no dynamic shared memory left."))?;
    mailbox.put(&asked);
    let (function, kind) = ("groundskeeper_retirement", "pg_groundskeeper retention");
    answer::wait_for(function, kind, backend::database(), Some(role()?), &mailbox, "").map_err(refused)?;
    let said = mailbox.take();
    if said == asked {
        return Err(refused("Its worker could not connect; the server's log says why."));
    }
    let mut outcomes: Vec<Retired> = serde_json::from_slice(&said).map_err(unreadable)?;
    let missing =
        each(&request.tables, |due, partition| match isolated(|| catalog::parent_of_partition(partition))? {
            Some(_) => Err(Failure::internal("its worker ended before it came to it")),
            None => Ok((due.action.done().to_owned(), None)),
        });
    outcomes.extend(missing.into_iter().skip(outcomes.len()).collect::<Vec<_>>());
    Ok(outcomes)
}

/// How many bytes there are to tell of one partition: its names, and a reason that JSON makes no more than six times as
/// long.
const ANSWER: usize = 8_192;
/// Of the reason.
const REASON: usize = 1_024;

/// The role that the worker connects as: the current one, or the one that has become it where that cannot log in.
fn role() -> Result<Oid> {
    let current = sql::texts("SELECT CURRENT_USER::text", &[])?;
    match catalog::login(current.first().map_or("", String::as_str))? {
        Some(Login::As(role)) => Ok(role),
        _ => Ok(backend::session_role()),
    }
}

/// The worker's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_retirement(argument: pg_sys::Datum) {
    let Some((mut between, mailbox, _)) = answer::connected(argument) else { return };
    let Ok(request) = serde_json::from_slice::<Request>(&mailbox.take()) else { return };
    session::set(&mut between, "groundskeeper.lock_timeout", &request.lock_timeout.to_string());
    let mut outcomes = Vec::new();
    say(&mailbox, &outcomes);
    for due in &request.tables {
        outcomes.extend(each(std::slice::from_ref(due), |due, partition| one(&mut between, due, partition)));
        say(&mailbox, &outcomes);
    }
}

/// Leaves what has become of them so far, in case that nobody comes to say more.
fn say(mailbox: &Mailbox, outcomes: &[Retired]) {
    if let Ok(said) = serde_json::to_vec(outcomes) {
        mailbox.put(&said);
    }
}

/// One partition after the other. The first lock that is refused ends it for a table: whoever has it has it for the
/// next partition, too, and each attempt has writers wait.
fn each(tables: &[Due], mut work: impl FnMut(&Due, Oid) -> Result<(String, Option<String>)>) -> Vec<Retired> {
    let mut outcomes = Vec::new();
    for due in tables {
        let mut refused = None;
        for (partition, name) in &due.partitions {
            let (parent, shown) = (due.parent.as_str(), Some(name.as_str()));
            if let Some(before) = &refused {
                let why = format!("not tried, as a lock was refused for {before}");
                outcomes.push(Retired::kept(parent, shown, why));
                continue;
            }
            outcomes.push(match work(due, Oid::from(*partition)) {
                Ok((action, detail)) => {
                    Retired { parent: parent.to_owned(), partition: Some(name.clone()), action, detail }
                }
                Err(failure) => {
                    if failure.is_lock_not_available() {
                        refused = Some(name);
                    }
                    let mut why = failure.one_line();
                    why.truncate(why.floor_char_boundary(REASON));
                    Retired::kept(parent, shown, why)
                }
            });
        }
    }
    outcomes
}

/// Rows are looked at before a lock is taken that others would wait for, and the owner's function is called before.
fn one(between: &mut Between, due: &Due, partition: Oid) -> Result<(String, Option<String>)> {
    between.transaction(|| {
        let (table, parent, partition) = find(&due.parent, partition)?;
        before::call(&table, parent.oid, partition.oid)
    })?;
    let (leaving, detail) = between.transaction(|| {
        let (table, parent, partition) = find(&due.parent, partition)?;
        only_rows_within(&parent, &partition)?;
        leaving(&table, &parent, &partition, due)
    })?;
    leaving.leave(between)?;
    Ok((due.action.done().to_owned(), detail))
}

/// The table and its partition as they are now.
fn find(parent: &str, partition: Oid) -> Result<(Managed, Parent, Partition)> {
    let gone = || {
        let message = format!("it is no partition of {parent} any more");
        Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    };
    let table = managed::find(parent)?.ok_or_else(gone)?;
    let found = bounds::parent_named(parent, &table.timezone)?.ok_or_else(gone)?;
    let partition = found.partitions.iter().find(|one| one.oid == partition).cloned().ok_or_else(gone)?;
    Ok((table, found, partition))
}

/// Refuses a partition with rows that its bounds exclude: attached by a promise that was not kept, it may hold
/// what is not old at all.
fn only_rows_within(parent: &Parent, partition: &Partition) -> Result<()> {
    if !parent.may_alter {
        return Err(Failure::not_owner(&parent.quoted));
    }
    let (key, cast) = (quote_identifier(&parent.key), parent.key_type.as_str());
    let mut outside = vec![format!("{key} IS NULL")];
    let literal = |text: &String| format!("{}::{cast}", quote_literal(text));
    outside.extend(partition.from_text.iter().map(|from| format!("{key} < {}", literal(from))));
    outside.extend(partition.to_text.iter().map(|to| format!("{key} >= {}", literal(to))));
    let query = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {})", partition.quoted, outside.join(" OR "));
    // or the planner would take the bounds' word for it
    let plain = [(c"constraint_exclusion", c"off"), (c"row_security", c"off")];
    let look = || pinned(&plain, || sql::first(&query, &[], |row| required::<bool>(row, 1)));
    let found = owner::reading(partition.oid, look)?;
    if found != Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        format!("{} has rows outside of its bounds", partition.quoted),
    ))
}

/// How a partition leaves its table so that what the policy says is done; and where it is then.
fn leaving(
    table: &Managed,
    parent: &Parent,
    partition: &Partition,
    due: &Due,
) -> Result<(Leaving, Option<String>)> {
    let name = &partition.quoted;
    let mut statements = vec![format!("ALTER TABLE {} DETACH PARTITION {name}", parent.quoted)];
    let mut detail = None;
    match due.action {
        Action::Detach => {}
        Action::Drop => statements.push(format!("DROP TABLE {name}")),
        Action::Archive => {
            let schema = due.archive_schema.as_ref().ok_or_else(|| {
                Failure::new(
                    PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "groundskeeper.archive_schema is not set",
                )
            })?;
            statements.push(format!("ALTER TABLE {name} SET SCHEMA {}", quote_identifier(schema)));
            detail = Some(qualified(schema, &partition.name.name));
        }
    }
    let leaving = Leaving {
        parent: parent.oid,
        default: parent.default.as_ref().map(|default| default.oid),
        partition: partition.oid,
        names: [parent.quoted.clone(), name.clone()],
        statements,
        ties: ties(table, partition.oid, &partition.name)?,
    };
    Ok((leaving, detail))
}
