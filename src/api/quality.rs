//! The quality functions: scores, issues, status, and the rules behind them.
//!
//! They run once per row of tables with many millions of rows, so they borrow their arguments and keep what
//! they can between calls. What they decide is `groundskeeper_core::quality`'s.

mod arguments;
mod call_site;
mod raw_record;
mod rules;
mod verdict;

use groundskeeper_core::quality::{Game, Issue, Record, base_factor, status};
use pgrx::prelude::*;

use arguments::{Codes, Number};
pub use arguments::{JsonbArgument, Text};
pub use call_site::last_argument_is_constant;
use call_site::{CallSite, KeptCodes, KeptNumeric};
use raw_record::Call;

/// A word of ours as SQL sees it.
type Code = &'static str;

extension_sql_file!("../../sql/raw_records.sql", name = "raw_records", requires = ["verdict"]);
extension_sql_file!(
    "../../sql/quality_rules.sql",
    name = "quality_rules",
    requires = [
        "defaults",
        "raw_records",
        validation_status,
        base_quality_factor,
        game_quality_score,
        game_validation_status,
        rules::default_quality_rules,
        rules::check_quality_rules
    ]
);

#[pg_extern(sql = false)]
fn moneyline_quality_score(fcinfo: pg_sys::FunctionCallInfo) -> KeptNumeric {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.moneyline();
    score(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn spread_quality_score(fcinfo: pg_sys::FunctionCallInfo) -> KeptNumeric {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.spread();
    score(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn total_quality_score(fcinfo: pg_sys::FunctionCallInfo) -> KeptNumeric {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.total();
    score(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn moneyline_quality_issues(fcinfo: pg_sys::FunctionCallInfo) -> Option<KeptCodes> {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.moneyline();
    issues(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn spread_quality_issues(fcinfo: pg_sys::FunctionCallInfo) -> Option<KeptCodes> {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.spread();
    issues(fcinfo, rules, &record)
}

#[pg_extern(sql = false)]
fn total_quality_issues(fcinfo: pg_sys::FunctionCallInfo) -> Option<KeptCodes> {
    // SAFETY: the function manager called us with it, and `sql/raw_records.sql` declares us.
    let (record, rules) = unsafe { Call::of(fcinfo) }.total();
    issues(fcinfo, rules, &record)
}

/// NULL for a NULL score: what was not scored has no status. NaN is no score and so `invalid`.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn validation_status(
    score: Option<Number<'_>>,
    issues: default!(Codes<'_>, "'{}'"),
    rules: default!(JsonbArgument<'_>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<Code> {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let site = unsafe { CallSite::of(fcinfo) };
    site.rules(rules);
    let score = score?;
    site.status(score, issues, |rules| {
        let issues = issues.array();
        let issues = issues.iter().flat_map(|codes| codes.iter().flatten());
        Some(status(whole_hundredths(score.value()?), issues, rules).code())
    })
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn base_quality_factor(home_odds: Option<i32>, away_odds: Option<i32>, sportsbook_name: Text<'_>) -> i32 {
    base_factor(home_odds, away_odds, sportsbook_name.bytes().is_some())
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn game_quality_score(
    books: Option<i64>,
    records: Option<i64>,
    rules: default!(JsonbArgument<'_>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> KeptNumeric {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let site = unsafe { CallSite::of(fcinfo) };
    let score = game(books, records).quality(site.rules(rules)).score;
    site.numeric(score)
}

#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn game_validation_status(
    books: Option<i64>,
    records: Option<i64>,
    rules: default!(JsonbArgument<'_>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> Code {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let rules = unsafe { CallSite::of(fcinfo) }.rules(rules);
    game(books, records).quality(rules).status.code()
}

/// What is not known was not seen; more than fits is enough for any rule.
fn game(books: Option<i64>, records: Option<i64>) -> Game {
    let counted = |count: Option<i64>| u32::try_from(count.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
    Game { books: counted(books), records: counted(records) }
}

#[inline(always)]
fn score(fcinfo: pg_sys::FunctionCallInfo, rules: JsonbArgument<'_>, record: &Record<'_>) -> KeptNumeric {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let site = unsafe { CallSite::of(fcinfo) };
    let score = record.score(site.rules(rules));
    site.numeric(score)
}

fn issues(
    fcinfo: pg_sys::FunctionCallInfo,
    rules: JsonbArgument<'_>,
    record: &Record<'_>,
) -> Option<KeptCodes> {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let site = unsafe { CallSite::of(fcinfo) };
    let issues = record.issues(site.rules(rules));
    site.codes(issues.iter().map(Issue::code).collect())
}

/// A number's whole hundredths, rounded down: thresholds are hundredths, so no comparison changes by it.
fn whole_hundredths(score: AnyNumeric) -> i64 {
    if score.is_nan() {
        return i64::MIN;
    }
    let beyond = if score < AnyNumeric::from(0) { i64::MIN } else { i64::MAX };
    let hundredths: AnyNumeric = score * AnyNumeric::from(100);
    i64::try_from(hundredths.floor()).unwrap_or(beyond)
}
