//! Statements through SPI: read with parameters, run as text that PostgreSQL quoted.

use crate::encoding::{Utf8, to_rust, to_server_cstring, with_errors_shown};
use crate::error::{Failure, Result};
use crate::guc::{as_written, planned_once};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiHeapTupleData};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::rc::Rc;

pub use pgrx::spi::quote_literal;

/// Statements as one script.
pub fn script(statements: &[String]) -> String {
    statements.iter().map(|s| format!("{s};")).collect::<Vec<_>>().join("\n")
}

/// Reads rows; each is turned into a value before the next is looked at.
pub fn rows<T>(query: &str, args: &[Argument], mut read: impl FnMut(&Tuple) -> Result<T>) -> Result<Vec<T>> {
    let (query, args) = (text_of(query)?, datums(args));
    as_meant(|| {
        with_own_changes_seen(|| {
            Spi::connect(|client| {
                let mut out = Vec::new();
                for row in client.select(query.as_c_str(), None, args)? {
                    out.push(read(&Tuple(row))?);
                }
                Ok(out)
            })
        })
    })
}

/// Runs a statement of ours: it is read as it was written, and its errors can be read.
fn as_meant<T>(statement: impl FnOnce() -> Result<T>) -> Result<T> {
    as_written(|| with_errors_shown(statement))
}

/// A statement as PostgreSQL wants it.
fn text_of(statement: &str) -> Result<CString> {
    to_server_cstring(statement).ok_or_else(|| Failure::internal("a statement contains a NUL byte"))
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
pub fn first<T>(query: &str, args: &[Argument], read: impl FnMut(&Tuple) -> Result<T>) -> Result<Option<T>> {
    Ok(rows(query, args, read)?.into_iter().next())
}

/// A query that is asked again and again: a session plans it once, for whatever arguments.
pub struct Kept {
    query: &'static str,
    plan: RefCell<Option<Rc<OwnedPreparedStatement>>>,
}

impl Kept {
    /// Not planned yet.
    pub const fn new(query: &'static str) -> Self {
        Self { query, plan: RefCell::new(None) }
    }

    /// Reads rows; each is turned into a value before the next is looked at.
    pub fn rows<T>(&self, args: &[Argument], mut read: impl FnMut(&Tuple) -> Result<T>) -> Result<Vec<T>> {
        let args = datums(args);
        as_meant(|| {
            with_own_changes_seen(|| {
                Spi::connect(|client| {
                    let plan = self.planned(client, args)?;
                    let table = planned_once(|| client.select(&*plan, None, args))?;
                    table.map(|row| read(&Tuple(row))).collect()
                })
            })
        })
    }

    /// The same query may be asked again while its rows are read.
    fn planned(&self, client: &SpiClient, args: &[DatumWithOid]) -> Result<Rc<OwnedPreparedStatement>> {
        if let Some(plan) = &*self.plan.borrow() {
            return Ok(Rc::clone(plan));
        }
        let types: Vec<PgOid> = args.iter().map(|arg| arg.oid().into()).collect();
        let plan = Rc::new(client.prepare(text_of(self.query)?.as_c_str(), &types)?.keep());
        *self.plan.borrow_mut() = Some(Rc::clone(&plan));
        Ok(plan)
    }

    /// Reads the first row, if there is one.
    pub fn first<T>(&self, args: &[Argument], read: impl FnMut(&Tuple) -> Result<T>) -> Result<Option<T>> {
        Ok(self.rows(args, read)?.into_iter().next())
    }
}

thread_local! {
    static PLANS: RefCell<HashMap<&'static str, Rc<Kept>>> = RefCell::default();
}

/// As [`rows`], for what is asked about each item or table: planning takes many times as long as answering.
pub fn kept<T>(
    query: &'static str,
    args: &[Argument],
    read: impl FnMut(&Tuple) -> Result<T>,
) -> Result<Vec<T>> {
    let kept = |plans: &mut HashMap<_, _>| {
        Rc::clone(plans.entry(query).or_insert_with(|| Rc::new(Kept::new(query))))
    };
    PLANS.with_borrow_mut(kept).rows(args, read)
}

/// As [`first`], the same way.
pub fn kept_first<T>(
    query: &'static str,
    args: &[Argument],
    read: impl FnMut(&Tuple) -> Result<T>,
) -> Result<Option<T>> {
    Ok(kept(query, args, read)?.into_iter().next())
}

/// As [`texts`], the same way.
pub fn kept_texts(query: &'static str, args: &[Argument]) -> Result<Vec<String>> {
    Ok(kept(query, args, |row| row.get::<String>(1))?.into_iter().flatten().collect())
}

/// Runs one statement that changes or locks something, and reads the first row that it returns, if there is one.
pub fn returned<T>(
    statement: &str,
    args: &[Argument],
    mut read: impl FnMut(&Tuple) -> Result<T>,
) -> Result<Option<T>> {
    changing(statement, args, |mut table| table.next().map(|row| read(&Tuple(row))).transpose())
}

/// Reads one column of text, NULLs left out.
pub fn texts(query: &str, args: &[Argument]) -> Result<Vec<String>> {
    Ok(rows(query, args, |row| row.get::<String>(1))?.into_iter().flatten().collect())
}

/// Runs one statement that changes something.
pub fn run(statement: &str, args: &[Argument]) -> Result<()> {
    changing(statement, args, |_| Ok(()))
}

/// Runs one statement that changes rows; how many it changed.
pub fn affected(statement: &str, args: &[Argument]) -> Result<i64> {
    let rows = changing(statement, args, |table| Ok(table.len()))?;
    i64::try_from(rows).map_err(|error| Failure::internal(error.to_string()))
}

fn changing<T>(
    statement: &str,
    args: &[Argument],
    read: impl FnOnce(pgrx::spi::SpiTupleTable) -> Result<T>,
) -> Result<T> {
    let (statement, args) = (text_of(statement)?, datums(args));
    as_meant(|| Spi::connect_mut(|client| read(client.update(statement.as_c_str(), None, args)?)))
}

/// A column that cannot be NULL by the query's construction.
pub fn required<T: Value>(row: &Tuple, column: usize) -> Result<T> {
    row.get::<T>(column)?
        .ok_or_else(|| Failure::internal(format!("column {column} of an internal query is NULL")))
}

/// A row that a query returns.
pub struct Tuple<'conn>(SpiHeapTupleData<'conn>);

impl Tuple<'_> {
    /// The value of a column, counted from 1; nothing for NULL.
    pub fn get<T: Value>(&self, column: usize) -> Result<Option<T>> {
        Ok(self.0.get::<T::Column>(column)?.map(T::of_column))
    }
}

/// What a column can be read as. Texts are converted, all else is pgrx's.
pub trait Value: Sized {
    /// As pgrx reads it.
    type Column: FromDatum + IntoDatum;

    /// What that is.
    fn of_column(column: Self::Column) -> Self;
}

/// An argument of a query.
#[repr(transparent)]
pub struct Argument(DatumWithOid<'static>);

fn datums(args: &[Argument]) -> &[DatumWithOid<'static>] {
    // SAFETY: an argument is nothing but that.
    unsafe { std::slice::from_raw_parts(args.as_ptr().cast(), args.len()) }
}

/// What can be an argument.
pub trait IntoArgument {
    /// As pgrx passes it.
    type Datum: IntoDatum;

    /// The same.
    fn into_argument(self) -> Self::Datum;
}

impl<T: IntoArgument> From<T> for Argument {
    fn from(value: T) -> Self {
        Self(value.into_argument().into())
    }
}

impl<T: IntoArgument> IntoArgument for Option<T> {
    type Datum = Option<T::Datum>;

    fn into_argument(self) -> Self::Datum {
        self.map(T::into_argument)
    }
}

impl<T: IntoArgument> IntoArgument for Vec<T> {
    type Datum = Vec<T::Datum>;

    fn into_argument(self) -> Self::Datum {
        self.into_iter().map(T::into_argument).collect()
    }
}

impl IntoArgument for &str {
    type Datum = Utf8;

    fn into_argument(self) -> Utf8 {
        self.into()
    }
}

impl IntoArgument for String {
    type Datum = Utf8;

    fn into_argument(self) -> Utf8 {
        self.into()
    }
}

impl Value for String {
    type Column = Utf8;

    fn of_column(column: Utf8) -> Self {
        column.into()
    }
}

impl Value for Vec<String> {
    type Column = Vec<Utf8>;

    fn of_column(column: Vec<Utf8>) -> Self {
        column.into_iter().map(String::from).collect()
    }
}

/// What needs no conversion.
macro_rules! as_they_are {
    ($($type:ty),*) => {
        $(
            impl IntoArgument for $type {
                type Datum = Self;

                fn into_argument(self) -> Self {
                    self
                }
            }

            impl Value for $type {
                type Column = Self;

                fn of_column(column: Self) -> Self {
                    column
                }
            }

            impl Value for Vec<$type> {
                type Column = Self;

                fn of_column(column: Self) -> Self {
                    column
                }
            }
        )*
    };
}

as_they_are!(bool, i16, i32, i64, f64, pg_sys::Oid, AnyNumeric, Interval, TimestampWithTimeZone, Text);

impl IntoArgument for Vec<u8> {
    type Datum = Self;

    fn into_argument(self) -> Self {
        self
    }
}

impl Value for Vec<u8> {
    type Column = Self;

    fn of_column(column: Self) -> Self {
        column
    }
}

/// A name, quoted where it must be.
pub fn quote_identifier(name: impl AsRef<str>) -> String {
    as_written(|| pgrx::spi::quote_identifier(name.as_ref()))
}

/// `schema.name`, quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    as_written(|| pgrx::spi::quote_qualified_identifier(schema, name))
}

/// A text in the server's own encoding, whatever that is: what is only handed on is not converted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// For a person to read.
    pub fn shown(&self) -> String {
        to_rust(&self.0)
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
