//! The waste in a B-tree: how much smaller it would be if it were built anew.

use super::{Activity, Column, Distrust, FEWEST_PAGES, LINE_POINTER, PAGE_HEADER, Row, TOLERANCE, plausible};
use serde::Deserialize;

/// The part of a page that belongs to the tree: its links to its neighbours.
const SPECIAL: f64 = 16.0;

/// The part of an inner page, in percent, that a build fills.
const INNER_FILL: f64 = 70.0;

/// The place of a row in the list of a key that several have.
const ROW_POINTER: f64 = 6.0;

/// The longest such list that a build makes, as a share of the page.
const LONGEST_LIST: f64 = 0.1;

/// How many distinct keys there are: at least, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Distinct {
    /// At least.
    pub fewest: f64,
    /// At most.
    pub most: f64,
}

/// A B-tree index.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BTree {
    /// Its columns, those it merely includes among them.
    pub columns: Vec<Column>,
    /// Bytes per page.
    pub page: f64,
    /// The part of a leaf page, in percent, that a build fills.
    pub fillfactor: f64,
    /// Pages now.
    pub pages: u64,
    /// Whether equal keys share one entry.
    pub deduplicates: bool,
    /// How many distinct keys there are.
    pub distinct: Distinct,
    /// Whether it leaves rows out.
    pub partial: bool,
    /// The table's rows and what happened to them.
    pub activity: Activity,
}

impl BTree {
    /// The share that building it anew would give back.
    ///
    /// # Errors
    /// Where no figure can be trusted.
    pub fn waste(&self) -> Result<f64, Distrust> {
        if self.pages < FEWEST_PAGES {
            return Err(Distrust::Small);
        }
        if self.partial {
            return Err(Distrust::Partial);
        }
        self.activity.fresh()?;
        let entry = Row::of_index(&self.columns)?;
        let waste = |keys| 1.0 - self.built(entry.stored, keys) / self.pages as f64;
        if !self.deduplicates {
            return plausible(waste(self.activity.live));
        }
        let (from, to) = (waste(self.distinct.most), waste(self.distinct.fewest));
        if to - from > 2.0 * TOLERANCE {
            return Err(Distrust::Duplicates(from.clamp(0.0, 1.0), to.clamp(0.0, 1.0)));
        }
        plausible(f64::midpoint(from, to))
    }

    /// The pages of the index, built anew over so many distinct keys.
    fn built(&self, entry: f64, keys: f64) -> f64 {
        let rows = self.activity.live.max(0.0);
        let keys = keys.clamp(1.0, rows.max(1.0));
        let leaf_room = self.page * self.fillfactor / 100.0 - PAGE_HEADER - SPECIAL;
        let leaves = self.leaf_bytes(entry, rows, keys) / leaf_room;
        let inner_room = self.page * INNER_FILL / 100.0 - PAGE_HEADER - SPECIAL;
        let mut pages = 1.0;
        let mut level = leaves.max(1.0).ceil();
        while level > 1.0 {
            pages += level;
            level = (level * (entry + LINE_POINTER) / inner_room).ceil();
        }
        pages + 1.0
    }

    /// What rows take in leaf pages: each key once in a while, each row's place in its list.
    fn leaf_bytes(&self, entry: f64, rows: f64, keys: f64) -> f64 {
        let repeats = rows / keys;
        if !self.deduplicates || repeats < 2.0 {
            // Of fewer than two rows to a key, some have a list, which is no longer than two entries.
            let pairs = if self.deduplicates { rows - keys } else { 0.0 };
            return (rows - 2.0 * pairs) * (entry + LINE_POINTER)
                + pairs * (entry + LINE_POINTER + 2.0 * ROW_POINTER);
        }
        let longest = ((self.page * LONGEST_LIST - LINE_POINTER - entry) / ROW_POINTER).max(1.0);
        let lists = (repeats / longest).ceil();
        keys * lists * (entry + LINE_POINTER) + rows * ROW_POINTER
    }
}
