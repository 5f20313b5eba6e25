//! What else goes when a partition leaves its table: the keys of its rows, and what the former table has of them.
//!
//! That takes as long as there are rows, so no lock that writers wait for is held meanwhile. Rows that come and go are
//! logged; those that the log names are left for when the partition is locked. Who deletes or moves one of the others
//! waits for us, and we for the lock that he has: PostgreSQL ends that as a deadlock, and ours is the transaction that
//! looks for it first.

use super::convert::exchange::{LEFT, lock, milliseconds, retry};
use super::convert::record::{Conversion, LOG};
use super::convert::{self, sync};
use super::managed::Managed;
use super::referring;
use super::watch;
use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::owner;
use crate::settings;
use crate::sql::{self, qualified, required};
use crate::subtransaction::isolated;
use crate::target;
use crate::waiting::{ended_after, run_before_deadline, with_lock_timeout};
use crate::worker::Between;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::time::Instant;

/// What PostgreSQL has in any case to look for rows that refer to a partition, in milliseconds.
const LEAST_LOOK_MS: i32 = 100;

/// A partition that is to leave, and how.
pub struct Leaving {
    /// Its table.
    pub parent: Oid,
    /// The default partition, which is locked as PostgreSQL locks it.
    pub default: Option<Oid>,
    /// The partition.
    pub partition: Oid,
    /// The names of table and partition, quoted, by which the statements call them.
    pub names: [String; 2],
    /// The statements with which it leaves.
    pub statements: Vec<String>,
    /// What its table keeps for it.
    pub ties: Option<Ties>,
}

impl Leaving {
    /// Has it leave. What grows with its rows comes before the lock that all writers of the table wait for.
    pub fn leave(&self, between: &mut Between) -> Result<()> {
        let Some(ties) = &self.ties else {
            return target::unheld(|| between.transaction(|| self.at_once(None)));
        };
        between.transaction(|| ties.clear())?;
        let watches = between.transaction(|| ties.watch())?;
        let left = target::unheld(|| between.transaction(|| self.at_once(Some(&watches))));
        if left.is_err() {
            // Where this fails too, the next attempt begins with it.
            let _ = between.transaction(|| ties.clear());
        }
        left
    }

    /// The same in one transaction, where changes to it are logged or it is taken back.
    pub fn at_once(&self, watches: Option<&[String]>) -> Result<()> {
        owner::of(self.parent, || {
            if let Some(ties) = &self.ties {
                // Who has locked a key is not waited for any longer than who has locked a table: it may be our own
                // caller, who waits for us.
                with_lock_timeout(settings::lock_timeout_ms(), || ties.let_go(watches.is_some()))?;
            }
            let deadline = Instant::now() + milliseconds(settings::lock_timeout_ms());
            let locks = [Some(self.parent), self.default, Some(self.partition)].into_iter().flatten();
            let locks: Vec<(Oid, bool)> = locks.map(|relation| (relation, false)).collect();
            let deadline = isolated(|| {
                let deadline = referring::lock(self.parent, deadline)?;
                lock(&locks, deadline).map(|()| deadline)
            })
            .map_err(refused)?;
            target::check()?;
            self.check_names()?;
            let mut statements = Vec::new();
            if let Some(ties) = &self.ties {
                watches.map_or(Ok(()), |watches| ties.let_go_of_late(watches))?;
                statements.extend(ties.parting()?);
            }
            statements.extend_from_slice(&self.statements);
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            let left = i32::try_from(left).unwrap_or(1).max(1);
            if referring::exist(self.partition)? {
                return self.looked_after(left, &statements);
            }
            run_before_deadline(left, &statements)
        })
    }

    /// Runs the statements for a partition that foreign keys refer to. PostgreSQL looks for rows that do so under the
    /// lock, as long as there are rows: by an index on the one side or the other that is a tenth of the time that it
    /// takes by all rows of both, which it would prefer; and who waits is not kept for longer than the lock might have
    /// been waited for.
    fn looked_after(&self, left: i32, statements: &[String]) -> Result<()> {
        let by_index = [(c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off"), (c"jit", c"off")];
        let limit = left.max(LEAST_LOOK_MS);
        let done = ended_after(limit, || pinned(&by_index, || run_before_deadline(left, statements)))?;
        done.ok_or_else(|| {
            let [parent, partition] = &self.names;
            Failure::new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                format!("PostgreSQL was not done with looking for rows that refer to {partition} after {limit} ms"),
            )
            .detail(format!("Writers of {parent} and of what refers to it wait meanwhile, so it was ended."))
            .hint(
                "Have an index on the columns that refer to it, give it the time in groundskeeper.lock_timeout, or \
                 drop the foreign key and make it anew afterwards, NOT VALID and then validated.",
            )
        })
    }

    /// What is locked is what the statements are about, or tables have been exchanged meanwhile.
    fn check_names(&self) -> Result<()> {
        let query = "SELECT pg_catalog.to_regclass($1)::oid = $3 AND pg_catalog.to_regclass($2)::oid = $4";
        let [parent, partition] = self.names.each_ref().map(String::as_str);
        let args = [parent.into(), partition.into(), self.parent.into(), self.partition.into()];
        if sql::first(query, &args, |row| row.get::<bool>(1))?.flatten() == Some(true) {
            return Ok(());
        }
        Err(Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("{parent} or {partition} was renamed or replaced meanwhile"),
        ))
    }
}

fn refused(failure: Failure) -> Failure {
    if !failure.is_lock_not_available() {
        return failure;
    }
    let message =
        format!("the table is in use, and was not to be locked within {} ms", settings::lock_timeout_ms());
    Failure { message, ..failure }
}

/// What a managed table keeps elsewhere for the rows of a partition.
pub struct Ties {
    conversion: Conversion,
    keys: Option<String>,
    /// The partition as what is logged.
    leaving: Conversion,
    partition: Oid,
}

/// Which rows of the partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    Unlogged,
    Logged,
}

/// What a table keeps for a partition, if it does; an error keeps the partition.
pub fn ties(parent: &Managed, partition: Oid, name: &Qualified) -> Result<Option<Ties>> {
    if parent.key_table.is_none() && parent.former.is_none() {
        return Ok(None);
    }
    let Some(conversion) = convert::of_parent(&parent.parent)? else { return Ok(None) };
    match conversion.stage {
        Stage::Converted | Stage::Finalized => {}
        stage => {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{} cannot leave {} now", qualified(&name.schema, &name.name), parent.parent),
            )
            .detail(format!("The conversion of the table is {}.", stage.as_str()))
            .hint("SELECT * FROM groundskeeper.jobs shows the job that is at it."));
        }
    }
    let leaving = Conversion { table: name.clone(), has_key_table: false, item: None, ..conversion.clone() };
    Ok(Some(Ties { conversion, keys: parent.key_table.clone(), leaving, partition }))
}

impl Ties {
    /// Has changes to the partition logged from now on; what tells these triggers from others.
    fn watch(&self) -> Result<Vec<String>> {
        watch::begin(&self.leaving, self.partition)
    }

    /// Clears away what a run that ended on its way has left.
    fn clear(&self) -> Result<()> {
        watch::clear(&self.leaving, self.partition, &[])
    }

    /// Before the lock: lets go of what there is for all rows that have not changed since they are watched, or for all
    /// where they are not.
    fn let_go(&self, watched: bool) -> Result<()> {
        self.of(if watched { Rows::Unlogged } else { Rows::All })
    }

    /// Under the lock: for those that have, or came.
    fn let_go_of_late(&self, watches: &[String]) -> Result<()> {
        if watch::triggers_of(self.partition)? != watches {
            return Err(retry("a trigger was switched off while the partition was about to leave"));
        }
        if sync::backlog(&self.leaving, LEFT + 1)? > LEFT {
            return Err(retry("too many rows of the partition were changed while it was about to leave"));
        }
        // few keys, looked for in large tables
        let off = [(c"enable_seqscan", c"off"), (c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")];
        pinned(&off, || self.of(Rows::Logged))?;
        run_before_deadline(settings::lock_timeout_ms(), &watch::end(&self.leaving))
    }

    /// The statements that take off the partition what it does not have from the whole, which would stay with it, and
    /// hold what it calls.
    fn parting(&self) -> Result<Vec<String>> {
        let leaves = convert::shadow::partitions(&self.leaving.quoted())?;
        let off = |trigger: &str, table: &str| format!("DROP TRIGGER IF EXISTS {trigger} ON {table}");
        let of = |leaf: &Qualified| {
            let table = sync::quoted(leaf);
            [convert::CAPTURE_TRUNCATE, convert::KEY_TRUNCATED].map(|trigger| off(trigger, &table))
        };
        Ok(leaves.iter().flat_map(of).collect())
    }

    fn of(&self, rows: Rows) -> Result<()> {
        let (partition, log) = (self.leaving.quoted(), self.leaving.beside_quoted(LOG));
        let list = self.conversion.key_list("");
        let same = self.conversion.same_key("r", "l");
        let rows = match rows {
            Rows::All => format!("(SELECT {list} FROM {partition}) p"),
            Rows::Unlogged => format!(
                "(SELECT {list} FROM {partition} r WHERE NOT EXISTS (SELECT FROM {log} l WHERE {same})) p"
            ),
            Rows::Logged => format!(
                "(SELECT {} FROM (SELECT DISTINCT * FROM {log}) l JOIN {partition} r ON {same}) p",
                self.conversion.key_list("r.")
            ),
        };
        if let Some(keys) = &self.keys {
            self.release_keys(keys, &rows)?;
        }
        if self.conversion.stage == Stage::Converted {
            // The former table is to lose the rows too, or the way back would bring them again.
            let changes = self.conversion.beside_quoted(LOG);
            sql::run(
                &format!("INSERT INTO {changes} SELECT {} FROM {rows}", self.conversion.key_list("p.")),
                &[],
            )?;
        }
        Ok(())
    }

    /// Takes the keys of rows off the key table, unless a foreign key needs one: whatever it would do to the rows that
    /// refer to it, a partition that leaves is no reason.
    fn release_keys(&self, keys: &str, rows: &str) -> Result<()> {
        let (same, partition) = (self.conversion.same_key("k", "p"), self.leaving.quoted());
        // Who wants to refer to one of them from now on waits for us, and then finds that it is gone.
        sql::run(&format!("SELECT FROM {keys} k JOIN {rows} ON {same} FOR UPDATE OF k"), &[])?;
        let (own, strangers): (Vec<_>, Vec<_>) = children(keys)?.into_iter().partition(|child| child.own);
        // What strangers have is read by nobody but PostgreSQL, which checks each key as their table's owner.
        if let Some(child) = strangers.iter().find(|child| child.acts) {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{} would lose rows with the keys of {partition}", child.table),
            )
            .detail("It is another role's, and its foreign key deletes or changes rows whose key is deleted.")
            .hint("Let that foreign key be ON DELETE NO ACTION."));
        }
        sql::run("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
        for Child { table: child, on, .. } in own {
            let query =
                format!("SELECT EXISTS (SELECT FROM {child} c JOIN {keys} k ON {on} JOIN {rows} ON {same})");
            if sql::first(&query, &[], |row| required::<bool>(row, 1))? == Some(true) {
                return Err(Failure::new(
                    PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
                    format!("rows of {child} still refer to rows of {partition}"),
                )
                .hint("Retire the rows that refer to them first."));
            }
        }
        sql::run(&format!("DELETE FROM {keys} k USING {rows} WHERE {same}"), &[])
    }
}

/// A table that refers to the key table.
pub struct Child {
    /// Its name, quoted.
    pub table: String,
    /// The condition that joins them, as `c` and `k`.
    pub on: String,
    /// Whether it is the key table's owner's.
    pub own: bool,
    /// Whether deleting a key does something to its rows.
    pub acts: bool,
}

/// The tables that refer to a key table.
pub fn children(keys: &str) -> Result<Vec<Child>> {
    sql::rows(
        "SELECT pg_catalog.format('%I.%I', n.nspname, r.relname),
                (SELECT pg_catalog.string_agg(pg_catalog.format('k.%I OPERATOR(%I.%s) c.%I', b.attname, s.nspname, o.oprname, a.attname), ' AND ')
                   FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey), pg_catalog.unnest(c.conpfeqop))
                        u (child, key, equals)
                   JOIN pg_catalog.pg_operator o ON o.oid = u.equals
                   JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.child
                   JOIN pg_catalog.pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = u.key),
                r.relowner = k.relowner, c.confdeltype NOT IN ('a', 'r')
           FROM pg_catalog.pg_constraint c
           JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
           JOIN pg_catalog.pg_class k ON k.oid = c.confrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
          WHERE c.contype = 'f' AND c.confrelid = pg_catalog.to_regclass($1) AND c.conparentid = 0",
        &[keys.into()],
        |row| {
            let (table, on) = (required(row, 1)?, required(row, 2)?);
            Ok(Child { table, on, own: required(row, 3)?, acts: required(row, 4)? })
        },
    )
}
