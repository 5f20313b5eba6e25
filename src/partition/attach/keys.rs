//! The keys of a table's rows, where those of the partitioned one are kept apart, and what the unpartitioned table is to
//! learn of them. All is written in the transaction that attaches, before it takes a lock that others wait for: an error
//! or a crash leaves nothing of it, and nobody can refer to a row that is not there yet.

use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::partition::convert::exchange::{LEFT, retry};
use crate::partition::convert::record::{Conversion, KEYS, LOG};
use crate::partition::convert::sync;
use crate::partition::watch;
use crate::sql::{self, quote_literal, required};
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// How many keys an error names.
const NAMED: usize = 5;

/// What is kept of the rows of a converted table's partitions, for one that comes.
pub struct Keys {
    conversion: Conversion,
    /// The table as what is logged.
    table: Conversion,
    oid: Oid,
}

impl Keys {
    /// What a conversion keeps; nothing where there is nothing to keep.
    pub fn of(conversion: Option<&Conversion>, table: &Qualified, oid: Oid) -> Option<Self> {
        let conversion = conversion.filter(|known| known.has_key_table || is_kept_twice(known))?.clone();
        let logged =
            Conversion { table: table.clone(), has_key_table: false, item: None, ..conversion.clone() };
        Some(Self { conversion, table: logged, oid })
    }

    /// What is made beside the table for as long as this takes.
    pub fn beside(&self) -> Qualified {
        self.table.beside(LOG)
    }

    /// Clears away what a run that ended on its way has left.
    pub fn clear(&self) -> Result<()> {
        watch::clear(&self.table, self.oid, &[])
    }

    /// Has changed rows of the table logged from now on.
    pub fn watch(&self) -> Result<Vec<String>> {
        watch::begin(&self.table, self.oid)
    }

    /// Refuses rows whose key another row has. Nothing is written yet.
    pub fn check(&self) -> Result<()> {
        if !self.conversion.has_key_table {
            return Ok(());
        }
        let found = self.of_others(None)?;
        if found.is_empty() { Ok(()) } else { Err(self.taken(&found)) }
    }

    /// Some keys of rows of the table that others have: those that are not ours.
    fn of_others(&self, ours: Option<&str>) -> Result<Vec<String>> {
        let (keys, same) = (self.conversion.beside_quoted(KEYS), self.conversion.same_key("k", "r"));
        let list = self.conversion.key_list("k.");
        let there = format!(
            "SELECT pg_catalog.concat_ws(', ', {list}) FROM ONLY {} r JOIN {keys} k ON {same}
              WHERE $1::text IS NULL OR k.xmin::text <> $1 LIMIT {}",
            self.table.quoted(),
            NAMED + 1
        );
        sql::texts(&there, &[ours.into()])
    }

    fn taken(&self, found: &[String]) -> Failure {
        let shown: Vec<String> = found.iter().take(NAMED).map(|key| format!("({key})")).collect();
        let more = if found.len() > NAMED { " and more" } else { "" };
        let (table, of) = (self.table.quoted(), self.conversion.quoted());
        let message = format!("rows of {table} have keys that rows of {of} have");
        Failure::new(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, message)
            .detail(format!("The rows with ({}) = {}{more}.", self.conversion.key_list(""), shown.join(", ")))
            .hint(format!("Delete them from one of the two. Nothing of {of} was changed."))
    }

    /// Before the lock: writes the keys of all rows that there are. What tells them from others', which is the number of
    /// the transaction.
    pub fn bring(&self) -> Result<Option<String>> {
        // What it names is seen by every later statement; what comes after that has an entry of its own.
        sql::run(&format!("DELETE FROM {}", self.table.beside_quoted(LOG)), &[])?;
        let (list, table) = (self.conversion.key_list(""), self.table.quoted());
        self.tell_former(&format!("SELECT {list} FROM ONLY {table}"))?;
        if !self.conversion.has_key_table {
            return Ok(None);
        }
        self.insert(&format!("ONLY {table} r"))
    }

    /// Under the lock: those of rows that have changed since.
    pub fn bring_late(&self, ours: Option<&str>, watches: &[String]) -> Result<()> {
        if watch::triggers_of(self.oid)? != watches {
            return Err(retry("a trigger was switched off while the table was looked at"));
        }
        if sync::backlog(&self.table, LEFT + 1)? > LEFT {
            return Err(retry("too many rows of the table were changed while it was about to be attached"));
        }
        self.bring_changed(ours, &format!("(SELECT DISTINCT * FROM {}) l", self.table.beside_quoted(LOG)))
    }

    /// Before the lock is tried: those of rows that have changed so far, so that little is left for then. They are taken off
    /// the log; what is written from here on has entries of its own.
    pub fn catch_up(&self, ours: Option<&str>) -> Result<()> {
        let (log, list) = (self.table.beside_quoted(LOG), self.conversion.key_list(""));
        let take = format!(
            "WITH gone AS (DELETE FROM {log} RETURNING {list}),
                  taken AS (INSERT INTO {log} SELECT DISTINCT {list} FROM gone RETURNING xmin::text)
             SELECT pg_catalog.max(xmin) FROM taken"
        );
        let Some(taken) = sql::returned(&take, &[], |row| row.get::<String>(1))?.flatten() else {
            return Ok(());
        };
        let own = format!("xmin::text = {}", quote_literal(&taken));
        self.bring_changed(ours, &format!("(SELECT {list} FROM {log} WHERE {own}) l"))?;
        sql::run(&format!("DELETE FROM {log} WHERE {own}"), &[])
    }

    /// Brings the keys of rows whose keys are in `changed`, a subquery named `l`, to what they are now.
    fn bring_changed(&self, ours: Option<&str>, changed: &str) -> Result<()> {
        // few keys, looked for in large tables
        let off = [(c"enable_seqscan", c"off"), (c"enable_hashjoin", c"off"), (c"enable_mergejoin", c"off")];
        pinned(&off, || {
            self.tell_former(&format!("SELECT {} FROM {changed}", self.conversion.key_list("l.")))?;
            let Some(ours) = ours else { return Ok(()) };
            let same = self.conversion.same_key("k", "l");
            let keys = self.conversion.beside_quoted(KEYS);
            let gone = format!("DELETE FROM {keys} k USING {changed} WHERE {same} AND k.xmin::text = $1");
            sql::run(&gone, &[ours.into()])?;
            let same = self.conversion.same_key("r", "l");
            self.insert(&format!("{changed} JOIN ONLY {} r ON {same}", self.table.quoted())).map(drop)
        })
    }

    /// The statements that end the logging, under the lock.
    pub fn unwatch(&self) -> Vec<String> {
        watch::end(&self.table)
    }

    /// The way back would not bring the rows that the unpartitioned table was not told of.
    fn tell_former(&self, keys: &str) -> Result<()> {
        if !is_kept_twice(&self.conversion) {
            return Ok(());
        }
        sql::run(&format!("INSERT INTO {} {keys}", self.conversion.beside_quoted(LOG)), &[])
    }

    /// Writes the keys of rows named `r`, all of them or an error: what the key table's own trigger leaves out, as for a
    /// restore, counts as taken.
    fn insert(&self, rows: &str) -> Result<Option<String>> {
        let keys = self.conversion.beside_quoted(KEYS);
        let columns = sql::texts(
            "SELECT pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute
              WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            &[keys.as_str().into()],
        )?;
        let (list, of_rows) =
            (columns.join(", "), columns.iter().map(|c| format!("r.{c}")).collect::<Vec<_>>());
        let statement = format!(
            "WITH source AS MATERIALIZED (SELECT {} FROM {rows}),
                  brought AS (INSERT INTO {keys} ({list}) SELECT {list} FROM source RETURNING xmin::text)
             SELECT (SELECT pg_catalog.count(*) FROM source) - pg_catalog.count(*), pg_catalog.max(xmin) FROM brought",
            of_rows.join(", ")
        );
        let brought =
            sql::returned(&statement, &[], |row| Ok((required::<i64>(row, 1)?, row.get::<String>(2)?)))?;
        match brought {
            Some((0, ours)) => Ok(ours),
            missing => {
                let ours = missing.and_then(|(_, ours)| ours);
                Err(self.taken(&self.of_others(ours.as_deref())?))
            }
        }
    }
}

fn is_kept_twice(conversion: &Conversion) -> bool {
    conversion.stage == Stage::Converted
}
