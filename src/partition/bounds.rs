//! Bounds of partitions: read from the catalogs as values, and written so that no session's settings matter.

use crate::error::{Failure, Result};
use crate::guc::pinned;
use crate::sql::Tuple;
use crate::sql::{self, qualified, quote_literal, required};
use groundskeeper_core::partition::{
    Edge, Existing, KeyFormat, NaiveDate, epoch_days, from_epoch_days, with_offset,
};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;
use std::collections::HashMap;

/// The type of a partition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `date`
    Date,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    Timestamptz,
    /// A `uuid` or `bigint` with a moment in it.
    Coded(KeyFormat),
}

impl KeyType {
    /// The type of that name in `pg_type`. What a `bigint` counts is told by its size.
    pub fn parse(typname: &str) -> Option<Self> {
        match typname {
            "uuid" => Some(Self::Coded(KeyFormat::UuidV7)),
            "int8" => Some(Self::Coded(KeyFormat::EpochS)),
            "date" => Some(Self::Date),
            "timestamp" => Some(Self::Timestamp),
            "timestamptz" => Some(Self::Timestamptz),
            _ => None,
        }
    }

    /// How it has its moments, where it is no date.
    pub fn format(self) -> Option<KeyFormat> {
        match self {
            Self::Coded(format) => Some(format),
            Self::Date | Self::Timestamp | Self::Timestamptz => None,
        }
    }

    /// Its name for a cast.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "pg_catalog.date",
            Self::Timestamp => "pg_catalog.timestamp",
            Self::Timestamptz => "pg_catalog.timestamptz",
            Self::Coded(KeyFormat::UuidV7) => "pg_catalog.uuid",
            Self::Coded(_) => "pg_catalog.int8",
        }
    }

    /// The time on the clocks of a zone that a key has, as an expression; it fails where [`Self::is_dated`] is not so.
    pub fn local(self, key: &str, zone: &str) -> String {
        let zone = quote_literal(zone);
        match self {
            Self::Date | Self::Timestamp => format!("{key}::pg_catalog.timestamp"),
            Self::Timestamptz => format!("({key} AT TIME ZONE {zone})"),
            Self::Coded(KeyFormat::UuidV7) => format!(
                "(pg_catalog.to_timestamp(('x' || pg_catalog.substr(pg_catalog.replace({key}::pg_catalog.text, '-', ''), 1, 12)
                    )::pg_catalog.bit(48)::pg_catalog.int8 / 1000.0) AT TIME ZONE {zone})"
            ),
            Self::Coded(format) => format!(
                "((timestamptz '1970-01-01 00:00:00+00' + {key} * interval '{} microseconds') AT TIME ZONE {zone})",
                1_000_000 / format.per_second()
            ),
        }
    }

    /// The day of a key in a zone, likewise.
    pub fn day(self, key: &str, zone: &str) -> String {
        match self {
            Self::Date => key.to_owned(),
            _ => format!("{}::pg_catalog.date", self.local(key, zone)),
        }
    }

    /// Whether a key has a day at all, as an expression.
    pub fn is_dated(self, key: &str) -> String {
        match self {
            Self::Coded(format) => {
                let [from, to] = CODED.map(|at| quote_literal(format.bound(at).unwrap_or_default()));
                let cast = self.as_str();
                format!("({key} >= {from}::{cast} AND {key} < {to}::{cast})")
            }
            _ => format!("pg_catalog.isfinite({key})"),
        }
    }
}

/// The seconds from which on, and until which, keys that are no dates are looked at: 1973-03-04 and 5000-01-01.
const CODED: [i64; 2] = [100_051_200, 95_617_584_000];

/// A table partitioned by range over one column of such a type.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Qualified,
    /// `schema.name`, quoted.
    pub quoted: String,
    /// Whether the current role has the owner's rights.
    pub may_alter: bool,
    /// The column.
    pub key: String,
    /// Its type.
    pub key_type: KeyType,
    /// The zone of its days.
    pub zone: String,
    /// The day that it is there now.
    pub today: NaiveDate,
    /// The default partition.
    pub default: Option<Partition>,
    /// The others, in order.
    pub partitions: Vec<Partition>,
}

impl Parent {
    /// The partitions other than the default one, as they are judged.
    pub fn existing(&self) -> Vec<Existing> {
        let judged = |p: &Partition| Existing { name: p.quoted.clone(), from: p.from, to: p.to };
        self.partitions.iter().map(judged).collect()
    }

    /// All partitions, the default one too.
    pub fn all(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().chain(&self.default)
    }
}

/// A partition.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Qualified,
    /// `schema.name`, quoted.
    pub quoted: String,
    /// Where its range begins, this included.
    pub from: Edge,
    /// Where its range ends, this excluded.
    pub to: Edge,
    /// Its first bound as a literal's text; `None` for `MINVALUE`.
    pub from_text: Option<String>,
    /// Its last bound; `None` for `MAXVALUE`.
    pub to_text: Option<String>,
}

/// What a session's own settings would change in a text.
pub const PLAIN: [(&core::ffi::CStr, &core::ffi::CStr); 2] =
    [(c"datestyle", c"ISO, YMD"), (c"timezone", c"UTC")];

/// Looks tables up, given as quoted name and zone, all in one query; `None` for what is no table partitioned by
/// range over one `date`, `timestamp` or `timestamptz`, or over a `uuid` or `bigint`, which may have moments in it.
pub fn parents(tables: &[(String, String)]) -> Result<Vec<Option<Parent>>> {
    let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
    let zones: Vec<&str> = tables.iter().map(|(_, zone)| zone.as_str()).collect();
    let mut found: Vec<Option<Parent>> = tables.iter().map(|_| None).collect();
    let args = [names.into(), zones.into()];
    pinned(&PLAIN, || {
        sql::rows(include_str!("bounds.sql"), &args, |row| {
            let place = usize::try_from(required::<i64>(row, 1)?).unwrap_or(0);
            if let Some(entry) = found.get_mut(place.wrapping_sub(1)) {
                if entry.is_none() {
                    *entry = parent(row)?;
                }
                if let Some(parent) = entry {
                    add_partition(parent, row)?;
                }
            }
            Ok(())
        })
    })?;
    Ok(found)
}

/// The OIDs of the partitions that tables have now.
pub fn partitions_of(parents: &[Oid]) -> Result<HashMap<Oid, Vec<Oid>>> {
    let found = sql::rows(
        "SELECT inhparent, pg_catalog.array_agg(inhrelid) FROM pg_catalog.pg_inherits
          WHERE inhparent = ANY ($1) AND NOT inhdetachpending GROUP BY inhparent",
        &[parents.to_vec().into()],
        |row| Ok((required::<Oid>(row, 1)?, required::<Vec<Oid>>(row, 2)?)),
    )?;
    Ok(found.into_iter().collect())
}

/// The one table of that quoted name.
pub fn parent_named(quoted: &str, zone: &str) -> Result<Option<Parent>> {
    Ok(parents(&[(quoted.to_owned(), zone.to_owned())])?.pop().flatten())
}

fn parent(row: &Tuple) -> Result<Option<Parent>> {
    let (schema, name) = (required::<String>(row, 3)?, required::<String>(row, 4)?);
    let (Some(key_type), Some(today)) =
        (KeyType::parse(&required::<String>(row, 7)?), from_epoch_days(required(row, 8)?))
    else {
        return Ok(None);
    };
    Ok(Some(Parent {
        oid: required(row, 2)?,
        quoted: qualified(&schema, &name),
        name: Qualified { schema, name },
        may_alter: required(row, 5)?,
        key: required(row, 6)?,
        key_type,
        zone: required(row, 9)?,
        today,
        default: None,
        partitions: Vec::new(),
    }))
}

fn add_partition(parent: &mut Parent, row: &Tuple) -> Result<()> {
    let Some(oid) = row.get::<Oid>(10)? else { return Ok(()) };
    let (schema, name) = (required::<String>(row, 11)?, required::<String>(row, 12)?);
    let edge = |at: usize| -> Result<(Edge, Option<String>)> {
        let text = row.get::<String>(at + 2)?;
        let shown = text.map(|text| match row.get::<i32>(at + 3) {
            Ok(Some(offset)) => with_offset(&text, offset),
            _ => text,
        });
        let day = row.get::<i32>(at)?.and_then(from_epoch_days);
        let edge = match (day, row.get::<bool>(at + 1)?) {
            (None, _) => Edge::Unbounded,
            (Some(day), Some(true)) => Edge::Day(day),
            (Some(day), _) => Edge::Within(day),
        };
        Ok((edge, shown))
    };
    let ((from, from_text), (to, to_text)) = (edge(14)?, edge(18)?);
    if let (KeyType::Coded(KeyFormat::EpochS), Some(Ok(number))) =
        (parent.key_type, from_text.as_deref().or(to_text.as_deref()).map(str::parse))
    {
        parent.key_type = KeyType::Coded(KeyFormat::of_number(number));
    }
    let quoted = qualified(&schema, &name);
    let partition = Partition { oid, name: Qualified { schema, name }, quoted, from, to, from_text, to_text };
    if required::<bool>(row, 13)? {
        parent.default = Some(partition);
    } else {
        parent.partitions.push(partition);
    }
    Ok(())
}

/// The texts of literals for the beginnings of days: local midnight, which PostgreSQL alone turns into a point in
/// time, written with its distance from UTC, so that it means the same in every session.
pub fn literals(key_type: KeyType, zone: &str, days: &[NaiveDate]) -> Result<Vec<String>> {
    if matches!(key_type, KeyType::Date | KeyType::Timestamp) {
        let suffix = if key_type == KeyType::Date { "" } else { " 00:00:00" };
        return Ok(days.iter().map(|day| format!("{day}{suffix}")).collect());
    }
    let numbers: Vec<i32> = days.iter().map(|day| epoch_days(*day)).collect();
    if let KeyType::Coded(format) = key_type {
        let seconds = sql::rows(
            "SELECT EXTRACT(epoch FROM (date '1970-01-01' + d.day)::timestamp AT TIME ZONE $2)::pg_catalog.int8
               FROM pg_catalog.unnest($1::integer[]) WITH ORDINALITY d (day, place) ORDER BY d.place",
            &[numbers.into(), zone.into()],
            |row| required::<i64>(row, 1),
        )?;
        let bound = |at: i64| format.bound(at).ok_or_else(|| beyond(format));
        return seconds.into_iter().map(bound).collect();
    }
    pinned(&PLAIN, || {
        sql::rows(
            "SELECT b.local::text, EXTRACT(epoch FROM b.local - (b.at AT TIME ZONE 'UTC'))::integer
               FROM pg_catalog.unnest($1::integer[]) WITH ORDINALITY d (day, place)
              CROSS JOIN LATERAL (SELECT (date '1970-01-01' + d.day)::timestamp AT TIME ZONE $2) m (at)
              CROSS JOIN LATERAL (SELECT m.at, m.at AT TIME ZONE $2) b (at, local)
              ORDER BY d.place",
            &[numbers.into(), zone.into()],
            |row| Ok(with_offset(&required::<String>(row, 1)?, required(row, 2)?)),
        )
    })
}

fn beyond(format: KeyFormat) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW,
        format!("a partition whose bound is no {} from 1973 to 5138", format.as_str()),
    )
}
