//! Lines over time. Where nothing is known a line ends, and begins again behind it.

use super::{
    At, BOTTOM, HEIGHT, LEFT, RIGHT, Scale, TOP, WIDTH, drawing, label, line, rectangle, round_above,
};
use super::{time_axis, value_axis};
use crate::report::markup::Markup;
use crate::report::time::Moment;
use crate::report::units::Unit;
use std::fmt::Write as _;

/// One of the lines.
pub struct Line {
    /// What it is, in a word.
    pub name: &'static str,
    /// How it is drawn.
    pub class: &'static str,
    /// Its figures, one a step.
    pub values: Vec<Option<f64>>,
}

/// Lines over steps that begin at these moments, each so long; and the figure that they are held against.
pub fn lines(
    out: &mut Markup,
    words: &str,
    begins: &[f64],
    step: f64,
    lines: &[Line],
    unit: Unit,
    objective: Option<(f64, &'static str)>,
) {
    let (Some(first), Some(last)) = (begins.first(), begins.last()) else { return };
    let known = || lines.iter().flat_map(|line| line.values.iter().flatten().copied());
    let most = known().chain(objective.map(|(value, _)| value)).fold(0.0, f64::max);
    let least = known().fold(f64::INFINITY, f64::min);
    // A share that is all but whole would be a line along the edge.
    let low = if unit == Unit::Percent && least > 80.0 { (least / 5.0).floor() * 5.0 } else { 0.0 };
    let low = low.min(95.0);
    let high =
        if unit == Unit::Percent { round_above(most).clamp(low + 1.0, 100.0) } else { round_above(most) };
    let x = Scale { from: (*first, last + step), to: (LEFT, WIDTH - RIGHT) };
    let y = Scale { from: (low, high), to: (HEIGHT - BOTTOM, TOP) };
    drawing(out, (WIDTH, HEIGHT), "chart", words, |out| {
        value_axis(out, y, unit, WIDTH - RIGHT);
        time_axis(out, x, HEIGHT - BOTTOM);
        if let Some((value, name)) = objective {
            line(out, "objective", (LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value)));
            label(out, "end objective", (WIDTH - RIGHT - 2.0, y.at(value) - 5.0), name);
        }
        for one in lines {
            let points: Vec<_> = begins
                .iter()
                .zip(&one.values)
                .map(|(at, v)| v.map(|v| (x.at(at + step / 2.0), y.at(v))))
                .collect();
            path(out, one.class, &points);
        }
        for (n, at) in begins.iter().enumerate() {
            let figures: Vec<String> = lines
                .iter()
                .filter_map(|line| Some(format!("{} {}", line.name, unit.of((*line.values.get(n)?)?))))
                .collect();
            if !figures.is_empty() {
                let title = format!("{}: {}", Moment::of(*at).full(), figures.join(", "));
                let width = x.at(at + step) - x.at(*at);
                rectangle(out, "hit", [x.at(*at), TOP, width, HEIGHT - BOTTOM - TOP], Some(&title));
            }
        }
    });
}

/// A path with a gap for each step that nothing is known of; a step between two gaps is a dot.
pub(super) fn path(out: &mut Markup, class: &'static str, points: &[Option<(f64, f64)>]) {
    let mut data = String::new();
    let mut within = false;
    for (n, point) in points.iter().enumerate() {
        let Some((x, y)) = point else {
            within = false;
            continue;
        };
        let _ = write!(data, "{}{} {}", if within { 'L' } else { 'M' }, At(*x), At(*y));
        if !within && points.get(n + 1).is_none_or(Option::is_none) {
            data.push_str("h.1");
        }
        within = true;
    }
    if !data.is_empty() {
        out.shape("path", &[("class", &class), ("d", &data)], None);
    }
}
