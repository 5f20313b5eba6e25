//! Arguments borrowed from the row: only what a rule looks at is read, and nothing is copied.
//!
//! Each of them takes NULL as a value like any other. (pgrx declares a function STRICT unless an argument is an
//! `Option`; every function that takes these has one.)

use std::slice;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::prelude::*;
use pgrx::varlena::{varatt_is_1b_e, varatt_is_4b_c, vardata_any, varsize_any_exhdr};

/// A `text`, in the server's encoding.
#[derive(Clone, Copy, Default)]
pub struct Text<'fcx>(Option<&'fcx [u8]>);

impl<'fcx> Text<'fcx> {
    /// The text's bytes; nothing for NULL.
    pub fn bytes(self) -> Option<&'fcx [u8]> {
        self.0
    }
}

/// A `jsonb` payload, of which only the type matters.
#[derive(Clone, Copy, Default)]
pub struct RawData {
    is_object: bool,
}

impl RawData {
    /// Whether it is an object; NULL is none.
    pub fn is_object(self) -> bool {
        self.is_object
    }
}

/// A `numeric`, of which only the presence matters.
#[derive(Clone, Copy, Default)]
pub struct Measure {
    is_finite: bool,
}

impl Measure {
    /// Whether it is a number: neither NULL nor NaN nor an infinity.
    pub fn is_finite(self) -> bool {
        self.is_finite
    }
}

/// A `jsonb` of rules, unread.
#[derive(Clone, Copy, Default)]
pub struct RulesArgument<'fcx>(Option<&'fcx [u8]>);

impl<'fcx> RulesArgument<'fcx> {
    /// The jsonb's content without its varlena header; nothing for NULL.
    pub fn image(self) -> Option<&'fcx [u8]> {
        self.0
    }
}

/// How much of a variable-length value is read.
#[derive(Clone, Copy)]
enum Extent {
    Whole,
    First(i32),
}

/// The bytes of a variable-length value: fetched and decompressed if need be, and then no further than asked.
///
/// # Safety
/// The datum is a varlena, valid for `'a`.
unsafe fn borrow<'a>(datum: pg_sys::Datum, extent: Extent) -> &'a [u8] {
    let stored: *mut pg_sys::varlena = datum.cast_mut_ptr();
    // SAFETY: a varlena by contract; what PostgreSQL returns for one that does not lie there plainly lives in
    // the memory context of the row. It is not asked otherwise: that call would cost more than all the rest.
    unsafe {
        let plain = match extent {
            _ if !varatt_is_1b_e(stored) && !varatt_is_4b_c(stored) => stored,
            Extent::Whole => pg_sys::pg_detoast_datum_packed(stored),
            Extent::First(count) => pg_sys::pg_detoast_datum_slice(stored, 0, count),
        };
        slice::from_raw_parts(vardata_any(plain).cast(), varsize_any_exhdr(plain))
    }
}

/// Reads a function's argument from the bytes of its datum, or as the type's default from NULL.
macro_rules! read_from_bytes {
    ($argument:ty, $extent:expr, $read:expr) => {
        impl<'fcx> FromDatum for $argument {
            #[inline]
            unsafe fn from_polymorphic_datum(
                datum: pg_sys::Datum,
                is_null: bool,
                _: pg_sys::Oid,
            ) -> Option<Self> {
                let read: fn(&'fcx [u8]) -> Self = $read;
                // SAFETY: not NULL, and the caller vouches for the SQL type, which is a varlena.
                (!is_null).then(|| read(unsafe { borrow(datum, $extent) }))
            }
        }

        // SAFETY: it goes through `from_datum`, which looks at whether the argument is NULL before it reads it.
        unsafe impl<'fcx> ArgAbi<'fcx> for $argument {
            #[inline]
            unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
                // SAFETY: the caller vouches for an argument of the SQL type, which lives as long as the call.
                unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_default()
            }
        }
    };
}

pgrx::impl_sql_translatable!(Text<'_>, arg_only = "text");
read_from_bytes!(Text<'fcx>, Extent::Whole, |bytes| Text(Some(bytes)));

pgrx::impl_sql_translatable!(RulesArgument<'_>, arg_only = "jsonb");
read_from_bytes!(RulesArgument<'fcx>, Extent::Whole, |bytes| RulesArgument(Some(bytes)));

// A jsonb's first word holds the type of its root.
pgrx::impl_sql_translatable!(RawData, arg_only = "jsonb");
read_from_bytes!(RawData, Extent::First(4), |bytes| {
    let header = bytes.first_chunk().map(|header| u32::from_ne_bytes(*header));
    RawData { is_object: header.is_some_and(|header| header & pg_sys::JB_FOBJECT != 0) }
});

// A numeric's first half-word begins with two ones where what follows is no number but NaN or an infinity.
pgrx::impl_sql_translatable!(Measure, arg_only = "numeric");
read_from_bytes!(Measure, Extent::First(2), |bytes| {
    let header = bytes.first_chunk().map(|header| u16::from_ne_bytes(*header));
    Measure { is_finite: header.is_some_and(|header| header >> 14 != 0b11) }
});
