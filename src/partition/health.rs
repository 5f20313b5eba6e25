//! `monitoring.partition_health`: what managed tables lack.

use super::bounds::{self, Parent, Partition};
use super::convert;
use super::managed::{self, Managed};
use super::premake::{look_up, wanted};
use super::retention;
use crate::error::Result;
use crate::guc::pinned;
use crate::owner;
use crate::sql::{self, quote_identifier, quote_literal, required};
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;
use groundskeeper_core::partition::{Edge, Interval, MAX_PREMAKE, NaiveDate, judge};
use pgrx::pg_sys::Oid;

/// The most rows that are counted; beyond, the server's own estimate will do.
const COUNTED: i64 = 1_000_000;

/// From here on a log of changes is called long.
const LONG_LOG: i64 = 100_000;

/// How a managed table stands.
pub struct Health {
    /// The table.
    pub parent: String,
    /// Its key.
    pub partition_key: String,
    /// How many partitions it has, the default one not counted.
    pub partitions: Option<i64>,
    /// The first period from the current one on that has no partition.
    pub next_missing: Option<NaiveDate>,
    /// Rows in the default partition; those of no date belong there.
    pub default_rows: Option<i64>,
    /// Periods without a partition between others.
    pub gap_count: Option<i64>,
    /// Where the newest partition ends.
    pub newest_bound: Option<String>,
    /// Changed rows that the former, unpartitioned table of a converted one still lacks.
    pub capture_backlog: Option<i64>,
    /// `ok`, or what is wrong.
    pub status: String,
    /// The same in words, with what helps.
    pub detail: Option<String>,
}

/// How all managed tables stand.
pub fn all() -> Result<Vec<Health>> {
    let tables = managed::all()?;
    let found = look_up(&tables)?;
    tables
        .iter()
        .zip(found)
        .map(|(table, found)| {
            found.and_then(|parent| isolated(|| examine(table, &parent))).or_else(|failure| {
                Ok(Health {
                    parent: table.parent.clone(),
                    partition_key: table.partition_key.clone(),
                    partitions: None,
                    next_missing: None,
                    default_rows: None,
                    gap_count: None,
                    newest_bound: None,
                    capture_backlog: None,
                    status: "unknown".to_owned(),
                    detail: Some(failure.one_line()),
                })
            })
        })
        .collect()
}

/// The troubles of a table: their codes, and what they are in words.
#[derive(Default)]
struct Troubles(Vec<(&'static str, String)>);

impl Troubles {
    fn add(&mut self, present: bool, code: &'static str, words: impl FnOnce() -> String) {
        if present {
            self.0.push((code, words()));
        }
    }

    fn status(&self) -> String {
        let codes: Vec<&str> = self.0.iter().map(|(code, _)| *code).collect();
        if codes.is_empty() { "ok".to_owned() } else { codes.join(", ") }
    }

    /// All of it in words, with what is no trouble and yet to be known.
    fn detail(self, besides: Option<String>) -> Option<String> {
        let words: Vec<String> = self.0.into_iter().map(|(_, words)| words).chain(besides).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn examine(table: &Managed, parent: &Parent) -> Result<Health> {
    let interval = table.interval;
    let asked = wanted(interval, parent.today, 1, table.premake);
    let mut report = judge(interval, &parent.existing(), &asked);
    // as what makes partitions sees it
    let limit = retention::limit(table)?;
    report.gaps.retain(|start| !interval.is_over(*start, limit));
    let lacking = report.wanted.iter().filter(|(_, partition)| partition.is_none()).count();
    let kept_from = limit.and_then(|limit| interval.floor(limit));
    let default = default_rows(parent, parent.default.as_ref(), kept_from)?;
    let mut troubles = Troubles::default();
    troubles.add(lacking > 0, "missing", || {
        format!("{lacking} of the {} partitions to be kept ready are missing", asked.len())
    });
    troubles.add(!report.gaps.is_empty(), "gaps", || {
        let first = report.gaps.first().map(NaiveDate::to_string).unwrap_or_default();
        format!("{} without a partition, the first from {first}", report.gaps.len())
    });
    troubles.add(default.is_some_and(|rows| rows.dated > 0), "default_rows", || {
        "dated rows in the default partition: groundskeeper.drain_default() moves those up to two years ahead"
            .to_owned()
    });
    troubles.add(!report.misaligned.is_empty(), "misaligned", || {
        let named = report.misaligned.iter().filter_map(|at| parent.partitions.get(*at));
        let names: Vec<&str> = named.map(|partition| partition.quoted.as_str()).collect();
        format!("bounds where no {} begins in {}: {}", interval.as_str(), parent.zone, names.join(", "))
    });
    troubles.add(never_analyzed(parent.oid)?, "never_analyzed", || {
        format!("autovacuum leaves partitioned tables out: ANALYZE {}", parent.quoted)
    });
    let backlog = capture_backlog(table)?;
    troubles.add(backlog.is_some_and(|rows| rows > LONG_LOG), "backlog", || {
        "the log of a conversion is long: create_monthly_partitions() has it shortened".to_owned()
    });
    Ok(Health {
        parent: table.parent.clone(),
        partition_key: table.partition_key.clone(),
        partitions: i64::try_from(parent.partitions.len()).ok(),
        next_missing: next_missing(interval, parent),
        default_rows: default.map(|rows| rows.all),
        gap_count: i64::try_from(report.gaps.len()).ok(),
        newest_bound: newest_bound(parent),
        capture_backlog: backlog,
        status: troubles.status(),
        detail: troubles.detail(default.and_then(DefaultRows::besides)),
    })
}

/// The first period from the current one on without a partition.
fn next_missing(interval: Interval, parent: &Parent) -> Option<NaiveDate> {
    let many = u32::try_from(parent.partitions.len()).unwrap_or(MAX_PREMAKE).saturating_add(1);
    let report = judge(interval, &parent.existing(), &interval.premade(parent.today, many));
    report.wanted.into_iter().find(|(_, partition)| partition.is_none()).map(|(start, _)| start)
}

fn newest_bound(parent: &Parent) -> Option<String> {
    let newest = parent.partitions.iter().max_by_key(|partition| match partition.to {
        Edge::Unbounded => NaiveDate::MAX,
        Edge::Day(day) | Edge::Within(day) => day,
    })?;
    newest.to_text.clone().or_else(|| Some("MAXVALUE".to_owned()))
}

/// Rows of a default partition.
#[derive(Clone, Copy)]
struct DefaultRows {
    all: i64,
    /// Those that a partition could have.
    dated: i64,
    /// Those of periods that have retired: no partition is made for them, and no retention reaches them here.
    retired: i64,
    /// They were too many to count, or could not be looked at.
    is_guess: bool,
}

impl DefaultRows {
    fn besides(self) -> Option<String> {
        if self.is_guess {
            return Some(format!("some {} rows in the default partition were not looked at", self.all));
        }
        (self.retired > 0).then(|| {
            format!(
                "{} rows in the default partition are older than what retention keeps, and stay until they are deleted",
                self.retired
            )
        })
    }
}

/// Counts the rows of the default partition, where the caller may and it does not take long; never waits behind
/// a lock for more than a moment.
fn default_rows(
    parent: &Parent,
    default: Option<&Partition>,
    kept_from: Option<NaiveDate>,
) -> Result<Option<DefaultRows>> {
    let Some(default) = default else {
        return Ok(Some(DefaultRows { all: 0, dated: 0, retired: 0, is_guess: false }));
    };
    let known = sql::first(
        "SELECT pg_catalog.pg_stat_get_live_tuples(c.oid), c.reltuples::bigint
           FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[default.oid.into()],
        |row| Ok((required::<i64>(row, 1)?, required::<i64>(row, 2)?)),
    )?;
    let Some((live, estimated)) = known else { return Ok(None) };
    let guess = live.max(estimated).max(0);
    if guess <= COUNTED {
        let key = quote_identifier(&parent.key);
        let kept_from = bounds::literals(parent.key_type, &parent.zone, kept_from.as_slice())?;
        let retired = kept_from.first().map_or_else(
            || "false".to_owned(),
            |from| format!("{key} < {}::{}", quote_literal(from), parent.key_type.as_str()),
        );
        let dated = parent.key_type.is_dated(&key);
        let query = format!(
            "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE NOT retired),
                    pg_catalog.count(*) FILTER (WHERE retired)
               FROM (SELECT CASE WHEN {dated} THEN {retired} END FROM {}) d (retired)",
            default.quoted
        );
        let count = || {
            sql::first(&query, &[], |row| {
                let (all, dated, retired) = (required(row, 1)?, required(row, 2)?, required(row, 3)?);
                Ok(DefaultRows { all, dated, retired, is_guess: false })
            })
        };
        let counted = isolated(|| {
            with_lock_timeout(10, || {
                owner::reading(default.oid, || pinned(&[(c"row_security", c"off")], count))
            })
        });
        if let Ok(Some(rows)) = counted {
            return Ok(Some(rows));
        }
    }
    Ok(Some(DefaultRows { all: guess, dated: 0, retired: 0, is_guess: guess > 0 }))
}

/// The entries of the log of a conversion that is not finalized, as the server's statistics have them.
fn capture_backlog(table: &Managed) -> Result<Option<i64>> {
    if table.former.is_none() {
        return Ok(None);
    }
    let Some(conversion) = convert::of_parent(&table.parent)? else { return Ok(None) };
    let live = "SELECT pg_catalog.pg_stat_get_live_tuples(pg_catalog.to_regclass($1))";
    let log = conversion.beside_quoted(convert::record::LOG);
    Ok(sql::first(live, &[log.into()], |row| row.get::<i64>(1))?.flatten())
}

fn never_analyzed(parent: Oid) -> Result<bool> {
    let query = "SELECT reltuples < 0 FROM pg_catalog.pg_class WHERE oid = $1";
    Ok(sql::first(query, &[parent.into()], |row| required::<bool>(row, 1))? == Some(true))
}
