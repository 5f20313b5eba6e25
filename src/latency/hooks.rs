//! Where PostgreSQL tells us that a statement begins or ends.
//!
//! An error of PostgreSQL's is a long jump that passes over our frames. They hold nothing that needs dropping, and
//! it must stay so: catching the error here instead would lose what pgrx does not carry over, as the name of a
//! violated constraint or the position in the query. The abort of the (sub)transaction tells us of it.

use super::{client, session};
use crate::backend;
use crate::compat::{self, Executor};
use groundskeeper_core::stopwatch::Class;
use pgrx::pg_sys;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::OnceLock;

type Finish = unsafe extern "C-unwind" fn(*mut pg_sys::QueryDesc);
type Utility = unsafe extern "C-unwind" fn(
    *mut pg_sys::PlannedStmt,
    *const c_char,
    bool,
    pg_sys::ProcessUtilityContext::Type,
    pg_sys::ParamListInfo,
    *mut pg_sys::QueryEnvironment,
    *mut pg_sys::DestReceiver,
    *mut pg_sys::QueryCompletion,
);

/// PostgreSQL's own, without the jump buffer that the declarations of pgrx set.
mod standard {
    use super::{c_char, pg_sys};

    unsafe extern "C-unwind" {
        pub fn standard_ExecutorFinish(query: *mut pg_sys::QueryDesc);
        pub fn standard_ProcessUtility(
            statement: *mut pg_sys::PlannedStmt,
            text: *const c_char,
            read_only_tree: bool,
            context: pg_sys::ProcessUtilityContext::Type,
            params: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            dest: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
}

/// Whom we call in turn: the hook that was there before us, or PostgreSQL's own function.
struct Next {
    run: Executor,
    finish: Finish,
    utility: Utility,
}

impl Next {
    /// # Safety
    /// Reads the hooks' variables: where nobody writes them meanwhile.
    unsafe fn there_now() -> Self {
        // SAFETY: as the caller says.
        unsafe {
            Self {
                run: pg_sys::ExecutorRun_hook.unwrap_or(compat::standard_ExecutorRun),
                finish: pg_sys::ExecutorFinish_hook.unwrap_or(standard::standard_ExecutorFinish),
                utility: pg_sys::ProcessUtility_hook.unwrap_or(standard::standard_ProcessUtility),
            }
        }
    }
}

/// Set before the hooks are in place, so that whoever calls them finds it.
static NEXT: OnceLock<Next> = OnceLock::new();

/// PostgreSQL's own where nothing was set, which cannot be.
fn next() -> &'static Next {
    const STANDARD: Next = Next {
        run: compat::standard_ExecutorRun,
        finish: standard::standard_ExecutorFinish,
        utility: standard::standard_ProcessUtility,
    };
    NEXT.get().unwrap_or(&STANDARD)
}

/// Puts the hooks in place, in front of those that are there.
pub fn register() {
    // SAFETY: in the postmaster, while libraries are preloaded: nothing else runs, and children inherit all of it.
    // The callbacks have the signatures that PostgreSQL calls, and live as long as the library.
    unsafe {
        if NEXT.set(Next::there_now()).is_err() {
            return; // they are in place
        }
        pg_sys::ExecutorRun_hook = Some(run_hook);
        pg_sys::ExecutorFinish_hook = Some(finish);
        pg_sys::ProcessUtility_hook = Some(utility);
        pg_sys::RegisterXactCallback(Some(transaction), ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction), ptr::null_mut());
    }
}

/// Whether it is a client that a query works for. What a function, a trigger or a cursor of theirs runs goes to SPI
/// or the like, also where no statement is being run: in a trigger that was deferred to the commit, or while
/// planning.
fn is_for_client(class: Class, dest: *const pg_sys::DestReceiver) -> bool {
    // SAFETY: null, or the receiver that PostgreSQL gave to the query, valid during the call.
    match unsafe { dest.as_ref() }.map(|receiver| receiver.mydest) {
        Some(
            pg_sys::CommandDest::DestNone
            | pg_sys::CommandDest::DestRemote
            | pg_sys::CommandDest::DestRemoteExecute
            | pg_sys::CommandDest::DestRemoteSimple,
        ) => true,
        // What RETURNING, EXECUTE and FETCH give is put by until all is there. Anything else that reads is a cursor
        // whose rows are kept beyond the commit.
        Some(pg_sys::CommandDest::DestTuplestore) => class == Class::Write || session::is_wrapped(),
        _ => false,
    }
}

/// A query's class, and whether its work goes on in ExecutorFinish, where its triggers fire.
fn class_of(statement: &pg_sys::PlannedStmt) -> Class {
    let reads = statement.commandType == pg_sys::CmdType::CMD_SELECT && !statement.hasModifyingCTE;
    if reads { Class::Select } else { Class::Write }
}

compat::executor_hook!(run_hook, run);

/// # Safety
/// In the hook, with what it was given.
unsafe fn run(what: compat::Run) {
    let token = what.query.addr();
    let mut reads = false;
    // SAFETY: PostgreSQL passes a query that has been started, with its plan and its receiver.
    let (statement, dest) = unsafe { ((*what.query).plannedstmt.as_ref(), (*what.query).dest) };
    if let Some(statement) = statement {
        let class = class_of(statement);
        if is_for_client(class, dest) && session::is_top_level() {
            reads = class == Class::Select;
            session::begin(class, compat::query_id(statement), token);
            // SAFETY: the text that the query was planned from, in which its place was found.
            unsafe {
                session::remember((*what.query).sourceText, statement.stmt_location, statement.stmt_len);
            }
        }
    }
    // SAFETY: as the caller says; for whom we stand in front of.
    unsafe { what.by(next().run) };
    if reads {
        session::end();
    }
}

#[expect(ffi_unwind_calls, reason = "a long jump passes over this frame, which holds nothing to drop")]
unsafe extern "C-unwind" fn finish(query: *mut pg_sys::QueryDesc) {
    // SAFETY: as in `run`.
    unsafe { (next().finish)(query) };
    // What reads has ended by now: this is a query that writes.
    if session::is_running(query.addr()) {
        session::end();
    }
}

/// What a utility statement is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A statement.
    Work,
    /// BEGIN, COMMIT and the like: part of the transaction, whose end is counted by itself.
    Control,
    /// EXECUTE and FETCH, which run another statement: that one is counted, if it can be.
    Wrapper,
}

/// What kind of statement a utility statement is, as the parser says; none for another.
pub fn tag_of(statement: &pg_sys::PlannedStmt) -> Option<pg_sys::NodeTag> {
    // SAFETY: null, or the node that the parser made.
    unsafe { statement.utilityStmt.as_ref() }.map(|node| node.type_)
}

fn kind_of(statement: &pg_sys::PlannedStmt) -> Kind {
    match tag_of(statement) {
        Some(pg_sys::NodeTag::T_TransactionStmt) => Kind::Control,
        Some(pg_sys::NodeTag::T_ExecuteStmt | pg_sys::NodeTag::T_FetchStmt) => Kind::Wrapper,
        _ => Kind::Work,
    }
}

#[expect(ffi_unwind_calls, reason = "a long jump passes over this frame, which holds nothing to drop")]
unsafe extern "C-unwind" fn utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let top = context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL && session::is_top_level();
    // The statement may be gone after its run, as with ROLLBACK.
    // SAFETY: PostgreSQL passes a statement.
    let (kind, queryid) = unsafe { (kind_of(&*statement), compat::query_id(&*statement)) };
    // SAFETY: the same.
    let reads_client = top && kind == Kind::Work && client::is_read_by(unsafe { &*statement });
    let token = statement.addr();
    let before = session::state();
    match kind {
        Kind::Work if top => {
            session::begin(Class::Utility, queryid, token);
            // SAFETY: the text that the statement was parsed from, in which its place was found.
            unsafe { session::remember(text, (*statement).stmt_location, (*statement).stmt_len) };
        }
        Kind::Wrapper if top => session::wrap(true),
        _ => {}
    }
    if reads_client {
        client::begin_reading();
    }
    // SAFETY: the arguments are those that PostgreSQL gave us, for whom we stand in front of.
    unsafe {
        (next().utility)(statement, text, read_only_tree, context, params, environment, dest, completion);
    }
    if reads_client {
        client::end_reading();
    }
    if !top {
        return;
    }
    match kind {
        Kind::Work => session::end(),
        Kind::Control => session::end_of_control(),
        Kind::Wrapper => {
            session::wrap(false);
            if session::state() == before {
                session::begin(Class::Utility, queryid, token);
                session::end();
            }
        }
    }
}

/// Whether an error is what ends the (sub)transaction. PostgreSQL's main loop forgets the query before it aborts
/// what has failed; what is rolled back on request, or handled by a function, still has one.
fn is_error() -> bool {
    // SAFETY: a plain read of the backend's own global.
    unsafe { pg_sys::debug_query_string.is_null() }
}

/// Whether the session is being ended.
fn is_leaving() -> bool {
    // SAFETY: a plain read of the backend's own global.
    unsafe { pg_sys::proc_exit_inprogress }
}

/// Called after the commit, or in the abort, where no error may be raised: we only count.
unsafe extern "C-unwind" fn transaction(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    if !backend::is_client() {
        return;
    }
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            session::end_transaction(false);
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT => {
            // A client that leaves may have been idle; what was being run is lost with it.
            let leaving = is_leaving();
            if if leaving { !session::is_top_level() } else { is_error() } {
                session::fail();
            }
            session::end_transaction(leaving || is_error());
        }
        _ => {}
    }
}

/// The same for what fails after a savepoint, where the transaction goes on.
unsafe extern "C-unwind" fn subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _id: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    // The end of a session says the same of the transaction as a whole.
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB
        && backend::is_client()
        && !is_leaving()
        && is_error()
    {
        session::fail();
    }
}
