//! What else goes when a partition leaves its table: the keys of its rows, and what the former table has of them.

use super::convert::{self, record};
use super::managed::Managed;
use crate::error::{Failure, Result};
use crate::settings;
use crate::sql::{self, qualified, required};
use crate::waiting::run_before_deadline;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// Lets go of what a managed table keeps elsewhere for the rows of a partition. Called in the transaction that
/// detaches or drops the partition, before it does; an error keeps the partition.
pub fn released(parent: &Managed, partition: &Qualified) -> Result<()> {
    if parent.key_table.is_none() && parent.former.is_none() {
        return Ok(());
    }
    let Some(conversion) = convert::of_parent(&parent.parent)? else { return Ok(()) };
    let name = qualified(&partition.schema, &partition.name);
    match conversion.stage {
        Stage::Converted | Stage::Finalized => {}
        stage => {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{name} cannot leave {} now", parent.parent),
            )
            .detail(format!("The conversion of the table is {}.", stage.as_str()))
            .hint("SELECT * FROM groundskeeper.jobs shows the job that is at it."));
        }
    }
    // No row may come or go between the look at its key and the leave; other partitions are written on.
    run_before_deadline(
        settings::lock_timeout_ms(),
        &[format!("LOCK TABLE ONLY {name} IN SHARE ROW EXCLUSIVE MODE")],
    )?;
    // What it does not have from the whole would stay with it, and hold what they call.
    let own = [convert::CAPTURE_TRUNCATE, convert::KEY_TRUNCATED]
        .map(|trigger| format!("DROP TRIGGER IF EXISTS {trigger} ON {name}"));
    run_before_deadline(settings::lock_timeout_ms(), &own)?;
    if let Some(keys) = &parent.key_table {
        release_keys(&conversion, keys, &name)?;
    }
    if conversion.stage == Stage::Converted {
        // The former table is to lose the rows too, or the way back would bring them again.
        let log = conversion.beside_quoted(record::LOG);
        sql::run(&format!("INSERT INTO {log} SELECT {} FROM ONLY {name}", conversion.key_list("")), &[])?;
    }
    Ok(())
}

/// Takes the keys of a partition's rows off the key table, unless a foreign key needs one: whatever it would do to
/// the rows that refer to it, a partition that leaves is no reason.
fn release_keys(conversion: &record::Conversion, keys: &str, partition: &str) -> Result<()> {
    let same = conversion.same_key("k", "p");
    // Who wants to refer to one of them from now on waits for us, and then finds that it is gone.
    sql::run(&format!("SELECT FROM {keys} k JOIN ONLY {partition} p ON {same} FOR UPDATE OF k"), &[])?;
    let (own, strangers): (Vec<_>, Vec<_>) = referring(keys)?.into_iter().partition(|child| child.own);
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
        let query = format!(
            "SELECT EXISTS (SELECT FROM {child} c JOIN {keys} k ON {on} JOIN ONLY {partition} p ON {same})"
        );
        if sql::first(&query, &[], |row| required::<bool>(row, 1))? == Some(true) {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
                format!("rows of {child} still refer to rows of {partition}"),
            )
            .hint("Retire the rows that refer to them first."));
        }
    }
    sql::run(&format!("DELETE FROM {keys} k USING ONLY {partition} p WHERE {same}"), &[])
}

/// A table that refers to the key table.
struct Child {
    /// Its name, quoted.
    table: String,
    /// The condition that joins them, as `c` and `k`.
    on: String,
    /// Whether it is the key table's owner's.
    own: bool,
    /// Whether deleting a key does something to its rows.
    acts: bool,
}

fn referring(keys: &str) -> Result<Vec<Child>> {
    sql::rows(
        "SELECT pg_catalog.format('%I.%I', n.nspname, r.relname),
                (SELECT pg_catalog.string_agg(pg_catalog.format('c.%I = k.%I', a.attname, b.attname), ' AND ')
                   FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) u (child, key)
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
