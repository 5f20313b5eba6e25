//! The conversion that a partitioned table came from, and what its partitions have of it.

use super::record::{self, Conversion};
use super::{kept_keys, keys, shadow};
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::partition::bounds::Parent;
use crate::sql::{self, required};
use groundskeeper_core::partition::Interval;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// The conversion of a partitioned table. One that nothing is written down of, as the extension was dropped and made
/// again since, is told by its triggers, and written down anew.
pub fn recognized(parent: &Parent, interval: Interval, premake: u32) -> Result<Option<Conversion>> {
    if let Some(known) = of_parent(&parent.quoted)? {
        return Ok(Some(known));
    }
    let mut found = Conversion {
        table: parent.name.clone(),
        item: None,
        key: parent.key.clone(),
        interval,
        timezone: parent.zone.clone(),
        premake,
        format: parent.key_type.format(),
        has_default: parent.default.is_some(),
        stage: Stage::Finalized,
        key_columns: Vec::new(),
        has_key_table: false,
        kept: Vec::new(),
        copied_to: None,
        rows_expected: 0,
    };
    let query = "SELECT COALESCE(pg_catalog.bool_or(tgname = $2), false), COALESCE(pg_catalog.bool_or(tgname = $3), false)
                   FROM pg_catalog.pg_trigger WHERE tgrelid = $1";
    let triggers = [parent.oid.into(), keys::INSERTED.into(), shadow::CAPTURE_ROWS.into()];
    let has = sql::first(query, &triggers, |row| Ok((required::<bool>(row, 1)?, required::<bool>(row, 2)?)))?;
    let (has_key_table, has_former) = has.unwrap_or_default();
    if !has_key_table && !has_former {
        return Ok(None);
    }
    (found.has_key_table, found.stage) =
        (has_key_table, if has_former { Stage::Converted } else { Stage::Finalized });
    let beside = found.beside_quoted(if has_key_table { record::KEYS } else { record::FORMER });
    let oid =
        sql::first("SELECT pg_catalog.to_regclass($1)::oid", &[beside.as_str().into()], |row| row.get(1))?;
    let identity = oid.flatten().map_or(Ok(None), |oid| kept_keys(oid, &found.key))?.unwrap_or_default();
    found.key_columns = identity.identity;
    if has_key_table {
        found.kept = sql::texts(
            "SELECT attname::text FROM pg_catalog.pg_attribute
              WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            &[beside.as_str().into()],
        )?;
    }
    refuse_strangers(&found, parent)?;
    if found.key_columns.is_empty() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("{} was converted under another name", parent.quoted),
        )
        .detail(format!(
            "It has the triggers of a conversion, and there is no {beside} whose rows are told apart."
        )));
    }
    record::begin(&found)?;
    if found.stage == Stage::Converted {
        record::carry(&found, &indexes_of_former(&found)?)?;
    }
    record::reach(&found, found.stage)?;
    Ok(Some(found))
}

/// What stands by the names of a conversion is one's own to plant in a schema that others use too: what is not the table's
/// owner's is not believed.
fn refuse_strangers(found: &Conversion, parent: &Parent) -> Result<()> {
    let tables =
        [record::KEYS, record::FORMER, record::LOG].map(|suffix| found.beside_quoted(suffix)).to_vec();
    let strange = sql::texts(
        "WITH own AS (SELECT relowner FROM pg_catalog.pg_class WHERE oid = $1)
         SELECT t.name FROM own, pg_catalog.unnest($2::text[]) t (name)
           JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name)
          WHERE c.relowner <> own.relowner OR c.relkind <> 'r'
         UNION ALL
         SELECT g.tgfoid::pg_catalog.regprocedure::text FROM own, pg_catalog.pg_trigger g
           JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
          WHERE g.tgrelid = $1 AND g.tgname = ANY ($3) AND p.proowner <> own.relowner",
        &[parent.oid.into(), tables.into(), super::OWN_TRIGGERS.to_vec().into()],
    )?;
    if strange.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("{} has triggers of a conversion that was not its owner's", parent.quoted),
    )
    .detail(format!("Another role owns {}.", strange.join(", "))))
}

/// The indexes of the unpartitioned table, by the names that they have on the way back.
fn indexes_of_former(conversion: &Conversion) -> Result<Vec<record::Carried>> {
    sql::rows(
        "SELECT o.name,
                EXISTS (SELECT FROM pg_catalog.pg_index y JOIN pg_catalog.pg_class j ON j.oid = y.indexrelid
                         WHERE y.indrelid = pg_catalog.to_regclass($2) AND j.relname = o.name),
                EXISTS (SELECT FROM pg_catalog.pg_index y JOIN pg_catalog.pg_class j ON j.oid = y.indexrelid
                         WHERE y.indrelid = pg_catalog.to_regclass($4) AND j.relname = o.name)
           FROM pg_catalog.pg_index x
           JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
          CROSS JOIN LATERAL (SELECT pg_catalog.regexp_replace(i.relname::text, '_' || $3 || '$', '')) o (name)
          WHERE x.indrelid = pg_catalog.to_regclass($1) AND o.name <> i.relname ORDER BY 1",
        &[
            conversion.beside_quoted(record::FORMER).into(),
            conversion.quoted().into(),
            record::FORMER.into(),
            conversion.beside_quoted(record::KEYS).into(),
        ],
        |row| {
            Ok(record::Carried {
                name: required(row, 1)?,
                on_shadow: required(row, 2)?,
                on_keys: required(row, 3)?,
            })
        },
    )
}

/// The conversion that a partitioned table came from, by its quoted name.
pub fn of_parent(quoted: &str) -> Result<Option<Conversion>> {
    let name = "SELECT schema_name, table_name FROM groundskeeper.conversion WHERE relation = $1";
    let table = as_owner(|| {
        sql::first(name, &[quoted.into()], |row| {
            Ok(Qualified { schema: required(row, 1)?, name: required(row, 2)? })
        })
    })?;
    table.map_or(Ok(None), |table| record::find(&table))
}
