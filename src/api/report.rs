//! `performance_report`, `performance_report_html`.

use super::given;
use crate::encoding::Utf8;
use crate::error::{Failure, Result as Fallible};
use crate::report::{self, Window};
use groundskeeper_core::report::{Report, page};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/report.sql",
    name = "report",
    requires = ["bootstrap", performance_report, performance_report_html]
);

/// How the database did since then, and what follows, as the text of JSON: a jsonb would have to be in UTF-8.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn performance_report(
    since: Option<Interval>,
    compared_with: Option<TimestampWithTimeZone>,
) -> Result<Utf8, ErrorReport> {
    let report = read(since, compared_with)?;
    Ok(serde_json::to_string(&report).map_err(|error| Failure::internal(error.to_string()))?.into())
}

/// The same as a page of HTML on one line.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn performance_report_html(
    since: default!(Option<Interval>, "'24 hours'"),
    compared_with: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<Utf8, ErrorReport> {
    Ok(page(&read(since, compared_with)?).into())
}

fn read(since: Option<Interval>, compared_with: Option<TimestampWithTimeZone>) -> Fallible<Report> {
    let since = given(since, "since")?;
    let window = Window::until_now(since)?;
    let other = compared_with.map(|ends| Window::until(since, ends)).transpose()?;
    report::report(since, &window, other.as_ref())
}
