//! That a default partition has no row of a period which is to get a partition. PostgreSQL reads all of the default one to
//! find that out, under a lock that excludes everybody. So it is read before, while the keys that are written there are
//! logged; under the lock the log is looked at, and PostgreSQL is told by a constraint that counts as valid.

use super::bounds::{Parent, Partition};
use super::convert::exchange::{LEFT, retry};
use super::convert::record::{Conversion, LOG};
use super::convert::sync;
use super::create::{self, Planned};
use super::watch;
use crate::backend;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::guc::pinned;
use crate::owner;
use crate::sql;
use groundskeeper_core::partition::Interval;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};

/// The CHECK that says that the default partition has no row of the period.
const ABSENT: &str = "groundskeeper_absent";

/// A default partition whose new keys are logged.
pub struct Absent {
    /// The partition.
    pub default: Partition,
    /// It as what is logged: by the names and with the means of a conversion, whose key is the partition key.
    logged: Conversion,
    /// What holds for a row of the periods, one by one.
    conditions: Vec<String>,
}

impl Absent {
    /// The default partition of a table, for a period; none where there is none, or where it is not for us to look at it
    /// like this: PostgreSQL does it then.
    pub fn of(parent: &Parent, planned: &[Planned]) -> Result<Option<Self>> {
        let Some(default) = parent.default.clone() else { return Ok(None) };
        let ours = "SELECT d.relkind = 'r' AND d.relowner = p.relowner AND NOT d.relforcerowsecurity FROM pg_catalog.pg_class d, pg_catalog.pg_class p
                     WHERE d.oid = $1 AND p.oid = $2";
        let args = [default.oid.into(), parent.oid.into()];
        let is_ours = sql::first(ours, &args, |row| sql::required::<bool>(row, 1))? == Some(true);
        // nor in shards, of which what is noted here says nothing
        if !is_ours || cluster::in_shards(default.oid)? {
            return Ok(None);
        }
        let logged = Conversion {
            table: default.name.clone(),
            item: None,
            key: parent.key.clone(),
            interval: Interval::Month,
            timezone: parent.zone.clone(),
            premake: 1,
            format: parent.key_type.format(),
            has_default: true,
            stage: Stage::Captured,
            key_columns: vec![parent.key.clone()],
            has_key_table: false,
            kept: Vec::new(),
            copied_to: None,
            rows_expected: 0,
        };
        let conditions = planned.iter().map(|one| one.condition(&parent.key, parent.key_type)).collect();
        Ok(Some(Self { default, logged, conditions }))
    }

    /// What holds for a row of any of the periods.
    fn within(&self) -> String {
        self.conditions.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" OR ")
    }

    /// Whether it has an index by which rows of a period are found.
    pub fn has_index(&self) -> Result<bool> {
        has_index(self.default.oid, &self.logged.key)
    }

    /// Under the lock, where an index makes it a matter of a moment: looks for a row of the period. Whether it could tell.
    pub fn is_told_by_index(&self) -> Result<bool> {
        // in a transaction of one snapshot it would not see what was committed since
        if backend::has_one_snapshot() || !self.has_index()? {
            return Ok(false);
        }
        let there =
            format!("SELECT EXISTS (SELECT 1 FROM ONLY {} WHERE {})", self.default.quoted, self.within());
        let plain = [(c"row_security", c"off"), (c"enable_seqscan", c"off")];
        let found = pinned(&plain, || sql::first(&there, &[], |row| sql::required::<bool>(row, 1)))?;
        if found == Some(true) { Err(has_come(&self.default.quoted)) } else { Ok(true) }
    }

    /// What is made beside it for as long as this takes.
    pub fn beside(&self) -> Qualified {
        self.logged.beside(LOG)
    }

    /// Clears away what a run that ended on its way has left.
    pub fn clear(&self) -> Result<()> {
        watch::clear(&self.logged, self.default.oid, &[])
    }

    /// Has keys that are written there logged from now on; the triggers that do it, in their versions.
    pub fn watch(&self) -> Result<Vec<String>> {
        watch::begin(&self.logged, self.default.oid)
    }

    /// Looks at all rows. Takes as long as there are rows, and keeps nobody waiting.
    pub fn look(&self, parent: &Parent, planned: &Planned) -> Result<()> {
        pinned(&[(c"row_security", c"off")], || create::rows_in_default(parent, planned))
    }

    /// Takes off the log what is of other periods, so that little is left for when it is locked.
    pub fn trim(&self) -> Result<()> {
        let others =
            format!("DELETE FROM {} WHERE ({}) IS NOT TRUE", self.logged.beside_quoted(LOG), self.within());
        owner::of(self.default.oid, || sql::run(&others, &[]))
    }

    /// Under the lock: refuses where a row of the period may have come, or where that was not logged.
    pub fn still(&self, watches: &[String]) -> Result<()> {
        if watch::triggers_of(self.default.oid)? != watches {
            return Err(retry("a trigger was switched off while the default partition was looked at"));
        }
        if sync::backlog(&self.logged, LEFT + 1)? > LEFT {
            return Err(retry("too many rows were written to the default partition meanwhile"));
        }
        let log = self.logged.beside_quoted(LOG);
        let came = format!("SELECT EXISTS (SELECT FROM {log} WHERE {})", self.within());
        if sql::first(&came, &[], |row| sql::required::<bool>(row, 1))? != Some(true) {
            return Ok(());
        }
        Err(has_come(&self.default.quoted))
    }

    /// The statements that end the logging, under the lock.
    pub fn unwatch(&self) -> Vec<String> {
        watch::end(&self.logged)
    }

    /// The statement that says under the lock that there are no such rows: until it is believed, it is not valid.
    pub fn claim(&self) -> String {
        format!(
            "ALTER TABLE {} ADD CONSTRAINT {ABSENT} CHECK ({}) NOT VALID",
            self.default.quoted,
            self.conditions.iter().map(|one| format!("NOT ({one})")).collect::<Vec<_>>().join(" AND ")
        )
    }

    /// Says that what was claimed is so.
    pub fn believe(&self) -> Result<()> {
        let valid = "UPDATE pg_catalog.pg_constraint SET convalidated = true WHERE conrelid = $1 AND contype = 'c' AND conname = $2";
        as_owner(|| sql::run(valid, &[self.default.oid.into(), ABSENT.into()]))?;
        // SAFETY: in a transaction that has the relation locked; what the caches know of it, which is from before, is read anew.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(self.default.oid) };
        Ok(())
    }

    /// Takes it back, once PostgreSQL knows by itself.
    pub fn unclaim(&self) -> String {
        format!("ALTER TABLE {} DROP CONSTRAINT {ABSENT}", self.default.quoted)
    }
}

fn has_come(default: &str) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        format!("rows of the period have come to {default} meanwhile"),
    )
}

/// Whether a table has an index by which rows of some values of a column are found.
fn has_index(table: Oid, column: &str) -> Result<bool> {
    let query = "SELECT EXISTS (
        SELECT FROM pg_catalog.pg_index x
          JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
          JOIN pg_catalog.pg_am m ON m.oid = i.relam AND m.amname = 'btree'
          JOIN pg_catalog.pg_opclass o ON o.oid = x.indclass[0] AND o.opcdefault
          JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
         WHERE x.indrelid = $1 AND a.attname = $2 AND x.indisvalid AND x.indpred IS NULL)";
    Ok(sql::first(query, &[table.into(), column.into()], |row| sql::required::<bool>(row, 1))? == Some(true))
}
