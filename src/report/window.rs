//! What a report tells of: a length of time that ends now, or at another moment.

use super::Interval;
use crate::error::{Failure, Result};
use crate::sql::{self, Argument, required};
use groundskeeper_core::report::Moment;
use pgrx::datum::{Interval as Length, TimestampWithTimeZone};
use pgrx::prelude::*;

/// A stretch of time.
pub struct Window {
    /// Its first moment.
    pub begins: TimestampWithTimeZone,
    /// The first after it.
    pub ends: TimestampWithTimeZone,
    /// The same in microseconds of Unix time.
    pub unix: (i64, i64),
}

impl Window {
    /// So long, up to now.
    pub fn until_now(since: Length) -> Result<Self> {
        Self::read("SELECT now() - $1, now()", &[since.into()])?.ok_or_else(|| {
            wrong(
                "since must be positive, and no longer than ten years",
                "It says how far back the report reaches.",
            )
            .hint("Pass an interval such as '24 hours'.")
        })
    }

    /// As long, up to another moment that is over.
    pub fn until(since: Length, ends: TimestampWithTimeZone) -> Result<Self> {
        let window = Self::read(
            "SELECT $2 - $1, $2 WHERE isfinite($2) AND $2 <= now()",
            &[since.into(), ends.into()],
        )?;
        window.ok_or_else(|| {
            wrong("compared_with must be a moment that is over", "It is where the other interval ends.")
                .hint("Pass a moment such as now() - interval '7 days'.")
        })
    }

    fn read(query: &str, args: &[Argument]) -> Result<Option<Self>> {
        let unix = "(extract(epoch FROM w.begins) * 1000000)::bigint, (extract(epoch FROM w.ends) * 1000000)::bigint";
        let query = format!(
            "SELECT w.begins, w.ends, {unix} FROM ({query}) w (begins, ends)
              WHERE isfinite(w.begins) AND w.begins < w.ends AND w.begins >= w.ends - interval '10 years'"
        );
        sql::first(&query, args, |row| {
            Ok(Self {
                begins: required(row, 1)?,
                ends: required(row, 2)?,
                unix: (required(row, 3)?, required(row, 4)?),
            })
        })
    }

    /// Both ends, for a query.
    pub fn ends(&self) -> [Argument; 2] {
        [self.begins.into(), self.ends.into()]
    }

    /// How long it is.
    pub fn seconds(&self) -> f64 {
        (self.unix.1 - self.unix.0) as f64 / 1e6
    }

    /// As the report says it.
    pub fn shown(&self) -> Interval {
        let moment = |unix: i64| Moment::of(unix as f64 / 1e6);
        Interval { begins: moment(self.unix.0), ends: moment(self.unix.1) }
    }
}

fn wrong(message: &str, detail: &str) -> Failure {
    Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message).detail(detail)
}
