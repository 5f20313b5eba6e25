//! Statements through SPI: read with parameters, run as text that PostgreSQL quoted.

use crate::error::{Failure, Result};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

pub use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};

/// Statements as one script.
pub fn script(statements: &[String]) -> String {
    statements.iter().map(|s| format!("{s};")).collect::<Vec<_>>().join("\n")
}

/// Reads rows; each is turned into a value before the next is looked at.
pub fn rows<T>(
    query: &str,
    args: &[DatumWithOid],
    mut read: impl FnMut(&SpiHeapTupleData) -> Result<T>,
) -> Result<Vec<T>> {
    with_own_changes_seen(|| {
        Spi::connect(|client| {
            let mut out = Vec::new();
            for row in client.select(query, None, args)? {
                out.push(read(&row)?);
            }
            Ok(out)
        })
    })
}

/// Lets reading queries see what this command has done so far. A select through pgrx uses the active snapshot
/// wherever the innermost subtransaction has changed nothing, and ours look things up in subtransactions.
fn with_own_changes_seen<T>(read: impl FnOnce() -> T) -> T {
    // SAFETY: inside a transaction. The snapshot is popped below, or by the abort of the (sub)transaction.
    unsafe {
        pg_sys::CommandCounterIncrement();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
    let result = read();
    // SAFETY: the snapshot pushed above is on top again.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Reads the first row, if there is one.
pub fn first<T>(
    query: &str,
    args: &[DatumWithOid],
    read: impl FnMut(&SpiHeapTupleData) -> Result<T>,
) -> Result<Option<T>> {
    Ok(rows(query, args, read)?.into_iter().next())
}

/// Runs one statement that changes or locks something, and reads the first row that it returns, if there is one.
pub fn returned<T>(
    statement: &str,
    args: &[DatumWithOid],
    mut read: impl FnMut(&SpiHeapTupleData) -> Result<T>,
) -> Result<Option<T>> {
    Spi::connect_mut(|client| client.update(statement, None, args)?.next().map(|row| read(&row)).transpose())
}

/// Reads one column of text, NULLs left out.
pub fn texts(query: &str, args: &[DatumWithOid]) -> Result<Vec<String>> {
    Ok(rows(query, args, |row| Ok(row.get::<String>(1)?))?.into_iter().flatten().collect())
}

/// Runs one statement that changes something.
pub fn run(statement: &str, args: &[DatumWithOid]) -> Result<()> {
    Spi::connect_mut(|client| {
        client.update(statement, None, args)?;
        Ok(())
    })
}

/// Runs one statement that changes rows; how many it changed.
pub fn affected(statement: &str, args: &[DatumWithOid]) -> Result<i64> {
    let rows = Spi::connect_mut(|client| Ok::<_, Failure>(client.update(statement, None, args)?.len()))?;
    i64::try_from(rows).map_err(|error| Failure::internal(error.to_string()))
}

/// A column that cannot be NULL by the query's construction.
pub fn required<T: FromDatum + IntoDatum>(row: &SpiHeapTupleData, column: usize) -> Result<T> {
    row.get::<T>(column)?
        .ok_or_else(|| Failure::internal(format!("column {column} of an internal query is NULL")))
}

/// `schema.name`, quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    quote_qualified_identifier(schema, name)
}

/// A text in the server's own encoding, whatever that is: what is only handed on is not converted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// For a person to read; what is no UTF-8 is replaced.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl From<&str> for Text {
    fn from(ascii: &str) -> Self {
        Self(ascii.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl FromDatum for Text {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches for a text that is not NULL; it is copied, after being detoasted if need be.
        unsafe {
            let text = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
            let bytes = std::slice::from_raw_parts(
                pgrx::varlena::vardata_any(text).cast(),
                pgrx::varlena::varsize_any_exhdr(text),
            );
            Some(Self(bytes.to_vec()))
        }
    }
}

impl IntoDatum for Text {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let length = i32::try_from(self.0.len()).ok()?;
        // SAFETY: copies that many bytes, which are there, into a new text in the current memory context.
        Some(unsafe { pg_sys::cstring_to_text_with_len(self.0.as_ptr().cast(), length) }.into())
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::TEXTOID
    }
}

// SAFETY: it goes through `from_polymorphic_datum`, for a datum that is not NULL.
unsafe impl pgrx::datum::UnboxDatum for Text {
    type As<'src> = Self;

    unsafe fn unbox<'src>(datum: pgrx::datum::Datum<'src>) -> Self
    where
        Self: 'src,
    {
        // SAFETY: the caller vouches for a text that is not NULL.
        unsafe { Self::from_polymorphic_datum(datum.sans_lifetime(), false, pg_sys::TEXTOID) }
            .unwrap_or_else(|| Self(Vec::new()))
    }
}
