//! Charts as inline SVG: each says in words what it shows, and each mark says its figures to whoever points at it.

mod bars;
mod calendar;
mod gantt;
mod heat;
mod lines;
mod spark;

pub use bars::{Bar, bars};
pub use calendar::{Field, calendar};
pub use gantt::{Lane, Stretch, gantt};
pub use heat::{Band, heat};
pub use lines::{Line, lines};
pub use spark::spark;

use super::markup::{Attribute, Markup};
use super::time::marks;
use super::units::Unit;
use std::fmt;

/// How wide most charts are, in units of their drawing.
const WIDTH: f64 = 520.0;
/// How high.
const HEIGHT: f64 = 220.0;
/// Room for what stands beside an axis.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 26.0;

/// A coordinate, as exact as can be seen.
struct At(f64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        write!(f, "{}", if tenths.is_finite() { tenths } else { 0.0 })
    }
}

/// From moments or figures to coordinates.
#[derive(Clone, Copy)]
struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let (low, high) = self.from;
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        self.to.0 + share.clamp(0.0, 1.0) * (self.to.1 - self.to.0)
    }
}

/// A drawing with what it shows in words.
fn drawing(
    out: &mut Markup,
    size: (f64, f64),
    class: &'static str,
    words: &str,
    draw: impl FnOnce(&mut Markup),
) {
    let view = format!("0 0 {} {}", At(size.0), At(size.1));
    // A line without axes has no proportions.
    let fit = if class == "spark" { "none" } else { "xMidYMid" };
    let attributes: [Attribute; 5] = [
        ("viewBox", &view),
        ("preserveAspectRatio", &fit),
        ("class", &class),
        ("role", &"img"),
        ("aria-label", &words),
    ];
    out.element("svg", &attributes, draw);
}

fn rectangle(out: &mut Markup, class: &str, place: [f64; 4], title: Option<&dyn fmt::Display>) {
    let [x, y, width, height] = place.map(At);
    let attributes: [Attribute; 5] =
        [("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    out.shape("rect", &attributes, title);
}

fn line(out: &mut Markup, class: &str, from: (f64, f64), to: (f64, f64)) {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(At);
    out.shape("line", &[("class", &class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)], None);
}

fn label(out: &mut Markup, class: &str, at: (f64, f64), text: impl fmt::Display) {
    out.said("text", &[("class", &class), ("x", &At(at.0)), ("y", &At(at.1))], text);
}

/// A round figure at or above a value: an axis ends there.
fn round_above(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let fits = |step: &f64| step * power >= value * 0.999_999;
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().find(fits).unwrap_or(10.0) * power
}

/// Lines across, with their figures, and the name of the unit above.
fn value_axis(out: &mut Markup, scale: Scale, unit: Unit, right: f64) {
    let (low, high) = scale.from;
    for step in 0..=4 {
        let value = low + (high - low) * f64::from(step) / 4.0;
        let y = scale.at(value);
        line(out, "grid", (LEFT, y), (right, y));
        let class = if step % 2 == 0 { "end" } else { "end minor" };
        label(out, class, (LEFT - 6.0, y + 4.0), unit.of(value));
    }
    label(out, "end unit", (LEFT - 6.0, 10.0), unit.axis());
}

/// Moments below. The last ones would run over the edge.
fn time_axis(out: &mut Markup, scale: Scale, bottom: f64) {
    for (n, (at, name)) in marks(scale.from.0, scale.from.1).into_iter().enumerate() {
        let x = scale.at(at);
        line(out, "tick", (x, bottom), (x, bottom + 4.0));
        let class = if n % 2 == 0 { "mid" } else { "mid minor" };
        if x < scale.to.1 - 12.0 && x > scale.to.0 + 8.0 {
            label(out, class, (x, bottom + 17.0), name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::round_above;

    #[test]
    fn axes_end_at_round_figures() {
        assert_eq!([0.0, 0.7, 1.2, 37.0, 100.0, 501.0].map(round_above), [1.0, 0.8, 1.5, 40.0, 100.0, 600.0]);
    }
}
