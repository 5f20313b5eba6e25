//! The waste in a table.

use super::{
    CHANGED, CHANGED_BEFORE_VACUUM, Column, Distrust, FEWEST_PAGES, LINE_POINTER, PAGE_HEADER, Row,
    TOLERANCE, plausible,
};
use serde::Deserialize;

/// What PostgreSQL has counted since the columns were last measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Activity {
    /// Rows by the running count.
    pub live: f64,
    /// Dead rows by the running count.
    pub dead: f64,
    /// Rows changed since the last ANALYZE.
    pub changed: f64,
    /// Whether an ANALYZE is known of.
    pub analyzed: bool,
    /// Whether a VACUUM came after it.
    pub vacuumed_since: bool,
    /// Whether this is a standby, which counts nothing.
    pub standby: bool,
}

impl Activity {
    /// Whether the widths are still those of the rows that are there.
    ///
    /// # Errors
    /// Where they are not, or nobody knows.
    pub fn fresh(&self) -> Result<(), Distrust> {
        let most = if self.vacuumed_since { CHANGED_BEFORE_VACUUM } else { CHANGED };
        let share = self.changed / self.live.max(1.0);
        match self {
            Self { standby: true, .. } => Err(Distrust::Standby),
            Self { analyzed: false, .. } => Err(Distrust::NeverAnalyzed),
            _ if share > most => Err(Distrust::Stale(share)),
            _ => Ok(()),
        }
    }
}

/// A table, TOAST not included.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Heap {
    /// Its columns in physical order, dropped ones included.
    pub columns: Vec<Column>,
    /// Bytes per page.
    pub page: f64,
    /// The part of a page, in percent, that inserts fill.
    pub fillfactor: f64,
    /// Pages now.
    pub pages: u64,
    /// Pages at the last ANALYZE or VACUUM.
    pub relpages: u64,
    /// Rows at the last ANALYZE or VACUUM.
    pub reltuples: f64,
    /// What happened since.
    pub activity: Activity,
}

impl Heap {
    /// The share that is dead rows or free space, what `fillfactor` keeps free not included.
    ///
    /// # Errors
    /// Where no figure can be trusted.
    pub fn waste(&self) -> Result<f64, Distrust> {
        if self.pages < FEWEST_PAGES {
            return Err(Distrust::Small);
        }
        self.activity.fresh()?;
        let row = Row::of_table(&self.columns)?;
        let now = self.share(row, self.pages, self.activity.live, self.activity.dead);
        // Few rows can be so wide that the widths are no longer those of the table: then it has grown by more than
        // its rows say.
        let then = self.share(row, self.relpages, self.reltuples.max(0.0), 0.0);
        let moved = (now - then).abs();
        if moved > TOLERANCE && self.relpages != self.pages {
            return Err(Distrust::Moved(moved));
        }
        plausible(now)
    }

    /// Dead rows and free space, as pgstattuple counts them: a page's header and line pointers are neither. Half
    /// of the line pointers of rows that are gone are taken to be still there; that is between a page that lost
    /// some of its rows and one that lost all.
    fn share(&self, row: Row, pages: u64, live: f64, dead: f64) -> f64 {
        let total = pages as f64 * self.page;
        if total == 0.0 {
            return 0.0;
        }
        let room = total - pages as f64 * PAGE_HEADER;
        let reserve = reserved(total, self.fillfactor);
        let slot = row.stored + LINE_POINTER;
        let free = room - (live + dead) * slot;
        let gone = ((room - reserve) / slot - live - dead).max(0.0);
        (free - reserve - gone * LINE_POINTER / 2.0 + dead * row.length) / total
    }
}

/// What a fillfactor keeps free on purpose.
fn reserved(total: f64, fillfactor: f64) -> f64 {
    total * (100.0 - fillfactor.clamp(10.0, 100.0)) / 100.0
}
