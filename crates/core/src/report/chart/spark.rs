//! A line without axes, for beside a figure, with the target that the figure has.

use super::lines::path;
use super::{Scale, drawing, line};
use crate::report::markup::Markup;

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 40.0;

/// A line of figures, one a step, and the target.
pub fn spark(out: &mut Markup, words: &str, values: &[Option<f64>], target: Option<f64>) {
    let all = || values.iter().flatten().copied().chain(target);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let room = ((high - low) * 0.1).max(high.abs() * 0.005).max(1e-9);
    let y = Scale { from: (low - room, high + room), to: (HEIGHT - 2.0, 2.0) };
    let x = Scale { from: (0.0, (values.len().max(2) - 1) as f64), to: (2.0, WIDTH - 2.0) };
    drawing(out, (WIDTH, HEIGHT), "spark", words, |out| {
        if let Some(target) = target {
            line(out, "objective", (0.0, y.at(target)), (WIDTH, y.at(target)));
        }
        let points: Vec<_> =
            values.iter().enumerate().map(|(n, value)| value.map(|v| (x.at(n as f64), y.at(v)))).collect();
        path(out, "a", &points);
    });
}
