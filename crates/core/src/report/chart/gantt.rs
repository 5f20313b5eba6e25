//! A Gantt chart: lanes of what was done, over time.

use super::{Scale, drawing, label, line, rectangle, time_axis};
use crate::report::markup::Markup;

const WIDTH: f64 = 1064.0;
const LEFT: f64 = 210.0;
const ROW: f64 = 24.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 26.0;

/// What is done is at least so wide that it can be seen.
const NARROWEST: f64 = 3.0;

/// A lane.
pub struct Lane {
    /// What stands beside it.
    pub name: String,
    /// What was done.
    pub stretches: Vec<Stretch>,
}

/// Something that was done.
pub struct Stretch {
    /// When it began.
    pub begins: f64,
    /// When it ended.
    pub ends: f64,
    /// How it is drawn.
    pub class: &'static str,
    /// In words.
    pub title: String,
}

/// Lanes between two moments.
pub fn gantt(out: &mut Markup, words: &str, begins: f64, ends: f64, lanes: &[Lane]) {
    let x = Scale { from: (begins, ends), to: (LEFT, WIDTH - 10.0) };
    let bottom = TOP + lanes.len() as f64 * ROW;
    drawing(out, (WIDTH, bottom + BOTTOM), "chart", words, |out| {
        for (n, lane) in lanes.iter().enumerate() {
            let top = TOP + n as f64 * ROW;
            line(out, "grid", (LEFT, top + ROW / 2.0), (WIDTH - 10.0, top + ROW / 2.0));
            label(out, "end", (LEFT - 8.0, top + ROW / 2.0 + 4.0), &lane.name);
            for stretch in &lane.stretches {
                let (left, right) = (x.at(stretch.begins), x.at(stretch.ends));
                let width = (right - left).max(NARROWEST);
                let left = left.min(WIDTH - 10.0 - NARROWEST);
                rectangle(out, stretch.class, [left, top + 4.0, width, ROW - 8.0], Some(&stretch.title));
            }
        }
        time_axis(out, x, bottom);
    });
}
