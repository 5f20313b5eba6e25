//! A heat map: steps of time across, bands upwards, the darker the more.

use super::{BOTTOM, HEIGHT, LEFT, RIGHT, Scale, TOP, WIDTH, drawing, label, rectangle, time_axis};
use crate::report::markup::Markup;
use crate::report::time::Moment;
use crate::report::units::count;

/// A band, the lowest first.
pub struct Band {
    /// What stands beside it.
    pub name: String,
    /// How many, one a step.
    pub counts: Vec<i64>,
}

/// How many shades there are; `style.css` has them.
const SHADES: f64 = 6.0;
const CLASSES: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

/// Bands over steps that begin at these moments, each so long.
pub fn heat(out: &mut Markup, words: &str, begins: &[f64], step: f64, bands: &[Band]) {
    let (Some(first), Some(last)) = (begins.first(), begins.last()) else { return };
    let most = bands.iter().flat_map(|band| &band.counts).copied().max().unwrap_or(0).max(1);
    let x = Scale { from: (*first, last + step), to: (LEFT, WIDTH - RIGHT) };
    let height = (HEIGHT - BOTTOM - TOP) / (bands.len().max(1) as f64);
    drawing(out, (WIDTH, HEIGHT), "chart", words, |out| {
        label(out, "end unit", (LEFT - 6.0, 10.0), "time");
        for (n, band) in bands.iter().enumerate() {
            let top = HEIGHT - BOTTOM - (n as f64 + 1.0) * height;
            let class = if n % 2 == 0 { "end" } else { "end minor" };
            label(out, class, (LEFT - 6.0, top + height / 2.0 + 4.0), &band.name);
            for (at, calls) in begins.iter().zip(&band.counts).filter(|(_, calls)| **calls > 0) {
                let title = format!("{}, {}: {} calls", Moment::of(*at).full(), band.name, count(*calls));
                let width = (x.at(at + step) - x.at(*at) - 0.5).max(0.5);
                rectangle(out, shade(*calls, most), [x.at(*at), top, width, height - 0.5], Some(&title));
            }
        }
        time_axis(out, x, HEIGHT - BOTTOM);
    });
}

/// By the root: what is twice as much is seen to be more.
pub(super) fn even_shade(value: i64, most: i64) -> &'static str {
    of_share((value.max(1) as f64 / most.max(1) as f64).sqrt())
}

/// By the logarithm: one slow call among a million quick ones is to be seen.
pub(super) fn shade(value: i64, most: i64) -> &'static str {
    let share = ((value.max(1) as f64).ln() + 1.0) / ((most.max(1) as f64).ln() + 1.0);
    of_share(share)
}

fn of_share(share: f64) -> &'static str {
    CLASSES[((share * SHADES).ceil() as usize).clamp(1, CLASSES.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::shade;

    #[test]
    fn one_is_seen_and_all_is_darkest() {
        assert_eq!((shade(1, 1_000_000), shade(1_000_000, 1_000_000), shade(1, 1)), ("h1", "h6", "h6"));
        assert_eq!(shade(-5, -7), "h6");
    }
}
