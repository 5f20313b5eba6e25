//! One utility statement, run as a client's top-level statement would be.
//!
//! Concurrent commands commit in the middle of themselves. SPI refuses them, and a snapshot or a parse tree that
//! lives in the transaction's memory does not survive them.

use super::Between;
use crate::compat;
use crate::encoding::to_server_cstring;
use crate::error::{Failure, Result};
use crate::parse::one_statement;
use pgrx::pg_sys;
use pgrx::pg_sys::PgTryBuilder;
use std::cell::Cell;
use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

/// Runs one statement outside of any transaction. After a failure the session is as before it.
pub fn run(between: &mut Between, statement: &str) -> Result<()> {
    // Only in a transaction can it be converted.
    let text = between.transaction(|| {
        to_server_cstring(statement).ok_or_else(|| Failure::internal("a statement contains a NUL byte"))
    })?;
    let context = Cell::new(std::ptr::null_mut());
    let result = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the worker is outside of any transaction, as the caller's token says, and `text` outlives the call.
        unsafe { in_portal(&text, &context) }
    }))
    .catch_others(|caught| Err(Failure::from_caught(caught)))
    .execute();
    if result.is_err() {
        // SAFETY: the error was raised inside the transaction that the statement was run in, whichever it had
        // come to; aborting it is what the main loop of a backend does.
        unsafe { pg_sys::AbortCurrentTransaction() };
    }
    if !context.get().is_null() {
        // SAFETY: the portal, and all else that points into it, went with the transaction.
        unsafe { pg_sys::MemoryContextDelete(context.get()) };
    }
    result
}

/// # Safety
/// The caller is outside of any transaction and catches PostgreSQL's errors. It deletes the context that is left.
unsafe fn in_portal(text: &CStr, left: &Cell<pg_sys::MemoryContext>) -> Result<()> {
    // SAFETY: the protocol of exec_simple_query(). The parse tree and the plan live in a context of their own
    // that outlives the command's inner commits; no snapshot is pushed, as no utility statement run here wants
    // one from its caller; the portal is dropped before the last commit, and the caller deletes the context after it.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr());
        pg_sys::StartTransactionCommand();
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::TopMemoryContext,
            c"groundskeeper statement".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        left.set(context);
        let transaction = pg_sys::MemoryContextSwitchTo(context);
        let statement = one_statement(text)?;
        let tag = pg_sys::CreateCommandTag((*statement).stmt);
        let rewritten = pg_sys::pg_analyze_and_rewrite_fixedparams(
            statement,
            text.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        );
        let planned = pg_sys::pg_plan_queries(rewritten, text.as_ptr(), 0, std::ptr::null_mut());
        let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
        (*portal).visible = false;
        pg_sys::PortalDefineQuery(
            portal,
            std::ptr::null(),
            text.as_ptr(),
            tag,
            planned,
            std::ptr::null_mut(),
        );
        pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
        let nowhere = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        pg_sys::MemoryContextSwitchTo(transaction);
        compat::portal_run(portal, nowhere);
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
    Ok(())
}
