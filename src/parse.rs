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

/// How many statements a text has; PostgreSQL's own error for what it cannot parse.
pub fn statements(text: &str) -> Result<usize> {
    let text = to_server_cstring(text).ok_or_else(|| Failure::internal("a statement contains a NUL byte"))?;
    isolated(|| {
        // SAFETY: in a subtransaction, which catches errors; an empty list is NULL.
        let parsed =
            unsafe { pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT).as_ref() };
        Ok(parsed.map_or(0, |list| usize::try_from(list.length).unwrap_or(0)))
    })
}

/// Whether a text is one `CALL`; what cannot be parsed is none.
pub fn is_call(text: &str) -> bool {
    let Some(text) = to_server_cstring(text) else { return false };
    // SAFETY: in a subtransaction, which catches errors; a RawStmt has a statement.
    let tag = isolated(|| unsafe { Ok((*(*one_statement(&text)?).stmt).type_) });
    tag.is_ok_and(|tag| tag == pg_sys::NodeTag::T_CallStmt)
}
