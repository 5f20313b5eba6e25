//! Arguments borrowed from the row: only what a rule looks at is read, and nothing is copied.
//!
//! Each of them takes NULL as a value like any other. (pgrx declares a function STRICT unless an argument is an
//! `Option`; every function that takes these has one.)

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::slice;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::prelude::*;
use pgrx::varlena::{
    varatt_is_1b, varatt_is_1b_e, varatt_is_4b_c, vardata_1b, vardata_4b, varsize_1b, varsize_4b,
};
use pgrx::{direct_function_call, rust_byte_slice_to_bytea};

/// A `text`, in the server's encoding.
#[derive(Clone, Copy, Default)]
pub struct Text<'fcx>(Option<&'fcx [u8]>);

impl<'fcx> Text<'fcx> {
    /// The text's bytes; nothing for NULL.
    pub fn bytes(self) -> Option<&'fcx [u8]> {
        self.0
    }
}

/// A `jsonb`, unread.
#[derive(Clone, Copy, Default)]
pub struct JsonbArgument<'fcx>(Option<&'fcx [u8]>);

impl<'fcx> JsonbArgument<'fcx> {
    /// One with that content, or NULL.
    pub fn of(image: Option<&'fcx [u8]>) -> Self {
        Self(image)
    }

    /// The jsonb's content without its varlena header; nothing for NULL.
    pub fn image(self) -> Option<&'fcx [u8]> {
        self.0
    }

    /// The text of a jsonb with that content, in the server's encoding.
    pub fn text_of(image: &[u8]) -> Option<CString> {
        let jsonb = rust_byte_slice_to_bytea(image).into_datum();
        // SAFETY: the content of a jsonb behind the header of a varlena is that jsonb again.
        let text = unsafe { direct_function_call::<&CStr>(pg_sys::jsonb_out, &[jsonb]) };
        text.map(CStr::to_owned)
    }
}

/// A `numeric` whose value may be known from an equal one before it.
#[derive(Clone, Copy)]
pub struct Number<'fcx> {
    image: &'fcx [u8],
    datum: pg_sys::Datum,
}

impl<'fcx> Number<'fcx> {
    /// The numeric's content without its varlena header; equal ones are equal numbers.
    pub fn image(self) -> &'fcx [u8] {
        self.image
    }

    /// The number itself.
    pub fn value(self) -> Option<AnyNumeric> {
        // SAFETY: the function's argument, a numeric that is not NULL.
        unsafe { AnyNumeric::from_datum(self.datum, false) }
    }
}

/// An array of `text`, unread where it is empty.
#[derive(Clone, Copy, Default)]
pub struct Codes<'fcx> {
    datum: Option<pg_sys::Datum>,
    call: PhantomData<&'fcx [u8]>,
}

impl<'fcx> Codes<'fcx> {
    /// The array's content without its varlena header, and nothing where it is NULL or empty.
    pub fn image(self) -> &'fcx [u8] {
        // SAFETY: the function's argument, an array of text that is not NULL and lives as long as the call.
        self.datum.map_or(&[], |datum| unsafe { borrow(datum, Extent::Whole) })
    }

    /// The array, unless it is NULL or empty.
    pub fn array(self) -> Option<Array<'fcx, &'fcx str>> {
        // SAFETY: the function's argument, an array of text that is not NULL and lives as long as the call.
        self.datum.and_then(|datum| unsafe { Array::from_datum(datum, false) })
    }
}

/// How much of a variable-length value is read.
#[derive(Clone, Copy)]
pub enum Extent {
    /// All of it.
    Whole,
    /// So many bytes, at least.
    First(i32),
}

/// The bytes of a variable-length value: fetched and decompressed if need be, and then no further than asked.
///
/// # Safety
/// The datum is a varlena, valid for `'a`.
#[inline(always)]
pub unsafe fn borrow<'a>(datum: pg_sys::Datum, extent: Extent) -> &'a [u8] {
    let stored: *mut pg_sys::varlena = datum.cast_mut_ptr();
    // SAFETY: a varlena by contract, and a plain one once it was fetched.
    unsafe {
        let is_plain = !varatt_is_1b_e(stored) && !varatt_is_4b_c(stored);
        let plain = if is_plain { stored } else { fetched(stored, extent) };
        let (bytes, length) = if varatt_is_1b(plain) {
            (vardata_1b(plain), varsize_1b(plain) - pg_sys::VARHDRSZ_SHORT)
        } else {
            (vardata_4b(plain), varsize_4b(plain) - pg_sys::VARHDRSZ)
        };
        slice::from_raw_parts(bytes.cast(), length)
    }
}

/// A value that does not lie there plainly, in the memory context of the row. PostgreSQL is not asked otherwise: that
/// call would cost more than all the rest.
///
/// # Safety
/// It is a varlena.
#[cold]
unsafe fn fetched(stored: *mut pg_sys::varlena, extent: Extent) -> *mut pg_sys::varlena {
    // SAFETY: a varlena by contract.
    unsafe {
        match extent {
            Extent::Whole => pg_sys::pg_detoast_datum_packed(stored),
            Extent::First(count) => pg_sys::pg_detoast_datum_slice(stored, 0, count),
        }
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

pgrx::impl_sql_translatable!(Number<'_>, arg_only = "numeric");

impl<'fcx> FromDatum for Number<'fcx> {
    #[inline]
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: not NULL, and the caller vouches for the SQL type, which is a varlena.
        (!is_null).then(|| Self { image: unsafe { borrow(datum, Extent::Whole) }, datum })
    }
}

// SAFETY: it goes through `from_datum`, which looks at whether the argument is NULL before it reads it.
unsafe impl<'fcx> ArgAbi<'fcx> for Number<'fcx> {
    #[inline]
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches for an argument of the SQL type that is not NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(Self { image: &[], datum: 0.into() })
    }
}

pgrx::impl_sql_translatable!(Codes<'_>, arg_only = "text[]");

impl FromDatum for Codes<'_> {
    #[inline]
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // An array's first word is the number of its dimensions, which the empty one has none of.
        // SAFETY: not NULL, and the caller vouches for the SQL type, which is a varlena.
        let is_empty = || unsafe { borrow(datum, Extent::First(4)) }.iter().all(|byte| *byte == 0);
        Some(Self { datum: (!is_null && !is_empty()).then_some(datum), call: PhantomData })
    }
}

// SAFETY: it goes through `from_datum`, which looks at whether the argument is NULL before it reads it.
unsafe impl<'fcx> ArgAbi<'fcx> for Codes<'fcx> {
    #[inline]
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches for an argument of the SQL type, which lives as long as the call.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_default()
    }
}

pgrx::impl_sql_translatable!(Text<'_>, arg_only = "text");
read_from_bytes!(Text<'fcx>, Extent::Whole, |bytes| Text(Some(bytes)));

pgrx::impl_sql_translatable!(JsonbArgument<'_>, arg_only = "jsonb");
read_from_bytes!(JsonbArgument<'fcx>, Extent::Whole, |bytes| JsonbArgument(Some(bytes)));
