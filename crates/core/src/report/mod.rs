//! The performance report: one page that needs nothing besides itself.
//!
//! What is known comes in as [`Report`]; [`verdict::verdicts`] says what follows from it, [`page`] draws it. The page
//! has no script, no reference to anything outside, and no newline, so that psql does not pad it.

mod chart;
mod data;
mod distribution;
mod markup;
mod section;
mod statement;
mod time;
mod units;
mod verdict;

pub use data::*;
pub use distribution::{BOUNDS_MS, bands};
pub use statement::{without_values, words};
pub use time::{Moment, step};
pub use verdict::verdicts;

use markup::Markup;

/// No page is longer, in bytes, whatever the database.
pub const LONGEST: usize = 300_000;

/// How much of the database a page shows.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Rows of a table, tables of a calendar.
    rows: usize,
    /// Characters of a text.
    text: usize,
}

/// From generous to what fits whatever the names are; the last is never too long.
const EXTENTS: [Extent; 5] = [
    Extent { rows: 30, text: 400 },
    Extent { rows: 20, text: 240 },
    Extent { rows: 10, text: 120 },
    Extent { rows: 5, text: 64 },
    Extent { rows: 3, text: 24 },
];

/// The report as a page of HTML.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    for extent in EXTENTS {
        page = drawn(report, extent);
        if page.len() <= LONGEST {
            break;
        }
    }
    page
}

fn drawn(report: &Report, extent: Extent) -> String {
    let mut out = Markup::new(extent.text);
    section::draw(&mut out, report, extent.rows);
    out.finish()
}
