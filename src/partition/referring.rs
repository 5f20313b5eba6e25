//! The tables that refer to a partitioned one by foreign keys. PostgreSQL locks them whenever a partition comes or goes,
//! once it has the partitioned table; who writes them has them first, and wants the partitioned table then, to look for
//! the row there. So they are locked first, or each would wait for the other.

use crate::error::Result;
use crate::sql::{self, required};
use crate::waiting::with_lock_timeout;
use pgrx::pg_sys::{self, Oid};
use std::time::{Duration, Instant};

/// How long what belongs to others may be waited for, and held up: whatever the requester has set, it is they who wait.
pub const OTHERS: Duration = Duration::from_millis(300);

/// Locks them before the deadline, as PostgreSQL will. Returns the deadline for what is locked after them.
pub fn lock(table: Oid, deadline: Instant) -> Result<Instant> {
    let referring = sql::rows(
        "SELECT DISTINCT k.conrelid, c.relowner <> (SELECT t.relowner FROM pg_catalog.pg_class t WHERE t.oid = $1)
           FROM pg_catalog.pg_constraint k
           JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
          WHERE k.contype = 'f' AND k.confrelid = $1
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(pg_catalog.pg_partition_root($1)) p
                             WHERE p.relid = k.conrelid)
          ORDER BY 1",
        &[table.into()],
        |row| Ok((required::<Oid>(row, 1)?, required::<bool>(row, 2)?)),
    )?;
    let others = referring.iter().any(|(_, others)| *others);
    let deadline = if others { deadline.min(Instant::now() + OTHERS) } else { deadline };
    for (relation, _) in referring {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        with_lock_timeout(i32::try_from(left).unwrap_or(1).max(1), || {
            // SAFETY: in a transaction, whose end releases the lock.
            unsafe { pg_sys::LockRelationOid(relation, pg_sys::ShareRowExclusiveLock as pg_sys::LOCKMODE) };
            Ok(())
        })?;
    }
    Ok(deadline)
}

/// Whether a foreign key refers to a partition, as a part of its table.
pub fn exist(partition: Oid) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                                 WHERE k.contype = 'f' AND k.confrelid = $1 AND k.conparentid <> 0)";
    Ok(sql::first(query, &[partition.into()], |row| required::<bool>(row, 1))? == Some(true))
}
