//! Texts that functions return.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::prelude::*;

/// A new `text` in the server's encoding.
pub struct ServerText(pg_sys::Datum);

pgrx::impl_sql_translatable!(ServerText, "text");

impl ServerText {
    /// A copy of the bytes, in the current memory context.
    pub fn new(bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        // SAFETY: copies that many bytes, which are there; no text is longer than what fits an i32.
        Self(unsafe { pg_sys::cstring_to_text_with_len(bytes.as_ptr().cast(), length) }.into())
    }
}

// SAFETY: the datum is a text in the row's memory context.
unsafe impl BoxRet for ServerText {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above, and it is never NULL.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}
