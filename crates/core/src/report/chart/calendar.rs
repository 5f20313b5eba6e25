//! A calendar: a row for each year, a field for each month.

use super::heat::even_shade;
use super::{drawing, label, rectangle};
use crate::report::markup::Markup;

const MONTHS: [&str; 12] = ["J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D"];
const LEFT: f64 = 44.0;
const FIELD: f64 = 38.0;
const ROW: f64 = 22.0;
const TOP: f64 = 20.0;

/// A month with what stands for it, and what it says to whoever points at it.
pub struct Field {
    /// The year.
    pub year: i32,
    /// The month, from 0 on.
    pub month: usize,
    /// How much.
    pub value: i64,
    /// In words.
    pub title: String,
}

/// The months of so many last years; a month between the first and the last that is not there is a gap.
pub fn calendar(out: &mut Markup, words: &str, fields: &[Field], years: i32) {
    let Some(last) = fields.iter().map(|field| field.year).max() else { return };
    let shown: Vec<&Field> = fields.iter().filter(|field| last - field.year < years).collect();
    let first = shown.iter().map(|field| field.year).min().unwrap_or(last);
    let most = shown.iter().map(|field| field.value).max().unwrap_or(0);
    let order = |field: &&Field| field.year * 12 + field.month as i32;
    let (from, until) = (shown.iter().map(order).min(), shown.iter().map(order).max());
    let size = (LEFT + 12.0 * FIELD + 4.0, TOP + f64::from(last - first + 1) * ROW + 2.0);
    drawing(out, size, "chart months", words, |out| {
        for (month, name) in MONTHS.iter().enumerate() {
            label(out, "mid", (LEFT + (month as f64 + 0.5) * FIELD, 13.0), name);
        }
        for year in first..=last {
            let top = TOP + f64::from(year - first) * ROW;
            label(out, "end", (LEFT - 8.0, top + 15.0), year);
            for month in 0..12 {
                let place = [LEFT + month as f64 * FIELD, top, FIELD - 2.0, ROW - 2.0];
                let at = year * 12 + month as i32;
                match shown.iter().find(|field| field.year == year && field.month == month) {
                    Some(field) if field.value > 0 => {
                        rectangle(out, even_shade(field.value, most), place, Some(&field.title));
                    }
                    Some(field) => rectangle(out, "empty", place, Some(&field.title)),
                    None if Some(at) > from && Some(at) < until => {
                        rectangle(out, "gap", place, Some(&format!("{year}-{:02}: no partition", month + 1)));
                    }
                    None => {}
                }
            }
        }
    });
}
