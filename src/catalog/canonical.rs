//! Two definitions are the same when PostgreSQL, having analyzed both, writes them the same way.

use crate::encoding::{to_rust, to_server_cstring};
use crate::error::{Failure, Result};
use crate::guc::set_for_transaction;
use crate::owner;
use crate::parse::one_statement;
use crate::settings;
use crate::subtransaction::looked_at;
use pgrx::pg_sys::{self, Oid};
use std::ffi::{CStr, CString};

/// The query as PostgreSQL writes it back: names qualified, casts and parentheses made explicit. What the catalogs
/// hold goes the same way before it is compared.
///
/// Fails as the query itself would: an unknown column, a type that does not fit. Takes ACCESS SHARE locks for
/// the moment, and gives up rather than wait for them longer than `groundskeeper.lock_timeout`.
pub fn canonical_query(query: &str) -> Result<String> {
    looked_at(|| {
        // for the subtransaction, which is undone
        let patience = CString::new(format!("{}ms", settings::lock_timeout_ms()))
            .map_err(|error| Failure::internal(error.to_string()))?;
        set_for_transaction(&[(c"lock_timeout", &patience)]);
        // Twice: PostgreSQL's own text of a cast array reads back as an array of casts, and stays that.
        let deparsed = || deparsed(&deparsed(query)?);
        // As the owner, so that a reader who may not use a schema gets the same answer; nothing is executed, and
        // definitions whose constants would call a function to be read are left out by our callers. What somebody has
        // added to the plan is read as who has added it: a constant may be of a type whose checks run then.
        if owner::reads_words_of_author() { deparsed() } else { crate::extension::as_owner(deparsed) }
    })
}

/// The relations that a query names, in the order in which PostgreSQL comes upon them. Views are not looked into.
pub fn relations_in(query: &str) -> Result<Vec<Oid>> {
    looked_at(|| {
        let tree = analyzed(query, |query| {
            // SAFETY: a query that was just analyzed, in the current memory context.
            unsafe { CStr::from_ptr(pg_sys::nodeToString(query.cast())) }.to_bytes().to_vec()
        })?;
        let mut words = tree.split(|byte| byte.is_ascii_whitespace());
        let mut found = Vec::new();
        // names and constants are written so that none of them is a word like this one
        while let Some(word) = words.next() {
            if word != b":relid" {
                continue;
            }
            let oid = words.next().and_then(|number| std::str::from_utf8(number).ok()?.parse::<u32>().ok());
            if let Some(oid) =
                oid.map(Oid::from).filter(|oid| *oid != pg_sys::InvalidOid && !found.contains(oid))
            {
                found.push(oid);
            }
        }
        Ok(found)
    })
}

/// Whether two queries mean the same; one that cannot be analyzed equals nothing.
pub fn same_query(canonical: &str, other: &str) -> bool {
    canonical_query(other).is_ok_and(|other| other == canonical)
}

fn deparsed(query: &str) -> Result<String> {
    analyzed(query, |query| {
        // SAFETY: a query that was just analyzed, in the current memory context.
        to_rust(unsafe { CStr::from_ptr(pg_sys::pg_get_querydef(query, false)) }.to_bytes())
    })
}

fn analyzed<T>(query: &str, read: impl FnOnce(*mut pg_sys::Query) -> T) -> Result<T> {
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
        Ok(read(analyzed))
    }
}
