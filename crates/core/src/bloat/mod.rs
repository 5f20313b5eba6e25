//! How much of a table or index is waste, from PostgreSQL's statistics alone, and when that cannot be told.
//!
//! A figure is the room that is taken, less the room that the rows need. The rows' room comes from the widths of
//! their columns in physical order, with the padding that alignment puts between them.

mod btree;
mod heap;
mod row;
#[cfg(test)]
mod tests;

pub use btree::{BTree, Distinct};
pub use heap::{Activity, Heap};
pub use row::{Column, Row};

use std::fmt;

/// The largest error that a figure may have, as a share of the relation.
pub const TOLERANCE: f64 = 0.05;

/// Relations of fewer pages are not judged: the last page is rarely full.
pub const FEWEST_PAGES: u64 = 20;

/// The share of rows that may have changed since their widths were measured.
const CHANGED: f64 = 0.1;

/// The same where a VACUUM has brought row counts and pages up to date since, but not the widths: what has grown
/// cannot be told from what is empty.
const CHANGED_BEFORE_VACUUM: f64 = 0.01;

/// The header of a page.
const PAGE_HEADER: f64 = 24.0;

/// What points to a row in its page.
const LINE_POINTER: f64 = 4.0;

/// Why a figure cannot be trusted.
#[derive(Debug, Clone, PartialEq)]
pub enum Distrust {
    /// Too few pages.
    Small,
    /// Never analyzed, or not since the counters began anew.
    NeverAnalyzed,
    /// A standby does not count what changes.
    Standby,
    /// Too many rows have changed since the last ANALYZE: this share.
    Stale(f64),
    /// The figure moved by this share since the last ANALYZE.
    Moved(f64),
    /// A column without statistics.
    NoStatistics(String),
    /// Rows written before a column was dropped may still hold it.
    DroppedColumn,
    /// Rows written before a column was added with a default lack it.
    AddedColumn(String),
    /// By the statistics the rows would need more room than there is: this share more.
    Impossible(f64),
    /// A partial index: the statistics are those of all rows.
    Partial,
    /// How often keys repeat is not known well enough: the figure lies between these shares.
    Duplicates(f64, f64),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small => {
                write!(f, "too small to judge: under {FEWEST_PAGES} pages, the last of which is rarely full")
            }
            Self::NeverAnalyzed => {
                f.write_str("statistics are missing: not analyzed, or not since the counters began anew")
            }
            Self::Standby => f.write_str("a standby does not count what has changed since the last ANALYZE"),
            // Of an empty table any number of rows may have changed.
            Self::Stale(share) if *share >= 2.0 => {
                f.write_str("statistics are stale: more rows changed since the last ANALYZE than there are")
            }
            Self::Stale(share) => {
                write!(
                    f,
                    "statistics are stale: {:.0} % of the rows changed since the last ANALYZE",
                    share * 100.0
                )
            }
            Self::Moved(share) => {
                write!(
                    f,
                    "statistics are stale: what changed since the last ANALYZE moves the figure by {:.0} points",
                    share * 100.0
                )
            }
            Self::NoStatistics(column) => write!(f, "statistics are missing: column {column} has none"),
            Self::DroppedColumn => {
                f.write_str("a column was dropped, which rows written before may still hold")
            }
            Self::AddedColumn(column) => {
                write!(f, "column {column} was added with a default, which rows written before do not hold")
            }
            Self::Impossible(share) if *share >= 10.0 => {
                f.write_str("statistics contradict the size: the rows would need many times what there is")
            }
            Self::Impossible(share) => {
                write!(
                    f,
                    "statistics contradict the size: the rows would need {:.0} % more than there is",
                    share * 100.0
                )
            }
            Self::Partial => f.write_str("a partial index: the statistics are those of all rows"),
            Self::Duplicates(from, to) => {
                write!(
                    f,
                    "how often keys repeat is not known: the figure is between {:.0} and {:.0} %",
                    from * 100.0,
                    to * 100.0
                )
            }
        }
    }
}

/// A share of waste, if rows and room agree.
fn plausible(waste: f64) -> Result<f64, Distrust> {
    if waste < -TOLERANCE { Err(Distrust::Impossible(-waste)) } else { Ok(waste.clamp(0.0, 1.0)) }
}
