//! Bounds of partitions: read from the catalogs as values, and written so that no session's settings matter.

use crate::error::Result;
use crate::guc::pinned;
use crate::sql::Tuple;
use crate::sql::{self, qualified, required};
use groundskeeper_core::partition::{Edge, Existing, NaiveDate, epoch_days, from_epoch_days, with_offset};
use groundskeeper_core::plan::Qualified;
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
}

impl KeyType {
    /// The type of that name in `pg_type`.
    pub fn parse(typname: &str) -> Option<Self> {
        match typname {
            "date" => Some(Self::Date),
            "timestamp" => Some(Self::Timestamp),
            "timestamptz" => Some(Self::Timestamptz),
            _ => None,
        }
    }

    /// Its name for a cast.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "pg_catalog.date",
            Self::Timestamp => "pg_catalog.timestamp",
            Self::Timestamptz => "pg_catalog.timestamptz",
        }
    }
}

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
/// range over one `date`, `timestamp` or `timestamptz`.
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
    if key_type != KeyType::Timestamptz {
        let suffix = if key_type == KeyType::Date { "" } else { " 00:00:00" };
        return Ok(days.iter().map(|day| format!("{day}{suffix}")).collect());
    }
    let numbers: Vec<i32> = days.iter().map(|day| epoch_days(*day)).collect();
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
