//! Errors as PostgreSQL's users expect them: SQLSTATE, message, detail, hint.

use crate::encoding::shown;
use pgrx::PgLogLevel;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};
use pgrx::prelude::*;
use std::fmt;

/// The result of anything that may be refused.
pub type Result<T> = std::result::Result<T, Failure>;

/// An error on its way to the user, or caught from a statement that was isolated.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The SQLSTATE.
    pub code: PgSqlErrorCode,
    /// One line, in PostgreSQL's style.
    pub message: String,
    /// What exactly was found.
    pub detail: Option<String>,
    /// What helps, often a statement.
    pub hint: Option<String>,
}

impl Failure {
    /// An error with a message alone.
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None }
    }

    /// The same, with what was found.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same, with what helps.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What only the owner of a relation may do.
    pub fn not_owner(relation: impl fmt::Display) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, format!("must be owner of {relation}"))
    }

    /// Something that the code rules out; a bug if it is ever seen.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message)
    }

    /// Says it without ending anything.
    pub fn say(self, level: PgLogLevel) {
        ErrorReport::from(self).report(level);
    }

    /// Whether a lock was not to be had in time.
    pub fn is_lock_not_available(&self) -> bool {
        self.code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
    }

    /// The detail in the message's place, where it says all that the message does and more.
    pub fn reason(&self) -> String {
        let about = self.message.split_once(": ").map_or("", |(about, _)| about);
        self.detail.as_ref().map_or_else(|| self.message.clone(), |detail| format!("{about}: {detail}"))
    }

    /// Message and detail in one line, for a column of a result.
    pub fn one_line(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.message),
            None => self.message.clone(),
        }
    }

    /// Message and SQLSTATE in one line.
    pub fn with_code(&self) -> String {
        format!("{} ({})", self.message, sqlstate(self.code))
    }

    /// What was caught; a request to stop is not caught but goes on up.
    pub fn from_caught(caught: CaughtError) -> Self {
        let report = match &caught {
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. } => report,
        };
        Self {
            code: report.sql_error_code(),
            message: report.message().to_owned(),
            detail: report.detail().map(str::to_owned),
            hint: report.hint().map(str::to_owned),
        }
    }

    /// Whether the statement was cancelled, by whom or what ever.
    pub fn is_query_canceled(&self) -> bool {
        self.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED
    }

    /// Whether someone asked the statement or the backend to stop: never to be swallowed.
    pub fn is_stop_request(&self) -> bool {
        matches!(
            self.code,
            PgSqlErrorCode::ERRCODE_QUERY_CANCELED
                | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
                | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
        )
    }
}

impl From<pgrx::spi::Error> for Failure {
    fn from(error: pgrx::spi::Error) -> Self {
        Self::internal(format!("internal query failed: {error}"))
    }
}

impl From<groundskeeper_core::plan::Malformed> for Failure {
    fn from(error: groundskeeper_core::plan::Malformed) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<Failure> for pgrx::pg_sys::panic::ErrorReport {
    #[track_caller]
    fn from(failure: Failure) -> Self {
        let mut report = Self::new(failure.code, shown(&failure.message), "pg_groundskeeper");
        if let Some(detail) = failure.detail {
            report = report.set_detail(shown(&detail));
        }
        if let Some(hint) = failure.hint {
            report = report.set_hint(shown(&hint));
        }
        report
    }
}

/// Errors, PostgreSQL's and ours, pass through Rust as panics. They are none, and their texts are for a person: pgrx's
/// hook would put a backtrace into the detail wherever the server's environment asks for those. What is a panic keeps
/// the hook.
pub fn hook_panics() {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let is_error = payload.is::<CaughtError>()
            || payload.is::<ErrorReportWithLevel>()
            || payload.is::<ErrorReport>();
        if !is_error {
            otherwise(panic);
        }
    }));
}

/// A SQLSTATE as its five characters.
pub fn sqlstate(code: PgSqlErrorCode) -> String {
    let mut packed = code as i32;
    let mut out = String::with_capacity(5);
    for _ in 0..5 {
        out.push(char::from(u8::try_from((packed & 0x3f) + 0x30).unwrap_or(b'?')));
        packed >>= 6;
    }
    out
}
