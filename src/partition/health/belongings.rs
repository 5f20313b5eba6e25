//! What a converted table has beside it, and on it: triggers, owners, columns.

use super::Troubles;
use crate::error::Result;
use crate::partition::convert::record::{self, Conversion, FORMER, KEYS, LOG};
use crate::partition::convert::triggers::{self, Lacking};
use crate::partition::convert::{KEY_FUNCTIONS, columns};
use crate::sql::{self, quote_literal};
use groundskeeper_core::partition::convert::Stage;

/// How many are named of what can be many.
const NAMED: usize = 3;

/// Looks at all of it.
pub fn look(conversion: &Conversion, troubles: &mut Troubles) -> Result<()> {
    let has_former = conversion.stage != Stage::Finalized;
    of_triggers(conversion, troubles)?;
    of_owners(conversion, has_former, troubles)?;
    if has_former {
        of_columns(conversion, troubles)?;
    }
    of_key_columns(conversion, troubles)
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED { format!("{shown} and {} more", names.len() - NAMED) } else { shown }
}

fn of_triggers(conversion: &Conversion, troubles: &mut Troubles) -> Result<()> {
    let lacking = triggers::lacking(conversion)?;
    let named: Vec<String> = lacking.iter().map(|one| format!("{} on {}", one.name, one.relation)).collect();
    let quoted = quote_literal(conversion.quoted());
    // What rebuilds the keys puts all of them back.
    let remedy = if conversion.has_key_table {
        format!("groundskeeper.rebuild_keys({quoted}) puts them back and looks at all keys")
    } else {
        "create_monthly_partitions() has them put back and all rows compared".to_owned()
    };
    let what = if lacking.iter().all(Lacking::is_of_log) {
        "the way back lacks what is written"
    } else {
        "keys are not kept"
    };
    troubles.add(!lacking.is_empty(), "triggers", || {
        (format!("{what}, as triggers are missing or switched off: {}", some(&named)), Some(remedy))
    });
    Ok(())
}

fn of_owners(conversion: &Conversion, has_former: bool, troubles: &mut Troubles) -> Result<()> {
    let mut tables = Vec::new();
    tables.extend(conversion.has_key_table.then_some(KEYS));
    tables.extend(has_former.then_some([FORMER, LOG]).into_iter().flatten());
    let mut functions: Vec<&str> = Vec::new();
    functions.extend(has_former.then_some(record::CAPTURE));
    functions.extend(conversion.has_key_table.then_some(KEY_FUNCTIONS).into_iter().flatten());
    let args = [
        conversion.quoted().into(),
        tables.iter().map(|suffix| conversion.beside_quoted(suffix)).collect::<Vec<_>>().into(),
        functions
            .iter()
            .map(|suffix| format!("{}()", conversion.beside_quoted(suffix)))
            .collect::<Vec<_>>()
            .into(),
    ];
    let others = sql::texts(include_str!("owners.sql"), &args)?;
    troubles.add(!others.is_empty(), "owner", || {
        (
            format!("not owned by the owner of {}: {}", conversion.quoted(), some(&others)),
            Some("ALTER ... OWNER TO gives each of them to that role".to_owned()),
        )
    });
    Ok(())
}

fn of_columns(conversion: &Conversion, troubles: &mut Troubles) -> Result<()> {
    let former = conversion.beside_quoted(FORMER);
    let differ = columns::differing(&conversion.quoted(), &former)?;
    troubles.add(!differ.is_empty(), "columns", || {
        (
            format!("the columns of {former} are others: {}", some(&differ)),
            Some("create_monthly_partitions() has them carried over, and so has the way back".to_owned()),
        )
    });
    Ok(())
}

/// A key column whose type was changed has another in the key table, which may be too narrow for the next key.
fn of_key_columns(conversion: &Conversion, troubles: &mut Troubles) -> Result<()> {
    if !conversion.has_key_table {
        return Ok(());
    }
    let keys = conversion.beside_quoted(KEYS);
    let statements = sql::texts(
        "SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', $1, k.attname, pg_catalog.format_type(t.atttypid, t.atttypmod))
           FROM pg_catalog.pg_attribute k
           JOIN pg_catalog.pg_attribute t ON t.attrelid = pg_catalog.to_regclass($2) AND t.attname = k.attname AND NOT t.attisdropped
          WHERE k.attrelid = pg_catalog.to_regclass($1) AND k.attnum > 0 AND NOT k.attisdropped AND k.attname = ANY ($3)
            AND (k.atttypid, k.atttypmod) IS DISTINCT FROM (t.atttypid, t.atttypmod) ORDER BY k.attnum",
        &[keys.as_str().into(), conversion.quoted().into(), conversion.key_columns.clone().into()],
    )?;
    troubles.add(!statements.is_empty(), "columns", || {
        (format!("key columns of {keys} have other types than the table's"), Some(statements.join("; ")))
    });
    Ok(())
}
