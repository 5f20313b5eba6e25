//! PostgreSQL's own parser, for texts of one statement.

use crate::error::{Failure, Result};
use pgrx::pg_sys;
use std::ffi::CStr;

/// The parse tree of exactly one statement, in the current memory context.
///
/// # Safety
/// Raises PostgreSQL's errors: the caller runs in a transaction, inside what catches them.
pub unsafe fn one_statement(text: &CStr) -> Result<*mut pg_sys::RawStmt> {
    // SAFETY: a NUL-terminated text; a list of one element has that element first, and each is a RawStmt.
    unsafe {
        let parsed = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        if parsed.is_null() || (*parsed).length != 1 {
            return Err(Failure::internal("exactly one statement is expected"));
        }
        Ok((*(*parsed).elements).ptr_value.cast())
    }
}
