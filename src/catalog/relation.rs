//! Relations, their columns, sizes and privileges.

use crate::cluster;
use crate::error::Result;
use crate::owner;
use crate::sql::{self, quote_identifier, required};
use groundskeeper_core::plan::Qualified;
use groundskeeper_core::plan::decide::{ColumnFact, Digits};
use pgrx::pg_sys::Oid;

/// A table, view or materialized view.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Qualified,
    /// `schema.name`, quoted.
    pub quoted: String,
    /// `pg_class.relkind`.
    pub kind: char,
    /// The owner's name.
    pub owner: String,
    /// Whether a materialized view has been filled.
    pub populated: bool,
    /// The extension that it is a member of.
    pub extension: Option<String>,
}

/// The query for relations that satisfy a condition.
macro_rules! relations {
    ($condition:literal) => {
        concat!(
            "
    SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text, a.rolname::text,
           c.relispopulated,
           (SELECT e.extname::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'),
           n.nspname::text, c.relname::text
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles a ON a.oid = c.relowner
     WHERE ",
            $condition
        )
    };
}

fn read(row: &crate::sql::Tuple) -> Result<Relation> {
    Ok(Relation {
        oid: required(row, 1)?,
        quoted: required(row, 2)?,
        kind: required::<String>(row, 3)?.chars().next().unwrap_or(' '),
        owner: required(row, 4)?,
        populated: required(row, 5)?,
        extension: row.get(6)?,
        name: Qualified { schema: required(row, 7)?, name: required(row, 8)? },
    })
}

/// The relation of that name, if there is one.
pub fn relation(name: &Qualified) -> Result<Option<Relation>> {
    let query = relations!("n.nspname = $1 AND c.relname = $2");
    sql::kept_first(query, &[name.schema.as_str().into(), name.name.as_str().into()], read)
}

/// The owner of a schema, unless that is one of PostgreSQL's own roles.
pub fn owner_of_schema(schema: &str) -> Result<Option<Oid>> {
    let owner = "SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = $1 AND nspowner >= 16384";
    sql::kept_first(owner, &[schema.into()], |row| required::<Oid>(row, 1))
}

/// The columns of a table by its quoted name, in order; none where it is not there.
pub fn columns_of(quoted: &str) -> Result<Vec<String>> {
    let columns = "SELECT attname::text FROM pg_catalog.pg_attribute
                    WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    sql::kept_texts(columns, &[quoted.into()])
}

/// The relation with that OID, if it is still there.
pub fn relation_by_oid(oid: Oid) -> Result<Option<Relation>> {
    sql::kept_first(relations!("c.oid = $1"), &[oid.into()], read)
}

/// The relation of that quoted name, if there is one.
pub fn relation_named(quoted: &str) -> Result<Option<Relation>> {
    let query = relations!("(n.nspname, c.relname) = (SELECT p[1], p[2] FROM pg_catalog.parse_ident($1) p)");
    sql::kept_first(query, &[quoted.into()], read)
}

/// The partitioned table that a partition belongs to.
pub fn parent_of_partition(partition: Oid) -> Result<Option<Qualified>> {
    named(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_inherits i
           JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'p'
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE i.inhrelid = $1",
        partition,
    )
}

/// The table or materialized view of an index.
pub fn table_of_index(index: Oid) -> Result<Option<Qualified>> {
    named(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_index i
           JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE i.indexrelid = $1",
        index,
    )
}

fn named(query: &'static str, of: Oid) -> Result<Option<Qualified>> {
    sql::kept_first(query, &[of.into()], |row| {
        Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? })
    })
}

/// What is known of a column by name. A type that is not PostgreSQL's own is of no family: its operators would
/// run with our caller's rights.
pub fn column_fact(relation: &Qualified, column: &str) -> Result<ColumnFact> {
    let found = sql::kept_first(
        "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
                CASE WHEN t.oid < 16384 THEN t.typcategory::text ELSE 'U' END
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN pg_catalog.pg_attribute a
             ON a.attrelid = c.oid AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped
           LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          WHERE n.nspname = $1 AND c.relname = $2",
        &[relation.schema.as_str().into(), relation.name.as_str().into(), column.into()],
        |row| Ok((row.get::<String>(2)?, row.get::<String>(3)?)),
    )?;
    Ok(match found {
        None => ColumnFact::NoRelation,
        Some((Some(type_name), Some(category))) => {
            ColumnFact::Type(type_name, category.chars().next().unwrap_or(' '))
        }
        Some(_) => ColumnFact::NoColumn,
    })
}

/// A column's number, if there is one of that name.
pub fn column_number(relation: Oid, column: &str) -> Result<Option<i16>> {
    let number = "SELECT attnum FROM pg_catalog.pg_attribute
                   WHERE attrelid = $1 AND attname = $2 AND attnum > 0 AND NOT attisdropped";
    sql::kept_first(number, &[relation.into(), column.into()], |row| required::<i16>(row, 1))
}

/// A numeric column's number and declared digits; `None` where it is absent or of another type.
pub fn numeric_column(oid: Oid, column: &str) -> Result<Option<(i16, Digits)>> {
    sql::kept_first(
        "SELECT a.attnum,
                CASE WHEN a.atttypmod >= 4 THEN ((a.atttypmod - 4) >> 16) & 65535 END,
                CASE WHEN a.atttypmod >= 4 THEN (((a.atttypmod - 4) & 2047) # 1024) - 1024 END
           FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
            AND a.atttypid = 'pg_catalog.numeric'::pg_catalog.regtype",
        &[oid.into(), column.into()],
        |row| Ok((required::<i16>(row, 1)?, row.get::<i32>(2)?.zip(row.get::<i32>(3)?))),
    )
}

/// Bytes of a relation's main fork, partitions included. Waits for nothing: a relation that is locked away
/// counts with the pages that the catalog last knew of. Of one that is in shards all that the nodes have of it counts.
pub fn relation_bytes(oid: Oid) -> Result<u64> {
    if let Some(bytes) = cluster::bytes(oid)? {
        return Ok(bytes);
    }
    let bytes = sql::kept_first(
        "SELECT COALESCE(pg_catalog.sum(
                    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l
                                       WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
                                         AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                                            WHERE datname = pg_catalog.current_database())
                                         AND l.pid <> pg_catalog.pg_backend_pid())
                         THEN c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
                         ELSE pg_catalog.pg_relation_size(c.oid) END), 0)::bigint
           FROM pg_catalog.pg_class c
          WHERE c.oid = ANY (ARRAY(SELECT $1 UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1) p WHERE p.isleaf))",
        &[oid.into()],
        |row| required::<i64>(row, 1),
    )?;
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

/// The first of the names that a relation has a column of.
pub fn first_column(relation: &Qualified, names: &[String]) -> Result<Option<String>> {
    let found = sql::kept_texts(
        "SELECT a.attname::text
           FROM pg_catalog.unnest($3::text[]) WITH ORDINALITY n (name, place)
           JOIN pg_catalog.pg_attribute a ON a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped
           JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relname = $2
           JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace AND s.nspname = $1
          ORDER BY n.place LIMIT 1",
        &[relation.schema.as_str().into(), relation.name.as_str().into(), names.to_vec().into()],
    )?;
    Ok(found.into_iter().next())
}

/// The columns of the foreign key from one relation to another, in key order.
pub fn foreign_key_columns(from: &Qualified, to: &Qualified) -> Result<Vec<String>> {
    sql::kept_texts(
        "SELECT a.attname::text
           FROM (SELECT con.conrelid, con.conkey FROM pg_catalog.pg_constraint con
                   JOIN pg_catalog.pg_class f ON f.oid = con.conrelid
                   JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
                   JOIN pg_catalog.pg_class t ON t.oid = con.confrelid
                   JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
                  WHERE con.contype = 'f' AND fn.nspname = $1 AND f.relname = $2
                    AND (tn.nspname = $3 AND t.relname = $4
                         -- or to its keys, where these are kept apart
                         OR EXISTS (SELECT FROM groundskeeper.managed_tables m
                                     WHERE m.parent = pg_catalog.format('%I.%I', $3, $4)
                                       AND m.key_table = pg_catalog.format('%I.%I', tn.nspname, t.relname)))
                  ORDER BY con.conname LIMIT 1) fk
           CROSS JOIN LATERAL pg_catalog.unnest(fk.conkey) WITH ORDINALITY AS k(attnum, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = fk.conrelid AND a.attnum = k.attnum
          ORDER BY k.place",
        &[
            from.schema.as_str().into(),
            from.name.as_str().into(),
            to.schema.as_str().into(),
            to.name.as_str().into(),
        ],
    )
}

/// GRANT statements that let those who may read all of `sources` read `quoted` as well.
pub fn default_grants(quoted: &str, sources: &[Oid]) -> Result<Vec<String>> {
    let grantees = sql::kept_texts(
        "WITH readers AS (
             SELECT DISTINCT c.oid, acl.grantee
               FROM pg_catalog.pg_class c
              CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) acl
              WHERE c.oid = ANY ($1) AND acl.privilege_type = 'SELECT' AND acl.grantee <> c.relowner)
         SELECT COALESCE(a.rolname::text, '')
           FROM (SELECT DISTINCT grantee FROM readers) g
           LEFT JOIN pg_catalog.pg_roles a ON a.oid = g.grantee
          WHERE NOT EXISTS (SELECT FROM pg_catalog.unnest($1) AS s(oid)
                             WHERE NOT EXISTS (SELECT FROM readers r
                                                WHERE r.oid = s.oid AND r.grantee IN (0, g.grantee)))
          ORDER BY 1",
        &[sources.to_vec().into()],
    )?;
    let to = |name: &String| if name.is_empty() { "PUBLIC".to_owned() } else { quote_identifier(name) };
    Ok(grantees.iter().map(|name| format!("GRANT SELECT ON {quoted} TO {}", to(name))).collect())
}

/// The key of a table that is partitioned by range over one column; `None` where it is not partitioned.
pub fn partition_key(relation: &Qualified) -> Result<Option<String>> {
    sql::kept_first(
        "SELECT COALESCE(a.attname::text, pg_catalog.pg_get_partkeydef(c.oid))
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid
           LEFT JOIN pg_catalog.pg_attribute a
             ON a.attrelid = c.oid AND p.partstrat = 'r' AND p.partnatts = 1 AND a.attnum = p.partattrs[0]
          WHERE n.nspname = $1 AND c.relname = $2",
        &[relation.schema.as_str().into(), relation.name.as_str().into()],
        |row| required::<String>(row, 1),
    )
}

/// How many rows hold a value that a narrower numeric type cannot, be it a digit before the point or after it. Reads the
/// whole table, as its owner.
pub fn rows_beyond(table: &str, column: &str, narrower: &str) -> Result<i64> {
    let column = quote_identifier(column);
    let limit = "10::pg_catalog.numeric ^ ($1::integer - $2::integer)";
    let query = format!(
        "SELECT pg_catalog.count(*) FROM {table}
          WHERE pg_catalog.abs(pg_catalog.round({column}, $2)) >= {limit} OR pg_catalog.round({column}, $2) <> {column}"
    );
    let Some((precision, scale)) = digits_of(narrower) else { return Ok(0) };
    let count = || sql::first(&query, &[precision.into(), scale.into()], |row| required::<i64>(row, 1));
    Ok(owner::reading_named(table, count)?.unwrap_or(0))
}

/// The digits of `numeric(p,s)`.
fn digits_of(type_name: &str) -> Digits {
    let (precision, scale) = type_name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.parse().ok()?, scale.parse().ok()?))
}
