//! Two tables of the same columns and indexes exchange what is stored of them, as CLUSTER does with the copy that it has
//! made: the table stays what it is, with all that is known of it and all that refers to it, and has other rows.
//! Unlike CLUSTER the indexes are exchanged too, and not built again.
//!
//! It is the catalogs' own rows that change; both tables are locked against everybody.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, required};
use pgrx::pg_sys::Oid;

/// Exchanges the storage of a table and of its twin, with indexes and what is stored out of line.
pub fn exchange(table: Oid, twin: &str) -> Result<()> {
    let twin =
        sql::first("SELECT pg_catalog.to_regclass($1)::oid", &[twin.into()], |row| required::<Oid>(row, 1))?
            .ok_or_else(|| Failure::internal("a copy that is gone"))?;
    let pairs = pairs(table, twin)?;
    let (ones, others): (Vec<Oid>, Vec<Oid>) =
        pairs.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]).unzip();
    as_owner(|| {
        sql::run(
            "UPDATE pg_catalog.pg_class c
                SET relfilenode = o.relfilenode, reltablespace = o.reltablespace, reltoastrelid = o.reltoastrelid,
                    relpages = o.relpages, reltuples = o.reltuples, relallvisible = o.relallvisible,
                    relfrozenxid = o.relfrozenxid, relminmxid = o.relminmxid
               FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[])) p (one, other)
               JOIN pg_catalog.pg_class o ON o.oid = p.other
              WHERE c.oid = p.one",
            &[ones.into(), others.into()],
        )?;
        // what is stored out of line goes with the table that it is of
        sql::run(
            "UPDATE pg_catalog.pg_depend d SET refobjid = c.oid
               FROM pg_catalog.pg_class c
              WHERE c.oid IN ($1, $2) AND d.objid = c.reltoastrelid AND d.deptype = 'i'
                AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN ($1, $2)",
            &[table.into(), twin.into()],
        )
    })
}

/// Once the twin is gone: what is stored out of line is named after its table.
pub fn settle(table: Oid) -> Result<()> {
    as_owner(|| {
        sql::run(
            "UPDATE pg_catalog.pg_class c SET relname = n.name
               FROM (SELECT t.reltoastrelid, 'pg_toast_' || t.oid FROM pg_catalog.pg_class t WHERE t.oid = $1
                     UNION ALL
                     SELECT x.indexrelid, 'pg_toast_' || t.oid || '_index'
                       FROM pg_catalog.pg_class t JOIN pg_catalog.pg_index x ON x.indrelid = t.reltoastrelid
                      WHERE t.oid = $1) n (oid, name)
              WHERE c.oid = n.oid AND c.oid <> 0 AND c.relname <> n.name",
            &[table.into()],
        )
    })
}

/// The tables, and each index with the twin's that is like it.
fn pairs(table: Oid, twin: Oid) -> Result<Vec<(Oid, Oid)>> {
    let found = sql::rows(
        "WITH indexes AS (
             SELECT d.*, pg_catalog.row_number() OVER (PARTITION BY d.indrelid, d.definition ORDER BY d.indexrelid) AS place
               FROM (SELECT x.indrelid, x.indexrelid, pg_catalog.concat_ws(' ', c.relam, x.indnatts, x.indnkeyatts, x.indisunique,
                            x.indkey, x.indcollation, x.indclass, x.indoption, pg_catalog.pg_get_expr(x.indexprs, x.indrelid),
                            'where', pg_catalog.pg_get_expr(x.indpred, x.indrelid), 'with', c.reloptions) AS definition
                       FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
                      WHERE x.indrelid IN ($1, $2)) d)
         SELECT o.indexrelid, t.indexrelid
           FROM (SELECT * FROM indexes WHERE indrelid = $1) o
           FULL JOIN (SELECT * FROM indexes WHERE indrelid = $2) t USING (definition, place)",
        &[table.into(), twin.into()],
        |row| Ok((row.get::<Oid>(1)?, row.get::<Oid>(2)?)),
    )?;
    let paired: Option<Vec<(Oid, Oid)>> = found.into_iter().map(|(one, other)| one.zip(other)).collect();
    let mut pairs =
        paired.ok_or_else(|| Failure::internal("indexes of a copy are not those of its table"))?;
    pairs.push((table, twin));
    Ok(pairs)
}
