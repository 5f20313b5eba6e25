//! PostgreSQL's own parser, for texts of one statement.

use crate::encoding::to_server_cstring;
use crate::error::{Failure, Result};
use crate::subtransaction::isolated;
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

/// Whether a text is one `CALL`; what cannot be parsed is none.
pub fn is_call(text: &str) -> bool {
    let Some(text) = to_server_cstring(text) else { return false };
    // SAFETY: in a subtransaction, which catches errors; a RawStmt has a statement.
    let tag = isolated(|| unsafe { Ok((*(*one_statement(&text)?).stmt).type_) });
    tag.is_ok_and(|tag| tag == pg_sys::NodeTag::T_CallStmt)
}
