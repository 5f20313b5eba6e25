//! Two definitions are the same when PostgreSQL, having analyzed both, writes them the same way.

use crate::encoding::{to_rust, to_server_cstring};
use crate::error::{Failure, Result};
use crate::parse::one_statement;
use crate::subtransaction::looked_at;
use crate::{settings, sql};
use pgrx::pg_sys;
use std::ffi::CStr;

/// The query as PostgreSQL writes it back: names qualified, casts and parentheses made explicit. What the catalogs
/// hold goes the same way before it is compared.
///
/// Fails as the query itself would: an unknown column, a type that does not fit. Takes ACCESS SHARE locks for
/// the moment, and gives up rather than wait for them longer than `groundskeeper.lock_timeout`.
pub fn canonical_query(query: &str) -> Result<String> {
    looked_at(|| {
        let patience = format!("{}ms", settings::lock_timeout_ms());
        // read, not run: running would ask for a transaction id, which a standby has none of
        sql::texts("SELECT pg_catalog.set_config('lock_timeout', $1, true)", &[patience.into()])?;
        // As the owner, so that a reader who may not use a schema gets the same answer; nothing is executed, and
        // definitions whose constants would call a function to be read are left out by our callers.
        // Twice: PostgreSQL's own text of a cast array reads back as an array of casts, and stays that.
        crate::extension::as_owner(|| deparsed(&deparsed(query)?))
    })
}

/// Whether two queries mean the same; one that cannot be analyzed equals nothing.
pub fn same_query(canonical: &str, other: &str) -> bool {
    canonical_query(other).is_ok_and(|other| other == canonical)
}

fn deparsed(query: &str) -> Result<String> {
    let text = to_server_cstring(query).ok_or_else(|| Failure::internal("a query contains a NUL byte"))?;
    // SAFETY: `text` outlives the calls; the parse tree and the query live in the current memory context, which
    // the enclosing subtransaction outlives. Errors arrive as panics through pgrx's guards and are caught there.
    unsafe {
        let statement = one_statement(&text)?;
        let analyzed = pg_sys::parse_analyze_fixedparams(
            statement,
            text.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        );
        let deparsed = pg_sys::pg_get_querydef(analyzed, false);
        Ok(to_rust(CStr::from_ptr(deparsed).to_bytes()))
    }
}
