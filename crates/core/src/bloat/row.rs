//! The length of an average row, with its padding.

use super::Distrust;
use serde::Deserialize;

/// Everything in a page begins at a multiple of this.
const MAXALIGN: usize = 8;

/// The longest value that has a header of one byte, and then no alignment.
const SHORT: f64 = 127.0;

/// A column, in physical order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `attlen`: bytes of a value, or negative where that varies.
    pub length: i16,
    /// The alignment in bytes: 1, 2, 4 or 8.
    pub align: usize,
    /// Whether values may have a short header.
    pub short: bool,
    /// How far lengths lie around their average, where that is known.
    pub deviation: Option<f64>,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Whether it was dropped.
    pub dropped: bool,
    /// Whether it was added with a default after rows were there.
    pub added: bool,
    /// The average width, as ANALYZE found it.
    pub width: Option<f64>,
    /// The share of NULLs, as ANALYZE found it.
    pub null_frac: Option<f64>,
}

impl Column {
    /// Its average width and share of NULLs.
    fn measures(&self) -> Result<(f64, f64), Distrust> {
        match (self.width, self.null_frac) {
            _ if self.dropped => Err(Distrust::DroppedColumn),
            _ if self.added => Err(Distrust::AddedColumn(self.name.clone())),
            (_, Some(nulls)) if self.length > 0 => Ok((f64::from(self.length), nulls)),
            (None, None) if self.length > 0 && self.not_null => Ok((f64::from(self.length), 0.0)),
            (Some(width), Some(nulls)) => Ok((width, nulls)),
            _ => Err(Distrust::NoStatistics(self.name.clone())),
        }
    }

    fn alignment(&self, width: f64) -> usize {
        if self.length < 0 && self.short && width <= SHORT { 1 } else { self.align.clamp(1, MAXALIGN) }
    }

    /// How far to either side of their average the lengths are taken to lie, evenly.
    fn spread(&self, width: usize) -> usize {
        let most = width.min(MAXALIGN / 2);
        match self.deviation {
            _ if self.length > 0 => 0,
            // an even distribution of the same deviation
            Some(deviation) => ((deviation * 3f64.sqrt()).round() as usize).min(most),
            None => (width / 2).min(most),
        }
    }
}

/// The average length of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// From its header to the end of its last value.
    pub length: f64,
    /// With the padding after it.
    pub stored: f64,
}

impl Row {
    /// Of a row in a table.
    ///
    /// # Errors
    /// Where the statistics of a column do not tell.
    pub fn of_table(columns: &[Column]) -> Result<Self, Distrust> {
        Self::of(columns, 23, columns.len().div_ceil(8))
    }

    /// Of an entry in an index.
    ///
    /// # Errors
    /// Where the statistics of a column do not tell.
    pub fn of_index(columns: &[Column]) -> Result<Self, Distrust> {
        Self::of(columns, 8, 4)
    }

    /// A header, a bitmap where any value is NULL, and the values.
    fn of(columns: &[Column], header: usize, bitmap: usize) -> Result<Self, Distrust> {
        let mut end = End::default();
        let mut without_null = 1.0;
        for column in columns {
            let (width, nulls) = column.measures()?;
            let nulls = nulls.clamp(0.0, 1.0);
            without_null *= 1.0 - nulls;
            end = end.with(column, width.max(0.0), nulls);
        }
        let plain = header.next_multiple_of(MAXALIGN) as f64;
        let mapped = (header + bitmap).next_multiple_of(MAXALIGN) as f64;
        let header = plain * without_null + mapped * (1.0 - without_null);
        Ok(Self { length: header + end.mean, stored: header + end.padded(MAXALIGN).mean })
    }
}

/// Where the values so far end: on average, and how likely each position between two multiples of eight is.
#[derive(Debug, Clone)]
struct End {
    mean: f64,
    likely: [f64; MAXALIGN],
}

impl Default for End {
    fn default() -> Self {
        let mut likely = [0.0; MAXALIGN];
        likely[0] = 1.0;
        Self { mean: 0.0, likely }
    }
}

impl End {
    /// Up to the next multiple of an alignment.
    fn padded(&self, align: usize) -> Self {
        let mut next = Self { mean: self.mean, likely: [0.0; MAXALIGN] };
        for (position, likely) in self.likely.iter().enumerate() {
            let aligned = position.next_multiple_of(align);
            next.mean += likely * (aligned - position) as f64;
            next.likely[aligned % MAXALIGN] += likely;
        }
        next
    }

    /// With one more value, which is NULL, and so takes nothing, with a probability.
    fn with(&self, column: &Column, width: f64, nulls: f64) -> Self {
        let start = self.padded(column.alignment(width));
        let rounded = width.round() as usize;
        let spread = column.spread(rounded);
        let lengths = rounded - spread..=rounded + spread;
        let each = (1.0 - nulls) / (2 * spread + 1) as f64;
        let mut next = Self {
            mean: nulls * self.mean + (1.0 - nulls) * (start.mean + width),
            likely: self.likely.map(|likely| likely * nulls),
        };
        for length in lengths {
            for (position, likely) in start.likely.iter().enumerate() {
                next.likely[(position + length) % MAXALIGN] += likely * each;
            }
        }
        next
    }
}
