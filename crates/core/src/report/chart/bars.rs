//! Bars: a histogram where they stand side by side.

use super::{
    BOTTOM, HEIGHT, LEFT, RIGHT, Scale, TOP, WIDTH, drawing, label, rectangle, round_above, value_axis,
};
use crate::report::markup::Markup;
use crate::report::units::Unit;

/// One of them.
pub struct Bar {
    /// What stands below it.
    pub name: String,
    /// How it is drawn.
    pub class: &'static str,
    /// How high it is.
    pub value: f64,
    /// What it says to whoever points at it.
    pub title: String,
}

/// Bars side by side.
pub fn bars(out: &mut Markup, words: &str, bars: &[Bar], unit: Unit) {
    let high = round_above(bars.iter().map(|bar| bar.value).fold(0.0, f64::max));
    let y = Scale { from: (0.0, high), to: (HEIGHT - BOTTOM, TOP) };
    let width = (WIDTH - RIGHT - LEFT) / (bars.len().max(1) as f64);
    drawing(out, (WIDTH, HEIGHT), "chart", words, |out| {
        value_axis(out, y, unit, WIDTH - RIGHT);
        for (n, bar) in bars.iter().enumerate() {
            let left = LEFT + n as f64 * width;
            // What there is can be seen, however little.
            let top =
                if bar.value > 0.0 { y.at(bar.value).min(HEIGHT - BOTTOM - 1.5) } else { HEIGHT - BOTTOM };
            let gap = (width * 0.08).min(3.0);
            let place = [left + gap, top, width - 2.0 * gap, HEIGHT - BOTTOM - top];
            rectangle(out, bar.class, place, Some(&bar.title));
            // Every other one has room.
            if n % 2 == bars.len() % 2 {
                continue;
            }
            label(out, "mid", (left + width / 2.0, HEIGHT - BOTTOM + 17.0), &bar.name);
        }
    });
}
