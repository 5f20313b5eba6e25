//! `monitoring.partition_health`: what managed tables lack.

mod belongings;
mod keys;
mod unfinished;

use super::bounds::{self, Parent, Partition};
use super::convert::{self, record::Conversion};
use super::drain;
use super::managed::{self, Managed};
use super::premake::{look_up, wanted};
use super::retention;
use crate::cluster;
use crate::error::Result;
use crate::guc::pinned;
use crate::owner;
use crate::sql::{self, quote_identifier, quote_literal, required};
use crate::subtransaction::isolated;
use crate::waiting::with_lock_timeout;
use groundskeeper_core::partition::convert::Stage;
use groundskeeper_core::partition::{Edge, Interval, MAX_PREMAKE, NaiveDate, Report, judge};
use pgrx::pg_sys::Oid;

/// The most rows that are counted; beyond, the server's own estimate will do.
const COUNTED: i64 = 1_000_000;

/// The same of what is in shards, in bytes; beyond, they are not known.
const COUNTED_IN_SHARDS: u64 = 128 << 20;

/// From here on a log of changes is called long.
const LONG_LOG: i64 = 100_000;

/// How a managed table stands.
#[derive(Default)]
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
    /// Whether the keys that are kept apart are right, and how that is known.
    pub keys_status: Option<String>,
    /// How far its conversion has come.
    pub conversion: Option<String>,
    /// What is wrong, in words.
    pub problem: Option<String>,
    /// What helps.
    pub remedy: Option<String>,
}

/// How all managed tables stand, and what conversions have left on others.
pub fn all() -> Result<Vec<Health>> {
    let tables = managed::all()?;
    let found = look_up(&tables)?;
    let mut rows: Vec<Health> = tables
        .iter()
        .zip(found)
        .map(|(table, found)| {
            found.and_then(|parent| isolated(|| examine(table, &parent))).unwrap_or_else(|failure| Health {
                parent: table.parent.clone(),
                partition_key: table.partition_key.clone(),
                status: "unknown".to_owned(),
                detail: Some(failure.one_line()),
                ..Health::default()
            })
        })
        .collect();
    rows.extend(unfinished::others(&tables.into_iter().map(|table| table.parent).collect())?);
    Ok(rows)
}

/// A trouble in words, and what helps against it.
type Words = (String, Option<String>);

/// The troubles of a table: their codes, and what they are.
#[derive(Default)]
struct Troubles(Vec<(&'static str, Words)>);

impl Troubles {
    fn add(&mut self, present: bool, code: &'static str, words: impl FnOnce() -> Words) {
        if present {
            self.0.push((code, words()));
        }
    }

    fn status(&self) -> String {
        let mut codes: Vec<&str> = self.0.iter().map(|(code, _)| *code).collect();
        codes.dedup();
        if codes.is_empty() { "ok".to_owned() } else { codes.join(", ") }
    }

    fn problem(&self) -> Option<String> {
        joined(self.0.iter().map(|(_, (words, _))| words.clone()))
    }

    fn remedy(&self) -> Option<String> {
        joined(self.0.iter().filter_map(|(_, (_, remedy))| remedy.clone()))
    }

    /// All of it in words, with what is no trouble and yet to be known.
    fn detail(&self, besides: Option<String>) -> Option<String> {
        let words = self.0.iter().map(|(_, (words, remedy))| match remedy {
            Some(remedy) => format!("{words}: {remedy}"),
            None => words.clone(),
        });
        joined(words.chain(besides))
    }
}

fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn examine(table: &Managed, parent: &Parent) -> Result<Health> {
    let interval = table.interval;
    let asked = wanted(interval, parent.today, 1, table.premake);
    let mut report = judge(interval, &parent.existing(), &asked);
    // as what makes partitions sees it
    let limit = retention::limit(table)?;
    report.gaps.retain(|start| !interval.is_over(*start, limit));
    let kept_from = limit.and_then(|limit| interval.floor(limit));
    let far_from = drain::horizon(interval, parent.today).and_then(|last| interval.next(last));
    let default = default_rows(parent, parent.default.as_ref(), [kept_from, far_from])?;
    let mut troubles = Troubles::default();
    let is_dated = default.is_some_and(|rows| rows.dated > 0);
    of_partitions(table, parent, (&report, is_dated), asked.len(), &mut troubles);
    troubles.add(never_analyzed(parent.oid)?, "never_analyzed", || {
        ("autovacuum leaves partitioned tables out".to_owned(), Some(format!("ANALYZE {}", parent.quoted)))
    });
    let conversion = convert::of_parent(&table.parent)?;
    let converted = conversion
        .as_ref()
        .map_or(Ok(Converted::default()), |known| of_conversion(known, table, parent, &mut troubles))?;
    Ok(Health {
        parent: table.parent.clone(),
        partition_key: table.partition_key.clone(),
        partitions: i64::try_from(parent.partitions.len()).ok(),
        next_missing: next_missing(interval, parent),
        default_rows: default.map(|rows| rows.all),
        gap_count: i64::try_from(report.gaps.len()).ok(),
        newest_bound: newest_bound(parent),
        capture_backlog: converted.backlog,
        status: troubles.status(),
        detail: troubles.detail(default.and_then(DefaultRows::besides)),
        keys_status: converted.keys,
        conversion: converted.words,
        problem: troubles.problem(),
        remedy: troubles.remedy(),
    })
}

fn of_partitions(
    table: &Managed,
    parent: &Parent,
    (report, is_dated): (&Report, bool),
    asked: usize,
    troubles: &mut Troubles,
) {
    let lacking = report.wanted.iter().filter(|(_, partition)| partition.is_none()).count();
    let making = || Some("create_monthly_partitions() makes them".to_owned());
    troubles.add(lacking > 0, "missing", || {
        (format!("{lacking} of the {asked} partitions to be kept ready are missing"), making())
    });
    troubles.add(!report.gaps.is_empty(), "gaps", || {
        let first = report.gaps.first().map(NaiveDate::to_string).unwrap_or_default();
        (format!("{} without a partition, the first from {first}", report.gaps.len()), making())
    });
    troubles.add(is_dated, "default_rows", || {
        (
            "dated rows in the default partition".to_owned(),
            Some("groundskeeper.drain_default() moves those up to two years ahead".to_owned()),
        )
    });
    troubles.add(!report.misaligned.is_empty(), "misaligned", || {
        let named = report.misaligned.iter().filter_map(|at| parent.partitions.get(*at));
        let names: Vec<&str> = named.map(|partition| partition.quoted.as_str()).collect();
        let interval = table.interval.as_str();
        (format!("bounds where no {interval} begins in {}: {}", parent.zone, names.join(", ")), None)
    });
}

/// What there is to say of a table's conversion.
#[derive(Default)]
struct Converted {
    keys: Option<String>,
    words: Option<String>,
    backlog: Option<i64>,
}

fn of_conversion(
    known: &Conversion,
    table: &Managed,
    parent: &Parent,
    troubles: &mut Troubles,
) -> Result<Converted> {
    let mut converted = Converted::default();
    if known.has_key_table {
        let keys = keys::look(known, parent);
        let remedy = format!("groundskeeper.rebuild_keys({})", quote_literal(&table.parent));
        if let Some(wrong) = keys.wrong {
            troubles.add(true, "keys", || (wrong, Some(remedy)));
        }
        converted.keys = Some(keys.status);
    }
    belongings::look(known, troubles)?;
    let stage = known.stage.as_str();
    converted.words = Some(stage.to_owned());
    if known.stage != Stage::Finalized
        && let Some((entries, size)) = unfinished::log_size(known)?
    {
        converted.words = Some(format!("{stage}, {entries} entries in its log ({size})"));
        converted.backlog = table.former.is_some().then_some(entries);
    }
    troubles.add(converted.backlog.is_some_and(|rows| rows > LONG_LOG), "backlog", || {
        (
            "the log of a conversion is long".to_owned(),
            Some("create_monthly_partitions() has it shortened".to_owned()),
        )
    });
    if let Some(unfinished) = unfinished::look(known)? {
        troubles.add(true, "conversion", || (unfinished.problem, Some(unfinished.remedy)));
    }
    Ok(converted)
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
#[derive(Clone, Copy, Default)]
struct DefaultRows {
    all: i64,
    /// Those that a partition could have.
    dated: i64,
    /// Those of periods that have retired: no partition is made for them, and no retention reaches them here.
    retired: i64,
    /// Those of periods that are too far ahead to get a partition yet.
    far: i64,
    /// They were too many to count, or could not be looked at.
    is_guess: bool,
}

impl DefaultRows {
    fn besides(self) -> Option<String> {
        if self.is_guess {
            return Some(format!("some {} rows in the default partition were not looked at", self.all));
        }
        let retired = "are older than what retention keeps, and stay until they are deleted";
        let far = "are dated more than two years ahead, and stay until their time comes nearer";
        let words = [(self.retired, retired), (self.far, far)].into_iter().filter(|(rows, _)| *rows > 0);
        joined(words.map(|(rows, why)| format!("{rows} rows in the default partition {why}")))
    }
}

/// Counts the rows of the default partition, where the caller may and it does not take long; never waits behind
/// a lock for more than a moment. Those before the first day or from the second on are none that it could be without.
fn default_rows(
    parent: &Parent,
    default: Option<&Partition>,
    [kept_from, far_from]: [Option<NaiveDate>; 2],
) -> Result<Option<DefaultRows>> {
    let Some(default) = default else { return Ok(Some(DefaultRows::default())) };
    // one that is partitioned itself has its rows elsewhere
    let known = sql::first(
        "SELECT pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(c.oid))::bigint, pg_catalog.sum(c.reltuples)::bigint
           FROM pg_catalog.pg_partition_tree($1::oid) p JOIN pg_catalog.pg_class c ON c.oid = p.relid WHERE p.isleaf",
        &[default.oid.into()],
        |row| Ok((row.get::<i64>(1)?, row.get::<i64>(2)?)),
    )?;
    // of what is in shards there are no statistics here
    if cluster::bytes(default.oid)?.is_some_and(|bytes| bytes > COUNTED_IN_SHARDS) {
        return Ok(None);
    }
    let (live, estimated) = known.unwrap_or_default();
    let guess = live.max(estimated).unwrap_or(0).max(0);
    if guess <= COUNTED {
        let key = quote_identifier(&parent.key);
        let compared = |day: Option<NaiveDate>, how: &str| -> Result<String> {
            let texts = bounds::literals(parent.key_type, &parent.zone, day.as_slice())?;
            Ok(texts.first().map_or_else(
                || "false".to_owned(),
                |text| format!("{key} {how} {}::{}", quote_literal(text), parent.key_type.as_str()),
            ))
        };
        let (retired, far) = (compared(kept_from, "<")?, compared(far_from, ">=")?);
        let dated = parent.key_type.is_dated(&key);
        let query = format!(
            "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE kind = 'dated'),
                    pg_catalog.count(*) FILTER (WHERE kind = 'retired'), pg_catalog.count(*) FILTER (WHERE kind = 'far')
               FROM (SELECT CASE WHEN {dated} IS NOT TRUE THEN 'none' WHEN {retired} THEN 'retired'
                                 WHEN {far} THEN 'far' ELSE 'dated' END FROM {}) d (kind)",
            default.quoted
        );
        let count = || {
            sql::first(&query, &[], |row| {
                let (all, dated) = (required(row, 1)?, required(row, 2)?);
                Ok(DefaultRows {
                    all,
                    dated,
                    retired: required(row, 3)?,
                    far: required(row, 4)?,
                    is_guess: false,
                })
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
    Ok(Some(DefaultRows { all: guess, is_guess: guess > 0, ..DefaultRows::default() }))
}

fn never_analyzed(parent: Oid) -> Result<bool> {
    let query = "SELECT reltuples < 0 FROM pg_catalog.pg_class WHERE oid = $1";
    Ok(sql::first(query, &[parent.into()], |row| required::<bool>(row, 1))? == Some(true))
}
